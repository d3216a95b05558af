"""The X12 envelope: delimiters from the ISA, and segments with their number and byte offset."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError

ISA_LENGTH = 106
LONGEST_SEGMENT = 4 * 1024 * 1024  # a member's segment is a few hundred bytes; this is no 834
_BLANK = " \r\n\t\ufeff"
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
    read by counting separators. Raises UnreadableError when the ISA is incomplete.
    """
    element = isa[3:4]
    place = -1
    for _ in range(16):
        place = isa.find(element, place + 1)
        if place < 0:
            raise UnreadableError(f"{name} ends inside its first segment (ISA)")
    if len(isa) < place + 3:
        raise UnreadableError(f"{name} ends inside its first segment (ISA)")
    component, segment = isa[place + 1], isa[place + 2]
    isa11 = isa.split(element, 12)[11]
    # ISA11 was "U" (standards id) until 4010 and still is in many 00501 files: no separator then.
    repetition = isa11 if len(isa11) == 1 and not isa11.isalnum() else ""
    return Delimiters(element, component, repetition, segment, place + 3 == ISA_LENGTH, isa11)


class Tail(Struct):
    """What stood after the last terminator: number, byte offset and text (blank when all is well)."""

    number: int = 0
    offset: int = 0
    text: str = ""


class Interchange(Struct):
    """One ISA..IEA: its delimiters and its segments in batches.

    A batch is (number of its first segment, byte offset of it, raw segments without terminator);
    segments keep the line ends that stood before them, so that offsets add up.
    """

    marks: Delimiters
    batches: Iterator[tuple[int, int, list[str]]]


class Envelope:
    """Cuts a source into interchanges in constant memory.

    Text is decoded as Latin-1, one character a byte, so that offsets are exact; values that are
    UTF-8 are decoded where they are used (see `text`).
    """

    def __init__(self, source: Source) -> None:
        self._name = source.name
        self._blocks = source.blocks()
        self._buffer = ""
        self._offset = 0
        self._number = 0
        self.tail = Tail()

    def interchanges(self) -> Iterator[Interchange]:
        """Every interchange in order. Consume the batches of one before asking for the next."""
        first = True
        while self._fill_isa():
            marks = delimiters(self._buffer[: ISA_LENGTH * 2], self._name)
            yield Interchange(marks, self._batches(marks))
            first = False
        if first:
            raise UnreadableError(f"{self._name} is empty")

    def _fill_isa(self) -> bool:
        """Move to the next ISA and have enough of it; False at the end of the source."""
        while True:
            blank = len(self._buffer) - len(self._buffer.removeprefix(_BOM).lstrip(_BLANK))
            self._skip(blank)
            if len(self._buffer) >= ISA_LENGTH * 2 or not self._more():
                break
        if not self._buffer:
            return False
        if not self._buffer.startswith("ISA"):
            if self._number:
                self.tail = Tail(self._number + 1, self._offset, self._buffer)
                self._drain()
                return False
            raise UnreadableError(f"{self._name} is no X12 interchange: it does not start with ISA")
        return True

    def _batches(self, marks: Delimiters) -> Iterator[tuple[int, int, list[str]]]:
        while True:
            parts = self._buffer.split(marks.segment)
            rest = parts.pop()
            end = None
            if "IEA" in self._buffer:  # rarely true, and a scan of every segment is not free
                end = next((i for i, p in enumerate(parts) if p.lstrip(_BLANK).startswith("IEA")), None)
            if end is not None:
                del parts[end + 1 :]
            number, offset = self._number + 1, self._offset
            self._number += len(parts)
            self._skip(sum(map(len, parts)) + len(parts))
            if parts:
                yield number, offset, parts
            if end is not None:
                return
            if len(rest) > LONGEST_SEGMENT:
                raise UnreadableError(f"{self._name}, byte {self._offset}: a segment without an end")
            if not self._more():
                self.tail = Tail(self._number + 1, self._offset, self._buffer)
                self._buffer = ""
                return

    def _more(self) -> bool:
        block = next(self._blocks, b"")
        self._buffer += block.decode("latin-1")
        return bool(block)

    def _skip(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._offset += count

    def _drain(self) -> None:
        for _ in self._blocks:  # so that the source's digest is of the whole content
            pass
        self._buffer = ""


def text(value: str) -> str:
    """A value as its sender meant it: UTF-8 where the bytes are valid UTF-8, else Latin-1."""
    if value.isascii():
        return value.strip()
    try:
        return value.encode("latin-1").decode("utf-8").strip()
    except UnicodeDecodeError:
        return value.strip()
