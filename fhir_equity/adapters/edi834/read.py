"""Read an 834: members are cut out at INS, everything between the envelope's segments is accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress, count

from fhir_equity.adapters.edi834.control import Control
from fhir_equity.adapters.edi834.envelope import (
    BLANK,
    LONGEST,
    Batch,
    Delimiters,
    Envelope,
    Interchange,
    Raw,
    Tail,
    starts_isa,
)
from fhir_equity.adapters.edi834.member import MemberReader
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.adapters.protocol import Context, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Locator, Member, Rejected, Severity

BOUNDARIES = frozenset(("INS", "ISA", "TA1", "GS", "ST", "SE", "GE", "IEA"))


def read(source: Source, context: Context) -> Iterator[Read]:
    """Yield Members, Rejected and Findings of a source in constant memory.

    Raises UnreadableError when the source is no 834 at all, or has a segment or a member without end.
    """
    envelope = Envelope(source)
    reader = _Reader(source.name, envelope, context)
    for interchange in envelope.interchanges():
        yield from reader.interchange(interchange)
    yield from reader.end()


class _Reader:
    """Follows one source through its interchanges."""

    def __init__(self, name: str, envelope: Envelope, context: Context) -> None:
        self._name = name
        self._envelope = envelope
        self._context = context
        self._control = Control(name, context)
        self._header = frozenset(context.guide.get("segments", {}).get("header", []))
        self._boundary_of: Memory[str, bool] = Memory(_is_boundary)
        self._open: Raw | None = None  # the member being collected
        self._members: MemberReader
        self._marks: Delimiters

    def interchange(self, interchange: Interchange) -> Iterator[Read]:
        """Everything in one interchange, up to its IEA."""
        if not self._control.ended:
            yield from self._cut_off(Locator(self._name, "segment", interchange.number, interchange.offset, "ISA"))
        self._marks = interchange.marks
        self._members = MemberReader(self._name, interchange.marks, self._context)
        for batch in interchange.batches:
            yield from self._batch(batch)
            if self._control.ended:
                return

    def _batch(self, batch: Batch) -> Iterator[Read]:
        first = 0  # the first segment that is not accounted for
        for index in list(compress(count(), map(self._boundary_of.__getitem__, batch.kinds))):
            if self._open is not None:
                self._open.extend(batch, first, index)
            else:
                yield from self._between(batch, first, index)
            kind = batch.kinds[index].strip(BLANK)
            if starts_isa(kind) and not self._control.ended:
                yield from self._cut_off(self._place(batch, index, "ISA"))
                self._envelope.give_back(batch, index, self._marks)
                return
            if self._open is not None:
                yield self._finish(self._open)
            if kind == "INS" and self._control.taking:
                self._control.members += 1
                self._open = Raw(batch.number + index, batch.start_of(index))
                first = index
                continue
            yield from self._boundary(kind, batch, index)
            first = index + (self._open is None)
            if self._control.ended:
                self._envelope.give_back(batch, first, self._marks)
                return
        yield from self._rest(batch, first)

    def _boundary(self, kind: str, batch: Batch, index: int) -> Iterator[Read]:
        place = self._place(batch, index, kind)
        if kind != "INS":
            yield from self._control.segment(kind, batch.segments[index].split(self._marks.element), place, self._marks)
        elif self._control.stray:
            yield from self._control.without_set(place)
            self._open = Raw(batch.number + index, batch.start_of(index))

    def _rest(self, batch: Batch, first: int) -> Iterator[Read]:
        """What follows the last boundary of a batch: a member that goes on in the next one, or strays."""
        if self._open is None:
            yield from self._between(batch, first, len(batch.segments))
            return
        self._open.extend(batch, first, len(batch.segments))
        if sum(map(len, self._open.segments)) + len(self._open.segments) > LONGEST:
            raise UnreadableError(f"{self._name}, byte {self._open.offset}: a member without an end")

    def _between(self, batch: Batch, first: int, stop: int) -> Iterator[Read]:
        """Segments outside of members: those of a set's header, and those that stand where nothing should."""
        for index in range(first, stop if self._control.strict else first):
            kind = batch.kinds[index].strip(BLANK)
            if kind in self._header and self._control.taking:
                yield from self._control.header(
                    kind, batch.segments[index].split(self._marks.element), self._place(batch, index, kind)
                )
            else:
                code = "x12.segment.unexpected" if kind else "x12.segment.empty"
                yield Finding(code, Severity.WARNING, self._place(batch, index))

    def _place(self, batch: Batch, index: int, path: str = "") -> Locator:
        return Locator(self._name, "segment", batch.number + index, batch.offset_of(index), path)

    def _finish(self, raw: Raw) -> Member | Rejected:
        self._open = None
        return self._members.read(raw)

    def _truncated(self, raw: Raw) -> Rejected:
        self._open = None
        return self._members.rejected(raw, "x12.member.truncated")

    def _cut_off(self, place: Locator) -> Iterator[Read]:
        """An ISA before the IEA: the interchange before it lacks its end, and so does its last member."""
        if self._open is not None:
            yield self._truncated(self._open)
        yield from self._control.cut_off(place)

    def end(self) -> Iterator[Read]:
        """What is open at the end of the source: a truncated member is quarantined, not believed."""
        tail = self._envelope.tail
        left = tail.text.lstrip(BLANK)
        place = Locator(self._name, "segment", tail.number, tail.offset + len(tail.text) - len(left))
        if not self._control.ended:
            yield from self._unended(tail, left.rstrip(BLANK).split(self._marks.element), place)
        elif left.strip(BLANK + self._marks.segment):
            yield Finding("x12.text_after_iea", Severity.ERROR, place)
        elif left:
            yield Finding("x12.segment.empty", Severity.WARNING, place)
        self._control.refuse_others()

    def _unended(self, tail: Tail, cells: list[str], place: Locator) -> Iterator[Read]:
        if self._open is not None:
            if cells[0] in BOUNDARIES:
                yield self._finish(self._open)
            else:
                self._open.tail = tail.text
                yield self._truncated(self._open)
        if cells[0] == "INS" and (self._control.taking or self._control.stray):
            yield self._truncated(Raw(tail.number, tail.offset, tail=tail.text))
        if cells[0] == "IEA":
            yield Finding("x12.iea.no_terminator", Severity.INFO, place)
            yield from self._control.segment("IEA", cells, place, self._marks)
        else:
            yield from self._control.cut_off(place)


def _is_boundary(kind: str) -> bool:
    """Whether a segment ends what was before it, whatever line ends stand before its id."""
    clean = kind.strip(BLANK)
    return clean in BOUNDARIES or starts_isa(clean)
