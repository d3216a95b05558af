"""Households that all say the same, counted as they go by: the same however the work is cut."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.quality.households import Households

Read = list[tuple[int, int]]


def count(read: Read, least: int = 2) -> Counter[int]:
    households = Households()
    for family, said in read:
        households.add(family, said)
    return households.same(least)


@pytest.mark.parametrize(
    ("read", "same"),
    [
        ([], {}),
        ([(1, 5)], {}),
        ([(1, 5), (1, 5)], {5: 1}),
        ([(1, 5), (1, 6)], {}),
        ([(1, 5), (1, 6), (1, 5), (1, 5)], {}),
        ([(1, 5), (1, 5), (2, 5), (2, 5), (3, 6)], {5: 2}),
        ([(1, 5), (1, 5), (2, 6), (1, 5), (1, 5)], {5: 2}),  # a family that comes apart is two
        ([(1, 5), (2, 6), (2, 6), (3, 7), (3, 8), (4, 6), (4, 6)], {6: 2}),
    ],
)
def test_everybody_says_the_same(read: Read, same: dict[int, int]) -> None:
    assert count(read) == same


def test_how_many_a_household_must_be() -> None:
    read = [(1, 5), (1, 5), (2, 6), (2, 6), (2, 6), (3, 7), (3, 7), (3, 7), (3, 7)]
    assert [dict(count(read, least)) for least in (2, 3, 4, 5)] == [{5: 1, 6: 1, 7: 1}, {6: 1, 7: 1}, {7: 1}, {}]


def test_no_household_goes_on_in_another_input() -> None:
    households = Households()
    households.add(1, 5)
    households.part()
    households.add(1, 5)
    assert households.same(2) == {}
    assert households.same(1) == {}  # one is no household


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), max_size=12),
    st.lists(st.integers(0, 12), max_size=4),
)
def test_pieces_count_what_the_whole_does(read: Read, cuts: list[int]) -> None:
    together = Households()
    for start, stop in pairwise([0, *sorted(cuts), 12]):
        piece = Households()
        for family, said in read[start:stop]:
            piece.add(family, 2 - said)  # a piece has numbers of its own
        together.take(pickle.loads(pickle.dumps(piece)), [2, 1, 0])  # noqa: S301 - as between our own processes
    runs = [[said for _, said in run] for _, run in groupby(read, key=lambda one: one[0])]
    expected = Counter(run[0] for run in runs if len(run) > 1 and len(set(run)) == 1)
    assert together.same(2) == count(read) == expected
