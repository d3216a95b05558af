"""What the answers of earlier months would have been, for measures that compare with them.

Answers carry the day they were first seen, and spans of enrollment say who was enrolled then, so a store can
count an earlier month again. Files show one moment only; there a program's own `reference` is compared with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction

from fhir_equity.model import Event, Member, Resolution
from fhir_equity.quality.measures import ALL, Measuring
from fhir_equity.quality.populations import period
from fhir_equity.quality.programs import Program
from fhir_equity.quality.tally import Tally
from fhir_equity.vocabulary import Vocabulary

MONTHS = {"previous_month": 1, "mean_of_six": 6}
Reference = dict[str, dict[str, Fraction]]  # shares by value, by measure
Resolve = Callable[[Sequence[Event]], Mapping[str, Resolution]]


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
                months = [_shares(self._tallies[end], self.program.name, name) for end, _ in self._measuring]
                if all(months):
                    values = {value for month in months for value in month}
                    found[name] = {
                        value: sum((month.get(value, Fraction()) for month in months), Fraction()) / len(months)
                        for value in sorted(values)
                    }
        return found


def month_ends(before: str, months: int) -> list[str]:
    """The last days of so many months that ended before an ISO date, the latest first."""
    found, day = [], date.fromisoformat(before)
    for _ in range(months):
        day = day.replace(day=1) - timedelta(days=1)
        found.append(day.isoformat())
    return found


def _shares(tally: Tally, program: str, measure: str) -> dict[str, Fraction]:
    values = {key[4]: n for key, n in tally.items() if key[:4] == (program, ALL, "value", measure) and n}
    whole = sum(values.values())
    return {value: Fraction(count, whole) for value, count in values.items()}
