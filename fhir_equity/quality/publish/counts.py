"""The counts of an audit document as cells, with the place of each in the document."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import combinations, takewhile
from typing import Any

from fhir_equity.quality.publish.cells import FLOOR, Cells, Key, twice_in
from fhir_equity.quality.strata import STRATA

Path = tuple[str | int, ...]
_DETAIL = ({"sources", "methods", "ages", "tables", "detailed"}, {"programs"}, {"values", "views"})


class Counts:
    """Cells and where each of them stands; `floor` of a topic is what may be told of it at least.

    `silent` are parts of the document that are not told at all: whoever reads the others must not find them out.
    """

    def __init__(self, floor: Callable[[str], int] = lambda _topic: FLOOR, silent: Collection[Path] = ()) -> None:
        self.cells = Cells()
        self.floor = floor
        self.silent = frozenset(silent)
        self.places: dict[Path, Key] = {}

    def take(self, key: Key, path: Path, value: int, floor: int) -> Key:
        """Take in the count that stands at a path of the document."""
        printed = not self.is_silent(path)
        self.places[path] = self.cells.add(key, value, floor, rank=_rank(key), block=_block(key), printed=printed)
        return key

    def is_silent(self, path: Path) -> bool:
        """Whether this, or what it stands in, is not told at all."""
        return any(path[:size] in self.silent for size in range(1, len(path) + 1))

    def break_down(self, whole: Key, parts: list[Key], people: Key | None = None) -> None:
        """Every count of the whole is the sum of those of its parts; a part that lacks one has nobody there.

        `people` are those who are counted in several parts: of no count more are.
        """
        size, places = len(parts[0]), {*parts}
        below: dict[Key, list[Key]] = {}
        for key in sorted(key for key in set(self.places.values()) if key[:size] in places):
            below.setdefault(key[size:], []).append(key)
        for name, found in below.items():
            if (*whole, *name) in self.cells.cells:
                self.cells.adds_up((*whole, *name), found)
                self._no_more(twice_in((*whole, *name), found), people)

    def _no_more(self, twice: Key, people: Key | None) -> None:
        cells = self.cells.cells
        if people is None or not {people, twice} <= cells.keys() or twice == people:
            return
        if cells[twice].value <= cells[people].value:
            self.cells.at_most(twice, people)

    def take_all(self, key: Key, path: Path, counts: Mapping[str, Any], floor: int) -> list[Key]:
        """Take in every count of a mapping; gives their keys."""
        return [self.take((*key, name), (*path, name), value, floor) for name, value in counts.items()]


def _rank(key: Key) -> int:
    """What readers can do without first: strata, then sources, methods and ages, tables, rates; populations last."""
    own = _own(key)
    detail = sum(bool(set(own) & group) for group in _DETAIL)
    return detail + 5 * (key[0] == "strata") + (len(own) > 1)


def place_of(key: Key) -> Key:
    """The stratum that a count is of, which may be one of several kinds at once; nothing for everybody."""
    if key[:1] != ("strata",):
        return ()
    return ("strata", *takewhile(lambda word: word.partition("=")[0] in STRATA, key[1:]))


def _own(key: Key) -> Key:
    """What a count is called in its stratum."""
    return key[len(place_of(key)) :]


def _block(key: Key) -> Key:
    """The table that a count is in: a topic, a view, a table of a program, its rates of one topic."""
    own = _own(key)
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


def nest_sums(cells: Cells, keys: Iterable[Key], states: list[Key]) -> None:
    """Counts that are as many as some states of a topic together are taken for these: who was asked, for one.

    Of several ways to add up the one with the fewest states is taken.
    """
    sums: dict[int, tuple[Key, ...]] = {}
    for size in range(2, len(states)):
        for some in combinations(states, size):
            sums.setdefault(sum(cells.cells[state].value for state in some), some)
    for key in dict.fromkeys(keys):
        cell = cells.cells[key]
        if cell.value >= cell.floor and cell.value in sums:
            cells.relate([(key, -1), *((state, 1) for state in sums[cell.value])])


def nest_alike(cells: Cells, keys: Iterable[Key]) -> None:
    """The same for counts of one category, by its name: White of 1997 and of 2024 differ by who is Middle Eastern."""
    alike: dict[str, list[Key]] = {}
    for key in keys:
        names = [word for word in key if word[:1].isupper()]
        for name in names[-1:]:
            alike.setdefault(name.replace("Other ", ""), []).append(key)
    for found in alike.values():
        nest(cells, [[key] for key in found])
