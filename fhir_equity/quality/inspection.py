"""What a run looks at beside the states of answers: programs, plausibility, sources and households.

Of a record it wants a few words (`words`), kept as part of the stratum; of the people who share
profiles, their events and resolutions (`add`). Everything counted merges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from fhir_equity.model import Event, Member, Resolution, State
from fhir_equity.quality.benchmark import differing
from fhir_equity.quality.concordance import Concordance, Resolve
from fhir_equity.quality.drift import Drift
from fhir_equity.quality.due import stale_before
from fhir_equity.quality.history import Earlier, Remembered
from fhir_equity.quality.measures import ALL, Measuring
from fhir_equity.quality.people import Pairs, Profile
from fhir_equity.quality.plausible import Marks, Meant, Plausible
from fhir_equity.quality.populations import Standing
from fhir_equity.quality.programs import Program
from fhir_equity.quality.results import result
from fhir_equity.quality.rulebook import Rule, Rulebook
from fhir_equity.quality.sources import Sources, Suspicion
from fhir_equity.quality.strata import Strata
from fhir_equity.quality.tally import Tally
from fhir_equity.vocabulary import Vocabulary

HOUSEHOLD = "household.one_answer"
STALE = "answers.stale"
POPULATION = "population.differs"


class Person(Struct, frozen=True):
    """Somebody of a run: what was said of them, what was decided, and how it is decided among some of it.

    `meaning_of` says how the tables of a partner read a value. Who was merged has events that came through others.
    """

    partner: str
    events: Sequence[Event]
    resolutions: Mapping[str, Resolution]
    resolve: Resolve
    meaning_of: Callable[[str], Meant]

    def read(self, event: Event) -> Meant:
        """How the values of an event are read: by the partner through whom it came."""
        return self.meaning_of(event.origin.partner or self.partner)

    def by_partner(self) -> dict[str, list[Event]]:
        """The events by the partner through whom they came."""
        found: dict[str, list[Event]] = {}
        for event in self.events:
            found.setdefault(event.origin.partner or self.partner, []).append(event)
        return found


class Inspection:
    """Looks at the people of a run under some programs, on an ISO date. Raises TableError for their tables.

    `history`: answers have the days they were first seen, so that earlier months can be counted again.
    `remembered`: what programs compare with, by name, where that was frozen.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        vocabulary: Vocabulary,
        as_of: str,
        *,
        history: bool = False,
        remembered: Mapping[str, Remembered] | None = None,
    ) -> None:
        self._as_of = as_of
        self._remembered = remembered or {}
        self._rules = Rulebook(vocabulary.tables, programs)
        self._marks = Marks(self._rules, as_of)
        self._measuring = [Measuring(program, vocabulary, as_of) for program in programs]
        self._earlier = [Earlier(program, vocabulary, as_of) for program in programs if history]
        kept: list[Standing | Earlier] = [*(each.standing for each in self._measuring), *self._earlier]
        self._kept = [each for each in kept if each.size]
        self._codes = vocabulary.codes
        self._plausible: dict[str, Plausible] = {}
        self._sources = Sources(vocabulary, self._rules, stale_before(vocabulary.tables, as_of))
        self._drift = Drift(vocabulary, self._rules)
        self._concordance = Concordance(vocabulary)
        self._measured: Tally = Counter()
        self._cases: Counter[str] = Counter()

    def fixed(self, said: Pairs) -> bool:
        """Whether the words are the same for every record that says this."""
        return not self._kept and self._marks.fixed(said)

    def words(self, member: Member, said: Pairs) -> tuple[str, ...]:
        """What is kept of a record: a word of its dates, then those of its place in each program."""
        marks = self._marks.words(member.birth_date, said)
        if not self._kept:
            return marks
        return (*marks, *[word for each in self._kept for word in each.words(member)])

    def add(self, words: Sequence[Sequence[str]], person: Person, count: int) -> None:
        """Count `count` people whose records have these words, with their events and what was decided."""
        start = Marks.size
        for measuring in self._measuring:
            stop = start + measuring.standing.size
            measuring.add(self._measured, [each[start:stop] for each in words], person.resolutions, count)
            start = stop
        for earlier in self._earlier:
            stop = start + earlier.size
            earlier.add([each[start:stop] for each in words], person.events, person.resolve, count)
            start = stop
        marks, cases = {each[0] for each in words}, set[str]()
        for partner, events in person.by_partner().items():
            meaning = person.meaning_of(partner)
            if partner not in self._plausible:
                self._plausible[partner] = Plausible(self._codes, self._rules, meaning)
            cases |= self._plausible[partner].found(marks, events)
            self._sources.add(partner, events, meaning, count)
            self._drift.add(partner, events, meaning, count)
        self._cases.update(dict.fromkeys(cases, count))
        self._concordance.add(person.partner, person.events, person.resolve, count)

    def programs(self) -> dict[str, Any]:
        """The part ``programs`` of the audit document."""
        earlier = {each.program.name: each.reference() for each in self._earlier}
        earlier |= {name: each.shares for name, each in self._remembered.items()}
        told = {name: each.told for name, each in self._remembered.items()}
        return {
            program.name: result(
                program, self._measured, self._as_of, earlier.get(program.name), told.get(program.name, "")
            )
            for program in (measuring.program for measuring in self._measuring)
        }

    def scorecard(self) -> list[dict[str, Any]]:
        """The part ``scorecard`` of the audit document."""
        return self._sources.scorecard()

    def concordance(self) -> dict[str, list[dict[str, Any]]]:
        """The part ``concordance`` of the audit document."""
        return self._concordance.document()

    def findings(
        self,
        households: Iterable[tuple[Profile, int]],
        meaning_of: Callable[[str], Meant],
        population: list[dict[str, Any]],
    ) -> Iterator[dict[str, Any]]:
        """What the rules found, as the audit document lists findings.

        `households` of one answer are given, and how people compare with a `population` table.
        """
        cases = self._cases + Counter({HOUSEHOLD: self._of_one_answer(households, meaning_of)})
        for name, count in cases.items():
            yield self._found(name, count)
        for found in (*self._sources.suspicions(), *self._drift.suspicions()):
            yield self._found(found.rule, found.count, self._where(found))
        for program, title, count in self._stale():
            yield self._found(STALE, count, f"{program}, {title}")
        for county, category, count in differing(population):
            yield self._found(POPULATION, count, ", ".join(word for word in (county, category) if word))

    def _found(self, name: str, count: int, where: str = "") -> dict[str, Any]:
        rule = self._rules[name]
        message = f"{where}: {rule.message}" if where else rule.message
        return {"code": name, "severity": rule.severity.value, "count": count, "message": message}

    def _stale(self) -> Iterator[tuple[str, str, int]]:
        for measuring in self._measuring:
            for name, measure in measuring.program.measure.items():
                if count := self._measured[measuring.program.name, ALL, "stale", name]:
                    yield measuring.program.name, measure.title, count

    @property
    def population_rule(self) -> Rule:
        """When a category differs from a population table."""
        return self._rules[POPULATION]

    @property
    def least_household(self) -> int:
        """How many a household must be, for one answer to say anything."""
        return self._rules[HOUSEHOLD].least

    def _of_one_answer(self, households: Iterable[tuple[Profile, int]], meaning_of: Callable[[str], Meant]) -> int:
        return sum(count for profile, count in households if _answered(profile, meaning_of))

    def _where(self, found: Suspicion) -> str:
        words = [found.source, self._codes.topic(found.topic).label, found.month]
        return ", ".join(word for word in words if word)


class Kept(Struct, frozen=True):
    """What a census keeps of a record (`Words`): the words of its strata, then those of the inspection."""

    strata: Strata
    inspection: Inspection

    def words(self, member: Member, said: Pairs) -> tuple[str, ...]:
        """The words of a record."""
        return (*self.strata.words(member), *self.inspection.words(member, said))

    def fixed(self, said: Pairs) -> bool:
        """Whether they are those of every record that says this."""
        return not self.strata.size and self.inspection.fixed(said)


def _answered(profile: Profile, meaning_of: Callable[[str], Meant]) -> bool:
    return any(
        meaning_of(event.origin.partner or profile.stratum[0])(received).state is State.ANSWERED
        for event in profile.events
        for received in event.received
    )
