"""Charts as inline SVG without JavaScript: filled states per row, and bars of counts.

altair and vl-convert are loaded on use, because they are an extra. The text of a chart reaches Vega as
data only, never as an expression.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from msgspec import Struct

from fhir_equity.reports.figures import NO_MEMBERS, SUPPRESSED, Filled, count, percent
from fhir_equity.reports.states import DARK, LOOKS, REST_COLOUR

FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
WIDTH = 880
NAMES = 250
CHARACTER = 7  # the width of a digit at the size of a bar's words
MUTED = "#565f69"
RULE = "#d5d9de"
WIDE_COLOUR = "#6699cc"
NARROW_COLOUR = "#004488"
OTHER_COLOUR = "#7f8790"
# A narrower segment has no room for its percentage.
NARROWEST_LABELLED = 0.075


class Bar(Struct, frozen=True):
    """One row of a bar chart: a wide bar, a narrow one inside it (None for none), and their words."""

    label: str
    wide: int
    words: str
    narrow: int | None = None
    colour: str = WIDE_COLOUR


def stacked(title: str, text: str, rows: Sequence[Filled]) -> str:
    """A 100% bar per row, one segment per state in the order of LOOKS. `text` describes it in words."""
    import altair as alt

    segments = [segment for row in rows for segment in _segments(row)]
    axis = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], title=None)
    base = alt.Chart(alt.InlineData(values=segments)).encode(y=_rows([_label(row) for row in rows]))
    bars = base.mark_bar(size=24, stroke="white", strokeWidth=1).encode(
        x=alt.X("start:Q", axis=axis, scale=alt.Scale(domain=[0, 1])),
        x2="stop:Q",
        color=alt.Color("colour:N", scale=None, legend=None),
    )
    words = base.mark_text(fontSize=12).encode(
        x="middle:Q", text="words:N", color=alt.Color("ink:N", scale=None, legend=None)
    )
    return _svg((bars + words).properties(height={"step": 44}), title, text)


def _label(row: Filled) -> str:
    return f"{row.label}\nn = {count(row.people)}"


def _segments(row: Filled) -> list[dict[str, Any]]:
    """Where each state starts and stops, as shares of the row's people."""
    if row.people is None:  # of an unknown whole nothing is a share
        return [_segment(row, 0, 0.16, "#ffffff", MUTED, SUPPRESSED)]
    parts = [(row.number(look.state) or 0, look.colour, look.ink) for look in LOOKS]
    parts.append((row.rest, REST_COLOUR, DARK))
    found, start = [], 0
    for number, colour, ink in parts:
        if number <= 0:
            continue
        stop = start + number
        told = number / row.people >= NARROWEST_LABELLED and not (row.withheld and colour == REST_COLOUR)
        words = percent(number, row.people) if told else ""
        found.append(_segment(row, start / row.people, stop / row.people, colour, ink, words))
        start = stop
    return found or [_segment(row, 0, 0.12, "#ffffff", MUTED, NO_MEMBERS)]


def _segment(row: Filled, start: float, stop: float, colour: str, ink: str, words: str) -> dict[str, Any]:
    shape = {"start": start, "stop": stop, "middle": (start + stop) / 2}
    return {"row": _label(row), **shape, "colour": colour, "ink": ink, "words": words}


def bars(title: str, text: str, rows: Sequence[Bar]) -> str:
    """Bars of counts, each with its words at its end."""
    import altair as alt

    values = [
        {"row": bar.label, "wide": bar.wide, "narrow": bar.narrow or 0, "words": bar.words, "colour": bar.colour}
        for bar in rows
    ]
    # The scale goes on beyond the longest bar to leave room for the longest words.
    room = min(0.6, (16 + CHARACTER * max((len(bar.words) for bar in rows), default=0)) / (WIDTH - NAMES))
    most = max([1, *(bar.wide for bar in rows)]) / (1 - room)
    base = alt.Chart(alt.InlineData(values=values)).encode(y=_rows([bar.label for bar in rows]))
    scale = alt.Scale(domain=[0, most], nice=False)
    wide = base.mark_bar(size=20).encode(
        x=alt.X("wide:Q", axis=None, scale=scale), color=alt.Color("colour:N", scale=None, legend=None)
    )
    narrow = base.mark_bar(size=8, color=NARROW_COLOUR).encode(x="narrow:Q")
    words = base.mark_text(align="left", dx=8, fontSize=13, color=DARK).encode(x="wide:Q", text="words:N")
    return _svg((wide + narrow + words).properties(height={"step": 32}), title, text)


def _rows(labels: list[str]) -> Any:
    """The axis of rows in the given order; a line break in a label is one on the page."""
    import altair as alt

    axis = alt.Axis(
        title=None,
        labelExpr="split(datum.label, '\\n')",
        labelAlign="left",
        labelPadding=NAMES,
        minExtent=NAMES,
        maxExtent=NAMES,
    )
    return alt.Y("row:N", sort=list(dict.fromkeys(labels)), axis=axis)


def _svg(chart: Any, title: str, text: str) -> str:
    """Render in this process without network access, then give the picture its text alternative."""
    import altair as alt
    import vl_convert

    axis = {"labelFont": FONT, "labelFontSize": 13, "labelColor": DARK, "labelLimit": NAMES - 16, "labelLineHeight": 16}
    lines = {"gridColor": RULE, "domain": False, "ticks": False}
    chart = (
        chart.properties(width=WIDTH, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"), padding=0)
        .configure_axis(**axis, **lines)
        .configure_text(font=FONT)
        .configure_view(stroke=None)
    )
    drawn = vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[])
    _, box, inner = re.split(r'viewBox="([^"]*)"[^>]*>', drawn, maxsplit=1)
    head = f'<svg role="img" viewBox="{box}" width="{box.split()[2]}">'
    return f"{head}<title>{escape(title)}</title><desc>{escape(text)}</desc>{inner}"
