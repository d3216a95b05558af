"""Retracting a run: the store decides as if it had never been, nothing is deleted, and it is undone as easily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_equity.errors import UsageError
from fhir_equity.model import Event, Member, Resolution, State
from fhir_equity.store import Judge, Person, Store, Written
from fhir_equity.store.connection import writing
from tests.store.conftest import record_of

PersonMaker = Callable[..., Member]
Rows = Callable[..., list[tuple[Any, ...]]]
Save = Callable[..., Written]


def newest(events: Sequence[Event]) -> dict[str, Resolution]:
    """A stand-in for survivorship: the newest event of each topic wins."""
    found: dict[str, Resolution] = {}
    for event in sorted(events, key=lambda e: (e.first_seen, str(e.received))):
        topic = event.received[0].topic
        found[topic] = Resolution(topic, State.ANSWERED, (), event, rule="newest")
    return found


JUDGE = Judge("p1", newest)


def ingest(store: Store, as_of: str, *members: Member) -> int:
    run = store.run("plan", as_of, "test 1", lambda *parts: "|".join(parts), judge=JUDGE)
    artefact = run.artefact("a.834", "edi834")
    run.add(artefact, [record_of(member, as_of) for member in members])
    run.close(artefact, sha256="f00", size=12, members=len(members), rejected=0)
    run.finish()
    return run.id


def believed(store: Store) -> list[tuple[Any, ...]]:
    """Everybody with what they said, and when it was first seen."""
    return [_said(person) for person in store.people]


def _said(person: Person) -> tuple[Any, ...]:
    said = sorted((matter, e.received[0].raw, e.first_seen) for matter, e in person.events)
    return person.member.key, said


def kept(rows: Rows) -> list[tuple[Any, ...]]:
    query = "SELECT key, resolution.matter, value FROM resolution JOIN member ON member.id = resolution.member_id"
    query += " JOIN answer ON answer.id = winner JOIN received ON received.id = received_id ORDER BY 1, 2"
    return rows(query)


def test_what_only_that_run_said_is_withdrawn_and_the_older_answer_wins(
    store: Store, person: PersonMaker, rows: Rows
) -> None:
    ingest(store, "2026-01-01", person("m1", race="2106-3"), person("m2", race="2028-9"))
    before, resolved = believed(store), kept(rows)
    wrong = ingest(store, "2026-02-01", person("m1", race="2054-5"), person("m3", race="2131-1"))
    answers = rows("SELECT * FROM answer ORDER BY id")
    after, resolved_after = believed(store), kept(rows)
    done = store.retractions.retract(wrong, JUDGE, "wrong file")
    assert (done.members, done.withdrawn, done.restored) == (2, 2, 0)
    assert believed(store) == before
    assert kept(rows) == resolved
    assert rows("SELECT * FROM answer ORDER BY id") == answers
    one = store.people.one(1, withdrawn=True)
    assert one is not None
    assert [event.received[0].raw for _, event in one.events] == ["2054-5"]
    assert store.people.known("plan", "m3") is None
    undone = store.retractions.undo(wrong, JUDGE)
    assert (undone.members, undone.withdrawn, undone.restored) == (2, 0, 2)
    assert (believed(store), kept(rows)) == (after, resolved_after)
    assert rows("SELECT run_id, reason, at != '', undone_at != '' FROM retraction") == [(wrong, "wrong file", 1, 1)]
    told = [(e.action, e.about, e.counts) for e in store.trail.entries() if e.action.startswith("retract")]
    assert told == [
        ("retract", {"run": "2", "reason": "wrong file"}, {"members": 2, "withdrawn": 2, "restored": 0}),
        ("retract undo", {"run": "2"}, {"members": 2, "withdrawn": 0, "restored": 2}),
    ]


def test_an_answer_that_another_run_said_stays_and_is_first_seen_there(store: Store, person: PersonMaker) -> None:
    first = ingest(store, "2026-01-01", person("m1", race="2106-3"))
    ingest(store, "2026-02-01", person("m1", race="2106-3"))
    done = store.retractions.retract(first, JUDGE, "r")
    assert (done.withdrawn, believed(store)) == (0, [("m1", [("race_ethnicity", "2106-3", "2026-02-01")])])
    store.retractions.undo(first, JUDGE)
    assert believed(store) == [("m1", [("race_ethnicity", "2106-3", "2026-01-01")])]


def test_meeting_a_member_is_not_saying_what_they_said(store: Store, person: PersonMaker) -> None:
    first = ingest(store, "2026-01-01", person("m1", race="2106-3"))
    ingest(store, "2026-02-01", person("m1", race="2054-5"))
    store.retractions.retract(first, JUDGE, "r")
    assert believed(store) == [("m1", [("race_ethnicity", "2054-5", "2026-02-01")])]


def test_what_comes_again_stands_again(store: Store, person: PersonMaker, rows: Rows) -> None:
    first = ingest(store, "2026-01-01", person("m1", race="2106-3"), person("m2", race="2106-3"))
    store.retractions.retract(first, JUDGE, "r")
    assert believed(store) == []
    ingest(store, "2026-03-01", person("m1", race="2106-3"))
    assert believed(store) == [("m1", [("race_ethnicity", "2106-3", "2026-03-01")])]
    assert [row[0] for row in kept(rows)] == ["m1"]
    assert rows("SELECT count(*) FROM answer") == [(2,)]


def test_twice_or_without_cause_is_refused(store: Store, person: PersonMaker) -> None:
    run = ingest(store, "2026-01-01", person("m1", race="2106-3"))
    with pytest.raises(UsageError, match="is not retracted"):
        store.retractions.undo(run, JUDGE)
    store.retractions.retract(run, JUDGE, "r")
    with pytest.raises(UsageError, match="is retracted already"):
        store.retractions.retract(run, JUDGE, "r")


def test_a_retracted_run_is_no_input_and_is_not_gone_on_with(store: Store, person: PersonMaker) -> None:
    def start() -> int:
        return store.run("plan", "2026-01-01", "test 1", lambda *_: "p", "digest", JUDGE).id

    run = start()
    assert start() == run
    store.retractions.retract(run, JUDGE, "r")
    assert start() == run + 1
    whole = ingest(store, "2026-01-01", person("m1", race="2106-3"))
    assert [found["name"] for found in store.people.inputs()] == ["a.834"]
    store.retractions.retract(whole, JUDGE, "r")
    assert store.people.inputs() == []
    assert [(ran.id, bool(ran.retracted_at)) for ran in store.retractions.runs()] == [
        (run, True), (run + 1, False), (whole, True),
    ]  # fmt: skip


def test_a_run_of_an_older_layout_counts_for_all_the_member_had_by_then(
    store: Store, person: PersonMaker, rows: Rows
) -> None:
    first = ingest(store, "2026-01-01", person("m1", race="2106-3"))
    second = ingest(store, "2026-02-01", person("m1", race="2054-5"))
    with writing(store.engine) as connection:
        connection.exec_driver_sql("UPDATE sighting SET saying_id = 0")
    store.retractions.retract(first, JUDGE, "r")
    (one,) = believed(store)
    assert [said[1] for said in one[1]] == ["2054-5", "2106-3"]
    store.retractions.undo(first, JUDGE)
    store.retractions.retract(second, JUDGE, "r")
    assert believed(store) == [("m1", [("race_ethnicity", "2106-3", "2026-01-01")])]


FILES = st.lists(
    st.tuples(st.sampled_from("123"), st.dictionaries(st.sampled_from("abc"), st.sampled_from("wxyz"), min_size=1)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, st.data())
def test_a_retracted_run_leaves_the_store_as_if_it_had_not_been(
    new_url: Callable[[], str], person: PersonMaker, files: list[tuple[str, dict[str, str]]], data: st.DataObject
) -> None:
    out = data.draw(st.integers(0, len(files) - 1))
    whole, without = Store(new_url()), Store(new_url())
    for number, (month, said) in enumerate(files):
        members = [person(key, race=code) for key, code in sorted(said.items())]
        ingest(whole, f"2026-0{month}-01", *members)
        if number != out:
            ingest(without, f"2026-0{month}-01", *members)
    before = believed(whole)
    whole.retractions.retract(out + 1, JUDGE, "r")
    assert sorted(believed(whole)) == sorted(believed(without))
    whole.retractions.undo(out + 1, JUDGE)
    assert believed(whole) == before
    whole.close()
    without.close()
