"""Rows and tables of programs as cells, compared with each other and with the topics they count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_equity.quality.publish.alike import topics_of
from fhir_equity.quality.publish.body import Body
from fhir_equity.quality.publish.cells import FLOOR, Cells, Key, twice_in
from fhir_equity.quality.publish.counts import Counts, Path, nest, nest_alike, nest_sums

PEOPLE = "people of"  # a product line


def take_programs(
    counts: Counts, programs: Mapping[str, Any], body: Body, matter_of: Mapping[str, str], lines: Sequence[Body] = ()
) -> None:
    """Take in every program; `matter_of` tells what a topic is decided together with, and which may be told.

    `lines` are strata that may be product lines: what is told of both is of the same people.
    """
    found: dict[tuple[str, str], list[list[Key]]] = {}
    others: dict[str, list[Key]] = {}
    for name, program in programs.items():
        taken = _Program(counts, name, program, body)
        for topic, line, tables in taken.tables:
            found.setdefault((topic, line), []).extend(tables)
        for topic, keys in taken.others.items():
            others.setdefault(topic, []).extend(keys)
        nest_alike(counts.cells, [*body.views, *taken.categories])
        for line, keys in taken.categories_of.items():
            for each in _as_many(counts.cells, lines, [("programs", name, PEOPLE, line)]):
                nest_alike(counts.cells, [*each.views, *keys])
    everybody = counts.cells.cells[body.population].value
    for (topic, line), tables in found.items():
        matter = matter_of.get(topic, topic)
        of_all = any(counts.cells.cells[key].value == everybody for table in tables for key in table)
        bodies = [body] * of_all
        if line:
            bodies += _as_many(counts.cells, lines, [key for table in tables for key in table])
        same = [told for each in bodies for told in ([each.population], each.states.get(matter, []))]
        nest(counts.cells, [*tables, *same], others.get(topic, ()))
        for each in bodies:
            nest_sums(counts.cells, [key for table in tables for key in table], each.states.get(matter, []))


def _as_many(cells: Cells, lines: Iterable[Body], keys: Iterable[Key]) -> list[Body]:
    """The strata of about as many people as one of these counts."""
    people = [cells.cells[key].value for key in keys if key in cells.cells]
    return [line for line in lines if any(abs(cells.cells[line.population].value - each) < FLOOR for each in people)]


class _Program:
    def __init__(self, counts: Counts, name: str, program: Mapping[str, Any], body: Body) -> None:
        self._counts, self._cells = counts, counts.cells
        self._key: Key = ("programs", name)
        self._path: Path = ("programs", name)
        self.tables: list[tuple[str, str, list[list[Key]]]] = []
        self.others: dict[str, list[Key]] = {}  # of each topic, who is not in a numerator, and rows of tables
        self.categories: list[Key] = []  # of everybody
        self.categories_of: dict[str, list[Key]] = {}  # of a product line
        self._population(program["population"], body.population)
        for number, row in enumerate(program["rows"]):
            self._row(number, row)
        for number, table in enumerate(program["tables"]):
            self._table(number, table)
        self._lines([*program["rows"], *program["tables"]])
        for name_ in ("bridged", "cannot_be_bridged"):
            for key in self._all((name_,), program.get(name_, {}), ""):
                self._cells.within(key, self._people)

    def _all(self, words: tuple[str, ...], given: Mapping[str, int], topic: str) -> list[Key]:
        return self._counts.take_all((*self._key, *words), (*self._path, *words), given, self._counts.floor(topic))

    def _population(self, given: Mapping[str, Any], everybody: Key) -> None:
        at = ("population",)
        counted = {name: given[name] for name in ("counted", "assumed")}
        self._people, assumed = self._all(at, counted, "")
        self._cells.within(assumed, self._people)
        left_out = self._all((*at, "left_out"), given["left_out"], "")
        nest(self._cells, ([self._people], [everybody]))
        if left_out and sum(given["left_out"].values()) + given["counted"] == self._cells.cells[everybody].value:
            self._cells.adds_up(everybody, [self._people, *left_out])

    def _row(self, number: int, row: Mapping[str, Any]) -> None:
        topics = sorted(topics_of(row))
        floor = max(map(self._counts.floor, topics))
        key: Key = (*self._key, "rows", row["topic"], row["line"], row["measure"])
        path: Path = (*self._path, "rows", number)
        whole = self._counts.take((*key, "denominator"), (*path, "denominator"), row["denominator"], floor)
        found = [[whole]]
        if row.get("numerator") is not None:
            part = self._counts.take((*key, "numerator"), (*path, "numerator"), row["numerator"], floor)
            found.append([part])
            others = self._cells.within(part, whole)
            for topic in topics:
                self.others.setdefault(topic, []).append(others)
        excluded = self._counts.take_all((*key, "excluded"), (*path, "excluded"), row.get("excluded", {}), floor)
        found.append(excluded)
        if not row.get("among") and row.get("kind") != "not_computed":
            self._cells.adds_up(self._everybody(row["line"], [whole, *excluded]), [whole, *excluded])
        values = self._counts.take_all((*key, "values"), (*path, "values"), row.get("values", {}), floor)
        if values:
            self._cells.adds_up(whole, values)
        self.tables += [(topic, row["line"], [*found, values]) for topic in topics]

    def _everybody(self, line: str, parts: list[Key]) -> Key:
        """The people of a product line, whom not every line is printed with; these parts are all of them."""
        if not line:
            return self._people
        value = sum(self._cells.cells[part].value for part in parts)
        return self._cells.add((*self._key, PEOPLE, line), value, self._counts.floor(""), printed=False)

    def _lines(self, entries: list[Mapping[str, Any]]) -> None:
        """What is told of product lines adds up to what is told of all of them; some people are in several."""
        people = [(*self._key, PEOPLE, line) for line in sorted({entry["line"] for entry in entries} - {""})]
        if not people or not self._cells.cells.keys() >= {*people}:
            return
        self._cells.adds_up(self._people, people)
        names = {("rows", each["topic"]) if "measure" in each else ("tables", each["table"]) for each in entries}
        for name in sorted(names):
            parts = [(*self._key, *name, key[-1]) for key in people]
            self._counts.break_down((*self._key, *name, ""), parts, twice_in(self._people, people))

    def _table(self, number: int, table: Mapping[str, Any]) -> None:
        floor = self._counts.floor(table["topic"])
        key: Key = (*self._key, "tables", table["table"], table["line"])
        path: Path = (*self._path, "tables", number)
        whole = self._counts.take((*key, "population"), (*path, "population"), table["population"], floor)
        cells = {
            (row["row"], column): self._counts.take(
                (*key, row["row"], column), (*path, "rows", place, "counts", column), count, floor
            )
            for place, row in enumerate(table["rows"])
            for column, count in row["counts"].items()
        }
        self._cells.adds_up(self._everybody(table["line"], [whole]), [whole])
        rows = self._sums(key, "row", [row["row"] for row in table["rows"]], cells, 0, floor)
        columns = self._sums(key, "column", table["columns"], cells, 1, floor)
        for sums in (rows, columns):
            if sums:
                self._cells.adds_up(whole, sums)
        self.tables.append((table["topic"], table["line"], [[whole], columns]))
        self.others.setdefault(table["topic"], []).extend(rows)
        self.categories_of.setdefault(table["line"], []).extend(rows)
        self.categories += rows if self._cells.cells[whole].value == self._cells.cells[self._people].value else []

    def _sums(
        self, key: Key, way: str, names: Iterable[str], cells: Mapping[tuple[str, str], Key], place: int, floor: int
    ) -> list[Key]:
        """The totals of rows or columns, which nobody prints and everybody can add up."""
        found = []
        for name in names:
            parts = [cell for at, cell in cells.items() if at[place] == name]
            value = sum(self._cells.cells[part].value for part in parts)
            found.append(self._cells.add((*key, "sum of", way, name), value, floor, block=key, printed=False))
            self._cells.adds_up(found[-1], parts)
        return found
