"""Delimiters come from the ISA and segments are cut the same wherever blocks and lines end."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.adapters.edi834 import ADAPTER, envelope
from fhir_equity.adapters.edi834.delimiters import ISA_LENGTH, delimiters
from fhir_equity.adapters.edi834.envelope import decoded, text
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Member
from tests.adapters.edi834.files import ADA, BRUNO, codes, codings, file, isa, join, members, read, segments

MARKS = [*"*|+!^~:;<>=@#$%&?,'\"{}[]`_\\", "\x1c", "\x1d", "\x1e", "\x1f", "\t", "\xa7"]


@given(st.lists(st.sampled_from(MARKS), min_size=4, max_size=4, unique=True))
def test_any_four_delimiters_give_the_same_members(marks: list[str]) -> None:
    if "_" in marks or "-" in marks:
        marks = [mark if mark not in "_-" else "/" for mark in marks]
    found = members(file(ADA, BRUNO, marks="".join(marks)))
    assert [m.key for m in found] == ["M1", "M2"]
    assert codings(found[0], "race_ethnicity") == [("1109", "C")]
    assert codings(found[1], "race_ethnicity") == [("RET", "2106-3"), ("1109", "H")]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\r", "\r", "  ", "\n   ", "\t"])
def test_line_ends_and_blanks_before_segment_ids(end: str) -> None:
    assert [m.key for m in members(file(ADA, BRUNO, end=end))] == ["M1", "M2"]
    assert codes(read(file(ADA, BRUNO, end=end))) == []


@pytest.mark.parametrize("segment", ["\n", "\r"])
def test_a_line_end_may_be_the_terminator(segment: str) -> None:
    assert codes(read(file(ADA, BRUNO, marks=f"*:^{segment}"))) == []
    assert [m.key for m in members(file(ADA, BRUNO, marks=f"*:^{segment}"))] == ["M1", "M2"]


def test_line_ends_that_change_inside_one_file() -> None:
    data = file(ADA, BRUNO).replace(b"~", b"~\r\n", 5).replace(b"NM1", b" \n NM1")
    assert [m.key for m in members(data)] == ["M1", "M2"]


def test_byte_order_mark_and_blank_lines_before_the_isa() -> None:
    plain = read(file(ADA))[0]
    shifted = read(b"\xef\xbb\xbf\r\n" + file(ADA))[0]
    assert isinstance(plain, Member)
    assert isinstance(shifted, Member)
    assert shifted.answers[0].offset == plain.answers[0].offset + 5


def test_the_last_iea_may_lack_its_terminator() -> None:
    items = read(file(ADA).removesuffix(b"~"))
    assert codes(items) == ["x12.iea.no_terminator"]
    assert isinstance(items[0], Member)


def test_an_unpadded_isa_is_read_with_a_finding() -> None:
    short = file(ADA).replace(b" " * 10, b"").replace(b"SENDER   ", b"SENDER")
    items = read(short)
    assert codes(items) == ["x12.isa.not_padded"]
    assert isinstance(items[1], Member)


@pytest.mark.parametrize(("isa11", "told"), [("U", True), ("0", True), (" ", True), ("*", True), ("!", False)])
def test_isa11_that_is_no_separator(isa11: str, told: bool) -> None:
    person = [*ADA[:3], f"DMG*D8*19800131*F**B{isa11 if isa11 != '*' else '^'}H"]
    parts = segments(person)
    parts[0] = isa(repetition=isa11 if isa11 != "*" else ":")
    items = read(join(parts))
    assert ("x12.isa11.no_repetition_separator" in codes(items)) is told
    member = next(item for item in items if isinstance(item, Member))
    expected = [("1109", "B"), ("1109", "H")] if not told else [("1109", f"B{isa11 if isa11 != '*' else '^'}H")]
    assert codings(member, "race_ethnicity") == expected


def test_interchanges_with_different_delimiters_in_one_file() -> None:
    second = join(segments(BRUNO, control="000000002"), marks="|>!\n")
    data = file(ADA) + b"\r\n" + second + join(segments(ADA, control="000000003"), marks="+;,'")
    assert [m.key for m in members(data)] == ["M1", "M2", "M1"]
    assert codes(read(data)) == []


def test_several_groups_and_sets_and_one_member_for_each_set() -> None:
    sets = [
        *("GS*BE*A*B*20260101*1200*1*X*005010X220A1", "ST*834*1", *ADA, "SE*6*1", "ST*834*2", *BRUNO, "SE*6*2"),
        *("GE*2*1", "GS*BE*A*B*20260101*1200*2*X*005010X220A1", "ST*834*3", *ADA, "SE*6*3", "GE*1*2"),
    ]
    items = read(join([isa(), *sets, "IEA*2*000000001"]))
    assert [item.key for item in items if isinstance(item, Member)] == ["M1", "M2", "M1"]
    assert codes(items) == []


def test_many_small_interchanges_in_one_file() -> None:
    data = b"".join(join(segments(ADA, control=f"{n:09d}"), end="\n") for n in range(1, 301))
    items = read(data)
    assert codes(items) == []
    assert len(items) == 300


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64, 4096])
@pytest.mark.parametrize("end", ["", "\r\n"])
def test_blocks_may_be_cut_anywhere(block: int, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = ("INS*X*18", "NM1*IL*1*FIRTH*GRETA")
    data = b"\xef\xbb\xbf" + file(ADA, bad, BRUNO, end=end) + b"\n" + join(segments(ADA, control="2"), marks="|>!\n")
    whole = read(data + b"tail")
    monkeypatch.setattr(envelope, "_BLOCK", block)
    assert read(data + b"tail") == whole
    assert codes(whole) == [
        *("x12.ins01.not_in_code_list", "x12.isa.not_padded", "x12.text_after_iea", "x12.encoding.utf8")
    ]


def test_the_digest_and_size_are_of_the_whole_source() -> None:
    source = Source("f.834", lambda: io.BytesIO(file(ADA) + b"after the end"))
    list(ADAPTER.read(source, ADAPTER.split(source, 4)[0], pytest.importorskip("tests.adapters.edi834.files").CONTEXT))
    assert source.size == len(file(ADA)) + 13


@pytest.mark.parametrize(
    ("isa_text", "reason"),
    [
        ("ISA", "ends inside"),
        ("ISA*00*" + " " * 10, "ends inside"),
        (isa()[:-1], "ends inside"),
        (isa(), "ends inside"),
        (isa() + ":", "no usable delimiters"),
        (isa() + "*", "no usable delimiters"),
        (isa()[:-1] + "A~", "no usable delimiters"),
        (isa() + "G", "no usable delimiters"),
        *((isa().replace("*", blank) + "~", "no usable delimiters") for blank in " \r\n"),
        *((isa()[:-1] + blank + "~", "no usable delimiters") for blank in " \r\n"),
    ],
)
def test_an_isa_without_usable_delimiters_is_refused(isa_text: str, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        delimiters(isa_text, "f.834")


def test_delimiters_of_a_padded_isa() -> None:
    found = delimiters(isa() + "~", "f.834")
    assert (found.element, found.component, found.repetition, found.segment) == ("*", ":", "^", "~")
    assert found.padded
    assert found.isa11 == "^"
    assert len(isa()) + 1 == ISA_LENGTH


def test_values_are_utf8_where_they_are_valid_utf8_and_latin1_elsewhere() -> None:
    assert decoded("JOS\xc3\x89") == "JOSÉ"
    assert decoded("JOS\xc9") == "JOSÉ"
    assert text("  JOS\xc3\x89 ") == "JOSÉ"
    assert text("\tA ") == "\tA"
    utf8 = file(ADA).replace(b"ALDER", "NÚÑEZ".encode())
    latin1 = file(ADA).replace(b"ALDER", "NÚÑEZ".encode("latin-1"))
    assert members(utf8)[0].name.family == members(latin1)[0].name.family == "NÚÑEZ"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"ALDER", []),
        ("NÚÑEZ".encode(), ["x12.encoding.utf8"]),
        ("NÚÑEZ".encode("latin-1"), ["x12.encoding.latin1"]),
        ("NÚÑEZ".encode() + b"*\xd1", ["x12.encoding.latin1"]),
    ],
)
@pytest.mark.parametrize("block", [1, 5, 4096])
def test_the_encoding_is_found_out(name: bytes, told: list[str], block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "_BLOCK", block)
    items = read(file(ADA, BRUNO).replace(b"ALDER", name))
    assert codes(items) == told


def test_an_isa_before_the_iea_ends_the_interchange_before_it() -> None:
    cut = join(segments(ADA, BRUNO)[:-3])
    items = read(cut + join(segments(ADA, control="000000002"), marks="|>!'"))
    assert [item.key for item in items if isinstance(item, Member)] == ["M1", "M1"]
    assert codes(items) == ["x12.member.truncated", "x12.truncated"]
    place = next(item for item in items if isinstance(item, Finding)).locator
    assert (place.number, place.offset, place.path) == (14, len(cut), "ISA")
