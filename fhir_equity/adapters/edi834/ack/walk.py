"""Where each segment of a set stands in the guide, and what is wrong with its place: the IK3 of a 999."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct, field

from fhir_equity.adapters.edi834.ack.elements import Elements, Fault
from fhir_equity.adapters.edi834.ack.structure import Loop, Segment, Structure
from fhir_equity.adapters.edi834.delimiters import Delimiters


class Trouble(Struct, frozen=True):
    """A segment that is not as it should be, or is not there.

    `cause` is a row of ``guides/x12_acknowledgement.csv`` (IK304), `number` counts from the ST at 1:
    that of the segment, or of the one found where a missing one was expected.
    """

    cause: str
    name: str
    number: int
    loop: str = ""
    faults: tuple[Fault, ...] = ()


class _Frame(Struct):
    """A loop that is open: how far we are in it, and how often each of its children came."""

    loop: Loop
    order: int = 0
    counts: Counter[int] = field(default_factory=Counter)

    def until(self, order: float) -> Iterator[Segment]:
        """What is required before `order` and has not come."""
        for at, child in enumerate(self.loop.children):
            if child.required and self.order <= child.order < order and not self.counts[at]:
                yield self.loop.opened_by[at]


class Walk:
    """One transaction set, segment by segment. Memory is that of the open loops."""

    def __init__(self, structure: Structure, elements: Elements, marks: Delimiters) -> None:
        self._structure = structure
        self._elements = elements
        self._marks = marks
        self._frames = [_Frame(structure.root)]

    def take(self, name: str, raw: str, number: int) -> Iterator[Trouble]:
        """The next segment of the set, the ST among them: what is wrong with it, and what did not come before it."""
        qualifier = raw.split(self._marks.element, 2)[1:2]
        found = self._place(name, qualifier[0].strip(" ") if qualifier else "")
        if found is None:
            yield Trouble(self._why_not(name, "".join(qualifier).strip(" ")), name, number)
            return
        depth, at = found
        yield from self._leave(depth, number)
        frame = self._frames[-1]
        for due in frame.until(frame.loop.children[at].order):
            yield Trouble("segment.missing", due.name, number, due.loop)
        segment, cause = self._enter(frame, at)
        if cause:
            yield Trouble(cause, name, number, segment.loop)
        faults = self._elements.faults(segment, raw)
        if faults:
            yield Trouble("segment.elements", name, number, segment.loop, faults)

    def end(self, number: int) -> Iterator[Trouble]:
        """The SE has come, with this number: what is required and did not come."""
        yield from self._leave(0, number)
        yield from (Trouble("segment.missing", s.name, number, s.loop) for s in self._frames[0].until(float("inf")))

    def _place(self, name: str, qualifier: str) -> tuple[int, int] | None:
        """Depth of the loop and index of the child; the innermost loop first, nothing behind us."""
        for depth in range(len(self._frames) - 1, -1, -1):
            frame = self._frames[depth]
            loop = frame.loop
            for at in loop.named.get(name, ()):
                # The segment that opens a loop never repeats inside of it: it opens the loop anew.
                inside = at > 0 or depth == 0
                if inside and loop.children[at].order >= frame.order and loop.opened_by[at].takes(name, qualifier):
                    return depth, at
        return self._by_name_alone(name)

    def _by_name_alone(self, name: str) -> tuple[int, int] | None:
        """A segment whose qualifier nobody knows is one of this loop with a wrong code: of that which may come most."""
        frame = self._frames[-1]
        found = [
            (child.repeat, at)
            for at, child in enumerate(frame.loop.children)
            if at and isinstance(child, Segment) and child.name == name and child.order >= frame.order
        ]
        return (len(self._frames) - 1, max(found)[1]) if found else None

    def _why_not(self, name: str, qualifier: str) -> str:
        if name not in self._structure.names:
            return "segment.unrecognised"
        for frame in self._frames:
            for child, opens in zip(frame.loop.children, frame.loop.opened_by, strict=True):
                if child.order < frame.order and opens.takes(name, qualifier):
                    return "segment.out_of_order"
        return "segment.unexpected"

    def _leave(self, depth: int, number: int) -> Iterator[Trouble]:
        """Close the loops above a depth."""
        while len(self._frames) > depth + 1:
            for segment in self._frames.pop().until(float("inf")):
                yield Trouble("segment.missing", segment.name, number, segment.loop)

    def _enter(self, frame: _Frame, at: int) -> tuple[Segment, str]:
        """Step to a child of the innermost loop; the cause where there is one too many of it."""
        child = frame.loop.children[at]
        frame.order = child.order
        frame.counts[at] += 1
        over = frame.counts[at] > child.repeat
        if isinstance(child, Segment):
            return child, "segment.too_many" if over else ""
        self._frames.append(_Frame(child, child.first.order, Counter({0: 1})))
        return child.first, "loop.too_many" if over else ""
