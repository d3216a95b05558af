"""The counts of an audit document as cells, with the place of each in the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fhir_equity.quality.publish.cells import FLOOR, Cells, Key

Path = tuple[str | int, ...]
_DETAIL = ({"sources", "methods", "ages", "tables", "detailed"}, {"programs"}, {"values", "views"})


class Counts:
    """Cells and where each of them is printed; `floor` of a topic is what may be told of it at least."""

    def __init__(self, floor: Callable[[str], int] = lambda _topic: FLOOR) -> None:
        self.cells = Cells()
        self.floor = floor
        self.places: dict[Path, Key] = {}

    def take(self, key: Key, path: Path, value: int, floor: int) -> Key:
        """Take in the count that stands at a path of the document."""
        self.places[path] = self.cells.add(key, value, floor, rank=_rank(key), block=_block(key))
        return key

    def take_all(self, key: Key, path: Path, counts: Mapping[str, Any], floor: int) -> list[Key]:
        """Take in every count of a mapping; gives their keys."""
        return [self.take((*key, name), (*path, name), value, floor) for name, value in counts.items()]


def _rank(key: Key) -> int:
    """What readers can do without first: strata, then sources, methods and ages, tables, rates; populations last."""
    own = key[2:] if key[0] == "strata" else key
    detail = sum(bool(set(own) & group) for group in _DETAIL)
    return detail + 5 * (key[0] == "strata") + (len(own) > 1)


def _block(key: Key) -> Key:
    """The table that a count is in: a topic, a view, a table of a program, its rates of one topic."""
    own = key[2:] if key[0] == "strata" else key
    place = len(key) - len(own)
    if own[0] in ("topics", "views"):
        return key[: place + 2]
    return key[:5] if own[0] == "programs" and len(own) > 4 else key[: place + 1]


def nest(cells: Cells, tables: Iterable[Iterable[Key]], others: Iterable[Key] = ()) -> None:
    """What tables of one matter tell about each other, where nobody says how their counts hang together.

    Equal counts are taken for the same people, and where two are close, one for a part of the other: known 303,
    responded 304, and there is one who declined. Where that is a coincidence, more is hidden than needed.
    The counts of one table are people apart, and not compared. `others` are sums and remainders that
    nobody prints: they are taken for equal only.
    """
    rests = {*others}
    people = sorted(
        (cells.cells[key].value, number, key)
        for number, table in enumerate([*tables, *([key] for key in rests)])
        for key in dict.fromkeys(table)
        if cells.cells[key].value >= cells.cells[key].floor  # small ones are hidden in every table
    )
    for place, (value, table, key) in enumerate(people):
        seen: set[int] = set()
        for other_value, other_table, other in people[place + 1 :]:
            if other_value - value >= max(cells.cells[key].floor, cells.cells[other].floor):
                break
            if other_table != table and other != key and other_value not in seen:
                seen.add(other_value)  # more of the same follow from their own equality
                if other_value == value:
                    cells.same(key, other)
                elif not {key, other} & rests:
                    cells.within(key, other)


def nest_alike(cells: Cells, keys: Iterable[Key]) -> None:
    """The same for counts of one category, by its name: White of 1997 and of 2024 differ by who is Middle Eastern."""
    alike: dict[str, list[Key]] = {}
    for key in keys:
        names = [word for word in key if word[:1].isupper()]
        for name in names[-1:]:
            alike.setdefault(name.replace("Other ", ""), []).append(key)
    for found in alike.values():
        nest(cells, [[key] for key in found])
