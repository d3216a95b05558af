"""Whatever is damaged: the answer is an interchange that adds up, and every error stands in the file."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.adapters.edi834.control import Control
from fhir_equity.adapters.edi834.delimiters import BLANK
from fhir_equity.adapters.edi834.envelope import Envelope
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Locator, Severity
from tests.adapters.edi834.ack.answers import ADA, GUIDES, HEADER, answer_of, interchange, one_set, segments_of
from tests.adapters.edi834.files import CONTEXT, join, members

BRUNO = ("INS*N*19*030*XN*A", "REF*0F*S1", "NM1*IL*1*ALDER*BRUNO****ZZ*M2", "DMG*D8*20100228*M**:RET:2106-3^H")
VALID = join(
    [
        *interchange(one_set(*HEADER, *ADA, "LUI*LE*SPA**7", "HD*030**HLT", "DTP*348*D8*20260101")),
        *interchange(one_set(*HEADER, *BRUNO), one_set(*HEADER, *ADA, number="0002"), control="000000002"),
    ],
    end="\n",
)
Cells = list[str]
TEXTS = [
    b"~",
    b"*",
    b":",
    b"^",
    b"\n",
    b"~~",
    b"INS*",
    b"ISA*",
    b"~IEA*",
    b"~SE*",
    b"~GS*",
    b"~ST*834*",
    b"\xc3",
    b"",
    b"~TA1*",
]
EDITS = st.lists(
    st.tuples(st.integers(0, len(VALID)), st.integers(0, 60), st.one_of(st.binary(max_size=8), st.sampled_from(TEXTS))),
    max_size=6,
)


def parsed(data: bytes) -> tuple[list[list[Cells]], list[str]]:
    """The elements of every segment by interchange, as our own envelope reader cuts them, and what Control finds."""
    source = Source("f", lambda: io.BytesIO(data))
    envelope, control = Envelope(source), Control("f", CONTEXT)
    found: list[list[Cells]] = []
    findings: list[str] = []
    for one in envelope.interchanges():
        cells: list[Cells] = []
        for batch in one.batches:
            for index, raw in enumerate(batch.segments):
                cells.append(raw.lstrip(BLANK).split(one.marks.element))
                if cells[-1][0] in ("ISA", "GS", "ST", "SE", "GE", "IEA"):
                    place = Locator("f", "segment", batch.number + index)
                    items = control.segment(cells[-1][0], cells[-1], place, one.marks)
                    findings += [item.code for item in items if isinstance(item, Finding)]
                if cells[-1][0] == "IEA":
                    envelope.give_back(batch, batch.number + index + 1, batch.start_of(index + 1))
                    break
            if cells[-1][0] == "IEA":
                break
        found.append(cells)
    return found, findings


def adds_up(data: bytes) -> None:
    """The answer to `data` is well formed, and its positions exist."""
    with contextlib.suppress(UnreadableError):
        answer = answer_of(data)
        interchanges, findings = parsed(answer)
        assert set(findings) <= {"x12.st01.not_834", "x12.isa13.duplicate"}
        assert interchanges
        for cells in interchanges:
            kinds = [cell[0] for cell in cells]
            assert kinds[0] == "ISA"
            assert kinds[-1] == "IEA"
            assert kinds.count("TA1") == 1
            assert kinds.count("GS") == kinds.count("AK1") == kinds.count("AK9") == int(cells[-1][1])
            assert kinds.count("AK2") == kinds.count("IK5")
            assert cells[1][4] in ("A", "E", "R")
            assert (cells[1][4] == "A") == (cells[1][5] == "000")
            if cells[1][4] == "R":
                assert "GS" not in kinds
            _answers(cells, data.count(b"~") + 1)


def _answers(cells: list[Cells], most: int) -> None:
    """IK5 follows from IK3, AK9 from IK5, and no position lies outside."""
    decisions: list[str] = []
    errors = 0
    for cell in cells:
        match cell[0]:
            case "AK1":
                decisions = []
            case "AK2":
                errors = 0
            case "IK3":
                errors += 1
                assert 1 <= int(cell[2]) <= most
                assert len(cell[1]) in (2, 3)
            case "IK4":
                element, _, rest = cell[1].partition(":")
                assert 1 <= int(element) <= 19
                assert all(part == "" or part.isdecimal() for part in rest.split(":"))
            case "IK5":
                decisions.append(cell[1])
                assert errors == 0 or cell[1] != "A"
                assert (cell[1] == "A") == (len(cell) == 2)
            case "AK9":
                accepted = sum(decision != "R" for decision in decisions)
                assert int(cell[4]) == (0 if cell[1] == "R" else accepted)
                assert cell[1] != "A" or set(decisions) <= {"A"}
                assert cell[1] != "P" or 0 < accepted < len(decisions)


def test_a_file_that_is_right() -> None:
    adds_up(VALID)
    assert answer_of(VALID).count(b"IK5*A~") == 3


@given(EDITS)
def test_a_file_changed_anywhere(edits: list[tuple[int, int, bytes]]) -> None:
    data = VALID
    for start, length, text in edits:
        data = data[:start] + text + data[start + length :]
    adds_up(data)


@given(st.lists(st.integers(0, 40), max_size=6), st.lists(st.integers(0, 40), max_size=4))
def test_segments_lost_and_doubled(lost: list[int], doubled: list[int]) -> None:
    parts = VALID.split(b"\n")
    for place in doubled:
        parts.insert(place % len(parts), parts[place % len(parts)])
    for place in lost:
        parts.pop(place % len(parts))
    adds_up(b"\n".join(parts))


NAMES = st.sampled_from(sorted((GUIDES.structures["005010X220A1"].names | {"XX", "QQQ"}) - {"ISA", "GS", "ST"}))
CELLS = st.lists(st.sampled_from(["", "1", "IL", "70", "0F", "D8", "20260101", "C^B", ":RET", "Y", "75"]), max_size=12)


TOO_MUCH = ("3", "13")  # and of more than the guide has: it is said of the first place beyond
ABSENT = ("1", "2")  # IK403: what is said of an element that is not there


@given(st.lists(st.builds(lambda name, cells: "*".join((name, *cells)), NAMES, CELLS), max_size=25))
def test_any_segments_of_the_guide_in_any_order(segments: list[str]) -> None:
    source = one_set(*HEADER, *segments)
    data = join(interchange(source))
    adds_up(data)
    at: Cells = []
    for segment in segments_of(answer_of(data), "IK3", "IK4"):
        cells = segment.split("*")
        if cells[0] == "IK3":
            at = source[int(cells[2]) - 1].split("*")
            assert cells[4] == "3" or at[0] == cells[1]
        elif cells[3] not in ABSENT:
            element, component, repeat = (int(part or "0") for part in (cells[1] + "::").split(":")[:3])
            value = at[element].split("^")[repeat - 1] if repeat else at[element]
            value = value.split(":")[component - 1] if component else value
            assert value or cells[3] in TOO_MUCH


@pytest.mark.parametrize(
    "segments",
    [
        (*ADA[:3], "DMG*D8*19800131*F**:RET^C::^::2106-3^C:REX:2106-3^C:RET:1:2"),
        (*ADA[:3], "DMG*D8*19800131*F**" + "^".join("CBHIAEFGJNOP")),
        (*ADA[:3], "DMG*D8*19801331*F*******REC"),
        (*ADA[:3], "DMG*D8*19800131*F*******REC*2"),
        (*ADA[:3], "DMG**19800131*F"),
        (*ADA, "LUI**SPA**7", "LUI*LE*SPA**9", "LUI****7", "LUI*XX*SPA**7"),
        (*ADA, "HD*030**HLT", "DTP*348*D8*20261301"),
        (*ADA, "DMG*D8*19800131*F", "XYZ*1"),
    ],
)
def test_what_the_reader_finds_is_told_at_the_same_place(segments: tuple[str, ...]) -> None:
    data = join(interchange(one_set(*HEADER, *segments)))
    told = set()
    number = ""
    for segment in segments_of(answer_of(data), "IK3", "IK4"):
        cells = segment.split("*")
        number = cells[2] if cells[0] == "IK3" else number
        told.add((int(number), cells[1] if cells[0] == "IK4" else ""))
    (member,) = members(data)
    found = [f for f in member.findings if f.severity is not Severity.INFO and f.code != "x12.dmg05.empty_repeat"]
    assert found
    for finding in found:
        path = finding.locator.path[3:]  # after the segment's id: element, repeat, component
        element, repeat, component = ([int(part) for part in path.split(":") if part] + [0, 0, 0])[:3]
        place = ":".join(str(part or "") for part in (element or "", component, repeat)).rstrip(":")
        # the 999 has no repeat where one was sent, and names a whole element that there is too much of
        wanted = {place, place.removesuffix(":1"), str(element), ""} if element else {""}
        assert wanted & {there for number, there in told if number == finding.locator.number - 2}, finding
