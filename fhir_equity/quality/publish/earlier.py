"""Earlier publications: what readers have already, and what a new number would tell beside it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, structs

from fhir_equity.quality.publish.cells import Cell, Cells, Key, Relation


class Publication(Struct):
    """What one publication told and hid: kept where the records are, for it holds the hidden counts, too.

    `data` tells what was counted, `at` when. Keys are those of an audit of everybody.
    """

    data: str
    at: str
    cells: list[tuple[Key, Cell]]
    relations: list[Relation]


def remembered(cells: Cells, scope: Key, data: str, at: str) -> Publication:
    """A publication as it is kept; `scope` is the place of its people in an audit of everybody."""
    found = [((*scope, *key), cell) for key, cell in cells.cells.items() if not cell.signed]
    names = {key for key, cell in cells.cells.items() if cell.signed}
    relations = [relation for relation in cells.relations if not names & {key for key, _ in relation.terms}]
    return Publication(data, at, found, [_moved(relation, scope) for relation in relations])


def compare(cells: Cells, scope: Key, earlier: Iterable[Publication], data: str) -> int:
    """Take in what earlier publications told; gives how many there are.

    Of the same data everything they told is known, and what follows from it. Of other data the change of
    each count that was told must not be a small one.
    """
    number = 0
    for publication in earlier:
        number += 1
        below = {key[len(scope) :]: cell for key, cell in publication.cells if key[: len(scope)] == scope}
        told = {key: cell.value for key, cell in below.items() if cell.told}
        if publication.data == data and all(cells.cells[key].value == told[key] for key in told.keys() & cells.cells):
            _join(cells, below, [_moved(each, scope, out=True) for each in publication.relations])
            continue
        for key in sorted(told.keys() & cells.cells):
            cells.changed(key, told[key])
    return number


def _join(cells: Cells, below: dict[Key, Cell], relations: list[Relation]) -> None:
    for key, cell in below.items():
        if key not in cells.cells:
            cells.cells[key] = structs.replace(cell, known=cell.told)
        elif cell.told:
            cells.known(key)
    there = set(cells.relations)
    for relation in relations:
        if relation not in there and all(key in cells.cells for key, _ in relation.terms):
            cells.relate(relation.terms, relation.constant)


def _moved(relation: Relation, scope: Key, *, out: bool = False) -> Relation:
    """A relation with the keys of everybody, or (`out`) of the scope."""
    terms = [(key[len(scope) :] if out else (*scope, *key), factor) for key, factor in relation.terms]
    return Relation(tuple(terms), relation.constant)
