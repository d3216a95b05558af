"""The X12 envelope: delimiters from the ISA, and segments with their number and byte offset."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterator

from msgspec import Struct

from fhir_equity.adapters.edi834.batch import Batch
from fhir_equity.adapters.edi834.delimiters import BLANK, ISA_LENGTH, Delimiters, delimiters, lead, starts_isa
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError

_BLOCK = 32 * 1024  # bytes cut at a time: little enough to stay in the processor's cache
_WHOLE = Range()
_BOM = "\xef\xbb\xbf"  # a UTF-8 byte order mark, seen as Latin-1


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
        self._given_back = False  # whether the latest batch was: then it is known how many segments were used
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
        UnreadableError when the source does not start with an ISA that can be used; a later one that
        cannot is what stands after the last terminator.
        """
        if self._inside is not None:
            self.marks = self._inside
            yield Interchange(self._number + 1, self._offset, self.marks, self._batches(self.marks), goes_on=True)
        while self._fill_isa():
            try:
                self.marks = delimiters(self._buffer[: ISA_LENGTH * 2], self._name)
            except UnreadableError:
                if not self._number:
                    raise
                self._give_up()
                return
            batches = self._batches(self.marks, after_another=self._number > 0)
            yield Interchange(self._number + 1, self._offset, self.marks, batches)
        if not self._number:
            raise UnreadableError(f"{self._name} is empty")

    def give_back(self, batch: Batch, number: int, offset: int) -> None:
        """Say that a batch was used only up to the segment `number` at `offset`: the rest comes again."""
        rest = batch.text[offset - batch.offset :]
        self._buffer = rest + self._buffer
        self._offset, self._number, self._given_back = offset, number - 1, True

    def _fill_isa(self) -> bool:
        """Move to the next ISA and have enough of it; False at the end of the source."""
        while True:
            clean = self._buffer.lstrip(BLANK + _BOM)
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
        self._give_up()
        return False

    def _give_up(self) -> None:
        self._end()
        while self._next():  # so that the source's digest is of the whole content
            pass

    def _batches(self, marks: Delimiters, *, after_another: bool = False) -> Iterator[Batch]:
        more = True
        isa = f"{marks.segment}{marks.line_end}ISA{marks.element}"
        while True:
            # After the first interchange, which may be all, no batch is cut anew for each of many short ones.
            other = self._buffer.find(isa) + 1 if after_another else 0
            cut = other or self._buffer.rfind(marks.segment) + 1
            if cut:
                number, start, text, rest = self._number, self._offset, self._buffer[:cut], self._buffer[cut:]
                last = other > 0 or not more or _is_other_isa(rest, marks)
                self._offset, self._buffer, self._given_back = start + cut, rest, False
                yield Batch(number + 1, start, text, marks, last=last)
                if not self._given_back:
                    self._number = number + text.count(marks.segment)
                if self._offset > start:  # what was given back, if anything, is not the whole batch
                    continue
            elif _is_other_isa(self._buffer, marks):
                return
            elif not more:
                self._end()
                return
            # What we hold is a member that may go on, and a piece of a segment.
            start = cut + lead(self._buffer[cut:])
            if len(self._buffer) - start <= Batch.longest and start - cut <= Batch.longest:
                more = self._more(min(len(self._buffer) or 1, Batch.longest))
            else:
                batch = self._long_segment(start + Batch.longest, marks)
                more = batch is not None
                if batch is not None:
                    yield batch

    def _long_segment(self, most: int, marks: Delimiters) -> Batch | None:
        """Read over the rest of a segment of which no end is in sight; None where it has none."""
        held, dropped = self._buffer[:most], len(self._buffer) - most
        self._buffer = held
        while text := self._next():
            at = text.find(marks.segment)
            if at >= 0:
                batch = Batch(self._number + 1, self._offset, held + marks.segment, marks, dropped=dropped + at)
                self._number += batch.text.count(marks.segment)
                self._offset += len(batch.text) + batch.dropped
                self._buffer = text[at + 1 :]
                return batch
            dropped += len(text)
        return None

    def _end(self) -> None:
        self.tail = Tail(self._number + 1, self._offset, self._buffer)
        self._buffer = ""

    def _more(self, least: int = 1) -> bool:
        """Read at least so many bytes: what is twice as long each time is looked through only so often."""
        texts = []
        while least > 0 and (text := self._next()):
            texts.append(text)
            least -= len(text)
        self._buffer += "".join(texts)
        return bool(texts)

    def _next(self) -> str:
        block = next(self._blocks, b"")
        self.encoding.take(block)
        return block.decode("latin-1")


def isa_of(source: Source) -> str:
    """The first characters of a source from its ISA on, enough to read its delimiters. Raises UnreadableError."""
    return isa_in(source.head())


def isa_in(head: bytes) -> str:
    """The same of the first bytes of a source."""
    return head[: 4 * ISA_LENGTH].decode("latin-1").lstrip(BLANK + _BOM)[: 2 * ISA_LENGTH]


def _is_other_isa(rest: str, marks: Delimiters) -> bool:
    """Whether text without our terminator is an interchange of other delimiters: the one before it was cut off."""
    rest = rest.lstrip(BLANK.replace(marks.element, ""))
    other_element = len(rest) > 3 and rest[3] != marks.element
    return starts_isa(rest) and (other_element or len(rest) >= ISA_LENGTH * 2)


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
