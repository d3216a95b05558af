"""What the answers of one source show together: values that a form filled in, details that got lost.

A source is a partner with a collector and a method. Counts are of people, by distinct answers, so
that they merge and do not depend on how the work was cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from fhir_equity.model import Event, Meaning, Received, State
from fhir_equity.quality.ages import date_of
from fhir_equity.quality.rulebook import Rule, Rulebook
from fhir_equity.quality.tally import RACE
from fhir_equity.vocabulary import Vocabulary

Key = tuple[str, ...]
SPOKEN, WRITTEN = "language_spoken", "language_written"
MOST = 20_000  # events remembered before the memory starts afresh
MONTH = len("YYYY-MM")
DAY = len("YYYY-MM-DD")


class Suspicion(Struct, frozen=True):
    """A rule that a source is a case of: which source and topic (and month), and of how many people."""

    rule: str
    source: str
    topic: str
    month: str
    count: int


class Sources:
    """Counts what sources say about the topics that rules look at; never a sensitive one.

    `stale` says by matter before which ISO date an answer is an old one.
    """

    def __init__(self, vocabulary: Vocabulary, rules: Rulebook, stale: Mapping[str, str]) -> None:
        self._stale = stale
        self._schema = vocabulary.schema
        self._matter = {name: topic.matter for name, topic in vocabulary.codes.topics.items()}
        self._rules = rules
        named = (rules[name].topics for name in rules if name.startswith("source."))
        sensitive = {topic.name for topic in vocabulary.codes.topics.values() if topic.sensitive}
        self._watched = frozenset().union(*named) - sensitive
        self._counts: Counter[Key] = Counter()
        self._known: dict[tuple[str, Event], tuple[Key, ...]] = {}

    def add(self, partner: str, events: Sequence[Event], meaning: Callable[[Received], Meaning], count: int) -> None:
        """Count `count` people of whom these events tell; what a source says twice counts once."""
        keys: set[Key] = set()
        languages: dict[tuple[str, str], str] = {}
        for event in events:
            for key in self._remembered(partner, event, meaning):
                keys.add(key)
                if key[0] == "value" and key[2] in (SPOKEN, WRITTEN):
                    languages[key[1], key[2]] = key[4]
        for source, topic in languages:
            if topic == WRITTEN and (source, SPOKEN) in languages:
                keys.add(("both", source))
                if languages[source, SPOKEN] == languages[source, WRITTEN]:
                    keys.add(("copied", source))
        for key in keys:
            self._counts[key] += count

    def _remembered(self, partner: str, event: Event, meaning: Callable[[Received], Meaning]) -> tuple[Key, ...]:
        known = self._known.get((partner, event))
        if known is None:
            if len(self._known) >= MOST:
                self._known.clear()
            source = f"{partner}/{event.origin.collector}/{event.origin.method}"
            known = tuple((key[0], source, *key[1:]) for key in self._of_event(event, meaning))
            self._known[partner, event] = known
        return known

    def _of_event(self, event: Event, meaning: Callable[[Received], Meaning]) -> Iterator[Key]:
        topic = self._matter[event.received[0].topic]
        if topic not in self._watched:
            return
        meanings = [meaning(received) for received in event.received]
        answers = [meant for meant in meanings if meant.state is State.ANSWERED]
        if not answers:
            return
        codes = sorted({c.coding.code for meant in answers for c in meant.concepts})
        collected = event.origin.collected_on
        yield ("answered", topic)
        yield ("value", topic, collected[:MONTH] if len(collected) >= MONTH else "", "|".join(codes))
        yield ("says", topic, "|".join(codes))
        if len(collected) == DAY:
            yield ("date", topic, collected)
            yield ("dated", topic)
        if date_of(event) < self._stale.get(topic, ""):
            yield ("stale", topic)
        if not codes:
            yield ("not_mapped", topic)
        if topic == RACE and self._schema.omb2024(answers, event.origin.standard).detailed:
            yield ("detailed", topic)

    def scorecard(self) -> list[dict[str, Any]]:
        """Of each source and topic: who `answered`, how many `stale`, `not_mapped`, `detailed` and with a full date of
        collection (`dated`) those are, how many gave the `commonest` answer, and the rules it is a case of.
        """
        cases: dict[tuple[str, str], list[str]] = {}
        for each in self.suspicions():
            cases.setdefault((each.source, each.topic), []).append(each.rule)
        return [
            {"source": source, "topic": topic, "answered": people}
            | {name: self._counts[name, source, topic] for name in ("detailed", "not_mapped", "stale", "dated")}
            | {
                "commonest": _most(self._said(source, topic)),
                "cases": sorted({*cases.get((source, topic), ())}),
            }
            for (_, source, topic), people in sorted((k, n) for k, n in self._counts.items() if k[0] == "answered")
        ]

    def _said(self, source: str, topic: str) -> Counter[str]:
        """People by value, whatever the month."""
        return Counter({key[3]: people for key, people in self._counts.items() if key[:3] == ("says", source, topic)})

    def suspicions(self) -> Iterator[Suspicion]:
        """What the rules find, in a fixed order."""
        for (_, source, topic), people in sorted((k, n) for k, n in self._counts.items() if k[0] == "answered"):
            yield from self._one_value(source, topic, people)
            yield from self._one_date(source, topic, people)
            yield from self._no_detail(source, topic, people)
            yield from self._not_mapped(source, topic, people)
        yield from self._copied()

    def _one_value(self, source: str, topic: str, people: int) -> Iterator[Suspicion]:
        """One value over the limit: in the source, else in a month of it."""
        rule = self._rules["source.one_value"]
        by_month = {key[3:]: n for key, n in self._counts.items() if key[:3] == ("value", source, topic)}
        values = self._said(source, topic)
        months: dict[str, Counter[str]] = {}
        for (month, value), count in by_month.items():
            months.setdefault(month, Counter())[value] += count
        most = _most(values)
        if _looks(rule, topic, people) and most > rule.limit * values.total():
            yield Suspicion(rule.name, source, topic, "", most)
            return
        for month, within in sorted(months.items()):
            if month and _looks(rule, topic, within.total()) and _most(within) > rule.limit * within.total():
                yield Suspicion(rule.name, source, topic, month, _most(within))

    def _one_date(self, source: str, topic: str, people: int) -> Iterator[Suspicion]:
        rule = self._rules["source.one_date"]
        dates = [n for key, n in self._counts.items() if key[:3] == ("date", source, topic)]
        if _looks(rule, topic, people) and max(dates, default=0) > rule.limit * people:
            yield Suspicion(rule.name, source, topic, "", max(dates))

    def _no_detail(self, source: str, topic: str, people: int) -> Iterator[Suspicion]:
        rule = self._rules["source.no_detail"]
        if _looks(rule, topic, people) and self._counts["detailed", source, topic] <= rule.limit * people:
            yield Suspicion(rule.name, source, topic, "", people)

    def _not_mapped(self, source: str, topic: str, people: int) -> Iterator[Suspicion]:
        rule = self._rules["source.not_mapped"]
        count = self._counts["not_mapped", source, topic]
        if _looks(rule, topic, people) and count > rule.limit * people:
            yield Suspicion(rule.name, source, topic, "", count)

    def _copied(self) -> Iterator[Suspicion]:
        rule = self._rules["source.written_copies_spoken"]
        for (_, source), both in sorted((k, n) for k, n in self._counts.items() if k[0] == "both"):
            copied = self._counts["copied", source]
            if _looks(rule, WRITTEN, both) and copied >= rule.limit * both:
                yield Suspicion(rule.name, source, WRITTEN, "", copied)


def _looks(rule: Rule, topic: str, people: int) -> bool:
    return topic in rule.topics and people >= rule.least


def _most(values: Counter[str]) -> int:
    return max(values.values(), default=0)
