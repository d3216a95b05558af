"""What a run counted, frozen: everything that its numbers are made of, and nobody's name or key.

People who say the same, in the same places, are one entry with how many they are. Whatever happens to the
store later (corrections, retractions, purges), the numbers can be made again from this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from fhir_equity.quality.census import Census
from fhir_equity.quality.people import Profile

Counted = list[tuple[str, str, int]]


class Frozen(Struct, frozen=True):
    """A census that nothing can be added to. Answers to the questions that a document asks of a census."""

    profiles: list[Profile]
    people: list[tuple[tuple[int, ...], int]]  # numbers of profiles, and how many people have them
    households: list[tuple[Profile, int]]
    found: Counted
    lost: Counted

    def profile(self, number: int) -> Profile:
        """The profile with this number."""
        return self.profiles[number]

    def persons(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Each set of profiles with how many people have it."""
        return iter(self.people)

    def alike(self, _least: int) -> Iterator[tuple[Profile, int]]:
        """What households say that all say the same, of the least size when it was frozen."""
        return iter(self.households)

    def findings(self, _meaning_of: Callable[[str], Any]) -> Counter[tuple[str, str]]:
        """Findings by code and severity."""
        return Counter({(code, severity): count for code, severity, count in self.found})

    def losses(self) -> Counter[tuple[str, str]]:
        """Losses by rule and relationship."""
        return Counter({(rule, relationship): count for rule, relationship, count in self.lost})


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Frozen).decode


def freeze(census: Census, meaning_of: Callable[[str], Any], least_household: int) -> bytes:
    """A census as bytes, the same for the same census. Findings of values are counted now."""
    people = sorted(census.persons())
    used = sorted({number for numbers, _ in people for number in numbers})
    renumbered = {number: place for place, number in enumerate(used)}
    frozen = Frozen(
        [census.profile(number) for number in used],
        [(tuple(renumbered[number] for number in numbers), count) for numbers, count in people],
        [*census.alike(least_household)],
        [(*key, count) for key, count in sorted(census.findings(meaning_of).items())],
        [(*key, count) for key, count in sorted(census.losses().items())],
    )
    return _encode(frozen)


def thaw(content: bytes) -> Frozen:
    """What `freeze` made."""
    return _decode(content)
