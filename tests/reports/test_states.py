"""Every state has a name, a colour of its own and text that can be read on it."""

from __future__ import annotations

from fhir_equity.model import State
from fhir_equity.reports.states import DARK, LIGHT, LOOKS, REST_COLOUR


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_closed_list_in_its_order() -> None:
    assert [look.state for look in LOOKS] == list(State)


def test_no_name_or_colour_twice() -> None:
    assert len({look.label for look in LOOKS}) == len(LOOKS)
    assert len({look.colour for look in LOOKS} | {REST_COLOUR}) == len(LOOKS) + 1


def test_text_on_a_segment_can_be_read() -> None:
    assert all(_contrast(look.colour, look.ink) >= 4.5 for look in LOOKS)
    assert _contrast(REST_COLOUR, DARK) >= 4.5
    assert _contrast(DARK, LIGHT) >= 7
