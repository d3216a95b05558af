"""What is cut off, damaged or hostile: quarantined byte for byte, refused clearly, in little memory."""

from __future__ import annotations

import pytest

from fhir_equity.adapters.edi834.batch import Batch
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Member, Rejected
from tests.adapters.edi834.files import ADA, BRUNO, codes, file, members, read, rejected

PLAIN = file(ADA, BRUNO)
FOLDED = file(ADA, BRUNO, end="\r\n")


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\r", "   "])
@pytest.mark.parametrize("term", ["~", "'", "\n"])
def test_rejected_bytes_are_those_of_the_file(end: str, term: str) -> None:
    bad = ("INS*X*18", "REF*0F*S9", "NM1*IL*1*Ñ\xff*GRETA")
    data = file(ADA, bad, BRUNO, end=end, marks=f"*:^{term}")
    (found,) = rejected(data)
    start = data.index(b"INS*X")
    assert found.finding.locator.offset == start
    assert data[start : start + len(found.raw)] == found.raw
    assert data[start + len(found.raw) :].lstrip(b" \r\n").startswith(b"INS*N*19")
    assert found.raw.endswith(term.encode())


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (("INS*X*18", *ADA[1:]), "x12.ins01.not_in_code_list"),
        (("INS", *ADA[1:]), "x12.ins01.not_in_code_list"),
        (("INS*Y*18", "REF*0F*S1"), "x12.nm1.missing"),
        (("INS*Y*18", "REF*0F*S1", "NM1*70*1*OLD"), "x12.nm1.missing"),
        (("INS*Y*18", "HD*030**HLT", "NM1*IL*1*LATE****ZZ*M1"), "x12.nm1.missing"),
        (("INS*Y*18", "NM1", "REF"), "x12.nm1.missing"),
        (("INS*Y*18", "NM1*IL"), "x12.member.no_identity"),
    ],
)
def test_a_member_that_cannot_be_used_is_quarantined_and_the_others_go_on(bad: tuple[str, ...], code: str) -> None:
    items = read(file(ADA, bad, BRUNO))
    assert [type(item) for item in items] == [Member, Rejected, Member]
    assert codes(items) == [code]


def test_a_segment_id_that_only_starts_like_ins_is_no_member() -> None:
    items = read(file((*ADA, "INSY", "INSX*Y*18", "INS1")))
    assert codes(items) == ["x12.segment.unexpected"] * 3
    assert isinstance(items[0], Member)


@pytest.mark.parametrize("data", [PLAIN, FOLDED], ids=["plain", "folded"])
def test_cut_off_anywhere_nothing_is_believed_or_lost(data: bytes) -> None:
    starts = [data.index(b"INS*Y"), data.index(b"INS*N")]
    ends = [starts[1] + 3, data.index(b"SE*") + 2]  # the id of what follows a member says that it is whole
    for stop in range(data.index(b"BGN"), data.index(b"IEA*")):
        part = data[:stop]
        items = read(part)
        left = [item for item in items if isinstance(item, Rejected)]
        whole = sum(isinstance(item, Member) for item in items)
        assert whole == sum(stop >= end for end in ends)
        assert whole + len(left) == sum(stop >= start + 3 for start in starts)
        assert [item.raw for item in left] == [part[start:] for start in starts[whole : whole + len(left)]]
        assert codes(items) == ["x12.member.truncated"] * len(left) + ["x12.truncated"]


@pytest.mark.parametrize("stop", [3, 4, 50, 105])
def test_cut_off_inside_the_isa(stop: int) -> None:
    with pytest.raises(UnreadableError, match=r"^f\.834 ends inside its first segment \(ISA\)$"):
        read(PLAIN[:stop])


@pytest.mark.parametrize("stop", [106, 110, 140, 170])
def test_cut_off_before_the_set(stop: int) -> None:
    with pytest.raises(UnreadableError, match="without an 834"):
        read(PLAIN[: min(stop, PLAIN.index(b"ST*834"))])


def test_cut_off_inside_the_last_member() -> None:
    data = PLAIN[: PLAIN.index(b"**:RET")]
    items = read(data)
    assert [type(item).__name__ for item in items] == ["Member", "Rejected", "Finding"]
    assert isinstance(items[1], Rejected)
    assert items[1].raw == data[data.index(b"INS*N") :]
    assert codes(items) == ["x12.member.truncated", "x12.truncated"]


def test_cut_off_after_a_whole_segment_the_member_may_lack_more() -> None:
    data = PLAIN[: PLAIN.index(b"SE*")] + b"\r\n"
    assert rejected(data)[0].raw == data[data.index(b"INS*N") :]


def test_cut_off_inside_se_the_member_is_whole() -> None:
    items = read(PLAIN[: PLAIN.index(b"SE*") + 4])
    assert [type(item).__name__ for item in items] == ["Member", "Member", "Finding"]
    assert codes(items) == ["x12.truncated"]


@pytest.mark.parametrize("data", [b"", b" \r\n", b"\xef\xbb\xbf\n"])
def test_an_empty_file(data: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"^f\.834 is empty$"):
        read(data)


@pytest.mark.parametrize("data", [b"\x00\x01\x02" * 100, b"hello", b"\xff\xfeI\x00S\x00A\x00", b"<html>"])
def test_what_is_no_interchange(data: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"^f\.834 is no X12 interchange: it does not start with ISA$"):
        read(data)


def test_damage_inside_a_file_is_found() -> None:
    items = read(PLAIN.replace(b"REF*0F*S1~NM1*IL*1*ALDER*BRUNO", b"\x00\x7f\x00~NM1*IL*1*ALDER*BRUNO"))
    assert codes(items) == ["x12.segment.unexpected"]
    assert sum(isinstance(item, Member) for item in items) == 2


def test_empty_segments() -> None:
    items = read(PLAIN.replace(b"~", b"~~ ~\n~"))
    assert len([item for item in items if isinstance(item, Member)]) == 2
    assert set(codes(items)) == {"x12.segment.empty", "x12.se01.count_differs"}
    assert codes(items)[-1] == "x12.segment.empty"  # after the IEA


def test_no_message_repeats_a_value() -> None:
    secret = "ZYXWV"
    data = PLAIN.replace(b"M1", secret.encode()).replace(b"DMG*D8*1980", f"{secret}*1980".encode())
    data = data.replace(b"SE*12", f"SE*{secret}".encode()).replace(b"INS*N", f"INS*{secret}".encode())
    for item in read(data):
        if isinstance(item, Rejected):
            assert secret not in repr(item.finding)
        elif not isinstance(item, Member):
            assert secret not in repr(item)
        else:
            assert secret not in repr(item.findings)


def test_a_long_segment_with_an_end_is_read() -> None:
    long = "N3*" + "X" * (Batch.longest - 200)
    (member,) = members(file((*ADA[:3], long, ADA[3])))
    assert len(member.address.lines[0]) == Batch.longest - 200
