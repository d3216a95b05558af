"""Cut survey bytes into rows of cells: encodings, line ends, quotes, exact offsets and raw bytes."""

from __future__ import annotations

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec import Struct

# No survey row is longer; what is would be a missing quote that swallows the rest of the file.
MOST_BYTES = 1024 * 1024
MOST_LINES = 250

UTF8 = "utf-8"
FALLBACK = "cp1252"  # what a line that is not UTF-8 is read as
_BOMS = ((codecs.BOM_UTF8, UTF8), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_LINE = {
    UTF8: re.compile(rb"[^\r\n]*+(?:\r\n|\r|\n)"),
    "utf-16-le": re.compile(rb"(?s:(?!\r\0|\n\0)..)*+(?:\r\0\n\0|\r\0|\n\0)"),
    "utf-16-be": re.compile(rb"(?s:(?!\0\r|\0\n)..)*+(?:\0\r\0\n|\0\r|\0\n)"),
}


class Encoding(Struct, frozen=True):
    """How bytes become text. `bom` is the mark the file begins with."""

    name: str
    bom: bytes = b""


class Row(Struct, frozen=True):
    """One row: its number (from 1), its first byte, its bytes and its cells.

    `problem` says why there are no cells: quote, encoding, binary or too_long. `encoding` is the
    one the row was really in.
    """

    number: int
    offset: int
    raw: bytes
    cells: list[str] = []
    problem: str = ""
    encoding: str = UTF8


class _BadRowError(Exception):
    """Inside this module: why a row has no cells."""


class _Lines:
    """Physical lines that can be given back."""

    def __init__(self, stream: Iterator[bytes]) -> None:
        self._stream = stream
        self._returned: deque[bytes] = deque()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._returned.popleft() if self._returned else next(self._stream)

    def give_back(self, lines: list[bytes]) -> None:
        self._returned.extendleft(reversed(lines))


def encoding_of(head: bytes) -> Encoding:
    """The encoding by its byte order mark; UTF-8 where there is none."""
    for bom, name in _BOMS:
        if head.startswith(bom):
            return Encoding(name, bom)
    return Encoding(UTF8)


def rows(blocks: Iterable[bytes], encoding: Encoding, delimiter: str) -> Iterator[Row]:
    """Every row of a text in constant memory; joining their raw bytes gives the text back.

    Quoting is read strictly (RFC 4180 with a free delimiter): a stray quote rejects one physical
    line, and reading goes on with the next. A line that is not UTF-8 is read as Windows-1252.
    """
    lines = _Lines(_lines(blocks, encoding))
    ends = tuple(mark.encode(encoding.name) for mark in "\r\n")
    offset, cut = len(encoding.bom), False
    for number, line in enumerate(lines, start=1):
        if cut or len(line) >= MOST_BYTES:
            # The pieces of an endless line are rejected to its end: a piece must not pass for a row.
            cut = not line.endswith(ends)
            row = Row(number, offset, line, problem="too_long")
        else:
            row = _row(number, offset, line, lines, encoding.name, delimiter)
        yield row
        offset += len(row.raw)


def _row(number: int, offset: int, line: bytes, lines: _Lines, encoding: str, delimiter: str) -> Row:
    feed = _Feed(line, lines, encoding)
    try:
        cells = next(csv.reader(feed, delimiter=delimiter, strict=True))
    except (csv.Error, _BadRowError) as error:
        lines.give_back(feed.taken[1:])
        problem = str(error) if isinstance(error, _BadRowError) else "quote"
        return Row(number, offset, line, problem=problem, encoding=encoding)
    return Row(number, offset, b"".join(feed.taken), cells, encoding=feed.encoding)


class _Feed:
    """The physical lines of one row as text, remembering what was taken and how it was decoded."""

    def __init__(self, line: bytes, lines: _Lines, encoding: str) -> None:
        self.taken: list[bytes] = []
        self.encoding = encoding
        self._left = MOST_BYTES
        self._lines = chain([line], lines)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.taken.append(line)
        self._left -= len(line)
        if self._left <= 0 or len(self.taken) > MOST_LINES:
            raise _BadRowError("quote")
        text = self._text(line)
        if "\0" in text:
            raise _BadRowError("binary")
        return text

    def _text(self, line: bytes) -> str:
        try:
            return line.decode("utf-8" if self.encoding == FALLBACK else self.encoding)
        except UnicodeDecodeError:
            if self.encoding not in (UTF8, FALLBACK):
                raise _BadRowError("encoding") from None
        self.encoding = FALLBACK
        try:
            return line.decode(FALLBACK)
        except UnicodeDecodeError:  # five bytes are no character there
            return line.decode("latin-1")


def _lines(blocks: Iterable[bytes], encoding: Encoding) -> Iterator[bytes]:
    """Physical lines with their line ends (LF, CRLF or CR), in pieces of MOST_BYTES at the most."""
    pattern, carriage_return = _LINE[encoding.name], "\r".encode(encoding.name)
    rest, skip = b"", len(encoding.bom)
    for block in blocks:
        buffer = rest + block
        if skip > len(buffer):
            rest = buffer
            continue
        at, skip = skip, 0
        while found := pattern.match(buffer, at):
            # What follows a carriage return at the end of a block may be its line feed.
            if found[0].endswith(carriage_return) and len(buffer) - found.end() < len(carriage_return):
                break
            yield found[0]
            at = found.end()
        rest = buffer[at:]
        while len(rest) >= 2 * MOST_BYTES:
            yield rest[:MOST_BYTES]
            rest = rest[MOST_BYTES:]
    at = skip
    while found := pattern.match(rest, at):
        yield found[0]
        at = found.end()
    if rest[at:]:
        yield rest[at:]
