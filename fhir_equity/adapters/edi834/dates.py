"""Dates of the 834 (format D8) as ISO dates."""

from __future__ import annotations

from datetime import date, timedelta

# Nearly all dates have one of these years and one of these days, which every year has: to look a date up by its halves
# is quicker than to remember the days of a century.
_YEARS = frozenset(str(year) for year in range(1900, 2100))
_DAYS = {f"{day:%m%d}": f"{day:-%m-%d}" for day in (date(2001, 1, 1) + timedelta(days) for days in range(365))}
_WRITTEN = {iso: day for day, iso in _DAYS.items()}


def iso_date(value: str) -> str:
    """CCYYMMDD -> ISO; empty where it is no calendar date."""
    year, day = value[:4], _DAYS.get(value[4:])
    if day is not None and year in _YEARS:
        return year + day
    if len(value) != 8:
        value = value.strip(" ")
    if len(value) != 8 or not (value.isascii() and value.isdigit()):
        return ""
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return ""


def written_date(value: str) -> str:
    """A whole ISO date -> CCYYMMDD; empty for anything less."""
    year, day = value[:4], _WRITTEN.get(value[4:])
    if day is not None and year in _YEARS:
        return year + day
    try:
        whole = date.fromisoformat(value).isoformat() == value
    except ValueError:
        return ""
    return value.replace("-", "") if whole else ""
