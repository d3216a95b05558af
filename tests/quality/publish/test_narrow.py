"""Bounds by single equations: never away from the truth, and as close as adding and taking away comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.quality.publish.attack import Witnesses
from fhir_equity.quality.publish.narrow import Line, narrowed


def test_what_is_left_of_a_sum() -> None:
    assert narrowed([Line([(0, 1), (1, 1)], 12)], [(1, 10), (0, 4)], [9, 3]) == [(8, 10), (2, 4)]
    assert narrowed([Line([(0, 1), (1, -2)], 1)], [(0, 9), (0, 9)], [7, 3]) == [(1, 9), (0, 4)]


def test_one_equation_tells_the_next() -> None:
    lines = [Line([(0, 1), (1, 1)], 5), Line([(1, 1), (2, 1)], 4), Line([(2, 1)], 1)]
    assert narrowed(lines, [(0, 99)] * 3, [2, 3, 1]) == [(2, 2), (3, 3), (1, 1)]


@given(
    st.lists(st.integers(0, 30), min_size=3, max_size=6),
    st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.sampled_from([-2, -1, 1, 1])), min_size=1, max_size=3), max_size=5
    ),
)
def test_the_truth_is_always_within(truth: list[int], terms: list[list[tuple[int, int]]]) -> None:
    lines = [Line(given, sum(factor * truth[place] for place, factor in given)) for given in map(_once, terms)]
    bounds = narrowed(lines, [(0, 40)] * len(truth), truth)
    assert all(low <= value <= high for value, (low, high) in zip(truth, bounds, strict=True))


@given(
    st.lists(st.integers(0, 30), min_size=3, max_size=6),
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([-1, 1])), min_size=1, max_size=4), max_size=5),
)
def test_no_equation_alone_tells_more(truth: list[int], terms: list[list[tuple[int, int]]]) -> None:
    cells = [[(place % len(truth), factor) for place, factor in given] for given in terms]
    lines = [Line(given, sum(factor * truth[place] for place, factor in given)) for given in map(_once, cells)]
    bounds = narrowed(lines, [(0, 40)] * len(truth), truth)
    for line in lines:
        ends = [sorted((factor * bounds[place][0], factor * bounds[place][1])) for place, factor in line.terms]
        for low, high in ends:
            assert line.rest - (sum(end[1] for end in ends) - high) <= low
            assert line.rest - (sum(end[0] for end in ends) - low) >= high


def _once(terms: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return list(dict(terms).items())


def test_witnesses_of_worlds_that_move_what_is_told_are_gone() -> None:
    known = Witnesses([{("a",): 3, ("b",): -3}, {("a",): -2, ("c",): 2}, {("a",): 1}])
    assert (known.span(("a",)), known.apart(("a",)), known.apart(("d",))) == ((-2, 3), 5, 0)
    fewer = known.without([("b",)])
    assert (fewer.span(("a",)), fewer.apart(("b",)), fewer.span(("c",))) == ((-2, 0), 0, (0, 2))
