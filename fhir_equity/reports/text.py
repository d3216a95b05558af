"""The audit in a few neutral tables, as the command line shows it in a terminal."""

from __future__ import annotations

from fhir_equity.reports import programs, sections
from fhir_equity.reports.figures import Document, count
from fhir_equity.reports.sections import Section

MOST = 20


def summary(document: Document) -> list[Section]:
    """Population and inputs, completeness by topic and state, OMB 2024, programs, and the first findings.

    Sections without rows are left out, except the first, whose title carries the population.
    """
    people = count(document.get("population", 0))
    inputs = sections.inputs(document)
    found = [
        Section(f"Population and inputs: {people} people", inputs.columns, _few_inputs(inputs), inputs.words),
        *(s for s in _tables(document) if s.rows),
    ]
    findings = sections.findings(document)
    if findings.rows:
        cut = f" (first {MOST} of {len(findings.rows):,})" if len(findings.rows) > MOST else ""
        found.append(Section(findings.title + cut, findings.columns, findings.rows[:MOST], findings.words))
    return found


def _tables(document: Document) -> list[Section]:
    counts = [sections.completeness(document), sections.omb2024(document)]
    return [*counts, *programs.rates(document), *programs.tables(document), sections.release(document)]


def _few_inputs(inputs: Section) -> tuple[tuple[str, ...], ...]:
    """The first inputs and their total; the total is the last row and says how many there are."""
    if len(inputs.rows) <= MOST + 1:
        return inputs.rows
    gap = ("...", *[""] * (len(inputs.columns) - 1))
    return (*inputs.rows[:MOST], gap, inputs.rows[-1])
