"""Streams of up to 2 GB that mean harm are read in seconds and in bounded memory; they cost what they spoil."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

from fhir_equity.adapters.edi834 import ADAPTER, control
from fhir_equity.adapters.edi834.batch import Batch
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Member, Rejected
from tests.adapters.edi834.files import ADA, BRUNO, CONTEXT, codes, file, isa, join, read, segments
from tests.adapters.edi834.hostile import STREAMS

COUNTS = "x12.se01.count_differs"
SECONDS = 40  # of CPU; most take one or two, on a machine that is busy


class Told(NamedTuple):
    """What is to come of a stream."""

    members: int
    rejected: int
    codes: dict[str, int]
    peak: int = 64  # MB of the process, of which 22 are the program


ONE = {COUNTS: 1}
SHAPES = ("x12.ins03.not_verify", "x12.dmg.p0102", "x12.segment.unexpected")
EXPECTED = {
    "a segment of 2 GB": Told(1, 1, {"x12.member.too_long": 1, **ONE}),
    "a segment of 2 GB without an end": Told(0, 1, {"x12.member.truncated": 1, "x12.truncated": 1}),
    "a segment of separators": Told(1, 1, {"x12.member.too_long": 1, **ONE}),
    "a segment of the header": Told(2, 0, {"x12.segment.too_long": 1, **ONE}),
    "an INS": Told(2, 1, {"x12.member.too_long": 1, **ONE}),
    "an SE": Told(2, 0, {COUNTS: 1, "x12.se02.control_number_differs": 1}),
    "an ISA": Told(2, 0, {"x12.text_after_iea": 1}),
    "blanks": Told(4, 0, {"x12.isa13.duplicate": 1}),
    "empty segments in the header": Told(2, 0, {"x12.segment.empty": 1, **ONE}),
    "empty segments in a member": Told(1, 1, {"x12.member.too_long": 1, **ONE}, 256),
    "empty segments after the end": Told(2, 0, {"x12.segment.empty": 1}),
    "repeats": Told(1, 1, {"x12.member.too_long": 1, **ONE}),
    "more repeats": Told(1, 1, {"x12.member.too_long": 1, **ONE}),
    "empty repeats": Told(2, 0, {"x12.dmg05.empty_repeat": 1, "x12.dmg05.too_many_repeats": 1, **ONE}),
    "languages": Told(1, 1, {"x12.member.too_long": 1, **ONE}, 128),
    "coverages": Told(62, 0, ONE, 128),
    "unknown segments": Told(1, 1, {"x12.member.too_long": 1, **ONE}, 160),
    "names": Told(1, 1, {"x12.member.too_long": 1, **ONE}, 128),
    "the same ISA": Told(2, 0, {"x12.truncated": 100_001, "x12.isa13.duplicate": 100_001}),
    "new ISA": Told(2, 0, {"x12.truncated": 100_000, "x12.isa13.duplicate": 1}),
    "changing delimiters": Told(20_000, 0, {}),
    "kinds of sets": Told(2, 0, {"x12.st01.not_834": 100_000, "x12.ge01.count_differs": 1}),
    "shapes": Told(50_000, 0, dict.fromkeys(SHAPES, 50000) | ONE, 128),
}


def test_every_stream_has_an_outcome() -> None:
    assert set(EXPECTED) == set(STREAMS)


@pytest.mark.parametrize("name", STREAMS)
def test_harm_is_bounded(name: str) -> None:
    command = [sys.executable, "-m", "tests.adapters.edi834.hostile", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    expected = EXPECTED[name]
    assert told["refusal"] == ""
    assert (told["kinds"].get("Member", 0), told["kinds"].get("Rejected", 0)) == expected[:2]
    assert told["codes"] == expected.codes
    assert told["peak"] < expected.peak
    assert told["seconds"] < SECONDS


SHORT = 3000  # bytes that are too long in these tests
BAD = ("INS*N*19", "REF*0F*S1", "N3*" + "A" * 100_000, "NM1*IL*1*CEDAR*INES****ZZ*M3")
WORSE = ("INS*N*19", *["XX*1"] * 20_000)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batch, "longest", SHORT)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("end", ["", "\r\n"])
@pytest.mark.parametrize("bad", [BAD, WORSE])
def test_what_is_too_long_costs_one_member_and_every_position_after_it_is_right(bad: tuple[str, ...], end: str) -> None:
    data = file(ADA, bad, BRUNO, end=end)
    items = read(data)
    assert [type(item) for item in items] == [Member, Rejected, Member]
    assert codes(items) == ["x12.member.too_long"]
    spoiled, after = items[1], items[2]
    assert isinstance(spoiled, Rejected)
    assert isinstance(after, Member)
    start = data.index(b"INS*N")
    assert spoiled.finding.locator.offset == start
    assert data[start : start + len(spoiled.raw)] == spoiled.raw
    assert len(spoiled.raw) == SHORT
    assert after.offset == data.rindex(b"INS*N")
    assert after.number == data[: after.offset].count(b"~") + 1
    assert list(ADAPTER.again(spoiled, b"", CONTEXT)) == [spoiled]  # what we have of it is never taken for all


@pytest.mark.usefixtures("short")
def test_a_header_segment_that_is_too_long_costs_nobody() -> None:
    data = join(segments(ADA, header=["REF*38*" + "A" * 100_000]))
    items = read(data)
    assert [type(item) for item in items] == [Finding, Member]
    assert codes(items) == ["x12.segment.too_long"]
    found = items[0]
    assert isinstance(found, Finding)
    assert found.locator.offset == data.index(b"REF*38")
    assert found.locator.number == data[: found.locator.offset].count(b"~") + 1


@pytest.mark.usefixtures("short")
def test_a_segment_that_is_too_long_where_nobody_looks_is_no_finding() -> None:
    """In a set that is no 834, and in the rest of a member that is lost already."""
    data = file(ADA).replace(b"GS*", b"GS*HC~ST*837*1~XX*" + b"A" * 100_000 + b"~SE*3*1~GE*1~GS*", 1)
    assert "x12.segment.too_long" not in codes(read(data))
    assert codes(read(file((*WORSE, BAD[2]), ADA))) == ["x12.member.too_long"]


@pytest.mark.usefixtures("short")
def test_what_is_too_long_and_cut_off_is_truncated() -> None:
    for bad in (BAD[:3], WORSE):
        items = read(file(ADA, bad)[: -len("~SE*16*0001~GE*1*1~IEA*1*000000001~") - 9])
        assert [type(item) for item in items] == [Member, Rejected, Finding]
        assert codes(items)[-1] == "x12.truncated"


def test_an_isa_that_cannot_be_used_costs_only_what_follows() -> None:
    for rest in (b"ISA*00", b"ISA|00|" * 99, b"ISA*00*~" + file(BRUNO)[200:]):
        data = file(ADA) + rest
        items = read(data)
        assert [type(item) for item in items] == [Member, Finding]
        assert codes(items) == ["x12.text_after_iea"]
        whole = file(ADA, BRUNO)[: -len("IEA*1*000000001~")] + b"ISA|00|"
        assert codes(read(whole)) == ["x12.truncated", "x12.text_after_iea"]


def test_a_member_before_an_isa_that_cannot_be_used_is_truncated() -> None:
    data = file(ADA, BRUNO)
    items = read(data[: data.index(b"SE*")] + b"ISA|00|")
    assert [type(item) for item in items] == [Member, Rejected, Finding, Finding]
    assert codes(items) == ["x12.member.truncated", "x12.truncated", "x12.text_after_iea"]


def test_a_terminator_that_stands_in_the_isa_is_none() -> None:
    with pytest.raises(UnreadableError, match="names no usable delimiters"):
        read(file(ADA).replace(b":~", b": ", 1))


def test_byte_order_marks_before_and_between() -> None:
    mark = b"\xef\xbb\xbf"
    items = read(mark + b"\n" + mark + file(ADA) + b" " + mark + mark + file(BRUNO).replace(b"000000001", b"000000002"))
    assert sum(isinstance(item, Member) for item in items) == 2
    assert [code for code in codes(items) if not code.startswith("x12.encoding")] == []


def test_the_place_of_a_segment_that_comes_twice_or_after_a_line_end_of_its_own() -> None:
    dmg = ADA[3]
    twice = file((*ADA[:2], "NM1*70*1*OLDER", dmg, ADA[2], dmg), BRUNO)
    uneven = file(ADA, BRUNO).replace(b"~DMG", b"~\r\nDMG")
    for data in (twice, uneven):
        first = next(item for item in read(data) if isinstance(item, Member))
        assert {answer.offset for answer in first.answers} == {data.index(b"DMG*", data.index(b"NM1*IL"))}


def test_control_numbers_are_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_MOST", 3)
    numbers = ["1", "2", "3", "3", "4", "1"]
    items = read(b"".join(file(ADA).replace(b"000000001", f"{number:0>9}".encode()) for number in numbers))
    assert [type(item) for item in items] == [Member, Member, Member, Finding, Member, Member, Member]
    assert codes(items) == ["x12.isa13.duplicate"]


def test_a_kind_of_set_is_named_only_if_it_looks_like_one() -> None:
    data = b"".join(f"{part}~".encode() for part in [isa(), "ST*837*1", "SE*2*1", "ST*<b>*1", "SE*2*1", "ST*8201*1"])
    with pytest.raises(UnreadableError, match=r"^f\.834 is an X12 837, not an 834$"):
        read(data)
