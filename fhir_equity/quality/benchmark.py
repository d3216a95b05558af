"""How the people who are counted compare with a population table that the user supplies, by county.

The table is a CSV file with the columns `county`, `category` and `people`, as one makes it from the ACS. An
empty county is the whole area. A category is one of OMB 2024 (alone), ``Hispanic or Latino`` whatever the
race beside it, or ``Multiracial``. Where a county's rows have no Middle Eastern or North African, those who
say so count as White, as in the ACS to date. Who has no category is left out.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from fhir_equity.errors import UsageError
from fhir_equity.model import Resolution, State
from fhir_equity.quality.results import dissimilarity
from fhir_equity.quality.rulebook import Rule
from fhir_equity.vocabulary.schema import MENA, Schemas

HISPANIC, WHITE, MULTIRACIAL = "Hispanic or Latino", "White", "Multiracial"
COLUMNS = ("county", "category", "people")
WHOLE = ""

Population = dict[str, dict[str, int]]  # people by county and category


def population_from(path: Path, categories: Collection[str]) -> Population:
    """Read a population table. Raises UsageError for one that cannot be read or has other columns or categories."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {*COLUMNS} <= {*(rows.fieldnames or ())}:
                raise UsageError(f"{path.name} must have the columns {', '.join(COLUMNS)}")
            found: Population = {}
            for number, row in enumerate(rows, start=2):
                category, people = (row["category"] or "").strip(), (row["people"] or "").strip()
                if category not in (*categories, MULTIRACIAL) or not people.isascii() or not people.isdecimal():
                    raise UsageError(
                        f"{path.name}, row {number}: no category of OMB 2024 (or Multiracial), or no number"
                    )
                county = found.setdefault((row["county"] or "").strip(), {})
                county[category] = county.get(category, 0) + int(people)
    except OSError as error:
        raise UsageError(f"the population table {path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the population table {path.name} is not UTF-8 text") from None
    if not any(any(people.values()) for people in found.values()):
        raise UsageError(f"the population table {path.name} has no people")
    return found


class Benchmark:
    """Counts people by county and category for the comparison."""

    def __init__(self, population: Population, schema: Schemas) -> None:
        self._population = population
        self._schema = schema
        self._counts: dict[str, Counter[str]] = {county: Counter() for county in population}

    def add(self, counties: Collection[str], resolution: Resolution | None, count: int) -> None:
        """Count `count` people of these counties with this answer about race and ethnicity."""
        if resolution is None or resolution.winner is None or resolution.state is not State.ANSWERED:
            return
        found = self._schema.omb2024(resolution.meanings, resolution.winner.origin.standard).categories
        if not found:
            return
        for county in {*counties, WHOLE} & {*self._counts}:
            self._counts[county][self._called(county, found)] += count

    def _called(self, county: str, found: tuple[str, ...]) -> str:
        if HISPANIC in found:
            return HISPANIC
        if MENA not in self._population[county]:
            found = tuple(dict.fromkeys(WHITE if category == MENA else category for category in found))
        return found[0] if len(found) == 1 else MULTIRACIAL

    def document(self, rule: Rule) -> list[dict[str, Any]]:
        """Each county of the table with both distributions; `differs` is more than the rule's limit."""
        return [self._county(county, rule) for county in sorted(self._counts) if any(self._population[county].values())]

    def _county(self, county: str, rule: Rule) -> dict[str, Any]:
        ours, theirs = self._counts[county], self._population[county]
        people, whole = ours.total(), sum(theirs.values())
        rows = []
        for category in sorted({*ours, *theirs}):
            share, expected = Fraction(ours[category], people or 1), Fraction(theirs.get(category, 0), whole)
            difference = share - expected if people else None
            rows.append(
                {
                    "category": category,
                    "people": ours[category],
                    "share": float(share) if people else None,
                    "population_share": float(expected),
                    "difference": None if difference is None else float(difference),
                    "differs": people >= rule.least and difference is not None and abs(difference) > rule.limit,
                }
            )
        index = dissimilarity(ours, {name: Fraction(n, whole) for name, n in theirs.items()}) if people else None
        return {
            "county": county,
            "people": people,
            "population": whole,
            "dissimilarity": None if index is None else float(index),
            "categories": rows,
        }


def differing(document: list[dict[str, Any]]) -> Iterator[tuple[str, str, int]]:
    """County, category and people of each case."""
    for county in document:
        for row in county["categories"]:
            if row["differs"]:
                yield county["county"], row["category"], row["people"]
