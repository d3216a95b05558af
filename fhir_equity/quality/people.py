"""Distinct people in sixteen bytes a record, most of them on disk: a 64-bit key, a check and a profile number.

Records of one person are brought together by key before anything is counted. A profile is what a
record says (its events); profiles repeat, so a million members share a few thousand of them.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import Struct as Packed
from typing import Any
from zlib import crc32

from msgspec import Struct

from fhir_equity.model import Answer, Event, Member, Origin, Received
from fhir_equity.quality.partitions import PARTS, Partitions

FULL_DATE = len("YYYY-MM-DD")
FEW = 30  # answers, at most, that nearly every record has
_pack = Packed("=8sII").pack  # key, check, profile: four words of 32 bits


Pairs = tuple[tuple[Received, Origin], ...]
Flat = tuple[Received | Origin, ...]  # the same without tuples in it: a value, its origin, the next value, ...
Events = tuple[Event, ...]
_Key = tuple[int, tuple[str, ...], int]  # the input (0 = none), the stratum, the number of what is said


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
        self._saids: dict[Flat | Events, int] = {}
        self._said: list[Flat | Events] = []  # of records of an input values with origins, else events
        self._shared: dict[Any, Any] = {}  # equal parts of profiles are one object
        self._one: dict[tuple[Received, Origin], tuple[tuple[str, Origin], Event]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_matter_of": None, "_one": {}}  # it belongs to the workspace

    def said(self, answers: tuple[Answer, ...]) -> int:
        """The number of what these answers say."""
        flat: Flat = ()
        for answer in answers[:FEW]:  # quicker than anything that makes a list first
            flat += answer.received, answer.origin
        if rest := answers[FEW:]:
            flat += tuple([part for answer in rest for part in (answer.received, answer.origin)])
        found = self._saids.get(flat)
        return self._new(flat) if found is None else found

    def pairs(self, said: int) -> Pairs:
        """What has this number."""
        return _pairs(self._said[said])

    def number(self, said: int, stratum: tuple[str, ...] = (), source: int = 0) -> int:
        """The number of the profile that what is `said` in an input and this stratum make."""
        found = self._numbers.get((source, stratum, said))
        if found is None:
            key = (source, self._shared.setdefault(stratum, stratum), said)
            found = self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return found

    def of_events(self, events: Events, stratum: tuple[str, ...] = ()) -> int:
        """The number of the profile that stored events and this stratum make."""
        return self.number(self.told(events), stratum)

    def told(self, events: Events) -> int:
        """The number of what stored events say; which rows they came from is left out."""
        return self._number_of(
            tuple([Event(event.received, event.origin, event.first_seen, (), event.decided) for event in events])
        )

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)

    def __getitem__(self, number: int) -> Profile:
        """The profile with this number."""
        source, stratum, said = self._keys[number]
        told = self._said[said]
        return Profile(self._events(told), _received(told), stratum, source)

    def values(self, number: int) -> tuple[str, tuple[Received, ...]]:
        """The partner and the values of an input that the profile with this number has."""
        _, stratum, said = self._keys[number]
        return stratum[0], _received(self._said[said])

    def take(self, other: Profiles) -> list[int]:
        """Take over the profiles of another; gives the number here of each number there."""
        saids = [self._number_of(said) for said in other._said]
        return [self.number(saids[said], stratum, source) for source, stratum, said in other._keys]

    def _number_of(self, said: Flat | Events) -> int:
        found = self._saids.get(said)
        return self._new(said) if found is None else found

    def _new(self, said: Flat | Events) -> int:
        shared: Any = tuple([self._shared.setdefault(each, each) for each in said])
        number = self._saids[shared] = len(self._said)
        self._said.append(shared)
        return number

    def _events(self, said: Flat | Events) -> Events:
        """What a record says by matter and origin: mostly each of its values by itself, and such events are kept."""
        if not said or isinstance(said[0], Event):
            return said  # type: ignore[return-value]
        pairs = _pairs(said)
        alone = [self._one.get(pair) or self._alone(pair) for pair in pairs]
        if len({matter for matter, _ in alone}) == len(alone):
            return tuple([event for _, event in alone])
        return _events(pairs, self._matter_of, self._first_seen)

    def _alone(self, pair: tuple[Received, Origin]) -> tuple[tuple[str, Origin], Event]:
        received, origin = pair
        found = (self._matter_of(received.topic), origin), Event((received,), origin, self._first_seen)
        self._one[pair] = found
        return found


def _pairs(flat: Flat | Events) -> Pairs:
    return tuple(zip(flat[::2], flat[1::2], strict=True))  # type: ignore[arg-type]


def _received(said: Flat | Events) -> tuple[Received, ...]:
    return () if not said or isinstance(said[0], Event) else said[::2]  # type: ignore[return-value]


def events_of(answers: Iterable[Answer], matter_of: Callable[[str], str], first_seen: str) -> tuple[Event, ...]:
    """The answers of one record as events: one for each matter and origin."""
    return _events([(answer.received, answer.origin) for answer in answers], matter_of, first_seen)


def _events(said: Iterable[tuple[Received, Origin]], matter_of: Callable[[str], str], first_seen: str) -> Events:
    grouped: dict[tuple[str, Origin], dict[Received, None]] = {}
    for received, origin in said:
        grouped.setdefault((matter_of(received.topic), origin), {})[received] = None
    return tuple(Event(tuple(received), origin, first_seen) for (_, origin), received in grouped.items())


class People:
    """Records by person, in partitions by key; `persons` goes through one at a time."""

    def __init__(self) -> None:
        self._records = Partitions()

    def add(self, key: bytes, check: int, profile: int) -> None:
        """One record: the pseudonym of the person's key in eight bytes, `check_of` the member, a profile."""
        self._records.add(key[0], _pack(key, check, profile))

    def take(self, other: People, numbers: Sequence[int]) -> None:
        """Take over the records of another, whose profiles have these `numbers` here."""
        for part in range(PARTS):
            words = other._words(part)
            words[3::4] = array("I", map(numbers.__getitem__, words[3::4]))
            self._records.add(part, words.tobytes())

    def repeated(self) -> Iterator[list[int]]:
        """The profiles of each person who comes more than once, in the order they came in."""
        for part in range(PARTS):
            for records in _several(self._words(part)).values():
                yield from (profiles for profiles in _by_person(records) if len(profiles) > 1)

    def records(self) -> Iterator[tuple[int, int]]:
        """Each profile with how many records have it."""
        counted = array("Q")
        for part in range(PARTS):
            _count(counted, self._words(part)[3::4])
        return ((number, count) for number, count in enumerate(counted) if count)

    def persons(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Each set of profiles (numbers ascending, each once) with how many people have it."""
        alone = array("Q")  # of almost everybody there is one record
        several: Counter[tuple[int, ...]] = Counter()
        for part in range(PARTS):
            words = self._words(part)
            found = _several(words)
            once = zip(_keys(words), words[3::4], strict=True)
            _count(alone, (profile for key, profile in once if key not in found) if found else words[3::4])
            sets = [tuple(sorted({*profiles})) for records in found.values() for profiles in _by_person(records)]
            _count(alone, (numbers[0] for numbers in sets if len(numbers) == 1))
            several.update(numbers for numbers in sets if len(numbers) > 1)
        yield from (((number,), count) for number, count in enumerate(alone) if count)
        yield from several.items()

    def _words(self, part: int) -> array[int]:
        """The records of a partition, four words each."""
        return array("I", self._records.read(part))


def _keys(words: array[int]) -> array[int]:
    return array("Q", words.tobytes())[::2]


def _several(words: array[int]) -> dict[int, list[tuple[int, int]]]:
    """Check and profile of each record whose key comes more than once, by key."""
    keys = _keys(words)
    if len(set(keys)) == len(keys):
        return {}
    seen, found = Counter(keys), dict[int, list[tuple[int, int]]]()
    for key, check, profile in zip(keys, words[2::4], words[3::4], strict=True):
        if seen[key] > 1:
            found.setdefault(key, []).append((check, profile))
    return found


def _by_person(records: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """The profiles of each person who has one key, from check and profile of its records."""
    for person in _apart({check for check, _ in records}):
        yield [profile for check, profile in records if check in person]


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
    """16 bits of the birth date and 16 bits of the name: enough to see that a key is shared; 0 is that of none."""
    name, born, check = member.name, member.birth_date, 0
    given = name.given
    whose = f"{name.family}|{given[0]}" if given else f"{name.family}|"
    if len(born) == FULL_DATE:
        check = crc32(born.encode("utf-8", "surrogatepass")) % 0xFFFF + 1 << 16
    if whose != "|":
        check |= crc32(whose.casefold().encode("utf-8", "surrogatepass")) % 0xFFFF + 1
    return check


def same_person(one: int, other: int) -> bool:
    """Two records under one key are two people only when birth date and name both differ."""
    return not all(a != b and a and b for a, b in zip(_halves(one), _halves(other), strict=True))
