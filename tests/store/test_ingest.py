"""What a run writes: answers once, events whole, bad records once, the earliest date whatever the order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_equity.model import Finding, Identifier, Locator, Loss, Member, Rejected, Relationship, Severity
from fhir_equity.store import Record, RunWriter, Store, Written, ingest
from fhir_equity.store.answers import Interned
from fhir_equity.store.connection import writing

PersonMaker = Callable[..., Member]
Save = Callable[..., Written]
Rows = Callable[..., list[tuple[Any, ...]]]
RESTING = ("member", "member_identifier", "received", "origin", "answer", "quarantine")

PLACE = Locator("a.834", "segment", 9, 400, "INS")
BAD = Rejected(b"INS*Q~", Finding("x12.ins01.not_in_code_list", Severity.ERROR, PLACE))


def everything(rows: Rows) -> dict[str, list[tuple[Any, ...]]]:
    return {table: rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in RESTING}  # noqa: S608 - our own names


def test_an_answer_row(person: PersonMaker, save: Save, rows: Rows) -> None:
    assert save(person("m1", race="2106-3", collected="2025-05-06")) == Written(members=1, answers=1)
    columns = 'member_id, received_id, origin_id, matter, first_seen, artefact_id, unit, number, "offset", path'
    assert rows(f"SELECT {columns} FROM answer") == [  # noqa: S608
        (1, 1, 1, "race_ethnicity", "2026-01-01", 1, "row", 7, 99, "race")
    ]
    assert rows("SELECT partner, collector, method, standard, question, collected_on FROM origin") == [
        ("plan", "plan", "unstated", "", "", "2025-05-06")
    ]
    assert rows("SELECT topic FROM received") == [("race",)]
    assert rows("SELECT partner, as_of, finished != '', software FROM run") == [("plan", "2026-01-01", 1, "test 1")]


def test_the_same_file_twice_changes_nothing_but_the_log(person: PersonMaker, save: Save, rows: Rows) -> None:
    people = [
        person("m1", race="2106-3+2054-5", ethnicity="2186-5", identifiers=(Identifier("", "N1", "NM109"),)),
        person("m2", race="2028-9", language_spoken="en"),
        person("m3"),
    ]
    finding = Finding("x12.dmg05.not_in_code_list", Severity.ERROR, PLACE)
    save(*people, rejected=[BAD], findings=[finding])
    before = everything(rows)
    again = save(*people, rejected=[BAD], findings=[finding], as_of="2026-02-01", name="b.834")
    assert again == Written(0, 0, 0)
    assert everything(rows) == before
    assert rows("SELECT member_id, run_id FROM sighting ORDER BY run_id, member_id") == [
        (1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2),
    ]  # fmt: skip
    assert rows("SELECT artefact_id, code FROM finding ORDER BY id") == [
        (1, "x12.dmg05.not_in_code_list"),
        (1, "x12.ins01.not_in_code_list"),
        (2, "x12.dmg05.not_in_code_list"),
        (2, "x12.ins01.not_in_code_list"),
    ]


def test_an_answer_twice_in_one_chunk_keeps_its_first_place(person: PersonMaker, save: Save, rows: Rows) -> None:
    first, second = person("m1", race="2106-3"), person("m1", race="2106-3")
    second.answers = tuple(msgspec.structs.replace(answer, number=8) for answer in second.answers)
    assert save(first, second).answers == 1
    assert rows("SELECT number FROM answer") == [(7,)]


def test_a_changed_answer_adds_and_keeps_the_old(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", race="2106-3"))
    assert save(person("m1", race="2054-5"), as_of="2026-02-01") == Written(answers=1)
    (found,) = store.people
    assert [(e.received[0].raw, e.first_seen) for _, e in found.events] == [
        ("2106-3", "2026-01-01"),
        ("2054-5", "2026-02-01"),
    ]


def test_race_unchanged_and_ethnicity_changed_is_a_new_event(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", race="2106-3", ethnicity="2186-5"))
    done = save(person("m1", race="2106-3", ethnicity="2135-2"), as_of="2026-02-01")
    assert done.answers == 2
    (found,) = store.people
    assert [(matter, [r.raw for r in e.received], e.first_seen) for matter, e in found.events] == [
        ("race_ethnicity", ["2106-3", "2186-5"], "2026-01-01"),
        ("race_ethnicity", ["2106-3", "2135-2"], "2026-02-01"),
    ]


def test_codes_in_another_order_or_twice_are_the_same_event(person: PersonMaker, save: Save, rows: Rows) -> None:
    save(person("m1", race="2106-3+2054-5"))
    assert save(person("m1", race="2054-5+2106-3+2054-5"), as_of="2026-02-01").answers == 0
    assert rows("SELECT count(*), count(DISTINCT event) FROM answer") == [(2, 1)]


def test_another_collection_date_is_another_event(person: PersonMaker, save: Save, rows: Rows) -> None:
    save(person("m1", race="2106-3", collected="2025-01-01"))
    assert save(person("m1", race="2106-3", collected="2025-06-01")).answers == 1
    assert rows("SELECT count(*) FROM received") == [(1,)]


def test_quarantine_keeps_bytes_once_for_each_content_and_reason(save: Save, rows: Rows) -> None:
    other = Rejected(BAD.raw, Finding("x12.nm1.missing", Severity.ERROR, PLACE))
    assert save(rejected=[BAD, BAD, other]).quarantined == 2
    assert save(rejected=[BAD], partner="second").quarantined == 1
    assert save(rejected=[BAD]).quarantined == 0
    columns = 'artefact_id, partner, code, unit, number, "offset", path, raw'
    assert rows(f"SELECT {columns} FROM quarantine WHERE id = 1") == [  # noqa: S608
        (1, "plan", "x12.ins01.not_in_code_list", "segment", 9, 400, "INS", b"INS*Q~")
    ]
    assert rows("SELECT count(*) FROM finding") == [(5,)]


def test_losses_are_kept_with_their_place(
    run: Callable[..., RunWriter], person: PersonMaker, record: Callable[..., Any], rows: Rows
) -> None:
    member = person("m1")
    member.losses = (Loss("fhir.passed", Relationship.NARROWER, "language_spoken", PLACE),)
    writer = run()
    artefact = writer.artefact("a.ndjson", "fhir")
    writer.add(artefact, [record(member, "2026-01-01")], losses=[Loss("fhir.other", Relationship.WIDER)])
    columns = 'artefact_id, rule, relationship, topic, unit, number, "offset", path'
    assert rows(f"SELECT {columns} FROM loss ORDER BY id") == [  # noqa: S608
        (1, "fhir.other", "wider", "", "", 0, -1, ""),
        (1, "fhir.passed", "narrower", "language_spoken", "segment", 9, 400, "INS"),
    ]


@pytest.mark.parametrize("order", [("2026-01-01", "2026-03-01"), ("2026-03-01", "2026-01-01")])
def test_the_earliest_file_decides_first_seen_whatever_the_order(
    person: PersonMaker, save: Save, rows: Rows, order: tuple[str, str]
) -> None:
    for as_of in order:
        early = as_of == "2026-01-01"
        save(
            person("both", race="2106-3", ethnicity="2186-5"),
            person("early" if early else "late", race="2106-3"),
            as_of=as_of,
        )
    assert sorted(rows("SELECT key, first_seen FROM answer JOIN member ON member.id = member_id")) == [
        ("both", "2026-01-01"),
        ("both", "2026-01-01"),
        ("early", "2026-01-01"),
        ("late", "2026-03-01"),
    ]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_and_any_chunking_of_dated_files_end_alike(
    person: PersonMaker, record: Callable[..., Any], new_url: Callable[[], str], data: st.DataObject
) -> None:
    codes = st.sampled_from(["2106-3", "2054-5", "2106-3+2054-5"])
    file = st.lists(st.tuples(st.sampled_from(["m1", "m2", "m3"]), codes), min_size=1, max_size=5)
    files = data.draw(st.dictionaries(st.sampled_from(["2026-01-01", "2026-02-01", "2026-03-01"]), file, min_size=2))

    def end(order: list[str], size: int) -> list[Any]:
        store = Store(new_url())
        for as_of in order:
            run = store.run("plan", as_of, "test", lambda *parts: "|".join(parts))
            artefact = run.artefact("a", "edi834")
            people = [record(person(key, race=race), as_of) for key, race in files[as_of]]
            for start in range(0, len(people), size):
                run.add(artefact, people[start : start + size])
        found = sorted(
            (p.member.key, sorted((sorted(r.raw for r in e.received), e.first_seen) for _, e in p.events))
            for p in store.people
        )
        store.close()
        return found

    expected = end(sorted(files), 100)
    assert end(data.draw(st.permutations(sorted(files))), data.draw(st.integers(1, 3))) == expected


def test_what_is_remembered_has_a_bound(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., RunWriter], person: PersonMaker, record: Callable[..., Any]
) -> None:
    monkeypatch.setattr(ingest, "MOST", 5)
    writer = run()
    artefact = writer.artefact("a.834", "edi834")
    for number in range(30):
        writer.add(artefact, [record(person("m1", race=f"code-{number}"), "2026-01-01")])
        assert writer._interned.size() < 5
    assert writer.written == Written(members=1, answers=30, findings={"member.duplicate": 29})


def test_half_a_character_is_kept_as_an_escape(
    run: Callable[..., RunWriter], person: PersonMaker, record: Callable[..., Any], rows: Rows, store: Store
) -> None:
    writer = run()
    artefact = writer.artefact("a\udcff.834", "edi834")
    odd = person("m\ud800", race="\udfff", given="A\ud83d")
    bad = Rejected(b"\x00\xff", Finding("x.y", Severity.ERROR, Locator("a\udcff.834", "row", 1, 0, "\ud800")))
    writer.add(artefact, [record(odd, "2026-01-01"), record(person("m2"), "2026-01-01")], [bad])
    assert rows("SELECT key, given FROM member ORDER BY id") == [("m\\ud800", "A\\ud83d"), ("m2", "Ada")]
    assert rows("SELECT name FROM artefact") == [("a\\udcff.834",)]
    assert rows("SELECT path, raw FROM quarantine") == [("\\ud800", b"\x00\xff")]
    assert writer.written == Written(members=2, answers=1, quarantined=1)
    (found, _) = store.people
    assert [e.received[0].raw for _, e in found.events] == ["\\udfff"]
    writer.add(artefact, [record(odd, "2026-01-01")])
    assert writer.written.members == 2


def test_what_two_people_said_alike_is_remembered_once(
    store: Store, person: PersonMaker, record: Callable[..., Record]
) -> None:
    interned = Interned()
    said = [person("m1", race="2106-3", ethnicity="2186-5"), person("m2", race="2106-3"), person("m3", sex="F")]
    said += [person("m4", race="2106-3", sex="F"), person("m5", race="2028-9", sex="F")]
    with writing(store.engine) as connection:
        for member in said:
            interned.learn(connection, [record(member, "2026-01-01")])
    parts = [part for each in interned.sayings for part in each]
    assert len({id(part) for part in parts}) == len(set(parts)) < len(parts)
