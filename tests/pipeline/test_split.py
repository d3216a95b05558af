"""One key is two people: what moves, who is found by later records, what follows, and undone every row is as before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from fhir_equity.errors import UsageError
from fhir_equity.model import Answer, Coding, Event, Member, Name, Origin, Received
from fhir_equity.pipeline.explain import explain
from fhir_equity.pipeline.hold import hold_add
from fhir_equity.pipeline.merge import merge, unmerge
from fhir_equity.pipeline.purge import purge
from fhir_equity.pipeline.record import record_of
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.review import review_decide
from fhir_equity.pipeline.split import split, split_undo, splits
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Disclosure, Kept, Which
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.holds import held
from fhir_equity.store.schema import Split, core
from tests.conftest import select_rows
from tests.faults.points import everything
from tests.pipeline.test_purge import opened as opened_as_old

WHITE, BLACK, ASIAN = "2106-3", "2054-5", "2028-9"
BESIDE = ("split", "changed", "trail", "trail_head", "pattern")
BORN = "2010-01-01"


def opened(url: str, folder: Path) -> Workspace:
    return opened_as_old(url, folder)


def say(
    workspace: Workspace, as_of: str, *said: tuple[str, str, str], file: str = "", collected: str = "", key: str = "k",
    family: str = "Alder", born: str = BORN,
) -> int:  # fmt: skip
    """Records (given name, topic, code) of one key in one run of one file."""
    run = workspace.run("plan", as_of)
    name = file or f"{as_of}.csv"
    artefact = run.artefact(name, "survey")
    records = []
    for given, topic, code in said:
        system = "cdcrec" if topic == "race" else "bcp47"
        received = Received(topic, f"test.{topic}", (Coding(system, code),), "", code)
        origin = Origin("plan", name, "plan", "self", collected_on=collected)
        answers = (Answer(received, origin, "row", 1, 0, ""),)
        member = Member("plan", key, name=Name(family, (given,) if given else ()), birth_date=born, answers=answers)
        records.append(record_of(workspace, member))
    run.add(artefact, records)
    run.close(artefact, sha256=name, size=0, members=len(records), rejected=0)
    run.finish()
    return run.id


def people(workspace: Workspace) -> dict[int, list[tuple[str, str]]]:
    """What each person says, by first day."""

    def told(event: Event) -> tuple[str, str]:
        return event.first_seen, event.received[0].raw

    return {person.id: sorted(told(event) for _, event in person.events) for person in workspace.store.people}


def all_but(workspace: Workspace, *names: str) -> dict[str, list[tuple[Any, ...]]]:
    every = everything(workspace.settings.store.url)
    return {name: rows for name, rows in every.items() if name not in (*BESIDE, *names)}


@pytest.fixture
def twins(workspace: Workspace) -> Iterator[Workspace]:
    """Ada and Ben under one key, who said one thing both."""
    say(workspace, "2026-01-01", ("Ada", "race", WHITE), ("Ada", "language_spoken", "en"))
    say(workspace, "2026-02-01", ("Ben", "race", BLACK), ("Ben", "language_spoken", "en"))
    say(workspace, "2026-02-01", ("Cy", "race", ASIAN), key="other")
    yield workspace
    assert resolve(workspace, dry_run=True).changed == 0
    assert workspace.store.trail.verify().problems == []


def test_a_run_is_the_other_ones_and_undone_every_row_is_as_before(twins: Workspace) -> None:
    before = all_but(twins)
    done = split(twins, "k", Which(runs=(2,)), reason=" twins ", given="Ben")
    assert (done.moved, done.shared, done.splitting.author) == (1, 1, "officer")
    assert people(twins) == {
        1: [("2026-01-01", WHITE), ("2026-01-01", "en")],
        2: [("2026-02-01", ASIAN)],
        3: [("2026-02-01", BLACK), ("2026-02-01", "en")],
    }
    (one,) = (person for person in twins.store.people if person.id == 3)
    assert (one.member.name, one.member.birth_date, one.member.key) == (Name("Alder", ("Ben",)), BORN, "k")
    with pytest.raises(UsageError, match="several members have it"):
        explain(twins, "k")
    assert explain(twins, one.pseudonym)["seen"] == {"runs": 1, "first": "2026-02-01", "last": "2026-02-01"}
    assert [(each.apart, each.reason) for each in splits(twins)] == [(one.pseudonym, "twins")]
    assert resolve(twins, dry_run=True).changed == 0
    undone = split_undo(twins, 1)
    assert (undone.moved, undone.shared, undone.stays) == (1, 1, False)
    assert all_but(twins) == before
    with pytest.raises(UsageError, match="no split 1 that holds"):
        split_undo(twins, 1)
    told = [(e.action, e.about) for e in twins.store.trail.entries() if "split" in e.action]
    assert told == [("split", {"split": "1", "reason": "twins"}), ("split undo", {"split": "1"})]


@pytest.mark.parametrize("which", [Which(file="b.csv"), Which(collected="2026-02-20")], ids=["file", "collection"])
def test_a_file_or_a_collection(workspace: Workspace, which: Which) -> None:
    say(workspace, "2026-01-01", ("Ada", "race", WHITE), file="a.csv", collected="2025-12-20")
    say(workspace, "2026-03-01", ("Ada", "race", BLACK), file="b.csv", collected="2026-02-20")
    before = all_but(workspace)
    split(workspace, "k", which, reason="r")
    assert people(workspace) == {1: [("2026-01-01", WHITE)], 2: [("2026-03-01", BLACK)]}
    split_undo(workspace, 1)
    assert all_but(workspace) == before


def test_one_record_of_two_collections_is_parted(workspace: Workspace) -> None:
    run = workspace.run("plan", "2026-01-01")
    artefact = run.artefact("a.json", "fhir")
    answers = tuple(
        Answer(
            Received(topic, f"test.{topic}", (Coding(system, code),), "", code),
            Origin("plan", "a.json", "plan", "self", collected_on=day),
            "resource", 1, 0, topic,
        )
        for topic, system, code, day in (
            ("race", "cdcrec", WHITE, "2025-01-01"),
            ("race", "cdcrec", BLACK, "2025-02-02"),
        )
    )  # fmt: skip
    run.add(artefact, [record_of(workspace, Member("plan", "k", name=Name("Alder", ("Ada",)), answers=answers))])
    run.close(artefact, sha256="", size=0, members=1, rejected=0)
    run.finish()
    before = all_but(workspace)
    split(workspace, "k", Which(collected="2025-02-02"), reason="r")
    assert people(workspace) == {1: [("2026-01-01", WHITE)], 2: [("2026-01-01", BLACK)]}
    split_undo(workspace, 1)
    assert all_but(workspace) == before


def test_later_records_go_to_whose_name_they_have_and_stay_there(twins: Workspace) -> None:
    split(twins, "k", Which(runs=(2,)), reason="r", given="Ben")
    say(twins, "2026-03-01", ("Ben", "race", ASIAN), ("Ada", "race", WHITE))
    say(twins, "2026-02-01", ("Ben", "race", BLACK), file="2026-02-01.csv")  # the same file again moves nothing back
    assert [code for _, code in people(twins)[3]] == [BLACK, "en", ASIAN]
    assert [code for _, code in people(twins)[1]] == [WHITE, "en"]
    done = split_undo(twins, 1)
    assert (done.moved, done.stays) == (1, True)
    assert [code for _, code in people(twins)[1]] == [WHITE, "en", BLACK]
    assert people(twins)[3] == [("2026-02-01", BLACK), ("2026-03-01", ASIAN)]


def test_a_record_of_that_name_without_a_birth_date_goes_there_too(workspace: Workspace) -> None:
    say(workspace, "2026-01-01", ("Ada", "race", WHITE))
    say(workspace, "2026-02-01", ("Ben", "race", BLACK), born="")
    split(workspace, "k", Which(runs=(2,)), reason="r", given="Ben")
    say(workspace, "2026-03-01", ("Ben", "race", ASIAN), born="")
    say(workspace, "2026-03-02", ("", "language_spoken", "en"), family="")
    assert {number: [code for _, code in told] for number, told in people(workspace).items()} == {
        1: [WHITE, "en"],
        2: [BLACK, ASIAN],
    }


def seen(workspace: Workspace) -> list[list[tuple[str, str]]]:
    """What tells each person under a key apart from others, in the order in which it came."""
    rows = select_rows(workspace.settings.store.url, "SELECT details FROM member ORDER BY id")
    return [[(born, given.rpartition("|")[2]) for born, given in json.loads(bytes(d)).get("seen", [])] for (d,) in rows]


A, B, B0, B1 = (BORN, "ada"), (BORN, "ben"), ("", "ben"), ("2011-01-01", "ben")


@pytest.mark.parametrize(
    ("said", "asked", "theirs"),
    [
        ((B0, A, B, B1), {"given": "Ben"}, (B0, B, B1)),
        ((B0, A, B), {"given": "Ben"}, (B0, B)),
        ((A, B0), {"given": "Ben"}, (B0, B)),
        ((B0, A, B1), {"given": "Ben", "born": B1[0]}, (B0, B1)),
        ((B0, A, B, B1), {"given": "Ben", "born": B1[0]}, (B1,)),
        ((B, A, B0, B1), {"born": B1[0]}, (B1,)),
        ((B0, B, B1), {"born": B1[0]}, (B1,)),
        ((B0, B), {"given": "Ben"}, (B,)),
        ((B, A), {"given": "Cy"}, ((BORN, "cy"),)),
    ],
)
def test_every_identity_of_that_name_is_theirs_and_undone_the_members_again_in_its_place(
    workspace: Workspace, said: tuple[tuple[str, str], ...], asked: dict[str, str], theirs: tuple[tuple[str, str], ...]
) -> None:
    for number, (born, given) in enumerate(said, 1):
        say(workspace, f"2026-01-0{number}", (given.title(), "race", (WHITE, BLACK)[number % 2]), born=born)
    before = all_but(workspace)
    split(workspace, "k", Which(runs=(1,)), reason="r", **asked)
    assert seen(workspace) == [[one for one in said if one not in theirs], list(theirs)]
    split_undo(workspace, 1)
    assert all_but(workspace) == before


def test_where_more_came_to_the_other_the_member_has_their_identities_again(workspace: Workspace) -> None:
    for number, (born, given) in enumerate((B0, A, B), 1):
        say(workspace, f"2026-01-0{number}", (given.title(), "race", WHITE if given == "ada" else BLACK), born=born)
    split(workspace, "k", Which(runs=(1, 3)), reason="r", given="Ben")
    say(workspace, "2026-02-01", ("Ben", "race", ASIAN), born=B1[0])
    say(workspace, "2026-02-02", ("Ada", "race", WHITE), born="")
    assert split_undo(workspace, 1).stays
    assert seen(workspace) == [[B0, A, B, ("", "ada")], [B0, B, B1]]


def test_without_a_name_later_records_stay_with_the_key(twins: Workspace) -> None:
    split(twins, "k", Which(runs=(2,)), reason="r")
    say(twins, "2026-03-01", ("Ben", "race", BLACK))
    assert [code for _, code in people(twins)[1]] == [WHITE, "en", BLACK]
    assert [code for _, code in people(twins)[3]] == [BLACK, "en"]
    split_undo(twins, 1)  # said again meanwhile, it is there once
    assert people(twins)[1] == [("2026-01-01", WHITE), ("2026-01-01", "en"), ("2026-02-01", BLACK)]
    assert 3 not in people(twins)


def test_a_run_is_retracted_and_stands_again_on_either_side_of_a_split(twins: Workspace) -> None:
    before = all_but(twins, "retraction")
    split(twins, "k", Which(runs=(2,)), reason="r")
    retract(twins, 2, reason="r")
    assert 3 not in people(twins)
    split_undo(twins, 1)
    assert people(twins)[1] == [("2026-01-01", WHITE), ("2026-01-01", "en")]
    retract(twins, 2, undo=True)
    assert all_but(twins, "retraction") == before


def test_what_is_kept_back_and_held_holds_for_both_and_links_stay(twins: Workspace) -> None:
    store = twins.store
    store.opt_outs.record([Kept(1, "2026-01-01", "hie", "race_ethnicity")])
    store.hie("hie").journal.begin_plan([], "r", {1: ("p1", 'W/"1"')})
    newest = store.hie("hie").standing.newest()
    before = all_but(twins)
    split(twins, "k", Which(runs=(2,)), reason="r")
    assert store.opt_outs.in_force([1, 3], "hie", "2026-03-01") == {1: {"race_ethnicity"}, 3: {"race_ethnicity"}}
    assert store.hie("hie").links() == {1: ("p1", 'W/"1"')}
    assert {1, 3} <= set(store.hie("hie").standing.changed_since(newest))
    one = next(person.pseudonym for person in store.people if person.id == 3)
    hold_add(twins, member=one, reason="r")
    with reading(store.engine) as connection:
        assert held(connection).members == {1, 3}
    assert split_undo(twins, 1).stays  # for somebody is held by that name
    with reading(store.engine) as connection:
        assert held(connection).members == {1, 3}
    beside = ("hold", "member", "opt_out", "withdrawn_member")  # of who stays
    after = all_but(twins, *beside)
    assert after == {name: rows for name, rows in before.items() if name not in beside}


def test_of_whom_somebody_was_told_stays_a_person(twins: Workspace) -> None:
    done = split(twins, "k", Which(runs=(2,)), reason="r")
    told = Disclosure(done.splitting.apart, "plan", "hie", "t", "p", "b", ("race",), "r1", "v1")
    twins.store.disclosures.intend([told])
    assert split_undo(twins, 1).stays
    assert sorted(people(twins)) == [1, 2]  # but nobody who is counted
    (who,) = (person.pseudonym for person in twins.store.people if person.id == 1)
    again = split(twins, who, Which(runs=(2,)), reason="r")
    assert again.splitting.apart != done.splitting.apart  # nobody has their account


def test_who_was_told_of_and_was_nobody_goes_with_a_purge(twins: Workspace, tmp_path: Path) -> None:
    done = split(twins, "k", Which(runs=(2,)), reason="r")
    twins.store.disclosures.intend(
        [Disclosure(done.splitting.apart, "plan", "hie", "t", "p", "b", ("race",), "r1", "v1")]
    )
    split_undo(twins, 1)
    say(twins, "2096-01-01", ("Ada", "race", WHITE))
    assert select_rows(twins.settings.store.url, "SELECT count(*) FROM member WHERE id = 3") == [(1,)]
    with writing(twins.store.engine) as connection:
        connection.execute(update(core(Split)).values(undone_at="2026-01-01T00:00:00+00:00"))
    purge(twins, "2026-10-15", tmp_path / "certificate.json")
    assert select_rows(twins.settings.store.url, "SELECT count(*) FROM member WHERE id = 3") == [(0,)]


def test_a_purge_takes_the_member_and_leaves_who_was_split_off(twins: Workspace, tmp_path: Path) -> None:
    split(twins, "k", Which(runs=(2,)), reason="r", given="Ben")
    say(twins, "2026-11-01", ("Ben", "race", BLACK))
    purge(twins, "2026-10-15", tmp_path / "certificate.json")
    assert sorted(people(twins)) == [3]
    with pytest.raises(UsageError, match="no split 1 that holds"):
        split_undo(twins, 1)


def test_a_record_without_name_and_date_stays_among_those_of_the_member(workspace: Workspace) -> None:
    say(workspace, "2026-01-01", ("Ada", "race", WHITE))
    say(workspace, "2026-02-01", ("", "race", BLACK), family="", born="")
    before = all_but(workspace)
    split(workspace, "k", Which(runs=(2,)), reason="r")
    split_undo(workspace, 1)
    assert all_but(workspace) == before


def test_what_was_decided_meanwhile_about_what_came_again_holds_after_undoing(twins: Workspace) -> None:
    split(twins, "k", Which(runs=(2,)), reason="r")
    say(twins, "2026-03-01", ("Ada", "race", BLACK))
    (group,) = twins.store.cases.groups()
    side = next(place for place, side in enumerate(group.sides, start=1) if BLACK in str(side.said))
    review_decide(twins, str(group.pattern), str(side), "r")
    query = "SELECT state, rule FROM resolution WHERE member_id = 1 AND matter = 'race_ethnicity'"
    split_undo(twins, 1)
    assert select_rows(twins.settings.store.url, query) == [("answered", "decided")]
    assert twins.store.cases.groups() == []


def test_splits_of_the_same_people_are_undone_the_last_first_and_merges_before(twins: Workspace) -> None:
    say(twins, "2026-03-01", ("Ada", "race", ASIAN))
    before = all_but(twins)
    split(twins, "k", Which(runs=(2, 4)), reason="r")
    first = next(person.pseudonym for person in twins.store.people if person.id == 3)
    split(twins, first, Which(runs=(4,)), reason="r")
    assert [code for _, code in people(twins)[4]] == [ASIAN]
    with pytest.raises(UsageError, match="undo split 2 first"):
        split_undo(twins, 1)
    merge(twins, first, "other", reason="r")
    with pytest.raises(UsageError, match="unmerge"):
        split(twins, first, Which(runs=(2,)), reason="r")
    with pytest.raises(UsageError, match="unmerge"):
        split_undo(twins, 2)
    unmerge(twins, 1)
    split_undo(twins, 2)
    assert split_undo(twins, 1).stays  # for a merge knows them
    beside = ("merge", "member", "withdrawn_member")
    left, start = all_but(twins, *beside), {n: r for n, r in before.items() if n not in beside}
    assert left == start


def test_a_purge_afterwards_takes_nothing_that_undoing_needs(twins: Workspace, tmp_path: Path) -> None:
    split(twins, "k", Which(runs=(2,)), reason="r")
    say(twins, "2026-11-01", ("Ada", "race", WHITE))
    purge(twins, "2026-01-15", tmp_path / "certificate.json")
    assert [code for _, code in people(twins)[3]] == [BLACK, "en"]
    split_undo(twins, 1)
    assert [code for _, code in people(twins)[1]] == [WHITE, "en", BLACK]
    split(twins, "k", Which(runs=(2,)), reason="r")
    purge(twins, "2026-10-15", tmp_path / "later.json")
    assert sorted(people(twins)) == [1]
    with pytest.raises(UsageError, match="was purged"):
        split_undo(twins, 2)


@pytest.mark.parametrize(
    ("which", "reason", "problem"),
    [
        (Which(runs=(2,)), " ", "keeps why"),
        (Which(), "r", "say what is"),
        (Which(runs=(2,), file="a"), "r", "say what is"),
        (Which(runs=(3,)), "r", "nothing of theirs"),
        (Which(runs=(1, 2)), "r", "nothing would be left"),
        (Which(file="nowhere.csv"), "r", "nothing of theirs"),
    ],
)
def test_what_is_no_split_changes_nothing(twins: Workspace, which: Which, reason: str, problem: str) -> None:
    before = everything(twins.settings.store.url)
    with pytest.raises(UsageError, match=problem):
        split(twins, "k", which, reason=reason)
    assert everything(twins.settings.store.url) == before
    assert select_rows(twins.settings.store.url, "SELECT count(*) FROM split") == [(0,)]
