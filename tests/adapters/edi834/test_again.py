"""A rejected member read again alone is the member that its file gives, with the positions of the file."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Frame, Locator, Member, Rejected
from tests.adapters.edi834.files import ADA, BRUNO, CONTEXT, GUIDE, codes, file, isa, join, read, segments

# A guide whose only key is REF*23 rejects whoever lacks it; the guide as it is takes everybody.
STRICT = replace(CONTEXT, guide={**GUIDE, "person": {**GUIDE["person"], "key": [["REF*23"]]}})
ODD = ("INS*Y*18*030", "NM1*IL*1*CEDAR*CHIARA****ZZ*M3", "DMG*D8*20101399*F**:RET:2106-3^XX", "LUI*LE*SPA**7", "ZZZ*1")
END = st.sampled_from(["", "\n", "\r\n", "\n\r"])
MARKS = st.sampled_from(["*:^~", "|>!\n", "*:^\x1c", "+:%'", "*:\\~"])
PEOPLE = st.lists(st.sampled_from([ADA, BRUNO, ODD, (*ADA, "N3*ROSE LANE", "N4*REN\xd3*NV")]), min_size=1, max_size=4)


def frames(data: bytes) -> list[Frame]:
    return [item for item in _items(data) if isinstance(item, Frame)]


def _items(data: bytes) -> list[Read]:
    return list(ADAPTER.read(Source("f.834", lambda: io.BytesIO(data)), Range(), CONTEXT))


@given(people=PEOPLE, end=END, marks=MARKS)
def test_what_a_mended_guide_takes_is_what_the_file_gives(people: list[tuple[str, ...]], end: str, marks: str) -> None:
    data = file(*people, end=end, marks=marks)
    (frame,) = frames(data)
    kept = [item for item in read(data, STRICT) if isinstance(item, Rejected)]
    whole = [item for item in read(data) if isinstance(item, Member)]
    assert len(kept) == len(whole) == len(people)
    assert [item for each in kept for item in ADAPTER.again(each, frame.raw, CONTEXT)] == whole


@given(people=PEOPLE, end=END, marks=MARKS)
def test_what_no_guide_takes_is_the_same_again(people: list[tuple[str, ...]], end: str, marks: str) -> None:
    data = file(*people, end=end, marks=marks)
    (frame,) = frames(data)
    for kept in read(data, STRICT):
        if isinstance(kept, Rejected):
            assert list(ADAPTER.again(kept, frame.raw, STRICT)) == [kept]


def test_the_frame_is_the_isa_with_sender_and_control_number() -> None:
    data = join([*segments(ADA, control="000000007"), *segments(BRUNO, control="000000008")], end="\n")
    first, second = frames(data)
    assert first.raw.startswith(b"ISA*")
    assert first.raw.endswith(b"*T*:~")
    assert (first.locator, first.control) == (Locator("f.834", "segment", 1, 0, "ISA"), "SENDER|000000007")
    assert (second.locator.number, second.control) == (13, "SENDER|000000008")
    assert data[second.locator.offset :].startswith(b"ISA*")


def test_without_a_control_number_nothing_can_come_twice() -> None:
    (frame,) = frames(join([isa("         "), *segments(ADA)[1:]]))
    assert frame.control == ""


def test_what_was_cut_off_stays_cut_off() -> None:
    data = file(ADA, BRUNO)
    cut = data[: data.index(b"DMG*D8*20100228")]
    (kept,) = [item for item in read(cut) if isinstance(item, Rejected)]
    (frame,) = frames(cut)
    assert kept.finding.code == "x12.member.truncated"
    assert codes(ADAPTER.again(kept, frame.raw, CONTEXT)) == ["x12.member.truncated"]


def test_without_its_isa_it_cannot_be_read() -> None:
    (kept,) = [item for item in read(file(ADA), STRICT) if isinstance(item, Rejected)]
    with pytest.raises(UnreadableError, match=r"^f\.834: the ISA of its records was not kept; ingest it again$"):
        list(ADAPTER.again(kept, b"", CONTEXT))
