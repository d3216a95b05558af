"""Read an 834: members are cut out at INS, everything between the envelope's segments is accounted for."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import compress, count

from fhir_equity.adapters.edi834.batch import Batch, Raw
from fhir_equity.adapters.edi834.control import Control, Recorder
from fhir_equity.adapters.edi834.delimiters import BLANK, Delimiters, starts_isa
from fhir_equity.adapters.edi834.envelope import Envelope, Interchange, Tail
from fhir_equity.adapters.edi834.joint import Edges, Start, told_encoding
from fhir_equity.adapters.edi834.member import MemberReader
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.adapters.edi834.ranges import verifies
from fhir_equity.adapters.edi834.shape import BOUNDARIES, Shape, is_boundary
from fhir_equity.adapters.edi834.usual import UsualReader
from fhir_equity.adapters.protocol import Context, Range, Read, Seam
from fhir_equity.adapters.source import Source
from fhir_equity.model import Finding, Locator, Member, Rejected, Severity

Used = tuple[int, int]  # the segment number and the byte offset up to which a batch was used


def read(source: Source, part: Range, context: Context) -> Iterator[Read]:
    """Yield Members, Rejected and Findings of a range in constant memory, of one of several Seams among them.

    Raises UnreadableError when the source is no 834 at all.
    """
    envelope = Envelope(source, part)
    control, purpose = Control(source.name, context), part.start > 0 and verifies(source)
    if part.start:
        control = Recorder(source.name, context, part.opened, verifies=purpose)
    reader = _Reader(source.name, envelope, context, control)
    try:
        if part.start:
            yield Seam(Start(part, purpose))
        for interchange in envelope.interchanges():
            yield from reader.interchange(interchange)
        if part == Range():
            yield from reader.end()
            yield from told_encoding(source.name, [envelope.encoding.name])
        elif part.stop < 0:
            yield from reader.end()
            yield Seam(reader.edges(part))
        else:  # whether the range ends where it should decides whether its last member is all of it
            yield Seam(reader.edges(part))
            yield from reader.edge()
    finally:  # also for who stops reading after the first member
        source.whole = part == Range() and bool(control.whole)


class _Reader:
    """Follows one source through its interchanges."""

    def __init__(self, name: str, envelope: Envelope, context: Context, control: Control) -> None:
        self._name = name
        self._envelope = envelope
        self._context = context
        self._control = control
        self._header = frozenset(context.guide.get("segments", {}).get("header", []))
        self._boundary_of: Memory[str, bool] = Memory(lambda kind: is_boundary(kind.strip(BLANK)))
        self._open: Raw | None = None  # a member that nothing in its interchange follows
        self._passing = False  # over the rest of a member that was too long
        self._empty = False  # the segment before was empty
        self._members: MemberReader
        self._marks = Delimiters("", "", "", "")

    def interchange(self, interchange: Interchange) -> Iterator[Read]:
        """Everything in one interchange, up to its IEA."""
        if not self._control.ended and not interchange.goes_on:
            yield from self._cut_off(interchange.number, interchange.offset)
        if self._marks != interchange.marks:
            self._marks = interchange.marks
            self._members = MemberReader(self._name, interchange.marks, self._context, self._control.within)
            self._members.verifies = self._control.verifies
            self._usual = UsualReader(self._members, interchange.marks)
        run = _Run(interchange.marks)
        for batch in interchange.batches:
            start = run.start(batch) if self._control.taking and not batch.long else -1
            if start >= 0:
                self._passing = False
                used = yield from self._run(run, batch, start)
            else:
                used = yield from self._batch(batch)
            self._envelope.give_back(batch, *used)
            if self._control.ended:
                return

    def _run(self, run: _Run, batch: Batch, start: int) -> Generator[Read, None, Used]:
        """Members one after the other, cut out in one go; where anything else is among them, segment by segment."""
        usual, control, text, ascii_only = self._usual, self._control, batch.text, batch.text.isascii()
        number, joint = batch.number, len(run.joint)
        while True:
            found = usual.take(text, start)
            if found and (ascii_only or found[0].isascii()):
                member = usual.read(found, number, batch.offset)
                if member:
                    control.members += 1
                    if not member.enrollment.subscriber:
                        control.dependents += 1
                    number += usual.segments
                    start = found.end() + joint
                    yield member
                    continue
            stop = text.find(run.next, start)
            if stop < 0:
                rest = run.batch(text[start:], number, batch.offset + start, last=batch.last)
                return (yield from self._batch(rest))
            number, offset = yield from self._unusual(run, text[start:stop], number, batch.offset + start)
            if control.ended or not control.taking:
                return number, offset
            start = stop + joint

    def _unusual(self, run: _Run, piece: str, number: int, offset: int) -> Generator[Read, None, Used]:
        """A member that another follows, with whatever is between them."""
        segments = piece.split(run.joint)
        kinds = [segment.partition(run.element)[0] for segment in segments]
        shape = self._members.shape_of(segments, kinds)
        if shape.stop == len(segments) and (not run.lead or run.is_even(piece, segments)):
            raw = Raw(number, offset, segments, kinds, run.joint, "", piece.isascii())
            yield self._finish(raw, shape)
            return number + len(segments), offset + len(piece) + 1
        return (yield from self._batch(run.batch(piece, number, offset), whole=True))

    def _batch(self, batch: Batch, *, whole: bool = False) -> Generator[Read, None, Used]:
        """Segment by segment; returns the number and offset of the first segment that was not used.

        That is where a member starts of which more may follow, unless the batch is known to be `whole`.
        """
        first, member = 0, False  # the first segment that is not accounted for, and whether it is an INS
        for index in list(compress(count(), map(self._boundary_of.__getitem__, batch.kinds))):
            kind = batch.kinds[index].strip(BLANK)
            cut_off = starts_isa(kind) and not self._control.ended
            if not member:
                yield from self._between(batch, first, index)
            elif batch.too_long(first, index):
                yield self._too_long(batch, first)
            elif cut_off:
                yield self._members.rejected(batch.raw(first, index), "x12.member.truncated")
            else:
                yield self._finish(batch.raw(first, index))
            if cut_off:
                yield from self._cut_off(batch.number + index, batch.offset_of(index))
                return batch.number + index, batch.start_of(index)
            member = yield from self._boundary(kind, batch, index)
            first = index if member else index + 1
            if self._control.ended:
                return batch.number + first, batch.start_of(first)
        if not member:
            yield from self._between(batch, first, len(batch.segments))
        elif whole:
            yield self._finish(batch.raw(first, len(batch.segments)))
        elif batch.too_long(first, len(batch.segments)):
            yield self._too_long(batch, first)
        elif batch.last:
            self._open = batch.raw(first, len(batch.segments))
        else:
            return batch.number + first, batch.start_of(first)
        return batch.number + len(batch.segments), batch.start_of(len(batch.segments))

    def _boundary(self, kind: str, batch: Batch, index: int) -> Generator[Read, None, bool]:
        """A segment that ends what was before it; returns whether a member starts here."""
        place = self._place(batch, index, kind)
        self._passing = self._empty = False
        if kind != "INS":
            yield from self._control.segment(kind, batch.cells(index), place, self._marks)
            self._members.verifies = self._control.verifies
            return False
        if self._control.stray:
            yield from self._control.without_set(place)
        return self._control.taking

    def _between(self, batch: Batch, first: int, stop: int) -> Iterator[Read]:
        """Segments outside of members: those of a set's header, and those that stand where nothing should."""
        for index in range(first, stop if self._control.strict and not self._passing else first):
            kind = batch.kinds[index].strip(BLANK)
            if not kind and self._empty:  # a run of empty ones is one finding
                continue
            self._empty = not kind
            if batch.too_long(index, index + 1):
                yield Finding("x12.segment.too_long", Severity.ERROR, self._place(batch, index))
            elif kind in self._header and self._control.taking:
                yield from self._control.header(kind, batch.cells(index), self._place(batch, index, kind))
                self._members.verifies = self._control.verifies
            else:
                code = "x12.segment.unexpected" if kind else "x12.segment.empty"
                yield Finding(code, Severity.WARNING, self._place(batch, index))

    def _place(self, batch: Batch, index: int, path: str = "") -> Locator:
        number = batch.number + index
        return Locator(self._name, "segment", number, batch.offset_of(index), path, "", self._control.within(number))

    def _finish(self, raw: Raw, shape: Shape | None = None) -> Member | Rejected:
        self._control.members += 1
        self._control.dependents += self._is_dependent(raw)
        return self._members.read(raw, shape or self._members.shape_of(raw.segments, raw.kinds))

    def _is_dependent(self, raw: Raw) -> bool:
        return raw.segments[0].partition(self._marks.element)[2].lstrip(" ").startswith("N")

    def _too_long(self, batch: Batch, first: int) -> Rejected:
        """The beginning of a member that is too long; what of it is still to come is passed over."""
        self._control.members += 1
        self._passing = True
        return self._members.rejected(batch.beginning(first), "x12.member.too_long")

    def _truncated(self, raw: Raw) -> Rejected:
        self._open = None
        return self._members.rejected(raw, "x12.member.truncated")

    def _cut_off(self, number: int, offset: int) -> Iterator[Read]:
        """An ISA before the IEA: the interchange before it lacks its end, and so does its last member."""
        if self._open is not None:
            yield self._truncated(self._open)
        yield from self._control.cut_off(Locator(self._name, "segment", number, offset, "ISA"))

    def edges(self, part: Range) -> Edges:
        """What is known at the end of a range."""
        control, raw, envelope = self._control, self._open, self._envelope
        members, dependents = control.members, control.dependents
        if raw is not None:
            members, dependents = members + 1, dependents + self._is_dependent(raw)
        first = None if part.start else control
        return Edges(part, envelope.marks, envelope.next, members, dependents, envelope.encoding.name, first)

    def edge(self) -> Iterator[Read]:
        """The end of a range that another follows, which starts with an INS: a member that is open ends here."""
        if self._open is not None:
            yield self._finish(self._open)

    def end(self) -> Iterator[Read]:
        """What is open at the end of the source: a truncated member is quarantined, not believed."""
        tail = self._envelope.tail
        left = tail.text.lstrip(BLANK)
        place = Locator(self._name, "segment", tail.number, tail.offset + len(tail.text) - len(left))
        if starts_isa(left) and not self._control.ended:
            yield from self._cut_off(place.number, place.offset)
            yield Finding("x12.text_after_iea", Severity.ERROR, place)
        elif not self._control.ended:
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
            yield self._truncated(Raw(tail.number, tail.offset, [], [], self._marks.segment, tail.text))
        if cells[0] == "IEA":
            yield Finding("x12.iea.no_terminator", Severity.INFO, place)
            yield from self._control.segment("IEA", cells, place, self._marks)
        else:
            yield from self._control.cut_off(place)


class _Run:
    """How members that follow one another directly are cut: at what stands between a segment and the next INS."""

    def __init__(self, marks: Delimiters) -> None:
        self._marks = marks
        self._first = f"INS{marks.element}"
        self.element = marks.element
        self.joint = marks.segment + marks.line_end
        self.next = self.joint + self._first
        self.lead = len(marks.line_end)

    def start(self, batch: Batch) -> int:
        """Where in the batch its first member starts, before which only the usual line end may stand; -1 if none."""
        start = self.lead if self.lead and batch.text.startswith(self._marks.line_end) else 0
        return start if batch.text.startswith(self._first, start) else -1

    def is_even(self, piece: str, segments: list[str]) -> bool:
        """Whether every terminator was followed by the usual line end."""
        return piece.count(self._marks.segment) == len(segments) - 1

    def batch(self, piece: str, number: int, offset: int, *, last: bool | None = None) -> Batch:
        """A piece to be read segment by segment; `last` is given with the piece that ends with its terminator."""
        end = self._marks.segment if last is None else ""
        return Batch(number, offset, piece + end, self._marks, last=bool(last))
