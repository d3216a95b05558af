"""What is sensitive and says one thing of everybody in it, by which each of them could be told, or nearly so.

Nothing of it is told, and that must not tell it either: what is withheld only where all are alike says so by being
withheld. So it is where all are, where all but a few are, and where there are few people, for one and the same reason;
of a rate also where nobody is in it, or few are, which is the opposite rate of all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fhir_equity.model import State

SILENT = frozenset({State.UNKNOWN.value, State.NOT_ASKED.value})  # who is in these said nothing
Entry = Mapping[str, Any]  # a row or a table of a program


def reason(floor: int) -> str:
    """Why something is left out, the same for all of it."""
    return f"sensitive, and fewer than {floor} people are in it, or fewer than {floor}, perhaps none, are not"


def alike(whole: int, parts: Iterable[int], floor: int) -> bool:
    """Whether all people, or all but a few, are in one of the parts, or are few themselves."""
    return 0 < whole < floor or any(part and whole - part < floor for part in parts)


def alike_in_states(population: int, topic: Mapping[str, Any], floor: int) -> bool:
    """Whether nearly everybody answered, or nearly everybody refused."""
    return alike(population, [count for state, count in topic["states"].items() if state not in SILENT], floor)


def alike_in_values(topic: Mapping[str, Any], floor: int) -> bool:
    """Whether nearly everybody who answered gave one answer."""
    return alike(topic["states"].get(State.ANSWERED.value, 0), topic.get("values", {}).values(), floor)


def alike_in_program(program: Mapping[str, Any], sensitive: Collection[str], floor: int) -> set[tuple[str, str]]:
    """Name and product line of the rows and tables of a program that are such; where one line is, every line is."""
    entries = [entry for entry in (*program["rows"], *program["tables"]) if not topics_of(entry).isdisjoint(sensitive)]
    found = {named(entry) for entry in entries if _alike(program, entry, sensitive, floor)}
    names = {name for name, line in found if line}
    return found | {named(entry) for entry in entries if entry["line"] and named(entry)[0] in names}


def named(entry: Entry) -> tuple[str, str]:
    """Name and product line of a row or a table."""
    return entry.get("measure") or entry["table"], entry["line"]


def topics_of(entry: Entry) -> set[str]:
    """The topics that a row or a table of a program tells of: its own, and whom a rate is among."""
    return {entry["topic"], entry.get("among") or entry["topic"]}


def _alike(program: Mapping[str, Any], entry: Entry, sensitive: Collection[str], floor: int) -> bool:
    if "rows" in entry:
        return alike(entry["population"], [sum(row["counts"].values()) for row in entry["rows"]], floor)
    whole = entry["denominator"]
    if entry.get("among") in sensitive and _one_sided(_people(program, entry["line"]), whole, floor):
        return True
    if alike(whole, entry.get("values", {}).values(), floor):
        return True
    return entry.get("numerator") is not None and _one_sided(whole, entry["numerator"], floor)


def _one_sided(whole: int, part: int, floor: int) -> bool:
    """Whether all people, all but a few, few or none are in a part; not where there is nobody at all."""
    return whole > 0 and not floor <= part <= whole - floor


def _people(program: Mapping[str, Any], line: str) -> int:
    """The people of a program, or of one of its product lines as its rates tell."""
    if not line:
        counted: int = program["population"]["counted"]
        return counted
    rows = [row for row in program["rows"] if row["line"] == line]
    people: int = max(row["denominator"] + sum(row["excluded"].values()) for row in rows)
    return people
