"""Read an 834: interchanges, groups, transaction sets, members, and the counts that must agree."""

from __future__ import annotations

from collections.abc import Iterator

from fhir_equity.adapters.edi834.envelope import Delimiters, Envelope, Interchange
from fhir_equity.adapters.edi834.member import BLANK, MemberReader
from fhir_equity.adapters.protocol import Context, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Locator, Severity

_BOUNDARIES = frozenset(("INS", "ISA", "GS", "ST", "BGN", "QTY", "SE", "GE", "IEA"))


def read(source: Source, context: Context) -> Iterator[Read]:
    """Yield Members, Rejected and Findings of a source in constant memory.

    Raises UnreadableError when the source is no 834 at all.
    """
    envelope = Envelope(source)
    reader = _Reader(source.name, context)
    for interchange in envelope.interchanges():
        yield from reader.interchange(interchange)
    yield from reader.end(envelope)


class _Reader:
    """Follows the envelope of one source; members are cut out at INS and read one by one."""

    def __init__(self, name: str, context: Context) -> None:
        self._name = name
        self._context = context
        self._versions: dict[str, str] = context.guide.get("versions", {})
        self._sets = 0  # 834 transaction sets seen
        self._others: set[str] = set()  # other transaction sets seen
        self._controls: set[str] = set()
        self._open: list[str] = []  # raw segments of the member being collected
        self._open_at = (0, 0)
        self._in_member = False
        self._taking = False
        self._closed = True  # no ST without its SE
        self._group_version = ""
        self._control = {"ISA": "", "GS": "", "ST": ""}
        self._count = {"GS": 0, "ST": 0}
        self._set_start = 0
        self._members_in_set = 0
        self._promised: int | None = None
        self._ended = True
        self._members: MemberReader

    def interchange(self, interchange: Interchange) -> Iterator[Read]:
        marks = interchange.marks
        self._members = MemberReader(self._name, marks, self._context)
        element = marks.element
        for number, offset, parts in interchange.batches:
            for raw in parts:
                segment = raw if raw[:1] > " " else raw.lstrip(BLANK)
                kind = segment[: segment.find(element)]
                if kind in _BOUNDARIES and (kind != "QTY" or not self._in_member):
                    place = offset + len(raw) - len(segment)
                    if kind == "INS":
                        yield from self._flush()
                        yield from self._start_member(raw, number, offset)
                    else:
                        if kind not in ("BGN", "QTY"):
                            yield from self._flush()
                        yield from self._envelope(kind, segment.split(element), marks, number, place)
                elif self._in_member:
                    self._open.append(raw)
                number += 1
                offset += len(raw) + 1

    def _start_member(self, raw: str, number: int, offset: int) -> Iterator[Read]:
        if self._closed:  # members without an ST before them are read all the same
            yield Finding("x12.st.missing", Severity.ERROR, Locator(self._name, "segment", number, offset, "INS"))
            self._taking, self._closed = True, False
            self._sets += 1
        if self._taking:
            self._open = [raw]
            self._open_at = (number, offset)
            self._in_member = True

    def _flush(self) -> Iterator[Read]:
        if self._in_member:
            self._in_member = False
            self._members_in_set += 1
            yield self._members.read(self._open, *self._open_at)

    def _envelope(self, kind: str, parts: list[str], marks: Delimiters, number: int, offset: int) -> Iterator[Read]:
        cells = [part.strip() for part in parts] + [""] * 17
        place = Locator(self._name, "segment", number, offset, kind)
        match kind:
            case "ISA":
                yield from self._isa(cells, marks, place)
            case "GS":
                self._control["GS"], self._group_version = cells[6], cells[8]
                self._count["GS"] += 1
                self._count["ST"] = 0
            case "ST":
                yield from self._st(cells, place, number)
            case "BGN":
                if cells[7] in ("2", "4", "RX") and not cells[8]:
                    yield Finding("x12.bgn08.shifted", Severity.WARNING, place)
            case "QTY":
                if cells[1] == "TO" and cells[2].isdigit():
                    self._promised = int(cells[2])
            case "SE":
                yield from self._se(cells, place, number)
            case "GE":
                yield from self._agree("ge", cells[1], self._count["ST"], cells[2], self._control["GS"], place)
            case "IEA":
                self._ended = True
                yield from self._agree("iea", cells[1], self._count["GS"], cells[2], self._control["ISA"], place)

    def _isa(self, cells: list[str], marks: Delimiters, place: Locator) -> Iterator[Read]:
        self._ended = False
        self._control["ISA"] = cells[13]
        self._count["GS"] = 0
        if not marks.padded:
            yield Finding("x12.isa.not_padded", Severity.WARNING, place)
        if marks.isa11.isalnum():
            yield Finding("x12.isa11.no_repetition_separator", Severity.WARNING, place)
        if cells[13] in self._controls:
            yield Finding("x12.isa13.duplicate", Severity.ERROR, place)
        self._controls.add(cells[13])

    def _st(self, cells: list[str], place: Locator, number: int) -> Iterator[Read]:
        self._control["ST"] = cells[2]
        self._count["ST"] += 1
        self._set_start, self._members_in_set, self._promised = number, 0, None
        self._closed = False
        self._taking = cells[1] == "834"
        if not self._taking:
            self._others.add(cells[1])
            yield Finding("x12.st01.not_834", Severity.ERROR, place)
            return
        self._sets += 1
        version = cells[3] or self._group_version
        known = self._versions.get(version)
        if known is None:
            yield Finding("x12.version.unknown", Severity.WARNING, place)
        elif known != "full":
            yield Finding("x12.version.shared_parts_only", Severity.WARNING, place)

    def _se(self, cells: list[str], place: Locator, number: int) -> Iterator[Read]:
        self._closed = True
        counted = number - self._set_start + 1
        yield from self._agree("se", cells[1], counted, cells[2], self._control["ST"], place)
        if self._promised is not None and self._taking and self._promised != self._members_in_set:
            yield Finding("x12.qty.total_differs", Severity.WARNING, place, f"counted {self._members_in_set}")
        self._taking = False

    def _agree(self, name: str, said: str, counted: int, control: str, expected: str, place: Locator) -> Iterator[Read]:
        if said != str(counted) and not (said.isdigit() and int(said) == counted):
            yield Finding(f"x12.{name}01.count_differs", Severity.ERROR, place, f"counted {counted}")
        if control != expected:
            yield Finding(f"x12.{name}02.control_number_differs", Severity.ERROR, place)

    def end(self, envelope: Envelope) -> Iterator[Read]:
        """What is open at the end of the source: a truncated member is quarantined, not believed."""
        tail = envelope.tail
        left = tail.text.strip(BLANK)
        if left.startswith("IEA") and self._closed:
            place = Locator(self._name, "segment", tail.number, tail.offset, "IEA")
            yield Finding("x12.iea.no_terminator", Severity.INFO, place)
            self._ended = True
        elif left and self._ended:
            place = Locator(self._name, "segment", tail.number, tail.offset)
            yield Finding("x12.text_after_iea", Severity.ERROR, place)
        if self._in_member:
            self._in_member = False
            segments = [*self._open, tail.text] if tail.text else self._open
            yield self._members.rejected(segments, *self._open_at, "x12.member.truncated")
        if not self._ended:
            place = Locator(self._name, "segment", tail.number, tail.offset)
            yield Finding("x12.truncated", Severity.ERROR, place)
        if self._sets == 0:
            yield from self._refuse()

    def _refuse(self) -> Iterator[Read]:
        found = ", ".join(sorted(kind for kind in self._others if kind.isalnum() and len(kind) <= 3))
        if found:
            raise UnreadableError(f"{self._name} is an X12 {found}, not an 834")
        raise UnreadableError(f"{self._name} is an X12 interchange without an 834 transaction set")
        yield  # pragma: no cover - makes this a generator like its siblings
