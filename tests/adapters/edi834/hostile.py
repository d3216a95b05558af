"""Streams that mean harm, made as they are read: ``python -m tests.adapters.edi834.hostile NAME`` reads one of them.

A process of its own, so that its peak memory is that of this stream.
"""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import IO, Any, cast

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from tests.adapters.edi834.files import ADA, BRUNO, CONTEXT, codes, file, isa, join, segments

MILLION = 1_000_000
_WHOLE = file(ADA, BRUNO)
_SECOND, _END = _WHOLE.index(b"INS*N"), _WHOLE.index(b"SE*")
HEADER, FIRST = _WHOLE[: _WHOLE.index(b"INS*Y")], _WHOLE[:_SECOND]  # up to the members, and with the first
REST, TRAILER = _WHOLE[_SECOND:], _WHOLE[_END:]  # from the second member on, and after it
NOBODY = b"INS*Y*18~NM1*IL*1*CEDAR*****ZZ*M3~"

Chunks = Iterator[bytes]


def _in(before: bytes, body: bytes, count: int, after: bytes) -> Chunks:
    """`body` so many times between two pieces."""
    many = max(1, min(count, MILLION // len(body)))
    return chain([before], repeat(body * many, count // many), [body * (count % many), after])


def _each(make: Callable[[int], bytes], count: int, before: bytes = b"", after: bytes = b"") -> Chunks:
    """What `make` makes of every number, between two pieces."""
    return chain([before], map(make, range(count)), [after])


def _interchange(number: int) -> bytes:
    """An interchange with one member, under delimiters that change every time."""
    return join(segments(ADA, control=f"{number:09}"), marks=("*:^~", "|>!'", "+.;\n")[number % 3])


def _set(number: int) -> bytes:
    """A set of a kind that there is none of."""
    return f"ST*{number}{'X' * 900}*1~SE*2*1~".encode()


def _shape(number: int) -> bytes:
    """A member of a shape and with values that no other has."""
    odd = "~".join(f"X{digit}" for digit in str(number))
    person = f"INS*Y*18*{number}~REF*{number}*{number}~NM1*IL*1*A*B****ZZ*{number}"
    return f"{person}~{odd}~DMG*D8**{number}**{number}~".encode()


AFTER_HEADER = _WHOLE[len(HEADER) :]
SETS = _WHOLE.index(b"ST*")
ISA = (isa() + "~").encode()

STREAMS: dict[str, Callable[[], Chunks]] = {
    "a segment of 2 GB": lambda: _in(FIRST + b"N3*", b"A" * MILLION, 2000, b"~" + REST),
    "a segment of 2 GB without an end": lambda: _in(FIRST + b"N3*", b"A" * MILLION, 2000, b""),
    "a segment of separators": lambda: _in(FIRST + b"N3", b"*", 200 * MILLION, b"~" + REST),
    "a segment of the header": lambda: _in(HEADER + b"REF*38*", b"A", 200 * MILLION, b"~" + AFTER_HEADER),
    "an INS": lambda: _in(FIRST + b"INS*Y*", b"A", 200 * MILLION, b"~" + REST),
    "an SE": lambda: _in(_WHOLE[:_END] + b"SE*", b"9", 200 * MILLION, b"~" + TRAILER[TRAILER.index(b"GE") :]),
    "an ISA": lambda: _in(_WHOLE + b"ISA*", b"9", 200 * MILLION, b""),
    "blanks": lambda: _in(_WHOLE, b" \n", 100 * MILLION, _WHOLE),
    "empty segments in the header": lambda: _in(HEADER, b"~", 10 * MILLION, AFTER_HEADER),
    "empty segments in a member": lambda: _in(FIRST, b"~", 10 * MILLION, REST),
    "empty segments after the end": lambda: _in(_WHOLE, b"~", 10 * MILLION, b""),
    "repeats": lambda: _in(HEADER + NOBODY + b"DMG*D8*19800131*F**", b"C^", MILLION, b"C~" + REST),
    "more repeats": lambda: _in(HEADER + NOBODY + b"DMG*D8*19800131*F**", b"C^", 2 * MILLION, b"C~" + REST),
    "empty repeats": lambda: _in(HEADER + NOBODY + b"DMG*D8*19800131*F**", b"^", MILLION, b"~" + REST),
    "languages": lambda: _in(FIRST, b"LUI*LE*SPA**7~", MILLION, REST),
    "coverages": lambda: _in(FIRST, NOBODY + b"HD*021**HLT*P~DTP*348*D8*20260101~" * 20_000, 60, REST),
    "unknown segments": lambda: _in(FIRST, b"XX*1~", MILLION, REST),
    "names": lambda: _in(FIRST, b"NM1*IL*1*A~", MILLION, REST),
    "the same ISA": lambda: _in(ISA, ISA, 100_000, _WHOLE),
    "new ISA": lambda: _each(lambda number: f"{isa(f'{number:09}')}~".encode(), 100_000, after=_WHOLE),
    "changing delimiters": lambda: _each(_interchange, 20_000),
    "kinds of sets": lambda: _each(_set, 100_000, _WHOLE[:SETS], _WHOLE[SETS:]),
    "shapes": lambda: _each(_shape, 50_000, HEADER, TRAILER),
}


class Stream(io.RawIOBase):
    """Chunks one after the other, as a file."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = filter(None, chunks)
        self._chunk, self._at = b"", 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; those of small chunks together."""
        found: list[bytes] = []
        while size > 0:
            piece = self._chunk[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            found.append(piece)
            if not piece:
                self._chunk, self._at = next(self._chunks, b""), 0
                if not self._chunk:
                    break
        return b"".join(found)


def outcome(name: str) -> dict[str, Any]:
    """What is read of a stream: how many of each kind and of each finding, the refusal, CPU seconds and peak MB."""
    kinds: Counter[str] = Counter()
    found: Counter[str] = Counter()
    refusal = ""
    source = Source("f.834", lambda: cast("IO[bytes]", Stream(STREAMS[name]())))
    start = time.process_time()
    try:
        for item in ADAPTER.read(source, Range(), CONTEXT):
            kinds[type(item).__name__] += 1
            found.update(set(codes([item])))
    except UnreadableError as error:
        refusal = str(error)
    seconds = time.process_time() - start
    status = Path("/proc/self/status")  # its peak is of this program; that of getrusage is of who started it, too
    known = status.is_file() and re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    peak = int(known[1]) / 1024 if known else 0.0
    return {"kinds": kinds, "codes": found, "refusal": refusal, "seconds": seconds, "peak": peak, "size": source.size}


if __name__ == "__main__":
    json.dump(outcome(sys.argv[1]), sys.stdout)
