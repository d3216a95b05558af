"""Bounds of hidden cells as far as single equations tell them, one after the other, until none tells more.

Whoever can add can find these out; what they give away needs no linear programming, and what they leave open is less
for it to look through.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from fhir_equity.errors import UsageError

Span = tuple[int, int]
TURNS = 200  # times that the equations are looked at: bounds may creep together for long


class Line(Struct, frozen=True):
    """An equation: the sum of the terms (the place of a cell, a factor) is `rest`."""

    terms: list[tuple[int, int]]
    rest: int

    def value(self, solution: Sequence[int]) -> int:
        """What the terms add up to."""
        return sum([factor * solution[place] for place, factor in self.terms])


def narrowed(lines: Sequence[Line], given: Sequence[Span], truth: Sequence[int]) -> list[Span]:
    """The least and the most of each cell by the equations, one at a time; they always hold the truth.

    All equations are looked at together, in turns: the order does not matter for where they end. Raises UsageError
    without numpy, which comes with scipy (the extra ``reports``).
    """
    bounds = [(min(low, value), max(high, value)) for (low, high), value in zip(given, truth, strict=True)]
    terms = [(place, factor) for line in lines for place, factor in line.terms]
    if not terms:
        return bounds
    try:
        import numpy as np
    except ImportError:
        raise UsageError("publishing needs scipy: install fhir-equity[reports]") from None
    sizes = np.array([len(line.terms) for line in lines if line.terms])
    rests = np.repeat([line.rest for line in lines if line.terms], sizes)
    starts = np.cumsum(sizes) - sizes
    place, factor = np.array(terms).T
    size, forward = np.abs(factor), factor > 0
    low, high = np.array(bounds).T.copy()
    for _ in range(TURNS):
        one, other = factor * low[place], factor * high[place]
        least, most = np.minimum(one, other), np.maximum(one, other)  # of factor times the cell
        lower = rests - np.repeat(np.add.reduceat(most, starts), sizes) + most
        upper = rests - np.repeat(np.add.reduceat(least, starts), sizes) + least
        before = low.copy(), high.copy()
        np.maximum.at(low, place, -(np.where(forward, -lower, upper) // size))
        np.minimum.at(high, place, np.where(forward, upper, -lower) // size)
        if np.array_equal(low, before[0]) and np.array_equal(high, before[1]):
            break
    return list(zip(low.tolist(), high.tolist(), strict=True))
