"""The file around the members: sets and their numbers, the order of families, change files and corrections."""

from __future__ import annotations

import io
from itertools import count
from typing import Any

import msgspec
import pytest

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.edi834.waiting import Waiting
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Enrollment, Expressed, Identifier, Member, Name, Outgoing, State
from tests.adapters.edi834.files import GUIDE, codes, members, read

SEX = Expressed("sex", State.ANSWERED, details=(Coding("x12-1068", "F"),))
WHITE = Expressed("race_ethnicity", State.ANSWERED, details=(Coding("cdcrec", "2106-3"),))


def _person(number: str, family: str, *, subscriber: bool = True, maintenance: str = "") -> Outgoing:
    member = Member(
        "plan",
        number,
        identifiers=(Identifier("", number, "NM109"),),
        name=Name("ALDER", ("ADA",)),
        birth_date="1980-01-31",
        enrollment=Enrollment(subscriber, "18" if subscriber else "19", maintenance, family),
    )
    return Outgoing(member, (SEX, WHITE))


def _segments(*records: Outgoing, **write: Any) -> list[list[str]]:
    guide = {**GUIDE, "write": {**GUIDE["write"], "line_end": "", **write}}
    out = io.BytesIO()
    losses = list(ADAPTER.write(records, out, Context(guide=guide, created="2026-01-15T12:30", control=count(41))))
    assert losses == []
    found = read(out.getvalue())
    assert set(codes(found)) <= {"x12.2100b.old_values"}
    assert len(members(out.getvalue())) == len(found) == len(records)
    return [segment.split("*") for segment in out.getvalue().decode().split("~")]


def _of(segments: list[list[str]], kind: str) -> list[list[str]]:
    return [segment[1:] for segment in segments if segment[0] == kind]


ADA, BRUNO, CHIARA = _person("M1", "F1"), _person("M2", "F1", subscriber=False), _person("M3", "F3")


@pytest.mark.parametrize(("most", "sets"), [(0, [3]), (1, [1, 1, 1]), (2, [2, 1]), (3, [3])])
def test_as_many_members_in_a_set_as_the_guide_says(most: int, sets: list[int]) -> None:
    segments = _segments(ADA, BRUNO, CHIARA, members_per_set=most)
    numbers = [f"{42 + n:04d}" for n in range(len(sets))]
    assert [segment[1] for segment in _of(segments, "ST")] == numbers
    assert _of(segments, "SE") == [[str(5 + 4 * size), n] for size, n in zip(sets, numbers, strict=True)]
    assert [segment[1] for segment in _of(segments, "BGN")] == [f"{42 + n:09d}" for n in range(len(sets))]
    assert _of(segments, "GE") == [[str(len(sets)), "41"]]
    assert _of(segments, "GS")[0][5] == "41"
    assert _of(segments, "IEA") == [["1", "000000041"]]


def test_a_dependent_waits_for_the_subscriber() -> None:
    orders = [(BRUNO, ADA, CHIARA), (ADA, CHIARA, BRUNO), (BRUNO, CHIARA, ADA)]
    for order in orders:
        numbers = [segment[8] for segment in _of(_segments(*order), "NM1")]
        assert sorted(numbers) == ["M1", "M2", "M3"]
        assert numbers.index("M1") < numbers.index("M2")
    assert [s[8] for s in _of(_segments(ADA, BRUNO, CHIARA), "NM1")] == ["M1", "M2", "M3"]
    assert [s[8] for s in _of(_segments(BRUNO, CHIARA, members_per_set=1), "NM1")] == ["M3", "M2"]


def test_those_who_wait_do_so_on_the_disk_once_they_are_many() -> None:
    with Waiting() as waiting:
        for number in range(3000):
            waiting.add(b"%d" % number + b"x" * 400, number)
        kept = list(waiting)
        assert waiting._file._rolled  # type: ignore[attr-defined]
    assert len(kept) == 3000
    assert (kept[0], kept[2999]) == ((b"0" + b"x" * 400, 0), (b"2999" + b"x" * 400, 2999))


