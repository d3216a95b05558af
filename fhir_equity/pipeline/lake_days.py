"""The rows of an exported folder by day, in bounded memory and in a few passes, however many days there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct

from fhir_equity.parquet import Layout, Row, Table, Where

DATED = {
    "answers": ("first_seen", "last_seen"),
    "members": ("last_seen",),
    "findings": ("as_of",),
    "losses": ("as_of",),
}
HELD = 250_000  # rows that are held at once: those of as many days as they make; one day alone is read as it comes


class Day(Struct, frozen=True):
    """What was seen first or last on a day, by table; with its answers at least the members who gave them."""

    day: str
    tables: Mapping[str, Table]
    where: Mapping[str, Where | None]

    def rows(self, table: str) -> Iterator[Row]:
        """Its rows of a table, in order. Raises UnreadableError."""
        return self.tables[table].rows(self.where[table])


def days(tables: Mapping[str, Table], layout: Layout, otherwise: str) -> Iterator[Day]:
    """Every day on which anything was seen, in order, or one `otherwise`. Raises UnreadableError.

    All members are in the first: those of whom nothing says when they were seen come with it.
    """
    dated = {table: [name for name in names if name in layout.tables[table]] for table, names in DATED.items()}
    sizes = Counter[str]()
    for table, names in dated.items():
        for name in names:
            sizes.update(tables[table].counts(name))
    sizes.pop("", None)
    for some in _portions(sizes) or [[otherwise]]:
        if len(some) == 1:
            yield Day(some[0], tables, _on(some, dated) | {"members": None})
        else:
            yield from _held(tables, dated, some)


def _held(tables: Mapping[str, Table], dated: Mapping[str, Sequence[str]], some: Sequence[str]) -> Iterator[Day]:
    where = _on(some, dated)
    held = {table: tables[table].held(where[table]) for table in dated if table != "members"}
    held["members"] = tables["members"].held(where["members"] | {"key": held["answers"].counts("key")})
    for day in some:
        where = _on([day], dated)
        who = {"key": held["answers"].counts("key", where["answers"])}
        yield Day(day, held, where | {"members": where["members"] | who})


def _on(some: Sequence[str], dated: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Collection[str]]]:
    return {table: dict.fromkeys(names, some) for table, names in dated.items()}


def _portions(sizes: Mapping[str, int]) -> list[list[str]]:
    """Days that follow one another and are read in one pass; the first one is read alone."""
    portions: list[list[str]] = []
    rows = HELD
    for number, day in enumerate(sorted(sizes)):
        if number < 2 or rows + sizes[day] > HELD:
            portions.append([])
            rows = 0
        portions[-1].append(day)
        rows += sizes[day]
    return portions
