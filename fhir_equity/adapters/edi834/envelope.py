"""The X12 envelope: delimiters from the ISA, and segments with their number and byte offset."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate

from msgspec import Struct

from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError

ISA_LENGTH = 106
LONGEST = 1024 * 1024  # bytes of a segment or of a member; real ones have some hundreds or thousands
BLANK = " \r\n\t"
_BLOCK = 32 * 1024  # bytes cut at a time: little enough to stay in the processor's cache
_WHOLE = Range()
_BOM = "\xef\xbb\xbf"  # a UTF-8 byte order mark, seen as Latin-1


class Delimiters(Struct, frozen=True):
    """The four delimiters of one interchange; `repetition` is empty where ISA11 names none.

    `line_end` are the blanks after the ISA, which most files repeat after every segment.
    """

    element: str
    component: str
    repetition: str
    segment: str
    padded: bool = True
    isa11: str = ""
    line_end: str = ""


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
    after = isa[place + 3 :]
    line_end = after[: len(after) - len(after.lstrip(BLANK.replace(segment, "")))]
    repetition = isa11 if usable else ""
    return Delimiters(element, component, repetition, segment, place + 3 == ISA_LENGTH, isa11, line_end)


class Batch:
    """Consecutive segments as text, each with its terminator; cut into raw segments and their ids when asked.

    `number` and `offset` are those of the first. Raw segments keep the line ends that stand before
    them, so that offsets add up; ids keep them too. `last` is whether nothing can follow in this
    interchange.
    """

    def __init__(self, number: int, offset: int, text: str, marks: Delimiters, *, last: bool = False) -> None:
        self.number = number
        self.offset = offset
        self.text = text
        self.last = last
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
        return self._starts[index]

    def offset_of(self, index: int) -> int:
        """The byte offset of a segment, blanks before it not counted."""
        return self._starts[index] + _lead(self.segments[index])

    def raw(self, first: int, stop: int) -> Raw:
        """The segments from index `first` to before `stop` as those of one member."""
        joint = self._marks.segment
        return Raw(self.number + first, self._starts[first], self.segments[first:stop], self.kinds[first:stop], joint)


class Raw(Struct, gc=False):
    """The segments of one member, cut at `joint` (the terminator, with the line end where all have the same).

    `number` is that of its INS, `offset` where the raw INS starts; `tail` is what had no terminator.
    `whole` is the text where it was at hand, and then `ascii_only` whether no value has to be decoded.
    """

    number: int
    offset: int
    segments: list[str]
    kinds: list[str]
    joint: str
    tail: str = ""
    whole: str = ""
    ascii_only: bool = False

    def offset_of(self, place: int) -> int:
        """The byte offset of a segment, blanks before it not counted; the INS is at place 0."""
        segment, joint = self.segments[place], self.joint
        found = self.whole.find(f"{joint}{segment}{joint}") if self.whole else -1
        if found >= 0:  # quicker than adding up; of equal segments only the first is ever asked for
            return self.offset + found + len(joint)
        lead = 0 if segment[:1].isalpha() else _lead(segment)
        return self.offset + len("".join(self.segments[:place])) + place * len(joint) + lead

    def offsets(self) -> list[int]:
        """All of them at once."""
        starts = accumulate(map(len, self.segments), initial=self.offset)
        step = len(self.joint)
        return [
            start + at * step + _lead(segment)
            for at, (segment, start) in enumerate(zip(self.segments, starts, strict=False))
        ]

    def text(self) -> str:
        """The text as it stood in the artefact, from `offset` on."""
        return f"{self.joint.join(self.segments)}{self.joint[0]}{self.tail}" if self.segments else self.tail


class Tail(Struct):
    """What stood after the last terminator: number, byte offset and text (blank when all is well)."""

    number: int = 0
    offset: int = 0
    text: str = ""


class Interchange(Struct):
    """One ISA..IEA: where it starts, its delimiters, and its segments in batches.

    The batches end with the source, with `Envelope.give_back`, or before an ISA of other delimiters.
    `goes_on` is whether its beginning is in another range.
    """

    number: int
    offset: int
    marks: Delimiters
    batches: Iterator[Batch]
    goes_on: bool = False


class Encoding:
    """Finds out what the bytes are: `name` is empty for ASCII, else ``utf8``, or ``latin1`` where they are not that."""

    def __init__(self) -> None:
        self.name = ""
        self._utf8 = getincrementaldecoder("utf-8")()

    def take(self, block: bytes) -> None:
        """Some more bytes."""
        if self.name == "latin1" or (not self.name and block.isascii()):
            return
        try:
            self._utf8.decode(block)
            self.name = "utf8"
        except UnicodeDecodeError:
            self.name = "latin1"


class Envelope:
    """Cuts a source into interchanges in constant memory.

    Text is decoded as Latin-1, one character a byte, so that offsets are exact; values that are
    UTF-8 are decoded where they are used (see `text`).
    """

    def __init__(self, source: Source, part: Range = _WHOLE) -> None:
        self._name = source.name
        whole = part == _WHOLE
        self._blocks = source.blocks(_BLOCK) if whole else source.part(part.start, part.stop, _BLOCK)
        self._buffer = ""
        self._offset = part.start
        self._number = part.before
        self._inside = delimiters(isa_of(source), source.name) if part.start else None
        self.encoding = Encoding()
        self.marks: Delimiters  # of the latest interchange
        self.tail = Tail()

    @property
    def next(self) -> tuple[int, int]:
        """The number and the byte offset of the segment that comes next."""
        return self._number + 1, self._offset

    def interchanges(self) -> Iterator[Interchange]:
        """Every interchange in order. Consume the batches of one before asking for the next.

        A range that starts inside the first interchange goes on with that one. Raises
        UnreadableError when the source does not start with an ISA.
        """
        if self._inside is not None:
            self.marks = self._inside
            yield Interchange(self._number + 1, self._offset, self.marks, self._batches(self.marks), goes_on=True)
        while self._fill_isa():
            self.marks = delimiters(self._buffer[: ISA_LENGTH * 2], self._name)
            yield Interchange(self._number + 1, self._offset, self.marks, self._batches(self.marks))
        if not self._number:
            raise UnreadableError(f"{self._name} is empty")

    def give_back(self, batch: Batch, number: int, offset: int) -> None:
        """Say that a batch was used only up to the segment `number` at `offset`: the rest comes again."""
        rest = batch.text[offset - batch.offset :]
        self._buffer = rest + self._buffer
        self._offset, self._number = offset, number - 1

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
        more = True
        while True:
            cut = self._buffer.rfind(marks.segment) + 1
            if cut:
                number, start, text, rest = self._number, self._offset, self._buffer[:cut], self._buffer[cut:]
                last = not more or _is_other_isa(rest.lstrip(BLANK), marks)
                self._number, self._offset, self._buffer = number + text.count(marks.segment), start + cut, rest
                yield Batch(number + 1, start, text, marks, last=last)
                if self._offset > start:  # what was given back, if anything, is not the whole batch
                    continue
            elif _is_other_isa(self._buffer.lstrip(BLANK), marks):
                return
            elif not more:
                self._end()
                return
            if len(self._buffer) > LONGEST:
                what = "a member" if cut > len(self._buffer) // 2 else "a segment"
                raise UnreadableError(f"{self._name}, byte {self._offset}: {what} without an end")
            more = self._more()

    def _end(self) -> None:
        self.tail = Tail(self._number + 1, self._offset, self._buffer)
        self._buffer = ""

    def _more(self) -> bool:
        block = next(self._blocks, b"")
        self.encoding.take(block)
        self._buffer += block.decode("latin-1")
        return bool(block)


def isa_of(source: Source) -> str:
    """The first characters of a source from its ISA on, enough to read its delimiters. Raises UnreadableError."""
    clean = source.head()[: 4 * ISA_LENGTH].decode("latin-1").lstrip(BLANK)
    return clean.removeprefix(_BOM).lstrip(BLANK)[: 2 * ISA_LENGTH]


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
