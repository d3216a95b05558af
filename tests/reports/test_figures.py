"""Counts, percentages and denominators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.model import State
from fhir_equity.reports.figures import count, counted, filled, percent, share_of, topic_filled, total


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567"), (None, "suppressed")]
)
def test_count(number: int | None, words: str) -> None:
    assert count(number) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (80, 100, "80.0%"),
        (1, 3, "33.3%"),
        (2, 3, "66.7%"),
        (0, 7, "0.0%"),
        (7, 7, "100.0%"),
        (1, 100_000, "<0.1%"),
        (99_999, 100_000, ">99.9%"),
        (0, 0, "no members"),
        (None, 10, "suppressed"),
        (3, None, "suppressed"),
    ],
)
def test_percent(part: int | None, whole: int | None, words: str) -> None:
    assert percent(part, whole) == words


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_only_nobody_and_everybody_are_round(part: int, more: int) -> None:
    whole = part + more
    words = percent(part, whole)
    assert words != "100.0%"
    assert (words == "0.0%") == (part == 0)


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (1234, 12340, "1,234 (10.0%)"),
        (0, 10, "0"),
        (0, 0, "0"),
        (5, None, "5"),
        (None, 10, "suppressed"),
        (5, 0, "5 (no members)"),
    ],
)
def test_counted(part: int | None, whole: int | None, words: str) -> None:
    assert counted(part, whole) == words


def test_share_of() -> None:
    assert share_of(8000, 10000) == "80.0% (8,000 of 10,000)"
    assert share_of(0, 5) == "0.0% (0 of 5)"
    assert share_of(0, 0) == "no members"
    assert share_of(None, 5) == "suppressed"
    assert share_of(3, None) == "suppressed"


def test_total_leaves_out_what_is_withheld() -> None:
    assert total([1, None, 2]) == 3


def test_people_without_a_listed_state_are_the_rest() -> None:
    row = filled("x", {"answered": 5, "declined": None, "a state from the future": 2}, 10)
    assert row.rest == 5
    assert row.number(State.ANSWERED) == 5
    assert row.number(State.DECLINED) is None
    assert row.number(State.UNKNOWN) == 0


def test_states_beyond_the_population_raise_the_whole() -> None:
    row = filled("x", {"answered": 12}, 10)
    assert (row.people, row.rest) == (12, 0)
    withheld = filled("x", {"answered": 400, "declined": None, "unknown": 96}, None)
    assert (withheld.people, withheld.rest) == (None, 0)


def test_an_absent_topic_is_not_a_topic_without_answers() -> None:
    document = {"population": 4, "topics": {"race": {}}}
    assert topic_filled(document, "ethnicity", "") is None
    assert topic_filled({}, "race", "") is None
    row = topic_filled(document, "race", "Race")
    assert row is not None
    assert (row.label, row.people, row.rest) == ("Race", 4, 4)
