"""How numbers of a report are counted and written: thousands, percentages, missing denominators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from fhir_equity.model import State

Document = Mapping[str, Any]

NO_MEMBERS = "no members"
SUPPRESSED = "suppressed"
NOTHING = "\N{EN DASH}"  # a cell without a number, because the question does not arise


def count(number: int | None) -> str:
    """A count with thousands separators; a count that is withheld (None) says so."""
    return SUPPRESSED if number is None else f"{number:,}"


def percent(part: int | None, whole: int | None) -> str:
    """A percentage with one decimal. 0.0% means nobody and 100.0% means everybody, never nearly so."""
    if part is None or whole is None:
        return SUPPRESSED
    if whole <= 0:
        return NO_MEMBERS
    words = f"{100 * part / whole:.1f}%"
    if words == "0.0%" and part > 0:
        return "<0.1%"
    if words == "100.0%" and part < whole:
        return ">99.9%"
    return words


def counted(part: int | None, whole: int | None) -> str:
    """A count with its percentage, ``80 (80.0%)``; a column or the caption beside it gives the whole.

    Nobody is just ``0``; without a whole there is no percentage.
    """
    return f"{count(part)} ({percent(part, whole)})" if part and whole is not None else count(part)


def share_of(part: int | None, whole: int | None) -> str:
    """A percentage with the numbers it is made of, ``80.0% (80 of 100)``."""
    if part is None or not whole:
        return percent(part, whole)
    return f"{percent(part, whole)} ({count(part)} of {count(whole)})"


def points(share: float | None) -> str:
    """A share, or a difference of shares, without the numbers that it is made of."""
    return NOTHING if share is None else f"{100 * share:.1f}%"


def total(numbers: Iterable[int | None]) -> int:
    """The sum of the counts that are not withheld."""
    return sum(number for number in numbers if number is not None)


class Filled(Struct, frozen=True):
    """How far one topic, source or group is filled: how many people are in each state.

    `people` is None where how many they are is withheld. `states` leaves out states without people.
    `rest` are people of `people` that no state accounts for: their counts are withheld or missing from
    the document.
    """

    label: str
    people: int | None
    states: Mapping[str, int | None]

    @property
    def rest(self) -> int:
        """People that no listed state accounts for."""
        return 0 if self.people is None else self.people - total(self.states.get(state) for state in State)

    @property
    def withheld(self) -> bool:
        """Whether a count is withheld; `rest` must then not be told in numbers."""
        return None in self.states.values()

    def number(self, state: State) -> int | None:
        """People in a state; None when the count is withheld."""
        return self.states.get(state, 0)


def filled(label: str, states: Mapping[str, int | None], people: int | None) -> Filled:
    """Make a Filled; people the states count beyond `people` raise the whole, so shares stay below 100%."""
    known = total(states.get(state) for state in State)
    return Filled(label, None if people is None else max(people, known), states)


def topic_filled(document: Document, topic: str, label: str) -> Filled | None:
    """How far a topic of the document (or of one of its strata) is filled; None where it is absent."""
    entry = document.get("topics", {}).get(topic)
    if entry is None:
        return None
    return filled(label, entry.get("states", {}), document.get("population"))
