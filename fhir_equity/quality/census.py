"""Count records, one after the other or by several workers: the same numbers either way."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

from fhir_equity.model import Event, Finding, Loss, Meaning, Member, Origin, Received, Rejected
from fhir_equity.privacy import Pseudonyms
from fhir_equity.quality.families import Families
from fhir_equity.quality.households import Households
from fhir_equity.quality.people import Pairs, People, Profile, Profiles, check_of
from fhir_equity.quality.repeats import repeats
from fhir_equity.quality.rules import of_the_person, problems
from fhir_equity.quality.tally import RACE

_NONE = array("q")
MOST_LOSSES = 10_000  # tuples of losses that wait to be counted


class Words(Protocol):
    """What is kept of a record beside what it says: words that become part of the stratum of its profile."""

    def words(self, member: Member, said: Pairs) -> tuple[str, ...]:
        """The words of a record that says this."""
        ...

    def fixed(self, said: Pairs) -> bool:
        """Whether they are the same for every record that says this."""
        ...


class NoWords:
    """Nothing is kept."""

    def words(self, member: Member, said: Pairs) -> tuple[str, ...]:
        """None."""
        return ()

    def fixed(self, said: Pairs) -> bool:
        """Always."""
        return True


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
        words: Words | None = None,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._words: Words = NoWords() if words is None else words
        # Profiles by what is said, where that decides: of an input, which is of a few partners, by number (-1: there is
        # none), and of the store, which may be that of hundreds.
        self._fixed: dict[str, array[int]] = {}
        self._stored: dict[tuple[str, int], int] = {}
        self._as_of = as_of
        self._digests: dict[str, Callable[[str], bytes]] = {}
        self._lost: dict[int, list[Any]] = {}  # by identity: most members of an 834 share a few tuples of losses
        self._losses: Counter[tuple[str, str]] = Counter()
        self._findings: Counter[tuple[str, str]] = Counter()
        self._matter_of = matter_of
        self._formats: list[str] = []
        self._source = 0
        self._follows = False
        self._races = array("q")  # by profile, what it says about race and ethnicity alone; -1 where not yet found out
        self._said: dict[tuple[str, frozenset[tuple[str, Received]]], int] = {}  # the same by what is said
        self.families = Families(self._number)
        self.households = Households()
        self.people = People()
        self.profiles = Profiles(matter_of, as_of)

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        self.households.seal(lambda family: self._number(*family))
        # Neither the key nor what was made with it, nor what is only a memory.
        left = {"_digests", "_pseudonyms", "_words", "_matter_of", "_races", "_said", "_fixed", "_stored"}
        return {name: value for name, value in self.__dict__.items() if name not in left}

    def begin(self, source: int, format_: str, *, families: bool) -> None:
        """What comes now is of this input, numbered from 1; `families`: it has its dependents' subscribers."""
        self._fixed.clear()
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
            self._findings[finding.code, finding.severity] += 1
        if member.birth_date > self._as_of:
            for finding in of_the_person(member, self._as_of):
                self.finding(finding)
        if member.losses:
            lost = self._lost.get(id(member.losses)) or self._lose(member.losses)
            lost[1] += 1
        partner, enrollment = member.partner, member.enrollment
        said = self.profiles.said(member.answers)
        fixed = self._fixed.get(partner, _NONE)
        profile = fixed[said] if said < len(fixed) else -1
        if profile < 0:
            pairs = self.profiles.pairs(said)
            profile = self._profile(member, said, pairs)
            if self._words.fixed(pairs):
                fixed = self._fixed.setdefault(partner, array("q"))
                fixed.extend([-1] * (said + 1 - len(fixed)))
                fixed[said] = profile
        digest = self._digests.get(partner) or self._digest(partner)
        self.people.add(digest(member.key), check_of(member), profile)
        family = enrollment.subscriber_key
        if family and self._follows:
            self.families.add(partner, family, subscriber=enrollment.subscriber)
        if family and enrollment.maintenance:  # only an enrollment file gives families together
            about = self._races[profile] if profile < len(self._races) else -1
            self.households.add((partner, family), about if about >= 0 else self._race(partner, profile))

    def _profile(self, member: Member, said: int, pairs: Pairs) -> int:
        return self.profiles.number(said, (member.partner, *self._words.words(member, pairs)), self._source)

    def stored(self, identity: int, member: Member, events: tuple[Event, ...]) -> None:
        """A person of a store, who has this number there."""
        said = self.profiles.told(events)
        profile = self._stored.get((member.partner, said), -1)
        if profile < 0:
            pairs = tuple((received, event.origin) for event in events for received in event.received)
            profile = self._profile(member, said, pairs)
            if self._words.fixed(pairs):
                self._stored[member.partner, said] = profile
        self.people.add(identity.to_bytes(8, "little"), check_of(member), profile)
        family = member.enrollment.subscriber_key
        if family and member.enrollment.maintenance:
            about = self._races[profile] if profile < len(self._races) else -1
            self.households.add((member.partner, family), about if about >= 0 else self._race(member.partner, profile))

    def _race(self, partner: str, profile: int) -> int:
        """The number of the profile that says the same about race and ethnicity, and nothing else."""
        values = frozenset(
            ("" if event.origin.partner == partner else event.origin.partner, received)  # another's of who was merged
            for event in self.profiles[profile].events
            for received in event.received
            if self._matter_of(received.topic) == RACE
        )
        found = self._said.get((partner, values))
        if found is None:
            told = [
                (of, tuple(each for _, each in said)) for of, said in groupby(sorted(values, key=str), itemgetter(0))
            ]
            events = tuple(Event(received, Origin(partner=of)) for of, received in told)
            found = self._said[partner, values] = self.profiles.of_events(events, (partner,))
        self._races.extend([-1] * (len(self.profiles) - len(self._races)))
        self._races[profile] = found
        return found

    def profile(self, number: int) -> Profile:
        """The profile with this number."""
        return self.profiles[number]

    def persons(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Each set of profiles with how many people have it."""
        return self.people.persons()

    def alike(self, least: int) -> Iterator[tuple[Profile, int]]:
        """What households of at least so many say that all say the same, with how many there are."""
        return ((self.profiles[number], count) for number, count in self.households.same(least).items())

    def _digest(self, partner: str) -> Callable[[str], bytes]:
        found = self._digests[partner] = self._pseudonyms.digests(partner)
        return found

    def _number(self, partner: str, key: str) -> int:
        return int.from_bytes((self._digests.get(partner) or self._digest(partner))(key), "big")

    def subscriber(self, member: Member) -> int:
        """The number of a subscriber's family, 0 of anybody else, for `Families.alone`."""
        family = member.enrollment.subscriber_key if member.enrollment.subscriber else ""
        return self._number(member.partner, family) if family else 0

    def finding(self, finding: Finding) -> None:
        """A finding that is no value's."""
        self.found(finding.code, finding.severity, 1)

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
        """Findings by code and severity, with those of the values: found once for each."""
        found = Counter({(code, str(severity)): count for (code, severity), count in self._findings.items()})
        values: Counter[tuple[str, Received]] = Counter()
        for number, count in self.people.records():
            partner, said = self.profiles.values(number)
            for received in said:
                values[partner, received] += count
        for (partner, received), count in values.items():
            for code, severity in problems(received, meaning_of(partner)):
                found[(code, severity.value)] += count
        return found + repeats(self.people, self.profiles, self._matter_of, self._formats)

    def losses(self) -> Counter[tuple[str, str]]:
        """Losses by rule and relationship."""
        self._settle()
        return self._losses

    def _lose(self, losses: tuple[Loss, ...]) -> list[Any]:
        """A place to count these losses in; they are held so that nothing else takes their identity."""
        if len(self._lost) >= MOST_LOSSES:
            self._settle()
        lost = self._lost[id(losses)] = [losses, 0]
        return lost

    def _settle(self) -> None:
        for losses, count in self._lost.values():
            for loss in losses:
                self.lost(loss.rule, loss.relationship.value, count)
        self._lost.clear()
