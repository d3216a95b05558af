"""Reading people back: in order, whole events, in constant memory, and the latest of every input."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

from fhir_equity.model import Event, Finding, Locator, Loss, Member, Origin, Rejected, Relationship, Severity
from fhir_equity.store import RunWriter, Store, Written

PersonMaker = Callable[..., Member]
Save = Callable[..., Written]

PLACE = Locator("a.834", "segment", 9, 400, "INS")


def found(code: str, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(code, severity, PLACE)


def test_an_empty_store_has_nobody(store: Store) -> None:
    assert list(store.people) == []
    assert store.people.inputs() == []
    assert store.people.findings() == []
    assert store.people.losses() == []
    assert store.people.counts() == {"members": 0, "answers": 0, "received": 0, "quarantined": 0}


def test_a_person_comes_back_with_events_as_they_were_said(person: PersonMaker, save: Save, store: Store) -> None:
    said = person("m1", race="2106-3", ethnicity="2186-5", language_spoken="en", collected="2025-06-07")
    save(said)
    (back,) = store.people
    origin = Origin("plan", "", "plan", "unstated", "", "", "2025-06-07")
    received = [answer.received for answer in said.answers]
    assert (back.id, back.pseudonym) == (1, "plan|m1")
    assert back.events == (
        ("race_ethnicity", Event(tuple(received[:2]), origin, "2026-01-01", (1, 2))),
        ("language_spoken", Event((received[2],), origin, "2026-01-01", (3,))),
    )
    said.answers = ()
    assert back.member == said


def test_the_order_is_that_of_the_ids_and_people_without_answers_are_among_them(
    person: PersonMaker, save: Save, store: Store
) -> None:
    save(person("m2"), person("m1", race="2106-3"), person("m3"), person("m4", race="2054-5"))
    save(person("m2", language_spoken="es"), person("m0"))
    assert [(p.id, p.member.key, [m for m, _ in p.events]) for p in store.people] == [
        (1, "m2", ["language_spoken"]),
        (2, "m1", ["race_ethnicity"]),
        (3, "m3", []),
        (4, "m4", ["race_ethnicity"]),
        (5, "m0", []),
    ]


def test_the_people_of_some_partners(person: PersonMaker, save: Save, store: Store) -> None:
    for partner in ("north", "south", "west"):
        save(person("m1", race="2106-3", partner=partner), person("m2", partner=partner), partner=partner)
    assert [p.member.partner for p in store.people.among(["north", "west"])] == ["north", "north", "west", "west"]
    assert [len(p.events) for p in store.people.among(["south"])] == [1, 0]
    assert list(store.people.among([])) == []


def test_inputs_and_findings_are_those_of_the_latest_run_that_read_a_name(save: Save, store: Store) -> None:
    bad = Rejected(b"x", found("c"))
    save(name="a.834", findings=[found("a"), found("a"), found("b", Severity.INFO)])
    save(name="b.834", findings=[found("a")])
    save(name="a.834", findings=[found("a")], rejected=[bad])
    save(name="a.834", findings=[found("z")], partner="other")
    assert [(i["name"], i["rejected"]) for i in store.people.inputs()] == [("b.834", 0), ("a.834", 1), ("a.834", 0)]
    assert store.people.inputs(["other"]) == [
        {"name": "a.834", "sha256": "f00", "bytes": 12, "format": "edi834", "members": 0, "rejected": 0}
    ]
    assert store.people.findings() == [("a", "error", 2), ("c", "error", 1), ("z", "error", 1)]
    assert store.people.findings(["plan"]) == [("a", "error", 2), ("c", "error", 1)]


def test_two_inputs_of_one_name_in_one_run_both_count(run: Callable[..., RunWriter], store: Store) -> None:
    for _ in range(2):
        writer = run()
        for place in ("january", "february"):
            artefact = writer.artefact("members.834", "edi834")
            writer.add(artefact, [], findings=[found(place)], losses=[Loss("r", Relationship.WIDER)])
            writer.close(artefact, sha256=place, size=1, members=0, rejected=0)
        writer.finish()
    assert [i["sha256"] for i in store.people.inputs()] == ["january", "february"]
    assert store.people.findings() == [("february", "error", 1), ("january", "error", 1)]
    assert store.people.losses() == [("r", "wider", 2)]


def test_counts(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", race="2106-3"), person("m2", race="2106-3"), rejected=[Rejected(b"x", found("c"))])
    assert store.people.counts() == {"members": 2, "answers": 2, "received": 1, "quarantined": 1}


def test_the_store_may_be_written_while_people_are_read(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1"), person("m2"))
    seen = []
    for each in store.people:
        save(person(f"new-{each.id}"))
        seen.append(each.member.key)
    assert seen == ["m1", "m2"]  # one consistent view
    assert store.people.counts()["members"] == 4


def test_memory_does_not_grow_with_the_number_of_people(
    run: Callable[..., RunWriter], record: Callable[..., Any], person: PersonMaker, store: Store
) -> None:
    def peak() -> int:
        tracemalloc.start()
        for _ in store.people:
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    writer = run()
    artefact = writer.artefact("a.834", "edi834")

    def more(start: int, stop: int) -> None:
        writer.add(
            artefact, [record(person(f"m{n}", race="2106-3", sex="F"), "2026-01-01") for n in range(start, stop)]
        )

    more(0, 4000)
    few = peak()
    for start in range(4000, 12000, 4000):
        more(start, start + 4000)
    assert peak() < 1.3 * few


def test_one_person_is_found_by_their_key(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", race="2106-3"), person("m2", race="2054-5", language_spoken="es"), person("m3"))
    second = list(store.people)[1]
    assert store.people.known("plan", "m2") == second
    assert [matter for matter, _ in second.events] == ["race_ethnicity", "language_spoken"]
    alone = store.people.known("plan", "m3")
    assert alone is not None
    assert alone.events == ()
    assert store.people.known("plan", "m4") is None
    assert store.people.known("other", "m2") is None


def test_two_people_under_one_key_are_nobody_in_particular(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", born="1980-02-03", given="ADA", family="ALDER"))
    save(person("m1", born="1999-09-09", given="ZOE", family="ZIEGLER"))
    assert store.people.counts()["members"] == 2
    assert store.people.known("plan", "m1") is None
