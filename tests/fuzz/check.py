"""What must hold of the 834 reader whatever the bytes are; a breach is an AssertionError or another exception."""

from __future__ import annotations

import io
import re
import zlib
from typing import IO, cast

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.edi834.batch import Batch
from fhir_equity.adapters.edi834.delimiters import ISA_LENGTH, Delimiters, delimiters
from fhir_equity.adapters.protocol import Context, Range, Read, Seam
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Frame, Locator, Member, Rejected
from fhir_equity.tables import Tables

NAME = "f.834"
CONTEXT = Context(partner="plan", guide=Tables().document("guides/edi834.toml"))
BLANK = b" \r\n\t"
_BLANKS = re.compile(rb"[ \r\n\t]{400}")  # before a segment: what is too long is found out less exactly there
_MESSAGE = re.compile(r"(counted \d+)?")


class Dribble(io.BytesIO):
    """Bytes that come at most `most` at a time, as from a slow pipe."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        """At most `most` bytes, however many are asked for."""
        return super().read(self._most if size is None or size < 0 else min(size, self._most))


def check(data: bytes) -> None:
    """Read `data` in every way there is, and look at every item. Raises AssertionError."""
    items, refusal = outcome(data)
    block = 1 + zlib.crc32(data) % 97
    assert outcome(data, block) == (items, refusal), "the result depends on how the bytes arrive"
    assert refusal.startswith(NAME) or not refusal, "a refusal names its file"
    _check(data, items, refusal)
    if not _BLANKS.search(data):
        impatient = _impatient(data, 0)
        assert _impatient(data, block) == impatient, "what is too long depends on how the bytes arrive"
        _check(data, *impatient)
    one = single(data)
    if one is not None and not refusal:
        _check_ranges(data, items, one)


def _check(data: bytes, items: list[Read], refusal: str) -> None:
    for item in items:
        _check_places(data, item)
    _check_again(items)
    one = single(data)
    if one is not None and not refusal:
        _check_count(data, items, one)


def _source(data: bytes, block: int = 0) -> Source:
    return Source(NAME, lambda: cast("IO[bytes]", Dribble(data, block) if block else io.BytesIO(data)))


def outcome(data: bytes, block: int = 0) -> tuple[list[Read], str]:
    """What the adapter yields, and why it refused the rest (empty where it did not); `block` bytes come at a time."""
    items: list[Read] = []
    source = _source(data, block)
    try:
        items.extend(ADAPTER.read(source, Range(), CONTEXT))
    except UnreadableError as error:
        return items, str(error)
    assert source.size == len(data), "not all was read"
    return items, ""


def _impatient(data: bytes, block: int) -> tuple[list[Read], str]:
    """The outcome for a reader to which some hundred bytes are too long for a segment or a member."""
    patience, Batch.longest = Batch.longest, 8 * ISA_LENGTH
    try:
        return outcome(data, block)
    finally:
        Batch.longest = patience


def locators(item: Read) -> list[Locator]:
    """Every position an item tells."""
    match item:
        case Member():
            own = Locator(NAME, "segment", item.number, item.offset, "INS")
            return [own, *(a.locator for a in item.answers), *(f.locator for f in item.findings)]
        case Rejected():
            return [item.finding.locator]
        case Finding() | Frame() if item.locator.unit:  # else it is about the whole file
            return [item.locator]
    return []


def _check_places(data: bytes, item: Read) -> None:
    for place in locators(item):
        assert 0 <= place.offset <= len(data), "a position outside of the file"
        segment = re.match("[A-Z][A-Z0-9][A-Z]?1?", place.path)  # DMG of DMG05:1:2, NM1, ST
        here = data[place.offset : place.offset + 4].decode("latin-1")
        assert place.path == "" or (segment is not None and here.startswith(segment[0][:3])), "another segment"
    if isinstance(item, Rejected):
        start = item.finding.locator.offset
        assert data[start : start + len(item.raw)] == item.raw, "rejected bytes are not those of the file"
    for finding in item.findings if isinstance(item, Member) else [item] if isinstance(item, Finding) else []:
        assert _MESSAGE.fullmatch(finding.message), "a message may repeat a value"


def _check_again(items: list[Read]) -> None:
    """What was rejected is rejected for the same reason when it is read again, alone."""
    frame = b""
    for item in items:
        if isinstance(item, Frame):
            frame = item.raw
        elif isinstance(item, Rejected):
            assert list(ADAPTER.again(item, frame, CONTEXT)) == [item], "another reason the second time"


def _check_ranges(data: bytes, items: list[Read], marks: Delimiters) -> None:
    """Cut before an INS, the two ranges hold what the whole holds, or do not fit together."""
    start = data.index(b"ISA")
    starts = people(data[start:], marks)
    if not starts:
        return
    end = marks.segment.encode("latin-1")
    cut = data.rindex(end, start, start + starts[len(starts) // 2]) + 1
    st = re.search(rb".*(?:^|" + re.escape(end) + rb"\s*)ST", data[start:cut], re.DOTALL)
    opened = data.count(end, start, start + st.end()) + 1 if st else 0
    parts = [Range(0, cut), Range(cut, -1, data.count(end, start, cut), opened)]
    found: list[Read] = []
    joint = ADAPTER.joint()
    for part in parts:
        for item in ADAPTER.read(_source(data), part, CONTEXT):
            shown = joint.take(item) if isinstance(item, Seam) else [item]
            if shown is None:
                assert found == items[: len(found)], "what came before ranges that do not fit is not the whole's"
                return
            found += shown
    assert [*found, *joint.end()] == items, "two ranges are not the whole"


def single(data: bytes) -> Delimiters | None:
    """The delimiters of a file with one interchange only; None of any other, which is not so easily counted."""
    clean = data.lstrip(BLANK + b"\xef\xbb\xbf")
    if data.count(b"ISA") != 1 or not clean.startswith(b"ISA"):
        return None
    try:
        return delimiters(clean[:212].decode("latin-1"), NAME)
    except UnreadableError:
        return None


def _check_count(data: bytes, items: list[Read], marks: Delimiters) -> None:
    """Every INS is one Member or one Rejected, in order; numbers count the terminators before the offset."""
    start = data.index(b"ISA")
    end = marks.segment.encode("latin-1")
    expected = people(data[start:], marks)
    found = [item for item in items if isinstance(item, Member | Rejected)]
    assert len(found) == len(expected), "an INS is nobody, or somebody has none"
    for person, offset in zip(found, expected, strict=True):
        places = [place.offset for place in locators(person)]
        assert places[0] == start + offset == min(places), "another INS"
    for item in items:
        if isinstance(item, Finding) and item.code == "x12.text_after_iea":
            continue  # blanks before it may be terminators, and are no segments there
        for place in locators(item):
            assert place.number == data.count(end, start, place.offset) + 1, "number and offset disagree"


def people(data: bytes, marks: Delimiters) -> list[int]:
    """The offset of every INS that counts, found as plainly as can be: inside an 834 set, or outside of any."""
    found, offset = [], 0
    in_set, taking = False, False
    for raw in data.split(marks.segment.encode("latin-1")):
        cells = raw.split(marks.element.encode("latin-1"))
        match cells[0].strip(BLANK):
            case b"INS" if taking or not in_set:
                found.append(offset + len(raw) - len(raw.lstrip(BLANK)))
                in_set = taking = True
            case b"ST" if offset + len(raw) < len(data):
                in_set, taking = True, [*cells, b""][1].strip(b" ") == b"834"
            case b"IEA" if offset + len(raw) < len(data):
                break
            case b"SE" | b"GS" | b"GE" | b"TA1":
                in_set = taking = False
        offset += len(raw) + 1
    return found
