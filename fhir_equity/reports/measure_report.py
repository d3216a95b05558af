"""An audit as FHIR MeasureReports: one of how complete each topic is, by strata, and one for each program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_equity.adapters.fhir.measure_report import Group, Measured, Stratifier, Stratum, people, rated
from fhir_equity.reports import labels
from fhir_equity.reports.figures import Document
from fhir_equity.reports.page import notice
from fhir_equity.reports.sections import RACE_ETHNICITY
from fhir_equity.reports.states import LOOKS

COMPLETENESS = "fhir-equity-completeness"  # the name of no program
_ABOUT = "Whose answer is known (numerator), of everybody (denominator), by topic. No program's rule."

Row = Mapping[str, Any]


def measured(document: Document) -> list[Measured]:
    """Everything of the document that FHIR calls a measure. What is hidden stays hidden."""
    return [_completeness(document), *(_program(document, *each) for each in sorted(document["programs"].items()))]


def _completeness(document: Document) -> Measured:
    groups = [_topic(document, topic) for topic in labels.topics(document["topics"])]
    day = document["run"]["as_of"]
    return Measured(COMPLETENESS, "Completeness by topic", notice(document), _ABOUT, day, day, groups)


def _topic(document: Document, topic: str) -> Group:
    counts, score = _answered(document, topic)
    return Group(topic, labels.topic(topic), counts, score, [*_breakdowns(document, topic)])


def _answered(body: Document, topic: str) -> tuple[Mapping[str, int | None], float | None]:
    """Those who answered, of everybody of a body; a state that nobody is in may be left out."""
    whole = body["population"]
    return _rated(whole, body["topics"][topic]["states"].get("answered", 0))


def _rated(whole: int | None, part: int | None) -> tuple[Mapping[str, int | None], float | None]:
    score = part / whole if whole and part is not None else None
    return people(whole, part), score


def _breakdowns(document: Document, topic: str) -> Iterator[Stratifier]:
    given = document["topics"][topic]
    labels_of = {look.state.value: look.label for look in LOOKS}
    states = {labels_of[state]: count for state, count in given["states"].items()}
    yield from _counted("state", "State of the answer", states)
    yield from _counted("method", "How the answer was obtained", given.get("methods", {}))
    yield from _counted("age", "Years since the answer", given.get("ages", {}))
    yield from _counted("value", "Answer", given.get("values", {}))
    if topic == RACE_ETHNICITY:
        yield from _views(document["views"])
    if sources := given.get("sources"):
        yield Stratifier("source", "Source", [_source(source) for source in sources])
    yield from _strata(document, topic)


def _source(given: Row) -> Stratum:
    return Stratum((("source", given["source"]),), *_rated(given["population"], given["states"].get("answered", 0)))


def _views(views: Mapping[str, Any]) -> Iterator[Stratifier]:
    new, old = views.get("omb2024", {}), views.get("omb1997", {})
    categories = new.get("categories", {})
    for way, words in (("any", "alone or in combination"), ("alone", "alone")):
        counts = {name: given[way] for name, given in categories.items()}
        if way == "alone" and categories:
            counts["Multiracial and/or Multiethnic"] = new["multiracial_or_multiethnic"]
            counts["Without a category"] = new["without_category"]
        yield from _counted(f"omb2024-{way}", f"OMB 2024, {words}", counts)
    for question in ("race", "ethnicity"):
        yield from _counted(f"omb1997-{question}", f"OMB 1997, {question}", old.get(question, {}))


def _strata(document: Document, topic: str) -> Iterator[Stratifier]:
    """The strata of the run by what they are strata of; one that does not tell of the topic is left out."""
    found: dict[tuple[str, ...], list[Stratum]] = {}
    for stratum in document["strata"]:
        if topic in stratum["topics"]:
            by = tuple(stratum["by"].items())
            found.setdefault(tuple(stratum["by"]), []).append(Stratum(by, *_answered(stratum, topic)))
    for names, strata in found.items():
        yield Stratifier("-".join(names), " and ".join(names), strata)


def _counted(code: str, text: str, counts: Mapping[str, int | None]) -> Iterator[Stratifier]:
    """People by one thing; nothing where there is none."""
    if counts:
        strata = [Stratum(((code, name),), people(count, rated=False)) for name, count in counts.items()]
        yield Stratifier(code, text, strata)


def _program(document: Document, name: str, program: Row) -> Measured:
    rows: dict[str, list[Row]] = {}
    for row in program["rows"]:
        if row["kind"] != "not_computed":
            rows.setdefault(row["measure"], []).append(row)
    tables: dict[str, list[Row]] = {}
    for table in program["tables"]:
        tables.setdefault(f"table-{table['table']}", []).append(table)
    groups = [_measure(lines, program["population"]["counted"]) for lines in rows.values()]
    groups += [_table(code, lines) for code, lines in tables.items()]
    about = ". ".join(program[part].rstrip(".") for part in ("edition", "source", "note") if program[part])
    start, stop = program["population"]["from"], program["population"]["to"]
    return Measured(name, program["title"], notice(document), about, start, stop, groups)


def _measure(lines: list[Row], everybody: int | None) -> Group:
    """One measure: of everybody in the program, the last of its lines, and of each product line."""
    whole = lines[-1]
    strata = [Stratum((("line", row["line"]),), _counts(row), row["rate"]) for row in lines if row["line"]]
    found = [Stratifier("line", "Product line", strata)] if strata else []
    found += _counted("value", "Value", whole.get("values", {}))
    about = f"{whole['source']} ({whole['sure']})"
    counts = _counts(whole) if "values" in whole else {**people(everybody, rated=False), **_counts(whole)}
    return Group(whole["measure"], whole["title"], counts, whole["rate"], found, about)


def _counts(row: Row) -> Mapping[str, int | None]:
    """Whom a row counts; nobody says how many people there are in a product line."""
    if "values" in row:
        return people(row["denominator"], rated=False)
    return rated(row["denominator"], row["numerator"])


def _table(code: str, lines: list[Row]) -> Group:
    """One table: each of its cells is a stratum, of its row and its column (and its product line)."""
    whole = lines[-1]
    found = []
    for table in lines:
        line = f" of {table['line']}" if table["line"] else ""
        cells = [
            Stratum((("row", row["row"]), ("column", column)), people(count, rated=False))
            for row in table["rows"]
            for column, count in row["counts"].items()
        ]
        found.append(Stratifier(f"cell{line}", f"Row and column{line}", cells))
    about = f"{whole['source']} ({whole['sure']})"
    return Group(code, whole["title"], people(whole["population"], rated=False), None, found, about)
