"""Bounds of hidden cells as far as single equations tell them, one after the other, until none tells more.

Whoever can add can find these out; what they give away needs no linear programming, and what they leave open is less
for it to look through.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

Span = tuple[int, int]
TURNS = 60  # times that an equation is looked at, on average: bounds may creep together for long


class Line(Struct, frozen=True):
    """An equation: the sum of the terms (the place of a cell, a factor) is `rest`."""

    terms: list[tuple[int, int]]
    rest: int

    def value(self, solution: Sequence[int]) -> int:
        """What the terms add up to."""
        return sum([factor * solution[place] for place, factor in self.terms])


def narrowed(lines: Sequence[Line], given: Sequence[Span], truth: Sequence[int]) -> list[Span]:
    """The least and the most of each cell by the equations, one at a time; they always hold the truth."""
    bounds = [(min(low, value), max(high, value)) for (low, high), value in zip(given, truth, strict=True)]
    of: dict[int, list[int]] = {}
    for number, line in enumerate(lines):
        for place, _ in line.terms:
            of.setdefault(place, []).append(number)
    waiting, queued, turns = [*range(len(lines))], set(range(len(lines))), TURNS * len(lines)
    while waiting and turns:
        turns -= 1
        number = waiting.pop()
        queued.discard(number)
        for place in _narrow(lines[number], bounds):
            for other in of[place]:
                if other not in queued and other != number:
                    queued.add(other)
                    waiting.append(other)
    return bounds


def _narrow(line: Line, bounds: list[Span]) -> list[int]:
    """Narrow the cells of one equation; gives the places of those that were."""
    least = most = 0
    for place, factor in line.terms:
        low, high = bounds[place]
        least += factor * (low if factor > 0 else high)
        most += factor * (high if factor > 0 else low)
    changed = []
    for place, factor in line.terms:
        low, high = bounds[place]
        own_least, own_most = (factor * low, factor * high) if factor > 0 else (factor * high, factor * low)
        lower, upper = line.rest - (most - own_most), line.rest - (least - own_least)  # of factor times the cell
        if factor < 0:
            lower, upper = -upper, -lower
        size = abs(factor)
        new = max(low, -(-lower // size)), min(high, upper // size)
        if new != (low, high):
            bounds[place] = new
            changed.append(place)
    return changed
