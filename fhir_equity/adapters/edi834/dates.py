"""Dates of the 834 (format D8) as ISO dates."""

from __future__ import annotations

from datetime import date


def iso_date(value: str) -> str:
    """CCYYMMDD -> ISO; empty where it is no calendar date."""
    if len(value) != 8:
        value = value.strip(" ")
    if len(value) != 8 or not (value.isascii() and value.isdigit()):
        return ""
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return ""
