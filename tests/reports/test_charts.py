"""Charts: SVG without anything from elsewhere, that says in words what it shows."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from fhir_equity.reports.charts import NARROW_COLOUR, WIDE_COLOUR, Bar, bars, stacked
from fhir_equity.reports.figures import filled
from fhir_equity.reports.states import LOOKS, REST_COLOUR

COLOURS = {look.state.value: look.colour for look in LOOKS}
HOSTILE = "</text><script>alert(1)</script>&\"'"


def _texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter("text")]  # noqa: S314 - our own drawing


def _bars(svg: str) -> list[tuple[str, float]]:
    """Colour and width of every bar, in drawing order."""
    found = re.findall(r'aria-roledescription="bar" d="M[^"h]*h([\d.]+)v[^"]*" fill="([^"]+)"', svg)
    return [(colour, float(width)) for width, colour in found]


def test_segments_have_the_colour_and_share_of_their_state() -> None:
    svg = stacked("Title", "Words", [filled("Race", {"unknown": 15, "answered": 80, "declined": 5}, 100)])
    drawn = _bars(svg)
    assert [colour for colour, _ in drawn] == [COLOURS["answered"], COLOURS["declined"], COLOURS["unknown"]]
    whole = sum(width for _, width in drawn)
    assert [round(width / whole, 3) for _, width in drawn] == [0.8, 0.05, 0.15]
    assert whole == pytest.approx(630, abs=1)


def test_segments_too_narrow_for_words_have_none() -> None:
    texts = _texts(stacked("Title", "Words", [filled("Race", {"answered": 93, "declined": 7}, 100)]))
    assert "93.0%" in texts
    assert "7.0%" not in texts
    assert "Racen = 100" in texts


def test_people_no_state_accounts_for_are_drawn_as_such() -> None:
    svg = stacked("Title", "Words", [filled("Race", {"answered": 30}, 40)])
    assert [colour for colour, _ in _bars(svg)] == [COLOURS["answered"], REST_COLOUR]
    assert "25.0%" in _texts(svg)


def test_a_withheld_count_is_not_told_by_the_rest() -> None:
    svg = stacked("Title", "Words", [filled("Race", {"answered": 30, "declined": None}, 40)])
    assert [colour for colour, _ in _bars(svg)] == [COLOURS["answered"], REST_COLOUR]
    assert "75.0%" in _texts(svg)
    assert "25.0%" not in _texts(svg)


def test_a_row_of_a_withheld_number_of_people_has_no_shares() -> None:
    texts = _texts(stacked("Title", "Words", [filled("Race", {"answered": 400, "unknown": 96}, None)]))
    assert "suppressed" in texts
    assert not [words for words in texts if words.startswith(("80", "19"))]


def test_a_row_of_nobody_says_so() -> None:
    rows = [filled("Race", {"answered": 5}, 5), filled("Sex", {}, 0)]
    texts = _texts(stacked("Title", "Words", rows))
    assert "no members" in texts
    assert "100.0%" in texts


def test_bars_have_a_part_inside_and_words_at_their_end() -> None:
    svg = bars("Title", "Words", [Bar("Asian", 10, "10 (20.0%), alone 5 (10.0%)", 5), Bar("Other", 20, "20 (40.0%)")])
    assert {"Asian", "Other", "10 (20.0%), alone 5 (10.0%)", "20 (40.0%)"} <= set(_texts(svg))
    wide = [width for colour, width in _bars(svg) if colour == WIDE_COLOUR]
    narrow = [width for colour, width in _bars(svg) if colour == NARROW_COLOUR]
    assert wide[0] * 2 == pytest.approx(wide[1], abs=0.1)
    assert narrow[0] * 2 == pytest.approx(wide[0], abs=0.1)


def test_bars_of_nobody_are_drawn() -> None:
    assert "suppressed" in _texts(bars("Title", "Words", [Bar("Asian", 0, "suppressed")]))


def test_text_alternative() -> None:
    svg = bars("A & B", "x < y", [Bar("Asian", 1, "1")])
    assert svg.startswith('<svg role="img" viewBox="0 0 880 ')
    assert "<title>A &amp; B</title><desc>x &lt; y</desc>" in svg


def test_nothing_from_elsewhere_and_no_names_that_could_clash() -> None:
    svg = stacked("Title", "Words", [filled("Race", {"answered": 5}, 5)])
    assert "://" not in svg
    assert not re.search(r"\b(id|href|url)\s*[=(]", svg)


def test_hostile_words_stay_words() -> None:
    for svg in (
        stacked(HOSTILE, HOSTILE, [filled(HOSTILE, {"answered": 5}, 5)]),
        bars(HOSTILE, HOSTILE, [Bar(HOSTILE, 5, HOSTILE)]),
    ):
        assert "<script" not in svg
        assert any(text.startswith("</text><script>") for text in _texts(svg))


def test_words_are_data_not_expressions() -> None:
    label = "'+datum.start+' {{1+1}} ${1}"
    assert label in _texts(bars("Title", "Words", [Bar(label, 5, "5")]))


@pytest.mark.parametrize("words", ["1", "8,700,000 (70.5%), alone 7,650,000 (62.0%)", "x" * 60])
def test_the_longest_bar_leaves_room_for_its_words(words: str) -> None:
    (width,) = (width for colour, width in _bars(bars("Title", "Words", [Bar("Asian", 9, words)])) if width)
    assert width == pytest.approx(max(630 - 16 - 7 * len(words), 630 * 0.4), abs=1)
