"""What a run looks at beside the states of answers: programs, plausibility, sources and households.

Of a record it wants a few words (`words`), kept as part of the stratum; of the people who share
profiles, their events and resolutions (`add`). Everything counted merges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fhir_equity.model import Event, Member, Origin, Received, Resolution, State
from fhir_equity.quality.census import Words
from fhir_equity.quality.measures import Measuring
from fhir_equity.quality.people import Profile
from fhir_equity.quality.plausible import Marks, Meant, Plausible
from fhir_equity.quality.programs import Program
from fhir_equity.quality.results import result
from fhir_equity.quality.rulebook import Rulebook
from fhir_equity.quality.sources import Sources, Suspicion
from fhir_equity.quality.strata import Strata
from fhir_equity.quality.tally import Tally
from fhir_equity.vocabulary import Vocabulary

HOUSEHOLD = "household.one_answer"


class Inspection:
    """Looks at the people of a run under some programs, on an ISO date. Raises TableError for their tables."""

    def __init__(self, programs: Sequence[Program], vocabulary: Vocabulary, as_of: str) -> None:
        self._as_of = as_of
        self._rules = Rulebook(vocabulary.tables, programs)
        self._marks = Marks(self._rules, as_of)
        self._measuring = [Measuring(program, vocabulary, as_of) for program in programs]
        self._standings = [measuring.standing for measuring in self._measuring if measuring.standing.size]
        self._codes = vocabulary.codes
        self._plausible: dict[str, Plausible] = {}
        self._sources = Sources(vocabulary, self._rules)
        self._measured: Tally = Counter()
        self._cases: Counter[str] = Counter()

    def words(self, member: Member, said: Iterable[tuple[Received, Origin]]) -> tuple[str, ...]:
        """What is kept of a record: a word of its dates, then those of its place in each program."""
        marks = self._marks.words(member.birth_date, said)
        if not self._standings:
            return marks
        return (*marks, *[word for standing in self._standings for word in standing.words(member)])

    def add(
        self,
        words: Sequence[Sequence[str]],
        partner: str,
        events: Sequence[Event],
        resolutions: Mapping[str, Resolution],
        meaning: Meant,
        count: int,
    ) -> None:
        """Count `count` people whose records have these words, with their events and what was decided."""
        start = Marks.size
        for measuring in self._measuring:
            stop = start + measuring.standing.size
            measuring.add(self._measured, [each[start:stop] for each in words], resolutions, count)
            start = stop
        if partner not in self._plausible:
            self._plausible[partner] = Plausible(self._codes, self._rules, meaning)
        for name in self._plausible[partner].found({each[0] for each in words}, events):
            self._cases[name] += count
        self._sources.add(partner, events, meaning, count)

    def programs(self) -> dict[str, Any]:
        """The part ``programs`` of the audit document."""
        return {
            measuring.program.name: result(measuring.program, self._measured, self._as_of)
            for measuring in self._measuring
        }

    def findings(
        self,
        households: Iterable[tuple[Profile, int]],
        meaning_of: Callable[[str], Meant],
    ) -> Iterator[dict[str, Any]]:
        """What the rules found, as the audit document lists findings; `households` of one answer are given."""
        cases = self._cases + Counter({HOUSEHOLD: self._of_one_answer(households, meaning_of)})
        for name, count in cases.items():
            rule = self._rules[name]
            yield {"code": name, "severity": rule.severity.value, "count": count, "message": rule.message}
        for found in self._sources.suspicions():
            rule = self._rules[found.rule]
            message = f"{self._where(found)}: {rule.message}"
            yield {"code": found.rule, "severity": rule.severity.value, "count": found.count, "message": message}

    @property
    def least_household(self) -> int:
        """How many a household must be, for one answer to say anything."""
        return self._rules[HOUSEHOLD].least

    def _of_one_answer(self, households: Iterable[tuple[Profile, int]], meaning_of: Callable[[str], Meant]) -> int:
        return sum(count for profile, count in households if _answered(profile, meaning_of(profile.stratum[0])))

    def _where(self, found: Suspicion) -> str:
        words = [found.source, self._codes.topic(found.topic).label, found.month]
        return ", ".join(word for word in words if word)


def kept(strata: Strata, inspection: Inspection) -> Words:
    """What a census keeps of a record: the words of its strata, then those of the inspection."""
    if not strata.size:
        return inspection.words
    return lambda member, said: (*strata.words(member), *inspection.words(member, said))


def _answered(profile: Profile, meaning: Meant) -> bool:
    return any(meaning(received).state is State.ANSWERED for event in profile.events for received in event.received)
