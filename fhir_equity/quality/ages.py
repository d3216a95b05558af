"""How old an answer is: since it was collected, else since it was first seen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from fhir_equity.errors import TableError
from fhir_equity.model import Event
from fhir_equity.quality.populations import age_on
from fhir_equity.tables import Tables

TABLE = "policies/strata.toml"
YEAR, MONTH, DAY = len("YYYY"), len("YYYY-MM"), len("YYYY-MM-DD")


def date_of(event: Event) -> str:
    """The ISO date of an event: collected, else first seen; of a year or a month alone its first day.

    Nobody collects after it was seen: a later date is not believed.
    """
    collected = event.origin.collected_on
    if collected and (not event.first_seen or collected <= event.first_seen):
        return collected + "-01-01"[len(collected) - YEAR :] if len(collected) < DAY else collected
    return event.first_seen


def bands(tables: Tables, section: str, name: str) -> tuple[int, ...]:
    """The first whole year of each band. Raises TableError for bands that do not ascend from 0."""
    found = tables.document(TABLE)[section][name]
    if found[:1] != [0] or sorted(set(found)) != found:
        raise TableError(f"{TABLE}, {section}: the years must ascend from 0")
    return tuple(found)


def band(cuts: Sequence[int], years: int) -> str:
    """The band of a number of years, in words: ``3-4``, ``1``, ``5+``."""
    number = bisect_right(cuts, years) - 1
    if number + 1 == len(cuts):
        return f"{cuts[number]}+"
    last = cuts[number + 1] - 1
    return f"{cuts[number]}-{last}" if last > cuts[number] else str(last)


class Ages:
    """The ages of answers on an ISO date, in bands."""

    def __init__(self, tables: Tables, as_of: str) -> None:
        self._cuts = bands(tables, "answers", "years")
        self._as_of = as_of

    def band(self, event: Event) -> str:
        """The band of an event; the first for one that is not in the past."""
        years = age_on(date_of(event), self._as_of)
        return band(self._cuts, years or 0)