@pytest.mark.parametrize(
    ("purpose", "own", "code"),
    [
        ("4", "021", "030"),
        ("4", "", "030"),
        ("2", "", "001"),
        ("2", "030", "001"),
        ("2", "024", "024"),
        ("2", "XX", "001"),
    ],
)
def test_ins03_is_what_the_file_is_for(purpose: str, own: str, code: str) -> None:
    record = _person("M1", "F1", maintenance=own)
    enrollment = msgspec.structs.replace(record.member.enrollment, coverage="HLT", spans=(("2026-01-01", ""),))
    record = Outgoing(msgspec.structs.replace(record.member, enrollment=enrollment), record.expressed)
    segments = _segments(record, purpose=purpose)
    assert _of(segments, "BGN")[0][7] == purpose
    assert _of(segments, "INS")[0][2] == code
    assert _of(segments, "HD")[0] == [code, "", "HLT"]


BLACK = Expressed("race_ethnicity", State.ANSWERED, details=(Coding("x12-1109", "B"), Coding("cdcrec", "2118-8")))
MALE = Expressed("sex", State.ANSWERED, details=(Coding("x12-1068", "M"),))


@pytest.mark.parametrize(
    ("changes", "said", "old"),
    [
        (
            {"name": Name("ÖLDER", ("A",), "DR", "JR")},
            (SEX, WHITE),
            ["NM1*70*1*OLDER*A**DR*JR", "*19800131*F**:RET:2106-3"],
        ),
        ({"birth_date": "1979-01-31"}, (SEX, WHITE), ["NM1*70*1*ALDER*ADA", "*19790131*F**:RET:2106-3"]),
        ({}, (MALE, WHITE), ["NM1*70*1*ALDER*ADA", "*19800131*M**:RET:2106-3"]),
        ({}, (SEX, BLACK), ["NM1*70*1*ALDER*ADA", "*19800131*F**B^:RET:2118-8"]),
        ({"birth_date": ""}, (BLACK,), ["NM1*70*1*ALDER*ADA", "****B^:RET:2118-8"]),
    ],
)
def test_a_correction_tells_the_old_values(
    changes: dict[str, Any], said: tuple[Expressed, ...], old: list[str]
) -> None:
    before = Outgoing(msgspec.structs.replace(ADA.member, **changes), said)
    segments = ["*".join(s) for s in _segments(Outgoing(ADA.member, ADA.expressed, before), purpose="2")]
    place = segments.index(old[0])
    assert segments[place - 2 : place] == ["NM1*74*1*ALDER*ADA****ZZ*M1", "DMG*D8*19800131*F**:RET:2106-3"]
    qualifier = "D8" if changes.get("birth_date", "x") else ""
    assert segments[place + 1] == f"DMG*{qualifier}{old[1]}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, (SEX, WHITE)),
        ({"name": Name()}, ()),  # nothing was known, so nothing was wrong
        ({"name": Name("", ("ADA",))}, ()),
        ({"name": Name("ALD\u00cbR", ("ADA",))}, (SEX, WHITE)),  # is written the same
        ({"name": Name("Alder", ("Ada",))}, (SEX, WHITE)),
        ({"birth_date": ""}, ()),
        ({"address": msgspec.structs.replace(ADA.member.address, city="SALEM")}, (SEX,)),
    ],
)
def test_what_was_not_known_before_is_no_correction(changes: dict[str, Any], said: tuple[Expressed, ...]) -> None:
    before = Outgoing(msgspec.structs.replace(ADA.member, **changes), said)
    segments = _segments(Outgoing(ADA.member, ADA.expressed, before), purpose="2")
    assert [segment[0] for segment in _of(segments, "NM1")] == ["IL"]


def test_what_is_not_said_now_is_no_correction() -> None:
    segments = _segments(Outgoing(ADA.member, (SEX,), Outgoing(ADA.member, (SEX, WHITE))), purpose="2")
    assert [segment[0] for segment in _of(segments, "NM1")] == ["IL"]


def test_the_reader_takes_the_new_values_of_a_correction() -> None:
    out = io.BytesIO()
    record = Outgoing(ADA.member, ADA.expressed, Outgoing(ADA.member, (MALE, BLACK)))
    list(ADAPTER.write([record], out, Context(guide=GUIDE, created="2026-01-15T12:30")))
    (member,) = members(out.getvalue())
    assert [c.code for a in member.answers for c in a.received.codings] == ["F", "2106-3"]
