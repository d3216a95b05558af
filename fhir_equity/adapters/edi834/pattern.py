"""The pattern that takes the usual members of an interchange out of its text, one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from fhir_equity.adapters.edi834.delimiters import Delimiters

QUALIFIER, LUI = 8, 4  # groups of a member, from the last: DMG01, which its id comes before, and all LUI
# Segments that are read over: after the name, before the languages, and below an HD after its DTP.
_READ_OVER = (("PER",), ("EC", "ICM", "AMT", "HLH"), ("AMT", "REF", "IDC"))


class _Drawn:
    """Pieces of the pattern, with these delimiters. Only the REF are tried twice: a repetition keeps what it has taken.

    `known` are the segment ids that the guide has: with any other there is a finding to tell of.
    """

    def __init__(self, marks: Delimiters, known: Collection[str]) -> None:
        self.element, segment = re.escape(marks.element), re.escape(marks.segment)
        self.end = re.escape(marks.segment + marks.line_end)
        self.rest, self.cell = f"[^{segment}]*+", f"[^{self.element}{segment}]*+"
        self.plain = f"[^{self.element}{segment} ]++"
        self.contacts, self.more, self.paid = ([each for each in kinds if each in known] for kinds in _READ_OVER)
        self.line = f"(HD{self.element}{self.rest})({self.every('DTP')})({self.every(*self.paid)})"

    def every(self, *kinds: str) -> str:
        """All segments of these kinds that follow."""
        return f"(?:{self.end}(?:{'|'.join(kinds)}){self.element}{self.rest})*+" if kinds else ""

    def refs(self, kinds: Collection[str]) -> str:
        """All REF: a group for REF02 of each where they are of these kinds in this order, and a group for all else."""
        e, end = self.element, self.end
        any_kind = f"((?:{end}REF{e}{self.cell}{e}{self.rest})*+)"
        if not kinds:
            return any_kind
        expected = "".join([f"{end}REF{e}{re.escape(kind)}{e}({self.plain})" for kind in kinds])
        return f"(?:{expected}(?!{end}REF{e})|{any_kind})"


def take_member(
    marks: Delimiters, known: Collection[str], kinds: Collection[str]
) -> Callable[[str, int], re.Match[str] | None]:
    """Takes out the member that starts at a place of a text, where it is drawn as usual and another follows.

    Of REF of these `kinds` (REF01) each REF02 is a group by itself, and the group of all REF is none.
    """
    drawn = _Drawn(marks, known)
    e, end, rest, cell = drawn.element, drawn.end, drawn.rest, drawn.cell
    contact = f"{end}(PER){e}{rest}" if drawn.contacts else "(PER){0}"
    line = f"{end}HD{e}{rest}{drawn.every('DTP')}{drawn.every(*drawn.paid)}"
    return re.compile(
        f"(INS{e}{rest}){drawn.refs(kinds)}({drawn.every('DTP')})"
        f"{end}(NM1{e}IL{e}{rest})(?:{contact})?+(?:{end}N3{e}({rest}))?+(?:{end}(N4{e}{rest}))?+"
        f"(?:{end}DMG{e}({cell}){e}({cell})(?:{e}({rest}))?+)?+({drawn.every(*drawn.more)})({drawn.every('LUI')})"
        f"(?:{end}{drawn.line}((?:{line})*+))?+(?={end}INS{e})"
    ).match


def cut_coverages(marks: Delimiters, known: Collection[str]) -> Callable[[str], list[tuple[str, str, str]]]:
    """Cuts a text into HD, the DTP of each, and what else is below it."""
    drawn = _Drawn(marks, known)
    return re.compile(f"{drawn.end}{drawn.line}").findall
