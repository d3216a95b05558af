"""The X12 envelope: delimiters from the ISA, and segments with their number and byte offset."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from msgspec import Struct

from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError

ISA_LENGTH = 106
LONGEST = 1024 * 1024  # bytes of a segment or of a member; real ones have some hundreds or thousands
BLANK = " \r\n\t"
_BLOCK = 32 * 1024  # bytes cut at a time: little enough to stay in the processor's cache
_BOM = "\xef\xbb\xbf"  # a UTF-8 byte order mark, seen as Latin-1


class Delimiters(Struct, frozen=True):
    """The four delimiters of one interchange; `repetition` is empty where ISA11 names none."""

    element: str
    component: str
    repetition: str
    segment: str
    padded: bool = True
    isa11: str = ""


def delimiters(isa: str, name: str) -> Delimiters:
    """Read the delimiters from the first characters of an interchange, never assumed.

    The ISA has 16 elements of fixed width (106 characters with its terminator). Unpadded ones are
    read by counting separators. Raises UnreadableError when the ISA is incomplete or names
    delimiters that cannot be told apart.
    """
    element = isa[3:4]
    place = -1
    for _ in range(16):
        place = isa.find(element, place + 1) if element else -1
        if place < 0:
            raise UnreadableError(f"{name} ends inside its first segment (ISA)")
    if len(isa) < place + 3:
        raise UnreadableError(f"{name} ends inside its first segment (ISA)")
    component, segment = isa[place + 1], isa[place + 2]
    if len({element, component, segment}) < 3 or any(mark.isalnum() for mark in (element, component, segment)):
        raise UnreadableError(f"{name} names no usable delimiters in its first segment (ISA)")
    isa11 = isa.split(element, 12)[11]
    # ISA11 was "U" (standards id) until 4010 and still is in many 00501 files: no separator then.
    usable = len(isa11) == 1 and not isa11.isalnum() and isa11 not in (" ", element, component, segment)
    return Delimiters(element, component, isa11 if usable else "", segment, place + 3 == ISA_LENGTH, isa11)


class Batch:
    """Consecutive segments, raw and without terminators, and their ids.

    Raw segments keep the line ends that stand before them, so that offsets add up; ids keep them too.
    """

    def __init__(self, number: int, offset: int, segments: list[str], element: str) -> None:
        self.number = number
        self.segments = segments
        self.kinds = [segment.partition(element)[0] for segment in segments]
        self._asked, self._start = 0, offset

    def start_of(self, index: int) -> int:
        """The byte offset where a raw segment starts; ask in ascending order."""
        self._start += len("".join(self.segments[self._asked : index])) + index - self._asked
        self._asked = index
        return self._start

    def offset_of(self, index: int) -> int:
        """The byte offset of a segment, blanks before it not counted; ask in ascending order."""
        return self.start_of(index) + _lead(self.segments[index])


class Raw(Struct, gc=False):
    """The segments of one member as a `Batch` has them; `tail` is what had no terminator any more.

    `number` is that of its INS, `offset` where the raw INS starts.
    """

    number: int
    offset: int
    segments: list[str] = []
    kinds: list[str] = []
    tail: str = ""

    def extend(self, batch: Batch, first: int, stop: int) -> None:
        """Take the segments of a batch from index `first` to before `stop`."""
        segments, kinds = batch.segments[first:stop], batch.kinds[first:stop]
        self.segments = self.segments + segments if self.segments else segments
        self.kinds = self.kinds + kinds if self.kinds else kinds

    def offset_of(self, place: int) -> int:
        """The byte offset of a segment, blanks before it not counted; the INS is at place 0."""
        segment = self.segments[place]
        lead = 0 if segment[:1].isalpha() else _lead(segment)
        return self.offset + len("".join(self.segments[:place])) + place + lead

    def offsets(self) -> list[int]:
        """All of them at once."""
        starts = accumulate(map(len, self.segments), lambda start, length: start + length + 1, initial=self.offset)
        return [start + _lead(segment) for segment, start in zip(self.segments, starts, strict=False)]

    def text(self, terminator: str) -> str:
        """The text as it stood in the artefact, from `offset` on."""
        return terminator.join([*self.segments, self.tail])


class Tail(Struct):
    """What stood after the last terminator: number, byte offset and text (blank when all is well)."""

    number: int = 0
    offset: int = 0
    text: str = ""


class Interchange(Struct):
    """One ISA..IEA: where it starts, its delimiters, and its segments in batches.

    The batches end with the source, with `Envelope.give_back`, or before an ISA of other delimiters.
    """

    number: int
    offset: int
    marks: Delimiters
    batches: Iterator[Batch]


class Envelope:
    """Cuts a source into interchanges in constant memory.

    Text is decoded as Latin-1, one character a byte, so that offsets are exact; values that are
    UTF-8 are decoded where they are used (see `text`).
    """

    def __init__(self, source: Source) -> None:
        self._name = source.name
        self._blocks = source.blocks(_BLOCK)
        self._buffer = ""
        self._offset = 0
        self._number = 0
        self.tail = Tail()

    def interchanges(self) -> Iterator[Interchange]:
        """Every interchange in order. Consume the batches of one before asking for the next.

        Raises UnreadableError when the source does not start with an ISA.
        """
        while self._fill_isa():
            marks = delimiters(self._buffer[: ISA_LENGTH * 2], self._name)
            yield Interchange(self._number + 1, self._offset, marks, self._batches(marks))
        if not self._number:
            raise UnreadableError(f"{self._name} is empty")

    def give_back(self, batch: Batch, index: int, marks: Delimiters) -> None:
        """Say that the interchange ended before the segment at `index` of its current batch."""
        rest = batch.segments[index:]
        text = marks.segment.join([*rest, self._buffer])
        self._offset -= len(text) - len(self._buffer)
        self._number -= len(rest)
        self._buffer = text

    def _fill_isa(self) -> bool:
        """Move to the next ISA and have enough of it; False at the end of the source."""
        while True:
            clean = self._buffer.lstrip(BLANK)
            clean = clean.removeprefix(_BOM).lstrip(BLANK)
            self._offset += len(self._buffer) - len(clean)
            self._buffer = clean
            if len(clean) >= ISA_LENGTH * 2 or not self._more():
                break
        if not self._buffer:
            return False
        if self._buffer.startswith("ISA"):
            return True
        if not self._number:
            raise UnreadableError(f"{self._name} is no X12 interchange: it does not start with ISA")
        self._end()
        for _ in self._blocks:  # so that the source's digest is of the whole content
            pass
        return False

    def _batches(self, marks: Delimiters) -> Iterator[Batch]:
        while True:
            parts = self._buffer.split(marks.segment)
            rest = parts.pop()
            if parts:
                batch = Batch(self._number + 1, self._offset, parts, marks.element)
                self._number += len(parts)
                self._offset += len(self._buffer) - len(rest)
                self._buffer = rest
                yield batch
            elif _is_other_isa(rest.lstrip(BLANK), marks):
                return
            elif len(rest) > LONGEST:
                raise UnreadableError(f"{self._name}, byte {self._offset}: a segment without an end")
            elif not self._more():
                self._end()
                return

    def _end(self) -> None:
        self.tail = Tail(self._number + 1, self._offset, self._buffer)
        self._buffer = ""

    def _more(self) -> bool:
        block = next(self._blocks, b"")
        self._buffer += block.decode("latin-1")
        return bool(block)


def _is_other_isa(rest: str, marks: Delimiters) -> bool:
    """Whether text without our terminator is an interchange of other delimiters: the one before it was cut off."""
    other_element = len(rest) > 3 and rest[3] != marks.element
    return starts_isa(rest) and (other_element or len(rest) >= ISA_LENGTH * 2)


def starts_isa(text: str) -> bool:
    """Whether text looks like the start of an interchange, whatever its delimiters."""
    return text.startswith("ISA") and not text[3:4].isalnum()


def _lead(segment: str) -> int:
    return len(segment) - len(segment.lstrip(BLANK))


def decoded(value: str) -> str:
    """A value as its sender meant it: UTF-8 where the bytes are valid UTF-8, else Latin-1."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return value


def text(value: str) -> str:
    """A decoded value without the spaces around it, with which senders pad."""
    return (value if value.isascii() else decoded(value)).strip(" ")
