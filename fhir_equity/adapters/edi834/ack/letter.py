"""Write an answer: an interchange from the receiver back to the sender, in the sender's own delimiters."""

from __future__ import annotations

import re
import tempfile
from typing import IO

from msgspec import Struct

from fhir_equity.adapters.edi834.delimiters import Delimiters

VERSION = "005010X231A1"
_SPOOLED = 1024 * 1024  # bytes of a body kept in memory
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REPETITIONS = "^!|`"  # tried in turn where the sender named no repetition separator


class Numbers:
    """Control numbers of the answers: those received, or `first` and counting on.

    An answer carries by default ISA13 and GS06 of what it answers, so that the same file has the
    same answer; with `first` they are the caller's own.
    """

    def __init__(self, first: int = 0) -> None:
        self._interchange = self._group = first
        self._own = first > 0
        self._set = 0

    def interchange(self, received: str) -> str:
        """ISA13, nine digits."""
        self._interchange += 1
        return f"{self._interchange - 1 if self._own else _digits(received) or self._interchange:09d}"

    def group(self, received: str) -> str:
        """GS06, one to nine digits."""
        self._group += 1
        return str(self._group - 1 if self._own else _digits(received) or self._group)

    def set(self) -> str:
        """ST02, counted through the whole answer."""
        self._set += 1
        return f"{self._set:04d}"


class Stamp(Struct, frozen=True):
    """When the answer is written: `day` CCYYMMDD, `time` HHMM."""

    day: str
    time: str


class Letter:
    """One interchange being written. Its body is spooled, as its TA1 comes first and is known last.

    Set `isa` to the elements of the ISA received, its id at 0, before it is sent.
    """

    def __init__(self, marks: Delimiters, numbers: Numbers, stamp: Stamp) -> None:
        free = [mark for mark in _REPETITIONS if mark not in (marks.element, marks.component, marks.segment)]
        self._marks = marks
        self._repetition = marks.repetition or free[0]
        self._line_end = "" if marks.segment in "\r\n" else "\n"
        self.isa = [""] * 17
        self._numbers, self._stamp = numbers, stamp
        self._groups = self._segments = 0
        self._group = self._set = ""
        # Closed in `close`; its bytes are nobody else's to read.
        self._body: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115

    def copied(self, value: str, most: int) -> str:
        """A value received, free of what would break the answer."""
        clean = _CONTROL.sub("", value).strip(" ")
        for mark in (self._marks.component, self._repetition):
            clean = clean.replace(mark, "")
        return clean[:most]

    def segment(self, *parts: str) -> None:
        """Add a segment to the body; empty elements at its end are left out."""
        self._body.write(self._bytes(parts))
        self._segments += 1

    def parts(self, *components: str) -> str:
        """A composite; empty components at its end are left out."""
        mark = self._marks.component
        return mark.join(components).rstrip(mark)

    def open_group(self, gs: list[str]) -> None:
        """GS, ST and AK1: one 999 for the group whose GS has these elements."""
        self._groups += 1
        self._group, self._set = self._numbers.group(gs[6]), self._numbers.set()
        sender, receiver = self.copied(gs[3], 15), self.copied(gs[2], 15)
        self.segment("GS", "FA", sender, receiver, self._stamp.day, self._stamp.time, self._group, "X", VERSION)
        self._segments = 0
        self.segment("ST", "999", self._set, VERSION)
        self.segment("AK1", self.copied(gs[1], 2), self.copied(gs[6], 9), self.copied(gs[8], 12))

    def close_group(self) -> None:
        """SE and GE."""
        self.segment("SE", str(self._segments + 1), self._set)
        self.segment("GE", "1", self._group)

    def send(self, out: IO[bytes], ta1: tuple[str, str] | None, *, body: bool) -> bool:
        """Write the interchange: TA104 and TA105 where they are wanted, then the 999s; whether there was any."""
        groups = self._groups if body else 0
        if ta1 is None and not groups:
            return False
        number = self._numbers.interchange(self.isa[13].strip(" "))
        names = [self._name(place) for place in (7, 8, 5, 6)]
        isa = ["ISA", "00", " " * 10, "00", " " * 10, *names, self._stamp.day[2:], self._stamp.time]
        usage = "P" if self.isa[15].strip(" ") == "P" else "T"
        out.write(self._bytes([*isa, self._repetition, "00501", number, "0", usage, self._marks.component], whole=True))
        if ta1 is not None:
            received = (self.copied(self.isa[place], most) for place, most in ((13, 9), (9, 6), (10, 4)))
            out.write(self._bytes(["TA1", *received, *ta1]))
        if groups:
            self._body.seek(0)
            for block in iter(lambda: self._body.read(_SPOOLED), b""):
                out.write(block)
        out.write(self._bytes(["IEA", str(groups), number]))
        return True

    def close(self) -> None:
        """Forget the body."""
        self._body.close()

    def _name(self, place: int) -> str:
        width = 15 if place in (6, 8) else 2
        return f"{self.copied(self.isa[place], width):{width}}"

    def _bytes(self, parts: list[str] | tuple[str, ...], *, whole: bool = False) -> bytes:
        line = self._marks.element.join(parts)
        line = line if whole else line.rstrip(self._marks.element)
        return (line + self._marks.segment + self._line_end).encode("latin-1")


def _digits(received: str) -> int:
    """A control number received, 0 where it is none that could be used again."""
    return int(received) if received.isascii() and received.isdecimal() and len(received) <= 9 else 0
