"""Strata as cells: the sum of a breakdown is the whole, and a breakdown of two kinds adds up to that of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_equity.quality.publish.body import Body
from fhir_equity.quality.publish.cells import Key
from fhir_equity.quality.publish.counts import Counts

LINES = frozenset({"partner", "coverage"})
Place = frozenset[tuple[str, str]]


def take_strata(counts: Counts, strata: list[Mapping[str, Any]]) -> list[Body]:
    """Take in every stratum; gives those that may be a product line of a program."""
    lines = []
    keys: dict[Place, Key] = {frozenset(): ()}
    for number, stratum in enumerate(strata):
        place = frozenset(stratum["by"].items())
        keys[place] = ("strata", *(f"{name}={value}" for name, value in sorted(place)))
        body = Body(counts, keys[place], ("strata", number), stratum, [*stratum["topics"]], whole=False)
        lines += [body] if LINES.issuperset(stratum["by"]) else []
    for whole, parts in _breakdowns(keys):
        counts.break_down(keys[whole], [keys[part] for part in parts])
    return lines


def _breakdowns(keys: Mapping[Place, Key]) -> Iterator[tuple[Place, list[Place]]]:
    """Each place with those that break it down; one of two kinds breaks down both of one, or else everybody."""
    found: dict[tuple[Place, frozenset[str]], list[Place]] = {}
    for place in keys:
        above: list[Place] = [place - {pair} for pair in place if place - {pair} in keys]
        if place and not above:
            above = [frozenset()]
        for whole in above:
            found.setdefault((whole, frozenset(name for name, _ in place)), []).append(place)
    for (whole, _), parts in found.items():
        yield whole, parts
