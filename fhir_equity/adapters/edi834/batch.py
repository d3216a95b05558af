"""Segments with their number and byte offset: those of a piece of a file, and those of one member."""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import ClassVar

from msgspec import Struct

from fhir_equity.adapters.edi834.delimiters import Delimiters, lead


class Batch:
    """Consecutive segments as text, each with its terminator; cut into raw segments and their ids when asked.

    `number` and `offset` are those of the first. Raw segments keep the line ends that stand before
    them, so that offsets add up; ids keep them too. `last` is whether nothing can follow in this
    interchange. `dropped` bytes of its last segment are not here: of that only the beginning is kept.
    """

    longest: ClassVar[int] = 1024 * 1024  # bytes that a segment or a member may have; real ones have some hundreds

    def __init__(
        self, number: int, offset: int, text: str, marks: Delimiters, *, last: bool = False, dropped: int = 0
    ) -> None:
        self.number = number
        self.offset = offset
        self.text = text
        self.last = last
        self.dropped = dropped
        self.long = len(text) > self.longest
        self._marks = marks

    @cached_property
    def segments(self) -> list[str]:
        """The raw segments without terminators."""
        return self.text.split(self._marks.segment)[:-1]

    @cached_property
    def kinds(self) -> list[str]:
        """Their ids."""
        element = self._marks.element
        return [segment.partition(element)[0] for segment in self.segments]

    @cached_property
    def _starts(self) -> list[int]:
        return [start + place for place, start in enumerate(accumulate(map(len, self.segments), initial=self.offset))]

    def start_of(self, index: int) -> int:
        """The byte offset where a raw segment starts; for one index beyond the last, where the batch ends."""
        return self._starts[index] + (self.dropped if index == len(self.segments) else 0)

    def cells(self, index: int) -> list[str]:
        """The elements of a segment, as far as they are within `longest` bytes."""
        segment = self.segments[index]
        if self.long:
            segment = segment[: lead(segment) + self.longest]
        return segment.split(self._marks.element)

    def too_long(self, first: int, stop: int) -> bool:
        """Whether the segments from index `first` to before `stop` are more than `longest` bytes from the first id."""
        return self.long and self.start_of(stop) - self.offset_of(first) > self.longest

    def beginning(self, first: int) -> Raw:
        """The first `longest` bytes of what is too long."""
        start = self.offset_of(first)
        text = self.text[start - self.offset :][: self.longest]
        return Raw(self.number + first, start, [], [], self._marks.segment, text)

    def offset_of(self, index: int) -> int:
        """The byte offset of a segment, blanks before it not counted."""
        return self._starts[index] + lead(self.segments[index])

    def raw(self, first: int, stop: int) -> Raw:
        """The segments from index `first` to before `stop` as those of one member."""
        joint = self._marks.segment
        return Raw(self.number + first, self._starts[first], self.segments[first:stop], self.kinds[first:stop], joint)


class Raw(Struct, gc=False):
    """The segments of one member, cut at `joint` (the terminator, with the line end where all have the same).

    `number` is that of its INS, `offset` where the raw INS starts; `tail` is what had no terminator.
    `ascii_only` is whether no value has to be decoded, as far as that is known.
    """

    number: int
    offset: int
    segments: list[str]
    kinds: list[str]
    joint: str
    tail: str = ""
    ascii_only: bool = False

    def offset_of(self, place: int) -> int:
        """The byte offset of a segment, blanks before it not counted; the INS is at place 0."""
        segment = self.segments[place]
        blanks = 0 if segment[:1].isalpha() else lead(segment)
        return self.offset + len("".join(self.segments[:place])) + place * len(self.joint) + blanks

    def offsets(self) -> list[int]:
        """All of them at once."""
        starts = accumulate(map(len, self.segments), initial=self.offset)
        step = len(self.joint)
        return [
            start + at * step + lead(segment)
            for at, (segment, start) in enumerate(zip(self.segments, starts, strict=False))
        ]

    def text(self) -> str:
        """The text as it stood in the artefact, from `offset` on."""
        return f"{self.joint.join(self.segments)}{self.joint[0]}{self.tail}" if self.segments else self.tail
