"""Dependents whose subscriber nobody has seen, counted in little memory.

A dependent mostly stands soon after the subscriber. Only the latest subscribers are remembered;
whom they do not explain waits, as a number of eight bytes, for a second look at the inputs.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import Any

LATEST = 10_000  # subscribers remembered, at least; at most twice as many


class Families:
    """Follows the members of the 834s of a run; `number` is a keyed hash of partner and REF*0F."""

    def __init__(self, number: Callable[[str, str], int]) -> None:
        self._number = number
        self._latest: dict[str, None] = {}
        self._earlier: dict[str, None] = {}
        self._waiting = array("Q")

    def __getstate__(self) -> dict[str, Any]:
        return {"_latest": {}, "_earlier": {}, "_waiting": self._waiting}  # no member's key

    def add(self, partner: str, family: str, *, subscriber: bool) -> None:
        """A member of a partner who has this REF*0F."""
        if not subscriber:
            if family not in self._latest and family not in self._earlier:
                self._waiting.append(self._number(partner, family))
            return
        self._latest[family] = None
        if len(self._latest) >= LATEST:
            self._earlier, self._latest = self._latest, {}

    def part(self) -> None:
        """Forget the subscribers: those of one partner are not another's."""
        self._latest, self._earlier = {}, {}

    def take(self, other: Families) -> None:
        """Take over who waits with another."""
        self._waiting += other._waiting

    @property
    def waiting(self) -> bool:
        """Whether a second look is needed."""
        return bool(self._waiting)

    def alone(self, subscribers: Iterable[int]) -> int:
        """How many dependents have none of all these subscribers, by the same hash."""
        left = set(self._waiting)
        for number in subscribers:
            left.discard(number)
        return sum(number in left for number in self._waiting)
