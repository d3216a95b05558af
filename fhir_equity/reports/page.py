"""What the HTML page shows, part by part; the template decides nothing but the layout."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fhir_equity.model import State
from fhir_equity.reports import assurance, charts, labels, programs, record, sections
from fhir_equity.reports.charts import Bar
from fhir_equity.reports.figures import (
    NOTHING,
    Document,
    Filled,
    count,
    counted,
    percent,
    share_of,
    topic_filled,
    total,
)
from fhir_equity.reports.sections import OMB2024_PEOPLE, RACE_ETHNICITY, SPOKEN, Section
from fhir_equity.reports.states import LOOKS, REST_COLOUR, REST_LABEL, REST_MEANING

INTERNAL = "Internal: counts are not suppressed"
PUBLISHED = "Published: small counts are suppressed"


def page(document: Document) -> dict[str, Any]:
    """The parts of the page by name."""
    return {
        "notice": notice(document),
        "generated": _moment(document.get("generated", "")),
        "software": document.get("software", ""),
        "summary": _summary(document),
        "cards": _cards(document),
        "scope": assurance.scope(document),
        "fields": assurance.fields(document),
        "inputs": sections.inputs(document),
        "completeness": _completeness(document),
        "sources": _sources(document),
        "methods": sections.methods(document),
        "scorecard": assurance.scorecard(document),
        "concordance": assurance.concordance(document),
        "settled": assurance.settled(document),
        "cases": assurance.cases(document),
        "currency": assurance.currency(document),
        "omb2024": _omb2024(document),
        "combinations": sections.combinations(document),
        "detailed": sections.detailed(document),
        "omb1997": _omb1997(document),
        "comparison": assurance.comparison(document),
        "languages": _languages(document),
        "programs": _programs(document),
        "strata": sections.strata(document),
        "findings": sections.findings(document),
        "unmapped": assurance.unmapped(document),
        "losses": sections.losses(document),
        "disclosures": record.disclosures(document),
        "controls": record.controls(document),
        "actions": record.actions(document),
        "trend": record.trend(document),
        "release": sections.release(document),
        "editions": sections.editions(document),
        "states": [(look.label, look.colour, look.meaning) for look in LOOKS]
        + [(REST_LABEL, REST_COLOUR, REST_MEANING)],
    }


def notice(document: Document) -> str:
    """Who may see a report, as every page and sheet of it says."""
    return INTERNAL if document.get("audience", "internal") == "internal" else PUBLISHED


def _moment(generated: str) -> str:
    """``2026-11-21 22:00 UTC`` for an ISO date and time; anything else as it is."""
    try:
        return datetime.fromisoformat(generated).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return generated


def _summary(document: Document) -> str:
    """The audit in a few short sentences."""
    people = document.get("population", 0)
    if people == 0:
        return "There are no members in this audit."
    covers = "The number of people is withheld." if people is None else "This audit covers {}."
    words = [covers.format(_plural(people or 0, "person", "people"))]
    race, spoken = (topic_filled(document, topic, "") for topic in (RACE_ETHNICITY, SPOKEN))
    if race is not None:
        answered, declined = (percent(race.number(s), race.people) for s in (State.ANSWERED, State.DECLINED))
        words.append(f"Race and ethnicity: {answered} answered, {declined} declined to answer.")
    if spoken is not None:
        words.append(f"Spoken language: {percent(spoken.number(State.ANSWERED), spoken.people)} answered.")
    return " ".join(words)


def _plural(number: int | None, one: str, many: str) -> str:
    return f"{count(number)} {one if number == 1 else many}"


def _cards(document: Document) -> list[tuple[str, str, str]]:
    """The headline figures: (label, figure, what it is made of)."""
    inputs = document.get("run", {}).get("inputs", [])
    read = _plural(len(inputs), "input", "inputs")
    if all(given.get("rejected", 0) is not None for given in inputs):
        rejected = total(given.get("rejected", 0) for given in inputs)
        read += f", {_plural(rejected, 'record', 'records')} rejected"
    wanted = (
        ("Race and ethnicity answered", RACE_ETHNICITY, State.ANSWERED),
        ("Race and ethnicity declined", RACE_ETHNICITY, State.DECLINED),
        ("Spoken language answered", SPOKEN, State.ANSWERED),
    )
    cards = [("People", count(document.get("population", 0)), read)]
    return cards + [_card(label, topic_filled(document, topic, ""), state) for label, topic, state in wanted]


def _card(label: str, row: Filled | None, state: State) -> tuple[str, str, str]:
    if row is None:
        return label, NOTHING, "not part of this audit"
    number = row.number(state)
    return label, percent(number, row.people), f"{count(number)} of {_plural(row.people, 'person', 'people')}"


def _completeness(document: Document) -> dict[str, Any]:
    return _stacked(sections.completeness(document), sections.topics_filled(document))


def _sources(document: Document) -> dict[str, Any]:
    """All sources in the table; the chart shows those of race and ethnicity."""
    section = sections.sources(document)
    name = labels.topic(RACE_ETHNICITY)
    drawn = tuple(row[1:] for row in section.rows if row[0] == name)
    chart = Section(f"{name} by source", section.columns[1:], drawn)
    return {**_stacked(chart, sections.sources_filled(document, RACE_ETHNICITY)), "section": section}


def _stacked(section: Section, rows: list[Filled]) -> dict[str, Any]:
    """The table, its chart unless nobody is in it, and the legend: states the chart shows, in their order."""
    drawn = any(row.people for row in rows)
    legend = [(look.label, look.colour) for look in LOOKS if any(row.number(look.state) for row in rows)]
    if any(row.rest for row in rows):
        legend.append((REST_LABEL, REST_COLOUR))
    chart = charts.stacked(section.title, _aloud(section), rows) if drawn else ""
    return {"section": section, "chart": chart, "legend": legend}


def _aloud(section: Section) -> str:
    """A table in words, for those who hear the chart."""
    names = section.columns[section.words :]
    spoken = []
    for row in section.rows:
        cells = zip(names, row[section.words :], strict=True)
        spoken.append(f"{row[0]}: " + ", ".join(f"{name} {cell}" for name, cell in cells if cell))
    return ". ".join(spoken)


def _omb2024(document: Document) -> dict[str, Any]:
    section = sections.omb2024(document)
    view = document.get("views", {}).get("omb2024", {})
    answered = view.get("answered")
    detailed = document.get("topics", {}).get(RACE_ETHNICITY, {}).get("detailed")
    return {
        "section": section,
        "chart": charts.bars(section.title, _aloud(section), _category_bars(view)) if answered else "",
        "legend": [("Alone or in combination", charts.WIDE_COLOUR), ("Alone", charts.NARROW_COLOUR)],
        "answered": "" if answered is None else count(answered),
        "detailed": "" if detailed is None else share_of(detailed, answered),
    }


def _category_bars(view: Mapping[str, Any]) -> list[Bar]:
    """A bar per category with the part that chose it alone inside, then the people of no single category."""
    answered, given = view["answered"], view.get("categories", {})
    bars = []
    for name in labels.omb2024(given):
        both, alone = (given.get(name, {}).get(way, 0) for way in ("any", "alone"))
        words = f"{counted(both, answered)}, alone {counted(alone, answered)}" if both else counted(both, answered)
        bars.append(Bar(name, both or 0, words, alone))
    for key, name in OMB2024_PEOPLE:
        if key in view:
            bars.append(Bar(name, view[key] or 0, counted(view[key], answered), colour=charts.OTHER_COLOUR))
    return bars


def _omb1997(document: Document) -> dict[str, Any]:
    view = document.get("views", {}).get("omb1997", {})
    bridged = [(key, view.get(key, 0)) for key in ("bridged", "cannot_be_bridged")]
    return {"section": sections.omb1997(document), **{key: count(number) for key, number in bridged}}


def _programs(document: Document) -> dict[str, Any]:
    return {
        "overview": programs.overview(document),
        "rates": programs.rates(document),
        "populations": programs.populations(document),
        "tables": programs.tables(document),
        "bases": programs.bases(document),
    }


def _languages(document: Document) -> list[dict[str, Any]]:
    """A table and a chart for every language topic with values."""
    found = []
    for topic in labels.topics(document.get("topics", {})):
        entry = document["topics"][topic]
        if not labels.is_language(topic) or not entry.get("values"):
            continue
        section = sections.languages(document, topic)
        numbers = sections.language_counts(document, topic)
        bars = [Bar(name, number or 0, row[1]) for (name, number), row in zip(numbers, section.rows, strict=True)]
        found.append({"section": section, "chart": charts.bars(section.title, _aloud(section), bars)})
    return found
