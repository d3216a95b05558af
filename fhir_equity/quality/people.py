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

BUCKETS = 256
_LEFT = (1 << 32) - 1  # what is kept of a key besides its bucket: 40 bits, and the check tells collisions apart
FULL_DATE = len("YYYY-MM-DD")


# The input and the stratum, then values and origins in turn; or no input, the stratum and events.
_Key = tuple[Any, ...]
Events = tuple[Event, ...]


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
        self._numbers: dict[_Key, int] = {}
        self._keys: list[_Key] = []  # all that is kept: a profile is made when it is asked for
        self._events: dict[Event, Event] = {}  # equal events are one object

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_matter_of": None}  # it belongs to the workspace

    def number(self, answers: tuple[Answer, ...], stratum: tuple[str, ...] = (), source: int = 0) -> int:
        """The number of the profile that these answers of an input and this stratum make."""
        key = (source, stratum, *[part for answer in answers for part in (answer.received, answer.origin)])
        found = self._numbers.get(key)
        if found is None:
            found = self._add(key)
        return found

    def of_events(self, events: tuple[Event, ...], stratum: tuple[str, ...] = ()) -> int:
        """The number of the profile that stored events make; which rows they came from is left out."""
        key = (None, stratum, *[Event(event.received, event.origin, event.first_seen) for event in events])
        found = self._numbers.get(key)
        return self._add(key) if found is None else found

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)

    def __getitem__(self, number: int) -> Profile:
        """The profile with this number."""
        source, stratum, *said = self._keys[number]
        if source is None:
            return Profile(tuple(said), (), stratum)
        pairs = [*zip(said[::2], said[1::2], strict=True)]
        events = _events(pairs, self._matter_of, self._first_seen)
        one = tuple([self._events.setdefault(event, event) for event in events])
        return Profile(one, tuple(received for received, _ in pairs), stratum, source)

    def take(self, other: Profiles) -> list[int]:
        """Take over the profiles of another; gives the number here of each number there."""
        return [found if (found := self._numbers.get(key)) is not None else self._add(key) for key in other._keys]

    def _add(self, key: _Key) -> int:
        number = self._numbers[key] = len(self._keys)
        self._keys.append(key)
        return number


def events_of(answers: Iterable[Answer], matter_of: Callable[[str], str], first_seen: str) -> tuple[Event, ...]:
    """The answers of one record as events: one for each matter and origin."""
    return _events([(answer.received, answer.origin) for answer in answers], matter_of, first_seen)


def _events(said: Iterable[tuple[Received, Origin]], matter_of: Callable[[str], str], first_seen: str) -> Events:
    grouped: dict[tuple[str, Origin], dict[Received, None]] = {}
    for received, origin in said:
        grouped.setdefault((matter_of(received.topic), origin), {})[received] = None
    return tuple(Event(tuple(received), origin, first_seen) for (_, origin), received in grouped.items())


class People:
    """Records by person. `add` costs 12 bytes a record; `persons` goes through one bucket at a time."""

    def __init__(self) -> None:
        self._keys = [array("I") for _ in range(BUCKETS)]
        self._checks = [array("I") for _ in range(BUCKETS)]
        self._profiles = [array("I") for _ in range(BUCKETS)]

    def add(self, key: int, check: int, profile: int) -> None:
        """One record: the 64-bit pseudonym of the person's key, `check_of` the member, a profile."""
        bucket = key % BUCKETS
        self._keys[bucket].append(key // BUCKETS & _LEFT)
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

    def records(self) -> Iterator[tuple[int, int]]:
        """Each profile with how many records have it."""
        counted = array("Q")
        for profiles in self._profiles:
            _count(counted, profiles)
        return ((number, count) for number, count in enumerate(counted) if count)

    def persons(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Each set of profiles (numbers ascending, each once) with how many people have it."""
        alone = array("Q")  # of almost everybody there is one record
        several: Counter[tuple[int, ...]] = Counter()
        for bucket in range(BUCKETS):
            once, more = self._bucket(bucket)
            _count(alone, once)
            _count(alone, (numbers[0] for numbers in more if len(numbers) == 1))
            several.update(numbers for numbers in more if len(numbers) > 1)
        yield from (((number,), count) for number, count in enumerate(alone) if count)
        yield from several.items()

    def _bucket(self, bucket: int) -> tuple[Sequence[int], list[tuple[int, ...]]]:
        """The profiles of those who come once, and of each of the others all."""
        keys, profiles = self._keys[bucket], self._profiles[bucket]
        seen = Counter(keys)
        if len(seen) == len(keys):
            return profiles, []
        once: list[int] = []
        found: dict[int, dict[int, set[int]]] = {}
        for key, check, profile in zip(keys, self._checks[bucket], profiles, strict=True):
            if seen[key] == 1:
                once.append(profile)
            else:
                found.setdefault(key, {}).setdefault(check, set()).add(profile)
        persons = [(by_check, person) for by_check in found.values() for person in _apart(by_check)]
        return once, [
            tuple(sorted(set().union(*(by_check[check] for check in person)))) for by_check, person in persons
        ]


def _count(counted: array[int], numbers: Iterable[int]) -> None:
    """Count small numbers in eight bytes each."""
    for number, count in Counter(numbers).items():
        if number >= len(counted):
            counted.extend([0] * (number + 1 - len(counted)))
        counted[number] += count


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
