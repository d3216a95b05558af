"""Distinct people in constant bytes: a 64-bit key, a check and a profile number for each record.

Records of one person are brought together by key before anything is counted. A profile is what a
record says (its events); profiles repeat, so a million members share a few thousand of them.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

from msgspec import Struct

from fhir_equity.model import Answer, Event, Member, Origin, Received

BUCKETS = 64
FULL_DATE = len("YYYY-MM-DD")


class Profile(Struct, frozen=True):
    """What records have in common: their events, the values as received, the stratum, and the input (0 = none)."""

    events: tuple[Event, ...]
    received: tuple[Received, ...] = ()
    stratum: tuple[str, ...] = ()
    source: int = 0


class Profiles:
    """Interns what records say, the events of one record by matter, under a small number."""

    def __init__(self, matter_of: Callable[[str], str], first_seen: str) -> None:
        self._matter_of = matter_of
        self._first_seen = first_seen
        self._numbers: dict[tuple[object, ...], int] = {}
        self._events: dict[Event, Event] = {}  # equal events are one object
        self.profiles: list[Profile] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_matter_of": None}  # it belongs to the workspace

    def number(self, answers: tuple[Answer, ...], stratum: tuple[str, ...] = (), source: int = 0) -> int:
        """The number of the profile that these answers of an input and this stratum make."""
        key = (source, stratum, *[part for answer in answers for part in (answer.received, answer.origin)])
        found = self._numbers.get(key)
        if found is None:
            of = events_of(answers, self._matter_of, self._first_seen)
            events = tuple([self._events.setdefault(event, event) for event in of])
            found = self._add(key, Profile(events, tuple(answer.received for answer in answers), stratum, source))
        return found

    def of_events(self, events: tuple[Event, ...], stratum: tuple[str, ...] = ()) -> int:
        """The number of the profile that stored events make; which rows they came from is left out."""
        key = (stratum, *[(event.received, event.origin, event.first_seen) for event in events])
        found = self._numbers.get(key)
        return self._add(key, Profile(events, (), stratum)) if found is None else found

    def take(self, other: Profiles) -> list[int]:
        """Take over the profiles of another; gives the number here of each number there."""
        return [
            found if (found := self._numbers.get(key)) is not None else self._add(key, profile)
            for key, profile in zip(other._numbers, other.profiles, strict=True)
        ]

    def _add(self, key: tuple[object, ...], profile: Profile) -> int:
        number = self._numbers[key] = len(self.profiles)
        self.profiles.append(profile)
        return number


def events_of(answers: Iterable[Answer], matter_of: Callable[[str], str], first_seen: str) -> tuple[Event, ...]:
    """The answers of one record as events: one for each matter and origin."""
    grouped: dict[tuple[str, Origin], dict[Received, None]] = {}
    for answer in answers:
        grouped.setdefault((matter_of(answer.topic), answer.origin), {})[answer.received] = None
    return tuple(Event(tuple(received), origin, first_seen) for (_, origin), received in grouped.items())


class People:
    """Records by person. `add` costs 16 bytes a record; `persons` goes through one bucket at a time."""

    def __init__(self) -> None:
        self._keys = [array("Q") for _ in range(BUCKETS)]
        self._checks = [array("I") for _ in range(BUCKETS)]
        self._profiles = [array("I") for _ in range(BUCKETS)]

    def add(self, key: int, check: int, profile: int) -> None:
        """One record: the 64-bit pseudonym of the person's key, `check_of` the member, a profile."""
        bucket = key % BUCKETS
        self._keys[bucket].append(key)
        self._checks[bucket].append(check)
        self._profiles[bucket].append(profile)

    def take(self, other: People, numbers: Sequence[int]) -> None:
        """Take over the records of another, whose profiles have these `numbers` here."""
        for bucket in range(BUCKETS):
            self._keys[bucket] += other._keys[bucket]
            self._checks[bucket] += other._checks[bucket]
            self._profiles[bucket].extend(map(numbers.__getitem__, other._profiles[bucket]))

    def repeated(self) -> Iterator[list[int]]:
        """The profiles of each person who comes more than once, in the order they came in."""
        for bucket in range(BUCKETS):
            keys = self._keys[bucket]
            seen = Counter(keys)
            if len(seen) == len(keys):
                continue
            found: dict[int, list[tuple[int, int]]] = {}
            for key, check, profile in zip(keys, self._checks[bucket], self._profiles[bucket], strict=True):
                if seen[key] > 1:
                    found.setdefault(key, []).append((check, profile))
            for records in found.values():
                for person in _apart({check for check, _ in records}):
                    profiles = [profile for check, profile in records if check in person]
                    if len(profiles) > 1:
                        yield profiles

    def records(self) -> Counter[int]:
        """How many records have which profile."""
        counted: Counter[int] = Counter()
        for profiles in self._profiles:
            counted.update(profiles)
        return counted

    def persons(self) -> Counter[tuple[int, ...]]:
        """How many people have which set of profiles (numbers ascending, each once)."""
        counted: Counter[tuple[int, ...]] = Counter()
        for bucket in range(BUCKETS):
            counted.update(self._bucket(bucket))
        return counted

    def _bucket(self, bucket: int) -> Iterator[tuple[int, ...]]:
        keys, profiles = self._keys[bucket], self._profiles[bucket]
        seen = Counter(keys)
        if len(seen) == len(keys):  # nobody comes twice
            yield from zip(profiles, strict=True)
            return
        found: dict[int, dict[int, set[int]]] = {}
        for key, check, profile in zip(keys, self._checks[bucket], profiles, strict=True):
            if seen[key] == 1:
                yield (profile,)
            else:
                found.setdefault(key, {}).setdefault(check, set()).add(profile)
        for by_check in found.values():
            for person in _apart(by_check):
                yield tuple(sorted(set().union(*(by_check[check] for check in person))))


def _apart(checks: Iterable[int]) -> list[set[int]]:
    """The checks seen under one key, by person: the same whatever order they came in.

    Whole checks that agree with one another, even through a third, are one person. One that lacks
    the birth date or the name goes to a person with whom it shares the other, else to the first.
    """
    persons: list[set[int]] = []
    for check in sorted(checks, key=lambda check: (not _is_whole(check), check)):
        same = [person for person in persons if any(same_person(check, other) for other in person)]
        if not _is_whole(check):
            same = sorted(same, key=lambda person: not any(_shares(check, other) for other in person))[:1]
        persons = [person for person in persons if person not in same] + [{check}.union(*same)]
    return persons


def _shares(one: int, other: int) -> bool:
    return any(a == b and a for a, b in zip(_halves(one), _halves(other), strict=True))


def _halves(check: int) -> tuple[int, int]:
    return check >> 16, check & 0xFFFF


def _is_whole(check: int) -> bool:
    return all(_halves(check))


def check_of(member: Member) -> int:
    """16 bits of the birth date and 16 bits of the name: enough to see that a key is shared."""
    given = member.name.given
    name = f"{member.name.family}|{given[0] if given else ''}".casefold()
    born = member.birth_date
    return (_short(born) if len(born) == FULL_DATE else 0) << 16 | (_short(name) if name != "|" else 0)


def _short(text: str) -> int:
    """16 bits of a text, never 0, which is that of none."""
    return crc32(text.encode("utf-8", "surrogatepass")) % 0xFFFF + 1


def same_person(one: int, other: int) -> bool:
    """Two records under one key are two people only when birth date and name both differ."""
    return not all(a != b and a and b for a, b in zip(_halves(one), _halves(other), strict=True))
