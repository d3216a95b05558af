"""Count records, one after the other or by several workers: the same numbers either way."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fhir_equity.model import Event, Finding, Loss, Meaning, Member, Origin, Received, Rejected
from fhir_equity.privacy import Pseudonyms
from fhir_equity.quality.families import Families
from fhir_equity.quality.households import Households
from fhir_equity.quality.people import People, Profile, Profiles, check_of
from fhir_equity.quality.repeats import repeats
from fhir_equity.quality.rules import of_the_person, problems
from fhir_equity.quality.tally import RACE

MOST_LOSSES = 10_000  # tuples of losses that wait to be counted

# What is kept of a record beside what it says: words that become part of the stratum of its profile.
Words = Callable[[Member, Iterable[tuple[Received, Origin]]], tuple[str, ...]]


def no_words(_member: Member, _said: Iterable[tuple[Received, Origin]]) -> tuple[str, ...]:
    """Nothing is kept."""
    return ()


class Census:
    """What was read, in little memory: people with their profiles, findings and losses by code.

    `pseudonyms` have the key of the run, the same for all its workers; `words` says what is kept of a
    record beside its partner. Stored in a pickle, a census is only good for `take`.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        matter_of: Callable[[str], str],
        as_of: str,
        words: Words = no_words,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._words = words
        self._as_of = as_of
        self._numbers: dict[str, Callable[[str], int]] = {}
        self._lost: dict[int, list[Any]] = {}  # by identity: most members of an 834 share a few tuples of losses
        self._losses: Counter[tuple[str, str]] = Counter()
        self._findings: Counter[tuple[str, str]] = Counter()
        self._matter_of = matter_of
        self._formats: list[str] = []
        self._source = 0
        self._follows = False
        self._races = array("q")  # by profile, what it says about race and ethnicity alone; -1 where not yet found out
        self._said: dict[tuple[str, frozenset[Received]], int] = {}  # the same by what is said
        self.families = Families()
        self.households = Households()
        self._family = ("", "", 0)  # the last one, by partner and REF*0F, and its number
        self.people = People()
        self.profiles = Profiles(matter_of, as_of)

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return {
            **self.__dict__,
            "_numbers": {},
            "_pseudonyms": None,
            "_words": no_words,
            "_races": array("q"),
            "_said": {},
            "_family": ("", "", 0),
            "_matter_of": None,
        }  # neither the key nor what was made with it

    def begin(self, source: int, format_: str, *, families: bool) -> None:
        """What comes now is of this input, numbered from 1; `families`: it has its dependents' subscribers."""
        self._formats += [format_] * (source - len(self._formats))
        self._source, self._follows = source, families
        self.families.part()
        self.households.part()

    def add(self, item: object) -> None:
        """Anything that was read; what is none of ours counts for nothing."""
        if isinstance(item, Member):
            self.member(item)
        elif isinstance(item, Rejected):
            self.finding(item.finding)
        elif isinstance(item, Finding):
            self.finding(item)
        elif isinstance(item, Loss):
            self.lost(item.rule, item.relationship.value, 1)

    def member(self, member: Member) -> None:
        """A record."""
        for finding in member.findings:
            self.finding(finding)
        if member.birth_date > self._as_of:
            for finding in of_the_person(member, self._as_of):
                self.finding(finding)
        if member.losses:
            self._lost.setdefault(id(member.losses), [member.losses, 0])[1] += 1
            if len(self._lost) > MOST_LOSSES:
                self._settle()
        number = self._number(member.partner)
        if self._follows:
            self.families.add(member, number)
        said = [(answer.received, answer.origin) for answer in member.answers]
        profile = self.profiles.number(member.answers, self.stratum(member, said), self._source)
        self.people.add(number(member.key), check_of(member), profile)
        self._household(member, profile, said)

    def stored(self, identity: int, member: Member, events: tuple[Event, ...]) -> None:
        """A person of a store, who has this number there."""
        said = [(received, event.origin) for event in events for received in event.received]
        profile = self.profiles.of_events(events, self.stratum(member, said))
        self.people.add(identity, check_of(member), profile)
        self._household(member, profile, said)

    def _household(self, member: Member, profile: int, said: Sequence[tuple[Received, Origin]]) -> None:
        family = member.enrollment.subscriber_key
        if not family or not member.enrollment.maintenance:  # only an enrollment file gives families together
            return
        if (member.partner, family) != self._family[:2]:
            self._family = (member.partner, family, self._number(member.partner)(family))
        if profile >= len(self._races):
            self._races.extend([-1] * (len(self.profiles) - len(self._races)))
        about = self._races[profile]
        if about < 0:
            about = self._races[profile] = self._race(member.partner, said)
        self.households.add(self._family[2], about)

    def _race(self, partner: str, said: Sequence[tuple[Received, Origin]]) -> int:
        """The number of the profile that says the same about race and ethnicity, and nothing else."""
        values = frozenset([received for received, _ in said if self._matter_of(received.topic) == RACE])
        found = self._said.get((partner, values))
        if found is None:
            event = Event(tuple(sorted(values, key=str)), Origin())
            found = self.profiles.of_events((event,) if values else (), (partner,))
            self._said[partner, values] = found
        return found

    def alike(self, least: int) -> Iterator[tuple[Profile, int]]:
        """What households of at least so many say that all say the same, with how many there are."""
        return ((self.profiles[number], count) for number, count in self.households.same(least).items())

    def _number(self, partner: str) -> Callable[[str], int]:
        found = self._numbers.get(partner)
        if found is None:
            found = self._numbers[partner] = self._pseudonyms.numbers(partner)
        return found

    def subscriber(self, member: Member) -> int:
        """The number of a subscriber's family, 0 of anybody else, for `Families.alone`."""
        family = member.enrollment.subscriber_key if member.enrollment.subscriber else ""
        return self._number(member.partner)(family) if family else 0

    def stratum(self, member: Member, said: Sequence[tuple[Received, Origin]] = ()) -> tuple[str, ...]:
        """The partner, whose tables say what values mean, and what is kept of a record."""
        return (member.partner, *self._words(member, said))

    def finding(self, finding: Finding) -> None:
        """A finding that is no value's."""
        self.found(finding.code, finding.severity.value, 1)

    def found(self, code: str, severity: str, count: int) -> None:
        """Findings that were counted elsewhere."""
        self._findings[(code, severity)] += count

    def lost(self, rule: str, relationship: str, count: int) -> None:
        """Losses that were counted elsewhere."""
        self._losses[(rule, relationship)] += count

    def take(self, other: Census) -> None:
        """Take over what another counted."""
        numbers = self.profiles.take(other.profiles)
        self.people.take(other.people, numbers)
        self.households.take(other.households, numbers)
        self.families.take(other.families)
        self._findings += other._findings
        self._losses += other._losses

    def findings(self, meaning_of: Callable[[str], Callable[[Received], Meaning]]) -> Counter[tuple[str, str]]:
        """Findings by code and severity, with those of the values: found once for each profile."""
        found = Counter(self._findings)
        for number, count in self.people.records():
            profile = self.profiles[number]
            for received in profile.received:
                for code, severity in problems(received, meaning_of(profile.stratum[0])):
                    found[(code, severity.value)] += count
        return found + repeats(self.people, self.profiles, self._matter_of, self._formats)

    def losses(self) -> Counter[tuple[str, str]]:
        """Losses by rule and relationship."""
        self._settle()
        return self._losses

    def _settle(self) -> None:
        for losses, count in self._lost.values():
            for loss in losses:
                self.lost(loss.rule, loss.relationship.value, count)
        self._lost.clear()
