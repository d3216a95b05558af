"""What shows only across records: people met twice, dependents alone, control numbers used twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from fhir_equity.model import Enrollment, Frame, Identifier, Locator, Member
from fhir_equity.store import RunWriter, Store
from fhir_equity.store.repeats import Met, Repeats

PersonMaker = Callable[..., Member]
Rows = Callable[..., list[tuple[Any, ...]]]
Read = Callable[..., dict[str, int]]
FOUND = 'SELECT artefact_id, code, severity, unit, number, "offset", path FROM finding ORDER BY id'


@pytest.fixture
def at(person: PersonMaker) -> Callable[..., Member]:
    """`at(30, "m1", race="2106-3")`: a record at segment 30."""

    def make(number: int, key: str, **said: Any) -> Member:
        made = person(key, **said)
        made.unit, made.number, made.offset = "segment", number, number * 10
        return made

    return make


@pytest.fixture
def dependent(at: Callable[..., Member]) -> Callable[..., Member]:
    """`dependent(30, "m2", "S1")`: of the subscriber S1."""

    def make(number: int, key: str, of: str, *, subscriber: bool = False) -> Member:
        found = (Identifier("", of, "REF*0F"),) if of else ()
        return at(number, key, enrollment=Enrollment(subscriber, "18", "030", of), identifiers=found)

    return make


@pytest.fixture
def read(record: Callable[..., Any]) -> Read:
    """Read members into one artefact of a run, in chunks of `size`; the findings that the run has made so far."""

    def write(
        run: RunWriter,
        members: Sequence[Member],
        *,
        size: int = 100,
        format_: str = "edi834",
        sha256: str = "f00",
        frames: Sequence[Frame] = (),
    ) -> dict[str, int]:
        artefact = run.artefact("a.834", format_, families=format_ == "edi834")
        run.add(artefact, [], frames=frames)
        for start in range(0, len(members), size):
            run.add(artefact, [record(member, "2026-01-01") for member in members[start : start + size]])
        run.close(artefact, sha256=sha256, size=1, members=len(members), rejected=0)
        return dict(run.written.findings)

    return write


@pytest.mark.parametrize("size", [1, 2, 100])
def test_the_same_person_twice_in_one_file(
    at: Callable[..., Member], read: Read, run: Callable[..., RunWriter], rows: Rows, size: int
) -> None:
    people = [
        at(10, "m1", race="2106-3", language_spoken="en"),
        at(20, "m2", race="2106-3"),
        at(30, "m1", race="2106-3", language_spoken="en"),
        at(40, "m2", race="2054-5"),
        at(50, "m3", race="2106-3"),
    ]
    assert read(run(), people, size=size) == {"member.duplicate": 2}
    assert rows(FOUND) == [
        (1, "member.duplicate", "info", "segment", 30, 300, ""),
        (1, "member.duplicate", "warning", "segment", 40, 400, ""),
    ]


@pytest.mark.parametrize("size", [1, 100])
def test_what_a_record_leaves_out_contradicts_nothing_and_is_remembered(
    at: Callable[..., Member], read: Read, run: Callable[..., RunWriter], rows: Rows, size: int
) -> None:
    people = [
        at(10, "m1", race="2106-3"),
        at(20, "m1", language_spoken="en"),
        at(30, "m1"),
        at(40, "m1", race="2054-5", language_spoken="en"),
    ]
    read(run(), people, size=size)
    assert [(row[4], row[2]) for row in rows(FOUND)] == [(20, "info"), (30, "info"), (40, "warning")]


def test_two_people_under_one_key_are_no_duplicates(
    at: Callable[..., Member], read: Read, run: Callable[..., RunWriter]
) -> None:
    twins = [at(10, "m1", race="2106-3"), at(20, "m1", race="2054-5", given="Bo", born="2001-01-01")]
    assert read(run(), twins) == {}


def test_two_files_of_one_run_are_told_only_where_they_differ(
    at: Callable[..., Member], read: Read, run: Callable[..., RunWriter], rows: Rows
) -> None:
    writer = run()
    assert read(writer, [at(10, "m1", race="2106-3"), at(20, "m2", race="2106-3")]) == {}
    daily = [at(10, "m1", race="2106-3"), at(20, "m2", race="2054-5"), at(30, "m3", race="2054-5")]
    assert read(writer, daily) == {"member.seen_in_two_files": 1}
    assert rows(FOUND) == [(2, "member.seen_in_two_files", "warning", "segment", 20, 200, "")]


def test_other_formats_and_other_runs_are_another_matter(
    at: Callable[..., Member], read: Read, run: Callable[..., RunWriter]
) -> None:
    writer = run()
    read(writer, [at(10, "m1", race="2106-3")])
    assert read(writer, [at(10, "m1", race="2054-5")], format_="survey") == {}
    assert read(run(), [at(10, "m1", race="2028-9")]) == {}
    assert read(writer, [at(10, "m1", race="2054-5")]) == {"member.seen_in_two_files": 1}


def test_what_is_remembered_is_some_bytes_for_each_id(at: Callable[..., Member]) -> None:
    repeats = Repeats()
    for start in range(1, 20_001, 2000):
        met = [Met(i, Member("p", str(i)), {"race": i, "sex": 1}) for i in range(start, start + 2000)]
        repeats.learn(7, repeats.look(7, met)[1])
    kept = [repeats._where, *repeats._said.values()]
    assert [values.itemsize * len(values) for values in kept] == [4 * 20_001] * 3
    again = Met(20_000, Member("p", "x", unit="segment", number=3, offset=9), {"race": 20_000})
    ((found,), _) = repeats.look(7, [again])
    assert (found.code, found.severity.value) == ("member.duplicate", "info")


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("later", [True, False])
def test_a_dependent_is_alone_only_where_the_subscriber_is_nowhere(
    dependent: Callable[..., Member], read: Read, run: Callable[..., RunWriter], rows: Rows, size: int, later: bool
) -> None:
    family = [dependent(10, "m1", "S1", subscriber=True), dependent(20, "m2", "S1")]
    people = [*(reversed(family) if later else family), dependent(30, "m3", "S2"), dependent(40, "m4", "S2")]
    assert read(run(), people, size=size) == {"x12.member.subscriber_unknown": 2}
    assert rows(FOUND) == [
        (1, "x12.member.subscriber_unknown", "warning", "segment", 30, 300, ""),
        (1, "x12.member.subscriber_unknown", "warning", "segment", 40, 400, ""),
    ]
    assert rows("SELECT count(*) FROM member") == [(4,)]  # kept all the same


def test_a_subscriber_of_an_earlier_run_is_known_to_the_same_partner_only(
    dependent: Callable[..., Member], read: Read, run: Callable[..., RunWriter], store: Store
) -> None:
    read(run(), [dependent(10, "m1", "S1", subscriber=True)])
    assert read(run(), [dependent(10, "m2", "S1")]) == {}
    assert read(run(partner="other"), [dependent(10, "m2", "S1")]) == {"x12.member.subscriber_unknown": 1}


def test_a_dependent_without_a_number_and_other_formats_are_not_asked(
    dependent: Callable[..., Member], read: Read, run: Callable[..., RunWriter]
) -> None:
    assert read(run(), [dependent(10, "m1", "")]) == {}
    assert read(run(), [dependent(10, "m2", "S9")], format_="survey") == {}


def isa(control: str, number: int = 1) -> Frame:
    return Frame(b"ISA~", Locator("a.834", "segment", number, 0, "ISA"), control)


def test_a_control_number_of_an_earlier_different_file(read: Read, run: Callable[..., RunWriter], rows: Rows) -> None:
    assert read(run(), [], frames=[isa("S|1"), isa("S|2")], sha256="a") == {}
    assert read(run(), [], frames=[isa("S|3"), isa("S|2", 9)], sha256="b") == {"x12.isa13.seen_before": 1}
    assert rows(FOUND) == [(2, "x12.isa13.seen_before", "warning", "segment", 9, 0, "ISA")]
    assert read(run(), [], frames=[isa("S|1"), isa("S|2")], sha256="a") == {}  # the first file sent again
    assert read(run(), [], frames=[isa("S|3"), isa("S|2", 9)], sha256="b") == {"x12.isa13.seen_before": 1}
    assert read(run(partner="other"), [], frames=[isa("S|2")], sha256="c") == {}
    assert read(run(), [], frames=[isa(""), isa("T|2")], sha256="d") == {}
    assert read(run(), [], frames=[isa("")], sha256="e") == {}


def test_two_files_of_one_run_with_one_control_number(read: Read, run: Callable[..., RunWriter]) -> None:
    writer = run()
    assert read(writer, [], frames=[isa("S|1")], sha256="a") == {}
    assert read(writer, [], frames=[isa("S|1")], sha256="b") == {"x12.isa13.seen_before": 1}


def test_a_file_that_was_not_read_to_its_end_counts_for_nothing(read: Read, run: Callable[..., RunWriter]) -> None:
    read(run(), [], frames=[isa("S|1")], sha256="")
    assert read(run(), [], frames=[isa("S|1")], sha256="a") == {}
    assert read(run(), [], frames=[isa("S|1")], sha256="") == {}


def test_a_chunk_that_fails_is_not_remembered(
    at: Callable[..., Member], record: Callable[..., Any], run: Callable[..., RunWriter], rows: Rows
) -> None:
    writer = run()
    artefact = writer.artefact("a.834", "edi834")
    odd = msgspec.structs.replace(at(10, "m1", race="2106-3"), unit="\ud800")
    odd.answers = tuple(msgspec.structs.replace(answer, path="\ud800") for answer in odd.answers)
    writer.add(artefact, [record(odd, "2026-01-01")])  # written at the second try, with escapes
    assert writer.written.findings == {}
    writer.add(artefact, [record(odd, "2026-01-01")])
    assert writer.written.findings == {"member.duplicate": 1}
    assert rows("SELECT code, unit FROM finding") == [("member.duplicate", "\\ud800")]
