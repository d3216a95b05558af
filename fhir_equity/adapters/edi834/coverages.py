"""What the HD of a usual member say, with their dates and what else is below them: texts that repeat are cut once."""

from __future__ import annotations

from collections.abc import Callable

from fhir_equity.adapters.edi834.insured import OPEN, InsuredReader, Losses, Span, Spans
from fhir_equity.adapters.edi834.memory import Memory

_ID = 3  # characters of a segment's id, with the separator where it has two

Dated = tuple[tuple[Span, ...], Losses, int]  # the span if there is one, what is not kept, and how many DTP
# Of all HD: the first product line, its spans, the other ones, what is not kept, how many segments, and
# the ids of those that are read over.
Covered = tuple[str, tuple[Span, ...], dict[str, list[Span]], tuple[Losses, ...], int, str]
_NO_OTHERS: dict[str, list[Span]] = {}
UNCOVERED: Covered = ("", (), _NO_OTHERS, (), 0, "")


class Coverages:
    """Reads all HD of a usual member of one interchange, whose segments `joint` stands between.

    `cut` gives of a text each HD, its DTP, and what else is below it.
    """

    def __init__(self, insurance: InsuredReader, joint: str, cut: Callable[[str], list[tuple[str, str, str]]]) -> None:
        self._joint, self._cut = joint, cut
        self._first_id = slice(len(joint), len(joint) + _ID)
        self._hd, self._days = insurance.coverage, dates(insurance.covered, joint)

    def of(self, hd: str, days: str, paid: str, more: str) -> Covered | None:
        """What the first HD says, then those in `more`; None where one of their dates is none."""
        dated = self._days.get(days) or self._days[days]
        if dated is None:
            return None
        code, losses = self._hd.get(hd) or self._hd[hd]
        spans, undated, count = dated
        passed, below = self.passed(paid)
        if more:
            return self._with(code, [*spans], [losses, undated], 1 + count + below, [passed], more)
        return code, spans, _NO_OTHERS, (losses, undated), 1 + count + below, passed

    def _with(
        self, coverage: str, covering: list[Span], lost: list[Losses], segments: int, passed: list[str], more: str
    ) -> Covered | None:
        """The same with the HD in `more`: those of another product line are others."""
        others: dict[str, list[Span]] = {}
        for each in self._cut(more):
            line = self.of(*each, "")
            if line is None:
                return None
            code, spans, _, losses, count, ids = line
            coverage = coverage or code
            if code and code != coverage:
                others.setdefault(code, []).extend(spans)
            else:
                covering += spans
            lost += losses
            passed.append(ids)
            segments += count
        return coverage, tuple(covering), others, tuple(lost), segments, "".join(passed)

    def passed(self, text: str) -> tuple[str, int]:
        """The beginning of each segment of a text, as long as its id or one longer; and how many there are."""
        if not text:
            return "", 0
        joint, count = self._joint, text.count(self._joint)
        if count > 2:
            return "".join([segment[:_ID] for segment in text.split(joint)]), count
        first = text[self._first_id]
        if count == 1:
            return first, 1
        last = text.rfind(joint) + len(joint)
        return first + text[last : last + _ID], 2


def ids(passed: str, element: str) -> list[str]:
    """The ids of what was `passed`, each once."""
    return [*dict.fromkeys(passed[at : at + _ID].strip(element) for at in range(0, len(passed), _ID))]


def dates(spans: Spans, joint: str) -> Memory[str, Dated | None]:
    """What the DTP of a loop say, as one text; None where one of them is no date."""

    def cut(text: str) -> Dated | None:
        segments = tuple(text.split(joint)[1:])
        if not segments:
            return (), (), 0
        span, faults, losses = spans[segments if len(segments) > 1 else segments[0]]
        return None if faults else ((span,) if span != OPEN else (), losses, len(segments))

    return Memory(cut)
