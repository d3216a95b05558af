"""Cut one 834 into ranges at an INS, so that several workers can read it.

A worker that starts in the middle takes for granted that it is inside an 834 set of the first
interchange, for the purpose of the first one; `joint` checks that, and where it was wrong the file is read in one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from fhir_equity.adapters.edi834.control import FULL, PURPOSE
from fhir_equity.adapters.edi834.delimiters import BLANK, Delimiters, delimiters
from fhir_equity.adapters.edi834.envelope import isa_in, isa_of
from fhir_equity.adapters.protocol import Cut, Range
from fhir_equity.adapters.source import BLOCK, Source
from fhir_equity.errors import UnreadableError

LEAST = 512 * 1024  # bytes of a range


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
    return [Range(start, stop, *before[start]) for start, stop in pairwise([*starts, -1])]


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


def _segments_before(source: Source, starts: Sequence[int], marks: Delimiters) -> dict[int, tuple[int, int]]:
    """How many segments end before each of these offsets, and the number of the ST before it, in one pass over all."""
    terminator = marks.segment.encode("latin-1")
    st = terminator + f"{marks.line_end}ST{marks.element}".encode("latin-1")
    overlap = len(st) - 1
    counts = {0: (0, 0)}
    left = [*reversed([start for start in starts if start])]
    number = opened = offset = 0
    tail = b""
    for block in source.blocks():
        text = tail + block  # of a mark that the edge of a block cuts, the beginning is in the tail
        first, at = offset - len(tail), offset
        while at < offset + len(block):
            stop = min(left[-1] if left else offset + len(block), offset + len(block))
            found = text.rfind(st, max(at - first - overlap, 0), stop - first)
            if found >= 0:
                opened = number + text.count(terminator, at - first, found + 1) + 1
            number += text.count(terminator, at - first, stop - first)
            if left and stop == left[-1]:
                counts[left.pop()] = (number, opened)
            at = stop
        offset += len(block)
        tail = text[-overlap:]
    return counts
