"""How old an answer is: by the date that is believed, in bands that join without a gap."""

from __future__ import annotations

import pytest

from fhir_equity.errors import TableError
from fhir_equity.model import Event, Origin
from fhir_equity.quality.ages import Ages, band, bands, date_of
from fhir_equity.tables import Tables

TABLES = Tables("", None)


def event(collected: str, seen: str = "2026-02-01") -> Event:
    return Event((), Origin(collected_on=collected), seen)


@pytest.mark.parametrize(
    ("collected", "believed"),
    [
        ("2024-06-30", "2024-06-30"),
        ("2024-06", "2024-06-01"),
        ("2024", "2024-01-01"),
        ("", "2026-02-01"),
        ("2026-02-01", "2026-02-01"),
        ("2026-02-02", "2026-02-01"),  # nobody collects after it was seen
    ],
)
def test_the_date_that_is_believed(collected: str, believed: str) -> None:
    assert date_of(event(collected)) == believed


def test_bands_join() -> None:
    assert [band((0, 1, 3, 5), years) for years in range(7)] == ["0", "1-2", "1-2", "3-4", "3-4", "5+", "5+"]


@pytest.mark.parametrize(
    ("collected", "found"),
    [("2025-03-02", "0"), ("2025-03-01", "1"), ("2021-03-02", "3-4"), ("2021-03-01", "5+"), ("1901", "5+")],
)
def test_a_year_is_over_on_its_day(collected: str, found: str) -> None:
    assert Ages(TABLES, "2026-03-01").band(event(collected)) == found


def test_what_was_first_seen_after_the_day_is_not_old() -> None:
    assert Ages(TABLES, "2026-01-01").band(event("")) == "0"


@pytest.mark.parametrize("wrong", [[], [1, 2], [0, 5, 3], [0, 2, 2]])
def test_bands_that_do_not_ascend_are_refused(wrong: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tables, "document", lambda *_: {"age": {"from": wrong}})
    with pytest.raises(TableError, match="must ascend from 0"):
        bands(TABLES, "age", "from")
