"""Earlier publications: what readers have already, and what a new number would tell beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, structs

from fhir_equity.quality.publish.cells import Cell, Cells, Key, Relation
from fhir_equity.quality.publish.counts import nest, place_of

NAMED = frozenset({"partner", "coverage", "county", "source"})  # strata that may be called otherwise one day
POPULATION = "population"
Told = dict[Key, int]


class Publication(Struct):
    """What one publication told and hid: kept where the records are, for it holds the hidden counts, too.

    `data` tells what was counted, `at` when. Keys are those of an audit of everybody.
    """

    data: str
    at: str
    cells: list[tuple[Key, Cell]]
    relations: list[Relation]

    @property
    def scope(self) -> Key:
        """The place of its people in an audit of everybody; how many they are is its first cell."""
        return self.cells[0][0][:-1]

    def under(self, scope: Key) -> tuple[dict[Key, Cell], list[Relation]]:
        """The cells of these people and how they hang together, by the keys of an audit of them alone."""
        size = len(scope)
        relations = [each for each in self.relations if all(key[:size] == scope for key, _ in each.terms)]
        found = {key[size:]: cell for key, cell in self.cells if key[:size] == scope}
        return found, [_moved(each, scope, out=True) for each in relations]


def remembered(cells: Cells, scope: Key, data: str, at: str) -> Publication:
    """A publication as it is kept; `scope` is the place of its people in an audit of everybody."""
    found = [((*scope, *key), cell) for key, cell in cells.cells.items() if not cell.signed]
    names = {key for key, cell in cells.cells.items() if cell.signed}
    relations = [relation for relation in cells.relations if not names & {key for key, _ in relation.terms}]
    return Publication(data, at, found, [_moved(relation, scope) for relation in relations])


def compare(cells: Cells, scope: Key, earlier: Sequence[Publication], data: str) -> int:
    """Take in what earlier publications told; gives how many there are.

    Of the same data everything they told is known, and what follows from it, of a partner or of everybody, who are
    the same people then. Of other data the change of each count that was told must not be a small one; nor may it be
    where a stratum is called otherwise now, or what is left of everybody without the partners of whom something was
    told. What was corrected in between is other data: the last publication is the first to be looked at.
    """
    now = dict(cells.cells)
    for publication in reversed(earlier):
        same = publication.data == data
        below, relations = publication.under(publication.scope if same else scope)
        common = below.keys() & cells.cells
        if same and all(cells.cells[key].value == below[key].value for key in common):
            _join(cells, below, relations)
            _programs(cells, below.keys() - now.keys(), now.keys() - below.keys())
            continue
        told = _told(below, relations)
        for key in sorted(told.keys() & now):
            cells.changed(key, told[key])
        for key, before in _renamed(told, now):
            cells.changed(key, before)
    for key, before in _partners(now, scope, earlier):
        cells.changed(key, before)
    _other_names(cells)
    return len(earlier)


def _other_names(cells: Cells) -> None:
    """A count that is known is so by its other names: to hide one of these, as of the only partner, is in vain."""
    edge = [key for key, cell in cells.cells.items() if cell.known]
    while edge:
        for relation in cells.lines(edge.pop()):
            keys = [key for key, _ in relation.terms if not cells.cells[key].known]
            if len(keys) == 1 and len(relation.terms) == 2 and not relation.constant:  # of 1 and -1
                cells.known(keys[0])
                edge += keys


def _told(below: Mapping[Key, Cell], relations: list[Relation]) -> Told:
    """What was told of people, and what follows from one sum of it after the other: who is not in a rate."""
    told = {key: cell.value for key, cell in below.items() if cell.told}
    left = [relation for relation in relations if all(key in below for key, _ in relation.terms)]
    more = True
    while more:
        new = {key for relation in left for key in _only_one(relation, told)}
        left = [relation for relation in left if any(key not in told for key, _ in relation.terms)]
        told |= {key: below[key].value for key in new}
        more = bool(new)
    return {key: value for key, value in told.items() if below[key].guarded}


def _only_one(relation: Relation, told: Told) -> list[Key]:
    unknown = [key for key, _ in relation.terms if key not in told]
    return unknown if len(unknown) == 1 else []


def _renamed(told: Told, now: Mapping[Key, Cell]) -> Iterator[tuple[Key, int]]:
    """Counts of a stratum that there is no more, as those of a new one of its kind that has about as many people."""
    before, after = ({place_of(key) for key in keys} for keys in (told, now))
    for gone in sorted(before - after):
        for new in sorted(after - before):
            if _alike(gone, new) and _close(told, now, gone, new):
                keys = sorted((key, (*new, *key[len(gone) :])) for key in told if place_of(key) == gone)
                yield from ((key, told[old]) for old, key in keys if key in now)


def _alike(gone: Key, new: Key) -> bool:
    """Whether two strata are of the same kinds and differ in a name alone."""
    kinds = [[word.partition("=")[0] for word in place[1:]] for place in (gone, new)]
    differs = {kind for kind, one, other in zip(kinds[0], gone[1:], new[1:], strict=False) if one != other}
    return kinds[0] == kinds[1] and differs <= NAMED


def _close(told: Told, now: Mapping[Key, Cell], gone: Key, new: Key) -> bool:
    before, after = told.get((*gone, POPULATION)), now.get((*new, POPULATION))
    return before is not None and after is not None and abs(after.value - before) < after.floor


def _partners(now: Mapping[Key, Cell], scope: Key, earlier: Iterable[Publication]) -> Iterator[tuple[Key, int]]:
    """What was told of partners, and of all partners together: the rest of everybody may be few."""
    found: dict[Key, Told] = {}
    for publication in earlier:
        for key, cell in publication.cells:
            place = place_of(key)
            if cell.told and len(place) in (0, 2) and (not place or place[1].startswith("partner=")):
                found.setdefault(place, {})[key[len(place) :]] = cell.value  # the last time that it was told
    everybody, others = found.pop((), {}), [told for place, told in found.items() if place != scope]
    for key in sorted(now):
        parts = [told[key] for told in others if key in told]
        if not scope:
            yield from ((key, before) for before in sorted({*parts, sum(parts)} - {0}))
        elif key in everybody:
            yield from ((key, before) for before in sorted({everybody[key], everybody[key] - sum(parts)}))


def _programs(cells: Cells, old: Iterable[Key], new: Iterable[Key]) -> None:
    """What programs of another publication and, new, of this one tell of one topic is compared, as within one."""
    groups: dict[tuple[str, ...], tuple[list[Key], list[Key]]] = {}
    for number, keys in enumerate((sorted(old), sorted(new))):
        for key in keys:
            if key[:1] == ("programs",) and cells.cells[key].printed:
                groups.setdefault(_matter(key), ([], []))[number].append(key)
    for group in groups.values():
        nest(cells, group)


def _matter(key: Key) -> tuple[str, ...]:
    """The topic and the product line of a rate, else what is counted."""
    return key[3:5] if key[2] == "rows" else key[2:]


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
