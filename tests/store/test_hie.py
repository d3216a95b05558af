"""What is remembered about an HIE: links, plans, what became of them, what we wrote, how far we pulled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_equity.errors import StoreError
from fhir_equity.model import Member
from fhir_equity.store import Store, Written
from fhir_equity.store.hie import HieMemory, Planned, Settled

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def memory(store: Store, person: Callable[..., Member], save: Callable[..., Written]) -> HieMemory:
    save(person("m1"), person("m2"), person("m3"))
    return store.hie("north")


def change(member_id: int, *matters: str, action: str = "update") -> Planned:
    said = {matter: f"said-{matter}" for matter in matters or ("race_ethnicity", "language_spoken")}
    return Planned(0, member_id, tuple(said), action, f"p{member_id}", 'W/"1"', said)


def begin(memory: HieMemory, *changes: Planned) -> list[Planned]:
    memory.journal.begin_plan(changes, "release 7", {})
    return memory.journal.latest_plan()[1]


def test_links_belong_to_one_hie_and_take_the_newest_version(memory: HieMemory, store: Store) -> None:
    memory.journal.begin_plan([], "r", {1: ("p1", 'W/"1"'), 2: ("p2", ""), 3: ("p2", "")})
    memory.journal.begin_plan([], "r", {1: ("p9", 'W/"2"')})
    assert memory.links() == {1: ("p9", 'W/"2"'), 2: ("p2", ""), 3: ("p2", "")}
    assert memory.members_linked() == {"p9": {1}, "p2": {2, 3}}
    assert store.hie("south").links() == {}


def test_a_link_needs_a_member_and_a_plan_that_fails_is_not_written(memory: HieMemory, rows: Rows) -> None:
    begin(memory, change(1))
    with pytest.raises(StoreError):
        memory.journal.begin_plan([change(2)], "r", {99: ("p1", "")})
    assert [c.member_id for c in memory.journal.latest_plan()[1]] == [1]
    assert rows("SELECT count(*) FROM journal") == [(1,)]


def test_no_plan_yet(memory: HieMemory) -> None:
    assert memory.journal.latest_plan() == ("", [])
    assert (memory.written(), memory.echoes(), memory.journal.sent()) == ({}, {}, [])


def test_a_plan_comes_back_in_order(memory: HieMemory, store: Store, rows: Rows) -> None:
    name = memory.journal.begin_plan([change(2), change(1, "language_spoken", action="create")], "release 7", {})
    said = {"race_ethnicity": "said-race_ethnicity", "language_spoken": "said-language_spoken"}
    assert memory.journal.latest_plan() == (
        name,
        [
            Planned(1, 2, ("race_ethnicity", "language_spoken"), "update", "p2", 'W/"1"', said, "planned"),
            Planned(2, 1, ("language_spoken",), "create", "p1", 'W/"1"', {"language_spoken": said["language_spoken"]}),
        ],
    )
    assert rows("SELECT DISTINCT hie, policy, planned_at != '', done_at FROM journal") == [
        ("north", "release 7", 1, "")
    ]
    assert store.hie("south").journal.latest_plan() == ("", [])


def test_what_is_settled_is_not_done_again_and_the_rest_is(memory: HieMemory, rows: Rows) -> None:
    first, second = begin(memory, change(1), change(2))
    memory.journal.settle([Settled(first, "verified", {"race_ethnicity": "fp1"})])
    assert memory.journal.latest_plan()[1] == [second]
    assert rows("SELECT member_id, status, done_at != '' FROM journal ORDER BY id") == [
        (1, "verified", 1),
        (2, "planned", 0),
    ]


def test_a_change_that_was_being_sent_is_still_open_and_its_word_is_ours(memory: HieMemory) -> None:
    first, second = begin(memory, change(1, "race_ethnicity"), change(2, "race_ethnicity"))
    memory.journal.settle([Settled(first, "verified", {"race_ethnicity": "old"})])
    (again, _) = begin(memory, change(1, "race_ethnicity"), second)
    memory.journal.sending([again])
    begin(memory)
    assert [(c.member_id, c.status) for c in memory.journal.sent()] == [(1, "sent")]
    assert memory.echoes() == {(1, "race_ethnicity"): {"old", "said-race_ethnicity"}}
    memory.journal.settle([Settled(again, "verified", {"race_ethnicity": "said-race_ethnicity"})])
    assert memory.journal.sent() == []


def test_a_newer_plan_supersedes_what_an_older_left_even_when_it_is_empty(
    memory: HieMemory, store: Store, rows: Rows
) -> None:
    begin(store.hie("south"), change(3))
    first, _ = begin(memory, change(1), change(2))
    memory.journal.settle([Settled(first, "moved")])
    assert begin(memory) == []
    assert rows("SELECT status FROM journal WHERE hie = 'north' ORDER BY id") == [("moved",), ("superseded",)]
    assert len(store.hie("south").journal.latest_plan()[1]) == 1


def test_every_plan_has_a_name_of_its_own(memory: HieMemory, store: Store) -> None:
    south = store.hie("south")
    names = [each.journal.begin_plan([], "r", {}) for each in (memory, south, memory, south, memory)]
    assert len(set(names)) == 5
    assert memory.journal.latest_plan() == (names[-1], [])


def test_what_we_wrote_last_is_remembered_by_matter(memory: HieMemory, store: Store) -> None:
    first, second = begin(memory, change(1), change(2))
    memory.journal.settle(
        [Settled(first, "verified", {"race_ethnicity": "old", "language_spoken": "en"}, ("p1", 'W/"2"'))]
    )
    memory.journal.settle([Settled(first, "verified", {"race_ethnicity": "new"}, ("p1", 'W/"3"'))])
    memory.journal.settle([Settled(second, "unverified")])
    assert memory.written() == {(1, "race_ethnicity"): "new", (1, "language_spoken"): "en"}
    assert memory.links() == {1: ("p1", 'W/"3"')}
    assert store.hie("south").written() == {}


def test_what_we_wrote_into_another_resource_is_no_longer_theirs(memory: HieMemory) -> None:
    first, second = begin(memory, change(1), change(2))
    memory.journal.settle([Settled(first, "verified", {"race_ethnicity": "a"}, ("p1", ""))])
    memory.journal.settle([Settled(second, "verified", {"race_ethnicity": "b"}, ("p2", ""))])
    memory.journal.begin_plan([], "r", {1: ("p7", ""), 2: ("p2", 'W/"5"')})
    assert memory.written() == {(2, "race_ethnicity"): "b"}


def test_the_resources_that_we_made(memory: HieMemory, store: Store) -> None:
    first, second = begin(memory, change(1, action="create"), change(2))
    memory.journal.settle([Settled(first, "verified", {}, ("new-1", ""))])
    memory.journal.settle([Settled(second, "verified", {}, ("p2", ""))])
    assert [memory.is_made_by_us(key) for key in ("new-1", "p2")] == [True, False]
    assert not store.hie("south").is_made_by_us("new-1")


def test_a_change_does_not_show_what_it_says(memory: HieMemory) -> None:
    assert "said-" not in repr(begin(memory, change(1))[0])


def test_how_far_we_pulled(memory: HieMemory, store: Store) -> None:
    assert memory.since() == ""
    memory.pulled("2026-01-01T00:00:00Z")
    memory.pulled("2026-02-01T00:00:00Z")
    assert memory.since() == "2026-02-01T00:00:00Z"
    assert store.hie("south").since() == ""
