"""Households of two or more in which everybody has one and the same answer, counted while the members go by.

An 834 gives a family one after the other, so only the household that is being read is remembered,
and the first and the last of a piece of work, which may go on in the pieces beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

from msgspec import Struct


class _Household(Struct):
    """Who was read so far: the family, how many, and what all of them say (None: not the same)."""

    family: Hashable
    size: int
    profile: int | None


class Households:
    """Follows the members of a run. `said` is a number that stands for what a member says."""

    def __init__(self) -> None:
        self._first: _Household | None = None
        self._last: _Household | None = None
        self._same: Counter[tuple[int, int]] = Counter()  # by what they say and how many they are

    def add(self, family: Hashable, said: int) -> None:
        """The next member."""
        now = self._last or self._first
        if now is not None and now.family == family:
            now.size += 1
            if now.profile != said:
                now.profile = None
        elif now is None or now is self._first:
            self._push(_Household(family, 1, said))
        else:  # nothing that comes can belong to the last: the next takes its place
            if now.size > 1 and now.profile is not None:
                self._same[now.profile, now.size] += 1
            now.family, now.size, now.profile = family, 1, said

    def seal(self, number: Callable[[Any], int]) -> None:
        """Let a number stand for each family that may go on elsewhere."""
        for household in (self._first, self._last):
            if household is not None:
                household.family = number(household.family)

    def part(self) -> None:
        """What comes now is of another input: no household goes on."""
        for household in (self._first, self._last):
            self._close(household)
        self._first = self._last = None

    def take(self, other: Households, numbers: list[int]) -> None:
        """Take over what another counted of what comes next; what it calls `n` is `numbers[n]` here."""
        for (said, size), count in other._same.items():
            self._same[numbers[said], size] += count
        if other._first is not None:
            self._push(_renumbered(other._first, numbers))
        if other._last is not None:
            self._settle()
            self._last = _renumbered(other._last, numbers)

    def same(self, least: int) -> Counter[int]:
        """How many households of at least so many say the same, by what they say."""
        found: Counter[int] = Counter()
        everybody = [*self._same.items(), *((_key(h), 1) for h in (self._first, self._last) if h is not None)]
        for key, count in everybody:
            if key is not None and key[1] >= least:
                found[key[0]] += count
        return found

    def _push(self, household: _Household) -> None:
        """Put a household, or a piece of one, behind the last."""
        before = self._last or self._first
        if before is None:
            self._first = household
        elif before.family == household.family:
            before.size += household.size
            before.profile = before.profile if before.profile == household.profile else None
        else:
            self._settle()
            self._last = household

    def _settle(self) -> None:
        """Count the last household: nothing that comes can belong to it."""
        self._close(self._last)
        self._last = None

    def _close(self, household: _Household | None) -> None:
        key = _key(household)
        if key is not None:
            self._same[key] += 1


def _key(household: _Household | None) -> tuple[int, int] | None:
    if household is None or household.size < 2 or household.profile is None:
        return None
    return household.profile, household.size


def _renumbered(household: _Household, numbers: list[int]) -> _Household:
    said = None if household.profile is None else numbers[household.profile]
    return _Household(household.family, household.size, said)
