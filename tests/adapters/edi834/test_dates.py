"""Dates of the format D8: what is a day of the calendar, and nothing else."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_equity.adapters.edi834.dates import iso_date


@given(st.dates())
@example(date(2000, 2, 29))
@example(date(1900, 2, 28))
@example(date(1, 1, 1))
def test_every_day_is_read(day: date) -> None:
    written = day.isoformat()
    assert iso_date(written.replace("-", "")) == written
    assert iso_date(f" {written.replace('-', '')} ") == written


@pytest.mark.parametrize(
    "value",
    [
        *("", "2026", "20260229", "19000229", "20261301", "20260431", "20260100", "00000101", "2026-1-1", "202601011"),
        *("2026 101", "2026010", "\u0662\u0660\u0662\u0666\u0660\u0661\u0660\u0661", "20260101T"),
    ],
)
def test_what_is_no_day_is_empty(value: str) -> None:
    assert iso_date(value) == ""


@given(st.text("0123456789 -", max_size=10))
def test_nothing_is_read_that_the_calendar_does_not_have(value: str) -> None:
    found = iso_date(value)
    assert found == "" or date.fromisoformat(found).isoformat() == found == f"{value.strip()[:4]}-{found[5:]}"
