"""What changed in a source from one month or file to the next: drift, jumps, vanished values, alternation.

A period is the month of collection, else the file, else (from a store, which keeps an answer once) the month
in which the answer was first seen. Periods are compared in the order of their names, months with months and
files with files. A changed answer of a person is no error and is not looked at; one that a source takes back
and gives again, over and over, is a matter of the source, and is counted by source only. No sensitive topic
is ever looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from fhir_equity.model import Event, Meaning, Received, State
from fhir_equity.quality.ages import date_of
from fhir_equity.quality.results import dissimilarity
from fhir_equity.quality.rulebook import Rule, Rulebook
from fhir_equity.quality.sources import MONTH, Suspicion
from fhir_equity.quality.tally import RACE
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.codes import LANGUAGE
from fhir_equity.vocabulary.schema import OTHER_RACE

Period = tuple[str, str]  # what kind, and which
Said = tuple[str, Period, str, str]  # topic, period, date, value
MOST = 20_000  # events remembered before the memory starts afresh
RULES = ("source.drift", "source.jump", "source.value_vanished", "source.alternates", "source.other_share")
MULTIRACIAL = "Multiracial and/or Multiethnic"


class Drift:
    """Counts what sources say about race, ethnicity and language, by period. Counts are of people."""

    def __init__(self, vocabulary: Vocabulary, rules: Rulebook) -> None:
        self._schema = vocabulary.schema
        self._codes = vocabulary.codes
        self._rules = rules
        topics = vocabulary.codes.topics
        sensitive = {topic.name for topic in topics.values() if topic.sensitive}
        self._watched = frozenset().union(*(rules[name].topics for name in RULES)) - sensitive
        self._matter = {name: topic.matter for name, topic in topics.items()}
        self._values: Counter[tuple[str, str, Period, str]] = Counter()  # by source, topic, period and value
        self._often: Counter[tuple[str, str]] = Counter()  # people with three statements, by source and topic
        self._alternating: Counter[tuple[str, str]] = Counter()
        self._known: dict[Event, Said | None] = {}

    def add(self, partner: str, events: Sequence[Event], meaning: Callable[[Received], Meaning], count: int) -> None:
        """Count `count` people of whom these events tell."""
        told: dict[tuple[str, str], dict[tuple[str, Period], set[str]]] = {}
        for event in events:
            said = self._remembered(event, meaning)
            if said is not None:
                topic, period, day, value = said
                source = f"{partner}/{event.origin.collector}/{event.origin.method}"
                told.setdefault((source, topic), {}).setdefault((day, period), set()).add(value)
        for (source, topic), series in told.items():
            keys = {(period, value) for (_, period), values in series.items() for value in values}
            for period, value in keys:
                self._values[source, topic, period, value] += count
            if len(series) > 2:
                self._often[source, topic] += count
                if _alternates([frozenset(series[when]) for when in sorted(series)]):
                    self._alternating[source, topic] += count

    def _remembered(self, event: Event, meaning: Callable[[Received], Meaning]) -> Said | None:
        if event not in self._known:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[event] = self._of_event(event, meaning)
        return self._known[event]

    def _of_event(self, event: Event, meaning: Callable[[Received], Meaning]) -> Said | None:
        topic = self._matter[event.received[0].topic]
        if topic not in self._watched:
            return None
        answers = [meant for meant in map(meaning, event.received) if meant.state is State.ANSWERED]
        value = self._race(event, answers) if topic == RACE else _language(answers)
        return (topic, _period(event), date_of(event), value) if value else None

    def _race(self, event: Event, answers: Sequence[Meaning]) -> str:
        categories = self._schema.omb2024(answers, event.origin.standard).categories
        other = any(concept.coding.code == OTHER_RACE for meant in answers for concept in meant.concepts)
        if other and not categories:
            return self._schema.races_1997[OTHER_RACE]
        return MULTIRACIAL if len(categories) > 1 else "".join(categories)

    def suspicions(self) -> Iterator[Suspicion]:
        """What the rules find, in a fixed order."""
        for (source, topic), periods in sorted(self._series().items()):
            yield from self._too_many_others(source, topic, periods)
            for before, after in pairwise(sorted(periods)):
                if before[0] == after[0]:
                    yield from self._compared(source, topic, after[1], periods[before], periods[after])
            yield from self._alternated(source, topic)

    def _series(self) -> dict[tuple[str, str], dict[Period, Counter[str]]]:
        found: dict[tuple[str, str], dict[Period, Counter[str]]] = {}
        for (source, topic, period, value), count in self._values.items():
            found.setdefault((source, topic), {}).setdefault(period, Counter())[value] += count
        return found

    def _compared(
        self, source: str, topic: str, period: str, before: Counter[str], after: Counter[str]
    ) -> Iterator[Suspicion]:
        people = min(before.total(), after.total())
        for rule, case in (
            (self._rules["source.drift"], _drifted),
            (self._rules["source.jump"], _jumped),
            (self._rules["source.value_vanished"], _vanished),
        ):
            if topic in rule.topics and people >= rule.least and case(rule, before, after):
                yield Suspicion(rule.name, source, topic, period, after.total())

    def _too_many_others(self, source: str, topic: str, periods: dict[Period, Counter[str]]) -> Iterator[Suspicion]:
        rule = self._rules["source.other_share"]
        values = sum(periods.values(), Counter[str]())
        others = sum(values[name] for name in rule.values)
        if topic in rule.topics and values.total() >= rule.least and others > rule.limit * values.total():
            yield Suspicion(rule.name, source, topic, "", others)

    def _alternated(self, source: str, topic: str) -> Iterator[Suspicion]:
        rule = self._rules["source.alternates"]
        people, count = self._often[source, topic], self._alternating[source, topic]
        if topic in rule.topics and people >= rule.least and count > rule.limit * people:
            yield Suspicion(rule.name, source, topic, "", count)


def _drifted(rule: Rule, before: Counter[str], after: Counter[str]) -> bool:
    """The index of dissimilarity of two periods is over the limit."""
    whole = before.total()
    return dissimilarity(after, {name: Fraction(count, whole) for name, count in before.items()}) > rule.limit


def _jumped(rule: Rule, before: Counter[str], after: Counter[str]) -> bool:
    """The share of a value that forms like to fill in has risen by more than the limit."""
    return any(after[name] / after.total() - before[name] / before.total() > rule.limit for name in rule.values)


def _vanished(rule: Rule, before: Counter[str], after: Counter[str]) -> bool:
    """A value that more than the limit had is nobody's any more."""
    return any(count > rule.limit * before.total() and not after[name] for name, count in before.items())


def _alternates(series: Sequence[frozenset[str]]) -> bool:
    """Whether a value was left and came back: A, B, A."""
    changes = [one for one, before in zip(series, (None, *series), strict=False) if one != before]
    return len(changes) > len(set(changes))


def _language(answers: Sequence[Meaning]) -> str:
    codes = {c.coding.code for meant in answers for c in meant.concepts if c.coding.system == LANGUAGE}
    return " ".join(sorted({code.partition("-")[0] for code in codes}))


def _period(event: Event) -> Period:
    collected = event.origin.collected_on
    if len(collected) >= MONTH:
        return ("month", collected[:MONTH])
    if event.origin.artefact:
        return ("file", event.origin.artefact)
    return ("seen", event.first_seen[:MONTH])
