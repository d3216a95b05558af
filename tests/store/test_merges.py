"""Two members are read as one person and apart again; nothing that was written is touched by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_equity.errors import UsageError
from fhir_equity.model import Address, Enrollment, Identifier, Member
from fhir_equity.store import Kept, Store, Wanted
from fhir_equity.store.hie import VERIFIED, HieMemory
from fhir_equity.store.hie_standing import Outcome
from fhir_equity.store.planned import Planned, Settled
from tests.conftest import select_rows
from tests.faults.points import everything
from tests.store.test_retractions import FILES, JUDGE, believed, ingest, kept

PersonMaker = Callable[..., Member]
Rows = Callable[..., list[tuple[Any, ...]]]
# What says that something was merged, and when anything changed.
BESIDE = ("merge", "changed", "trail", "trail_head")


def judges(_: str) -> Any:
    return JUDGE


def merge(store: Store, into: int, member: int) -> int:
    return store.merges.merge(into, member, judges, "steward", "one person").merging.id


def undo(store: Store, number: int) -> None:
    store.merges.undo(number, judges, "steward")


def all_but(url: str, *names: str) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows for name, rows in everything(url).items() if name not in names}


@pytest.fixture
def three(store: Store, person: PersonMaker) -> Store:
    """Members 1 to 3; the first two said the same once, and something else later."""
    ingest(store, "2026-01-01", person("m1", race="2106-3"), person("m2", race="2106-3"), person("m3", race="2131-1"))
    ingest(store, "2026-02-01", person("m2", race="2054-5", language_spoken="es"))
    return store


def test_whose_address_it_is_does_not_depend_on_who_came_first(new_url: Callable[[], str], person: PersonMaker) -> None:
    said = {"a": Address(city="Ames"), "b": Address(city="Bern"), "z": Address()}
    found = []
    for order in ("zab", "bza"):
        store = Store(new_url())
        for key in order:
            ingest(store, "2026-01-01", person(key, address=said[key]))
        number = {each.member.key: each.id for each in store.people}
        for key in "ab":
            merge(store, number["z"], number[key])
        found += [each.member.address.city for each in store.people]
        found += [each.member.address.city for each in store.people.some([number["z"]])]
        store.close()
    assert found == ["Ames"] * 4


def test_they_are_one_person_and_undoing_restores_every_row(three: Store, url: str, rows: Rows) -> None:
    before, people = all_but(url, *BESIDE), list(three.people)
    answers, sightings = rows("SELECT * FROM answer ORDER BY id"), rows("SELECT * FROM sighting ORDER BY 1, 2")
    done = three.merges.merge(1, 2, judges, "steward", "one person")
    assert (done.answers, done.links, done.linked_twice) == (3, 0, ())
    assert (done.merging.member, done.merging.into, done.merging.partner) == ("plan|m2", "plan|m1", "plan")
    assert believed(three) == [
        ("m1", [
            ("language_spoken", "es", "2026-02-01"),
            ("race_ethnicity", "2054-5", "2026-02-01"),
            ("race_ethnicity", "2106-3", "2026-01-01"),
        ]),
        ("m3", [("race_ethnicity", "2131-1", "2026-01-01")]),
    ]  # fmt: skip
    assert [(key, matter) for key, matter, _ in kept(rows)] == [
        ("m1", "language_spoken"), ("m1", "race"), ("m3", "race")
    ]  # fmt: skip
    assert b"2054-5" in bytes(kept(rows)[1][2])
    assert rows("SELECT * FROM answer ORDER BY id") == answers
    assert rows("SELECT * FROM sighting ORDER BY 1, 2") == sightings
    assert [p.id for p in three.people.some([1, 2, 3])] == [1, 3]
    assert list(three.people.some([1, 3])) == list(three.people) == [three.people.one(1), three.people.one(3)]
    assert three.people.known("plan", "m2") == three.people.known("plan", "m1") == three.people.one(1)
    assert [whole.person for whole in three.lake.people()] == list(three.people)
    assert [sorted(whole.told) for whole in three.lake.people()] == [[1, 2, 4, 5], [3]]
    undo(three, 1)
    assert all_but(url, *BESIDE) == before
    assert list(three.people) == people
    told = [(e.action, e.about, e.counts) for e in three.trail.entries() if "merge" in e.action]
    counts = {"members": 2, "answers": 3, "links": 0, "cases": 0}
    assert told == [
        ("merge", {"merge": "1", "reason": "one person"}, counts),
        ("unmerge", {"merge": "1"}, counts),
    ]
    (listed,) = three.merges.all()
    assert (listed.author, listed.reason, listed.undone_by, bool(listed.undone_at)) == (
        "steward", "one person", "steward", True,
    )  # fmt: skip


def test_what_was_said_under_both_keys_is_said_once(three: Store) -> None:
    merge(three, 1, 2)
    one = three.people.one(1)
    assert one is not None
    said = [(event.received[0].raw, event.identity, event.first_seen) for _, event in one.events]
    assert said == [("2106-3", (1,), "2026-01-01"), ("2054-5", (4,), "2026-02-01"), ("es", (5,), "2026-02-01")]


def test_later_files_go_to_the_person_by_either_key_and_stay_with_the_key(
    three: Store, person: PersonMaker, rows: Rows
) -> None:
    merge(three, 1, 2)
    ingest(three, "2026-03-01", person("m2", race="2028-9"), person("m4", race="2028-9"))
    assert [key for key, _ in believed(three)] == ["m1", "m3", "m4"]
    assert b"2028-9" in bytes({row[:2]: row[2] for row in kept(rows)}["m1", "race"])
    assert three.history.seen(1).runs == 3
    ingest(three, "2026-04-01", person("m1", race="2076-8"))
    assert b"2076-8" in bytes({row[:2]: row[2] for row in kept(rows)}["m1", "race"])
    undo(three, 1)
    last = {row[:2]: bytes(row[2]) for row in kept(rows)}
    assert b"2076-8" in last["m1", "race"]
    assert b"2028-9" in last["m2", "race"]
    assert [len(said) for _, said in believed(three)] == [2, 4, 1, 1]


def test_a_chain_is_undone_in_any_order(three: Store, url: str) -> None:
    before = all_but(url, *BESIDE)
    first, second = merge(three, 1, 2), merge(three, 3, 1)
    assert [key for key, _ in believed(three)] == ["m3"]
    assert [found.pseudonym for found in three.history.find("m2")] == ["plan|m3"]
    assert three.history.pseudonyms(3) == ["plan|m3", "plan|m1", "plan|m2"]
    undo(three, first)
    assert [(key, len(said)) for key, said in believed(three)] == [("m2", 3), ("m3", 2)]
    undo(three, second)
    assert all_but(url, *BESIDE) == before
    first, second = merge(three, 1, 2), merge(three, 3, 1)
    undo(three, second)
    assert [(key, len(said)) for key, said in believed(three)] == [("m1", 3), ("m3", 1)]
    undo(three, first)
    assert all_but(url, *BESIDE) == before


def test_who_cannot_be_merged(three: Store) -> None:
    with pytest.raises(UsageError, match="one person already"):
        merge(three, 1, 1)
    merge(three, 1, 2)
    with pytest.raises(UsageError, match="one person already"):
        merge(three, 2, 1)
    with pytest.raises(UsageError, match="is part of somebody"):
        merge(three, 3, 2)
    undo(three, 1)
    for number in (1, 2):
        with pytest.raises(UsageError, match=f"no merge {number} that holds"):
            undo(three, number)


def test_the_person_has_what_both_are_known_by(store: Store, person: PersonMaker) -> None:
    one = person("m1", born="1980", address=Address(city="Utica"), identifiers=(Identifier("s", "1"),),
                 enrollment=Enrollment(maintenance="021", coverage="HLT", spans=(("2026-01-01", ""),)))  # fmt: skip
    other = person("m2", born="1980-02-03", family="Elm", address=Address(city="Rome", state="NY"),
                   enrollment=Enrollment(maintenance="021", coverage="DEN", restricted=True),
                   identifiers=(Identifier("s", "2"),))  # fmt: skip
    ingest(store, "2026-01-01", one, other)
    merge(store, 1, 2)
    (whole,) = store.people
    for found in (whole, store.people.one(1)):
        assert found is not None
        member = found.member
        assert (member.key, member.name.family, member.birth_date) == ("m1", "Alder", "1980-02-03")
        assert member.address == Address(city="Utica")
        assert member.enrollment.restricted
        assert [line for line, _ in member.enrollment.coverages] == ["DEN", "HLT"]
        assert [each.value for each in member.identifiers] == ["1", "2"]


def test_a_person_stands_while_any_of_their_members_does(three: Store, person: PersonMaker, url: str) -> None:
    late = ingest(three, "2026-03-01", person("m4", race="2028-9"))
    before = all_but(url, *BESIDE, "retraction")
    number = merge(three, 4, 2)
    three.retractions.retract(late, JUDGE, "r")
    assert believed(three)[-1][0] == "m4"
    assert [said[1] for said in believed(three)[-1][1]] == ["es", "2054-5", "2106-3"]
    three.retractions.undo(late, JUDGE)
    undo(three, number)
    assert all_but(url, *BESIDE, "retraction") == before


def linked(store: Store, *links: tuple[int, str]) -> HieMemory:
    memory = store.hie("north")
    memory.journal.begin_plan([], "r", {member: (patient, 'W/"1"') for member, patient in links})
    return memory


def test_a_link_follows_and_goes_back_with_what_was_learnt(three: Store, url: str) -> None:
    memory = linked(three, (2, "p2"))
    before = all_but(url, *BESIDE)
    number = merge(three, 1, 2)
    assert memory.links() == {1: ("p2", 'W/"1"')}
    assert memory.members_of(["p2"]) == memory.members_linked() == {"p2": {1}}
    undo(three, number)
    assert all_but(url, *BESIDE) == before
    number = merge(three, 1, 2)
    name = memory.journal.begin_plan([Planned(0, 1, ("race",), "update", "p2", 'W/"1"', {"race": "f"})], "r", {})
    (change,) = memory.journal.latest_plan()[1]
    assert (change.member_id, memory.journal.is_as_planned(name), memory.journal.undone()) == (1, True, {1})
    memory.journal.sending([change])
    assert [sent.member_id for sent in memory.journal.sent()] == [1]
    with pytest.raises(UsageError, match="sync apply --hie north"):
        undo(three, number)
    memory.journal.settle([Settled(change, VERIFIED, {"race": "f"}, ("p2", 'W/"2"'), {("race", 0): ("o1", "")})])
    assert memory.written() == {(1, "race"): "f"}
    assert list(memory.journal.held()) == [1]
    known = memory.known([1])[1]
    assert (known.link, known.written, list(known.observed)) == (("p2", 'W/"2"'), {"race": "f"}, [("race", 0)])
    assert list(three.history.held(1)) == [("north", "race")]
    undo(three, number)
    assert memory.links() == {2: ("p2", 'W/"2"')}
    assert (memory.written(), memory.known([1])[1].written) == ({(2, "race"): "f"}, {})


def test_what_a_plan_wants_of_them_is_not_done_any_more(three: Store) -> None:
    memory = linked(three, (1, "p1"), (2, "p2"), (3, "p3"))
    changes = [Planned(0, n, ("race",), "update", f"p{n}", "", {"race": "f"}) for n in (1, 2, 3)]
    name = memory.journal.begin_plan(changes, "r", {})
    number = merge(three, 1, 2)
    assert [change.member_id for change in memory.journal.latest_plan()[1]] == [3]
    assert memory.journal.is_as_planned(name)
    memory.journal.begin_plan([Planned(0, 1, ("race",), "update", "p1", "", {"race": "f"})], "r", {})
    undo(three, number)
    assert memory.journal.latest_plan()[1] == []


def test_two_patients_of_one_hie_are_a_case_and_a_decision_says_which(three: Store, url: str) -> None:
    memory = linked(three, (1, "p1"), (2, "p2"))
    before = all_but(url, *BESIDE, "pattern")
    done = three.merges.merge(1, 2, judges, "steward", "one person")
    assert (done.links, done.linked_twice) == (1, ("north",))
    assert memory.links() == {1: ("p1", 'W/"1"')}
    assert memory.members_of(["p1", "p2"]) == {"p1": {1}, "p2": {1}}
    (case,) = three.cases.cases()
    assert (case.kind, case.matter, case.pseudonym, case.source) == ("linked_twice", "link", "plan|m1", "merge 1")
    (group,) = three.cases.groups()
    assert [side.said for side in group.sides] == [(("Patient", "p1"),), (("Patient", "p2"),)]
    number = three.hie("x").standing.newest()
    (decision,), _ = three.decisions.decide([Wanted(group.pattern, 1, "", "asked")], judges, "steward")
    assert memory.links() == {1: ("p2", 'W/"1"')}
    assert list(memory.standing.changed_since(number)) == [1]
    three.decisions.undo(decision.id, judges, "steward")
    assert memory.links() == {1: ("p1", 'W/"1"')}
    undo(three, 1)
    beside = ("decision", "settlement")
    assert all_but(url, *BESIDE, "pattern", *beside) == {n: rows for n, rows in before.items() if n not in beside}


def test_nobody_is_counted_twice_at_an_hie(three: Store) -> None:
    standing = three.hie("north").standing
    standing.write({1: Outcome(agreed={"race": "f"}), 2: Outcome(agreed={"race": "f"}, unmatched=True), 3: Outcome()})
    merge(three, 1, 2)
    assert standing.totals({}) == {("members", "", ""): 2, ("agreed", "", ""): 1}
    assert standing.of([1, 2, 3]).keys() == {1, 3}


def test_what_either_key_keeps_back_is_kept_back(three: Store) -> None:
    three.opt_outs.record([Kept(2, "2026-01-01", "north", "race"), Kept(3, "2026-01-01")])
    number = merge(three, 1, 2)
    assert three.opt_outs.in_force([1, 3], "north", "2026-02-01") == {1: {"race"}, 3: {""}}
    assert three.opt_outs.turning("north", "2025-12-31", "2026-01-01") == {1, 3}
    assert [kept_.matter for kept_ in three.opt_outs.of(1)] == ["race"]
    undo(three, number)
    assert three.opt_outs.in_force([1, 2], "north", "2026-02-01") == {2: {"race"}}
    merge(three, 1, 2)
    assert three.opt_outs.take_back(1, "north", "race")
    assert three.opt_outs.of(1) == []


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, st.data())
def test_it_does_not_matter_when_they_are_merged_and_undone_it_never_was(
    new_url: Callable[[], str], person: PersonMaker, files: list[tuple[str, dict[str, str]]], data: st.DataObject
) -> None:
    early, late, never = new_url(), new_url(), new_url()
    stores = [Store(url) for url in (early, late, never)]
    everybody = [person(key, race=code) for key, code in (("a", "w"), ("b", "x"), ("c", "w"))]
    at = data.draw(st.integers(0, len(files)))
    for store in stores:
        ingest(store, "2026-01-01", *everybody)
    merge(stores[0], 1, 2)
    for place, (month, said) in enumerate(files):
        if place == at:
            merge(stores[1], 1, 2)
        for store in stores:
            ingest(store, f"2026-0{month}-01", *(person(key, race=code) for key, code in sorted(said.items())))
    if at == len(files):
        merge(stores[1], 1, 2)
    assert all_but(early, *BESIDE) == all_but(late, *BESIDE)
    assert believed(stores[0]) == believed(stores[1]) != believed(stores[2])
    for store in stores[:2]:
        undo(store, 1)
    assert all_but(early, *BESIDE) == all_but(late, *BESIDE) == all_but(never, *BESIDE)
    assert select_rows(early, "SELECT count(*) FROM merged") == [(0,)]
    for store in stores:
        store.close()
