"""Cut one 834 into ranges at an INS, so that several workers can read it, and judge the envelope of all of them.

A worker that starts in the middle takes for granted that it is inside an 834 set of the first
interchange, for the purpose of the first one; `join` checks that, and where it was wrong the file is read in one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from fhir_equity.adapters.edi834.control import FULL, PURPOSE, Control, Recorder, replay
from fhir_equity.adapters.edi834.delimiters import BLANK, Delimiters, delimiters
from fhir_equity.adapters.edi834.envelope import isa_in, isa_of
from fhir_equity.adapters.protocol import Cut, Range, Read, Seam
from fhir_equity.adapters.source import BLOCK, Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Locator, Severity

LEAST = 4 * 1024 * 1024  # bytes of a range: less is read sooner than a worker is started


class Edges(Struct):
    """A range that was read: the delimiters at its end, which segment came next, the envelope, and the encoding."""

    part: Range
    marks: Delimiters
    next: tuple[int, int]
    control: Control
    encoding: str


def split(source: Source, pieces: int) -> list[Range]:
    """At most `pieces` ranges of a plain file; the digest of the source is known after it was cut.

    What cannot be cut is one range: packed and streamed sources, small ones, and those that do not
    start with a usable ISA, which `read` tells.
    """
    if source.path is None or pieces < 2:
        return [Range()]
    size = source.path.stat().st_size
    pieces = min(pieces, size // LEAST)
    try:
        marks = delimiters(isa_of(source), source.name)
        cuts = {_next_member(source, size * piece // pieces, marks) for piece in range(1, pieces)}
    except UnreadableError:
        return [Range()]
    if not cuts - {-1}:
        return [Range()]
    starts = [0, *sorted(cuts - {-1})]
    before = _segments_before(source, starts, marks)
    return [Range(start, stop, before[start]) for start, stop in pairwise([*starts, -1])]


def cut(head: bytes) -> Cut | None:
    """At a subscriber, so that dependents stay with theirs; at any member where the head has no subscriber."""
    try:
        marks = delimiters(isa_in(head), "")
    except UnreadableError:
        return None
    before = f"{marks.segment}{marks.line_end}".encode("latin-1")
    for member in (f"INS{marks.element}Y{marks.element}", f"INS{marks.element}"):
        mark = before + member.encode("latin-1")
        if mark in head:
            return Cut(mark, len(mark) - 1, mark[:1])
    return None


def verifies(source: Source) -> bool:
    """Whether the first set of a source only verifies (BGN08 = 4), as far as its first bytes tell."""
    head = source.head()
    marks = delimiters(isa_in(head), source.name)
    segments = head.decode("latin-1").split(marks.segment)
    bgn = next((each for each in segments if each.lstrip(BLANK).startswith(f"BGN{marks.element}")), "")
    cells = bgn.split(marks.element)
    return len(cells) > PURPOSE and cells[PURPOSE].strip(" ") == FULL


def _next_member(source: Source, after: int, marks: Delimiters) -> int:
    """The offset of the next segment INS, with the blanks before it; -1 where none is near."""
    segment, element = (re.escape(mark.encode("latin-1")) for mark in (marks.segment, marks.element))
    blanks = re.escape(BLANK.replace(marks.segment, "").encode())
    window = b"".join(source.part(after, after + BLOCK))
    member = segment + b"(?=[" + blanks + b"]*INS" + element
    # At a subscriber if there is one near, so that dependents stay with theirs.
    found = re.search(member + b"Y)", window) or re.search(member + b")", window)
    return after + found.end() if found else -1


def _segments_before(source: Source, starts: Sequence[int], marks: Delimiters) -> dict[int, int]:
    """How many segments end before each of these offsets, in one pass over the whole source."""
    terminator = marks.segment.encode("latin-1")
    counts = dict.fromkeys(starts, 0)
    number = offset = 0
    for block in source.blocks():
        for start in starts:
            if offset < start <= offset + len(block):
                counts[start] = number + block.count(terminator, 0, start - offset)
        number += block.count(terminator)
        offset += len(block)
    return counts


def join(seams: Sequence[Seam]) -> list[Read] | None:
    """What the envelope's counts and control numbers say, which only all ranges together know.

    None where a range does not go on where the one before it stopped. Raises UnreadableError where
    there is no 834 set in any.
    """
    edges: list[Edges] = [seam.state for seam in seams]
    if not edges:
        return []
    first = edges[0]
    control = first.control
    found: list[Read] = []
    for before, after in pairwise(edges):
        inside = control.taking and not control.ended and before.marks == first.marks
        if not inside or before.next != (after.part.before + 1, after.part.start):
            return None
        if isinstance(after.control, Recorder):
            if after.control.assumed != control.verifies:
                return None
            found += replay(control, after.control)
    control.refuse_others()
    return [*found, *told_encoding(first.control.name, [each.encoding for each in edges])]


def told_encoding(name: str, encodings: Sequence[str]) -> list[Finding]:
    """What the bytes of a source are that are no ASCII: one piece that is no UTF-8 decides for all."""
    known = set(encodings) - {""}
    code = "latin1" if "latin1" in known else "utf8"
    return [Finding(f"x12.encoding.{code}", Severity.INFO, Locator(name))] if known else []
