"""Dates as surveys write them, read by the formats the guide lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache

_KEPT = 65536  # distinct dates of one run; bounded, because garbage can be endless


def date_reader(formats: Iterable[str]) -> Callable[[str], str]:
    """A function from a date as written to an ISO date; empty where no format fits."""
    tried = tuple(formats)

    @lru_cache(maxsize=_KEPT)
    def iso(text: str) -> str:
        # strptime would take 1119 for the year 1119 and 202411 for two single digits.
        if text.isdigit() and len(text) != 8:
            return ""
        for form in tried:
            try:
                return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007 - a calendar day
            except ValueError:
                continue
        return ""

    return iso
