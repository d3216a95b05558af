"""What the answers of earlier months would have been, for measures that compare with them.

Answers carry the day they were first seen, and spans of enrollment say who was enrolled then, so a store can
count an earlier month again. Files show one moment only; there a program's own `reference` is compared with. What
was frozen in a snapshot is compared with as it was, whatever was learnt since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from msgspec import Struct

from fhir_equity.model import Event, Member, Resolution
from fhir_equity.quality.measures import ALL, Measuring
from fhir_equity.quality.populations import period
from fhir_equity.quality.programs import Program
from fhir_equity.quality.tally import Tally
from fhir_equity.vocabulary import Vocabulary

MONTHS = {"previous_month": 1, "mean_of_six": 6}
Reference = dict[str, dict[str, Fraction]]  # shares by value, by measure
Resolve = Callable[[Sequence[Event]], Mapping[str, Resolution]]


class Remembered(Struct, frozen=True):
    """What snapshots hold of a program: shares by value, by measure, and a sentence that says which they are."""

    shares: Reference
    told: str


class Earlier:
    """One program counted at the ends of the months before. Mergeable, like `Measuring`."""

    def __init__(self, program: Program, vocabulary: Vocabulary, as_of: str) -> None:
        self.program = program
        ends = month_ends(period(program.population, as_of)[1], MONTHS.get(program.compare_with, 0))
        self._measuring = [(end, Measuring(program, vocabulary, end)) for end in ends]
        self._tallies: dict[str, Tally] = {end: Counter() for end in ends}

    @property
    def size(self) -> int:
        """How many words of a record are kept."""
        return sum(measuring.standing.size for _, measuring in self._measuring)

    def words(self, member: Member) -> tuple[str, ...]:
        """What a record says about its person's place in each of the months."""
        return tuple([word for _, measuring in self._measuring for word in measuring.standing.words(member)])

    def add(self, words: Sequence[Sequence[str]], events: Sequence[Event], resolve: Resolve, count: int) -> None:
        """Count `count` people as they were known at the end of each month."""
        start = 0
        for end, measuring in self._measuring:
            stop = start + measuring.standing.size
            known = [event for event in events if event.first_seen <= end]
            if known:
                measuring.add(self._tallies[end], [each[start:stop] for each in words], resolve(known), count)
            start = stop

    def reference(self) -> Reference:
        """The mean of the months' distributions; nothing for a measure of which a month is not known."""
        found: Reference = {}
        for name, measure in self.program.measure.items():
            if measure.kind == "dissimilarity" and self._measuring:
                months = [_values(self._tallies[end], self.program.name, name) for end, _ in self._measuring]
                if all(months):
                    found[name] = _mean(months)
        return found


def frozen_reference(program: Program, results: Sequence[Mapping[str, Any]]) -> Reference:
    """The mean of the distributions of earlier results of a program; nothing for a measure that one of them lacks."""
    found: Reference = {}
    for name, measure in program.measure.items():
        if measure.kind == "dissimilarity":
            counted = [_of_everybody(result, name) for result in results]
            if counted and all(counted):
                found[name] = _mean(counted)
    return found


def _of_everybody(result: Mapping[str, Any], measure: str) -> dict[str, int]:
    """The values of a measure in its row of all product lines, which comes last."""
    rows = [row for row in result["rows"] if row["measure"] == measure]
    return {value: count for value, count in rows[-1].get("values", {}).items() if count} if rows else {}


def _mean(counted: Sequence[Mapping[str, int]]) -> dict[str, Fraction]:
    """The mean of the shares of distributions, each of which counts the same however many people it has."""
    wholes = [sum(each.values()) for each in counted]
    return {
        value: sum((Fraction(each.get(value, 0), n) for each, n in zip(counted, wholes, strict=True)), Fraction())
        / len(counted)
        for value in sorted({value for each in counted for value in each})
    }


def month_ends(before: str, months: int) -> list[str]:
    """The last days of so many months that ended before an ISO date, the latest first."""
    found, day = [], date.fromisoformat(before)
    for _ in range(months):
        day = day.replace(day=1) - timedelta(days=1)
        found.append(day.isoformat())
    return found


def _values(tally: Tally, program: str, measure: str) -> dict[str, int]:
    return {key[4]: n for key, n in tally.items() if key[:4] == (program, ALL, "value", measure) and n}
