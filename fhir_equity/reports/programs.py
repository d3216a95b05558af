"""The programs of an audit as tables: what is asked for and whether it is met, who is where, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_equity.reports import labels
from fhir_equity.reports.figures import NOTHING, Document, count, counted, share_of
from fhir_equity.reports.sections import Section

Program = Mapping[str, Any]


def rates(document: Document) -> list[Section]:
    """What each program asks for and whether the data meets it, under the program's own counting rules."""
    return [_rates(name, program["rows"]) for name, program in _programs(document) if program.get("rows")]


def _rates(name: str, rows: list[Program]) -> Section:
    """One program; product lines, limits and how many more only where there are any."""
    lined = any(row.get("line") for row in rows)
    asked = any(row.get("threshold") is not None for row in rows)
    more = any(row.get("more") is not None for row in rows)
    cells = tuple(
        (
            row.get("title") or labels.topic(row["topic"]),
            *((row.get("line") or "all",) if lined else ()),
            *((_verdict(row), _limits(row)) if asked else ()),
            _rate(row),
            *((_more(row),) if more else ()),
        )
        for row in rows
    )
    words = ("Measure", *(("Product line",) if lined else ()), *(("Result", "Asked for") if asked else ()))
    return Section(f"Program {name}", (*words, "Rate", *(("Collect more",) if more else ())), cells, len(words))


def overview(document: Document) -> Section:
    """Every rate that anything is asked of, over all programs: met, not met, or it cannot be told."""
    rows = []
    for name, program in _programs(document):
        for row in program.get("rows", []):
            if row.get("threshold") is not None:
                line = f", {row['line']}" if row.get("line") else ""
                title = (row.get("title") or labels.topic(row["topic"])) + line
                rows.append((name, title, _verdict(row), _limits(row), row.get("sure", ""), _rate(row)))
    columns = ("Program", "Measure", "Result", "Asked for", "How sure", "Rate")
    return Section("Completeness by program", columns, tuple(rows), words=5)


def tables(document: Document) -> list[Section]:
    """People by row and column of each table of each program; everybody is in one cell."""
    return [_table(name, table) for name, program in _programs(document) for table in program.get("tables", [])]


def populations(document: Document) -> Section:
    """Who counts in each program, and who was left out and why."""
    rows = [
        (name, program.get("title", ""), _period(program["population"]), *_people(program["population"]))
        for name, program in _programs(document)
        if "population" in program
    ]
    columns = ("Program", "What it is", "Who counts", "People", "Of them by assumption", "Left out")
    return Section("Populations of the programs", columns, tuple(rows), words=3)


def bases(document: Document) -> Section:
    """What every row rests on: how sure it is, its source, and what is to be known about it."""
    rows = []
    for name, program in _programs(document):
        entries = [program, *_first_lines(program.get("rows", [])), *_first_lines(program.get("tables", []))]
        rows += [(name, e.get("title", ""), e["sure"], e["source"], e.get("note", "")) for e in entries if "sure" in e]
    columns = ("Program", "Row", "How sure", "Source", "Note")
    return Section("What the programs rest on", columns, tuple(rows), words=len(columns))


def _programs(document: Document) -> list[tuple[str, Program]]:
    return sorted(document.get("programs", {}).items())


def _first_lines(entries: list[Program]) -> Iterator[Program]:
    """Each measure or table once, whatever product lines there are."""
    seen = set()
    for entry in entries:
        name = entry.get("measure") or entry.get("table")
        if name not in seen:
            seen.add(name)
            yield entry


def _verdict(row: Program) -> str:
    if row.get("kind") == "not_computed":
        return "not computed"
    if row.get("nobody"):
        return str(row["nobody"])
    if row.get("met") is None:
        return "no threshold" if row.get("threshold") is None else "cannot be told"
    return "met" if row["met"] else "not met"


def _limits(row: Program) -> str:
    least, most = row.get("at_least"), row.get("at_most")
    if least is None and most is None:
        least = row.get("threshold")
    words = [f"{word} {_percent(limit)}" for word, limit in (("at least", least), ("at most", most)) if limit]
    return ", ".join(words) or NOTHING


def _percent(share: float) -> str:
    """A limit in full: 0.0001 is 0.01%, not 0.0%."""
    return f"{100 * share:.4f}".rstrip("0").rstrip(".") + "%"


def _rate(row: Program) -> str:
    if "values" not in row:
        return share_of(row["numerator"], row["denominator"])
    return NOTHING if row.get("rate") is None else f"{row['rate']:.4f}"


def _more(row: Program) -> str:
    return NOTHING if row.get("more") is None else count(row["more"])


def _table(name: str, table: Program) -> Section:
    people = table["population"]
    line = f", {table['line']}" if table.get("line") else ""
    rows = [
        (entry["row"], *(counted(entry["counts"][column], people) for column in table["columns"]))
        for entry in table["rows"]
    ]
    title = f"{name}: {table['title']}{line} ({count(people)} people)"
    return Section(title, ("", *(column.capitalize() for column in table["columns"])), tuple(rows))


def _period(population: Program) -> str:
    start, stop = population["from"], population["to"]
    if population["enrolled"] == "anybody":
        return "everybody in the data"
    return f"enrolled on {start}" if start == stop else f"enrolled at any time from {start} to {stop}"


def _people(population: Program) -> tuple[str, str, str]:
    left_out = population["left_out"]
    why = ", ".join(f"{count(left_out[reason])} {reason.replace('_', ' ')}" for reason in sorted(left_out))
    return count(population["counted"]), count(population["assumed"]), why or "0"
