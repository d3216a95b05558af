"""Hides small counts, then what would give them away, until the attacker finds nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from fhir_equity.quality.publish.attack import Attack, Witnesses, attack
from fhir_equity.quality.publish.cells import Cell, Cells, Key, Relation

TRIES = 12_000  # cells that may be attacked anew, over all, to tell some of them after all
FEW = 16  # cells found out together that are enough to hide more
WIDTH = 5  # a hidden cell can be at least this much more or less, as far as a reader knows


class Protection(Struct):
    """How many counts were hidden for being small, and to protect those; how the last attack ended.

    `rounds`: how often the attacker found a cell, and more was hidden.
    """

    primary: int
    secondary: int
    rounds: int
    attack: Attack


def protect(cells: Cells, width: int = WIDTH) -> Protection:
    """Hide what must be hidden. The attack of the result tells whether it holds.

    It does not where an earlier publication told too much. Raises UsageError without scipy.
    """
    _rank_alike(cells)
    cells.small()
    primary = sum(cell.hidden for cell in cells.cells.values())
    known = Witnesses()
    rounds = 0
    _mend(cells, width, list(range(len(cells.relations))))
    while (found := attack(cells, width, known, enough=FEW).found) and _hide_beside_all(cells, found, width):
        rounds += 1
    known = _tell_again(cells, width, known)
    done = attack(cells, width, known)
    hidden = sum(cell.hidden for cell in cells.cells.values())
    return Protection(primary, hidden - primary, rounds, done)


def _tell_again(cells: Cells, width: int, known: Witnesses) -> Witnesses:
    """Tell what was hidden to protect others and turns out not to be needed, the weightiest first.

    Many cells were hidden one after the other, and later ones may do for earlier ones. Gives the witnesses that are
    left: those in which what is told now is as it is.
    """
    names = _names(cells)
    spare = [key for key, cell in cells.cells.items() if _spare(cell)]
    tried: set[Key] = set()
    left = TRIES
    for key in sorted(spare, key=lambda key: (cells.cells[key].rank, -cells.cells[key].value, key)):
        alike = [name for name in names.get(key, [key]) if cells.cells[name].hidden]
        if key in tried or left <= 0 or not all(_spare(cells.cells[name]) for name in alike):
            continue
        tried.update(alike)
        _hide(cells, alike, hidden=False)
        fewer = known.without(alike)
        near = _beside(cells, alike, width)
        again = None if near is None else attack(cells, width, fewer, enough=1, among=near)
        left -= again.attacked if again is not None else 0
        if again is not None and again.held:
            known = fewer
        else:
            _hide(cells, alike, hidden=True)
    return known


def _hide(cells: Cells, keys: Iterable[Key], *, hidden: bool) -> None:
    for key in keys:
        cells.cells[key].hidden = hidden


def _spare(cell: Cell) -> bool:
    """Whether a cell is hidden for the sake of others alone, by itself."""
    return cell.hidden and not (cell.small or cell.within_few or cell.withheld)


def _beside(cells: Cells, told: Iterable[Key], width: int) -> set[Key] | None:
    """The hidden cells beside these; None where a single relation with these in it gives one away."""
    relations = {place for key in told for place in cells.of.get(key, ())}
    if any(_gives_away(cells, cells.relations[place], width) for place in relations):
        return None
    return {key for place in relations for key, _ in cells.relations[place].unknown(cells.cells)}


def _names(cells: Cells) -> dict[Key, list[Key]]:
    """All names of each count that has several."""
    names: dict[Key, list[Key]] = {}
    for (one, _), (other, _) in _pairs(cells):
        joined = list(dict.fromkeys([*names.get(one, [one]), *names.get(other, [other])]))
        names |= dict.fromkeys(joined, joined)
    return names


def _pairs(cells: Cells) -> list[tuple[tuple[Key, int], ...]]:
    """The relations that say that two counts are one."""
    return [r.terms for r in cells.relations if not r.constant and sorted(f for _, f in r.terms) == [-1, 1]]


def _rank_alike(cells: Cells) -> None:
    """Names of one count are kept as long as the weightiest of them."""
    pairs = _pairs(cells)
    changed = True
    while changed:
        changed = False
        for (one, _), (other, _) in pairs:
            rank = min(cells.cells[one].rank, cells.cells[other].rank)
            for key in (one, other):
                changed |= cells.cells[key].rank != rank
                cells.cells[key].rank = rank
    for cell in cells.cells.values():
        if not cell.rank:
            cell.block = ()  # the population is withheld with no table


def _hide_beside_all(cells: Cells, found: Iterable[Key], width: int) -> bool:
    """Hide more beside cells that were found out, each in another place; False where nothing is left to hide."""
    touched: set[int] = set()
    more = False
    for key in found:
        near, unknown = _near(cells, key)
        if touched.isdisjoint(near):
            hidden = _more(cells, [cells.relations[place] for place in near], unknown, width)
            _mend(cells, width, [place for each in hidden for place in cells.of.get(each, ())])
            touched.update(near, *(cells.of.get(each, ()) for each in hidden))
            more = more or bool(hidden)
    return more


def _near(cells: Cells, key: Key) -> tuple[list[int], list[Key]]:
    """The relations of a cell and the hidden cells in them; where nothing else can be hidden, of those, and so on."""
    places: set[int] = set()
    found, edge = [key], [key]
    while edge:
        new = {place for each in edge for place in cells.of.get(each, ())} - places
        places |= new
        if any(_choices(cells, cells.relations[place]) for place in new):
            return sorted(new), found
        edge = sorted({k for place in new for k, _ in cells.relations[place].unknown(cells.cells)} - {*found})
        found += edge
    return sorted(places), found


def _mend(cells: Cells, width: int, places: list[int]) -> None:
    """Hide more in every relation that alone gives a cell away, and in those that this touches."""
    while places:
        place = places.pop()
        relation = cells.relations[place]
        if not _gives_away(cells, relation, width):
            continue
        hidden = _more(cells, [relation], [key for key, _ in relation.unknown(cells.cells)], width)
        if hidden:
            places += [place, *(near for key in hidden for near in cells.of.get(key, ()))]


def _more(cells: Cells, relations: list[Relation], unknown: list[Key], width: int) -> list[Key]:
    """Hide one more cell, else the whole table of one that is hidden, else what is kept longest; gives what was."""
    choices = {key for relation in relations for key in _choices(cells, relation)}
    if light := [key for key in choices if cells.cells[key].rank]:
        chosen = min(light, key=lambda choice: _cost(cells, choice, width))
        cells.cells[chosen].hidden = True
        return [chosen]
    blocks = {cells.cells[key].block for key in unknown if not cells.cells[key].withheld} - {()}
    if blocks:
        return cells.withhold(max(blocks, key=lambda block: (_weight(cells, block), block)))
    for key in sorted(choices)[:1]:
        cells.cells[key].hidden = True
        return [key]
    return []


def _weight(cells: Cells, block: Key) -> int:
    return max(cell.rank for cell in cells.cells.values() if cell.block == block)


def _choices(cells: Cells, relation: Relation) -> list[Key]:
    """What could still be hidden there; a 0 may be told, and nobody would believe that it was hidden for nothing."""
    there = ((key, cells.cells[key]) for key, _ in relation.terms)
    return [key for key, cell in there if cell.printed and not cell.hidden and not cell.known and cell.value]


def _cost(cells: Cells, key: Key, width: int) -> tuple[bool, int, int, int, Key]:
    """The cheapest first: room enough to hide another, of least weight, in no line alone, few people."""
    cell = cells.cells[key]
    alone = sum(all(cells.cells[name].told for name, _ in relation.terms) for relation in cells.lines(key))
    return cell.value < cell.floor + width, -cell.rank, alone, cell.value, key


def _gives_away(cells: Cells, relation: Relation, width: int) -> bool:
    """Whether one relation by itself bounds a cell too narrowly, or tells how many few people its cells are."""
    unknown = relation.unknown(cells.cells)
    if not any(cells.cells[key].attacked for key, _ in unknown):
        return False
    rest = relation.rest(cells.cells)
    if _few_together(cells, unknown, rest):
        return True
    return any(high - low < width for low, high in _alone(cells, unknown, rest, width))


def _few_together(cells: Cells, unknown: list[tuple[Key, int]], rest: int) -> bool:
    """Whether hidden cells add up to a small count that anybody can compute: 3 and 4 are 7 people."""
    few = all(factor == unknown[0][1] and cells.cells[key].guarded for key, factor in unknown)
    people = [cells.cells[key] for key, _ in unknown]
    return few and not people[0].signed and 0 < abs(rest) < max(cell.floor for cell in people)


def _alone(cells: Cells, unknown: list[tuple[Key, int]], rest: int, width: int) -> Iterator[tuple[int, int]]:
    """The least and the most of each attacked cell, by this relation and the rule."""
    most = cells.most(width)
    spans = []
    for key, factor in unknown:
        low, high = cells.cells[key].bounds(most)
        spans.append((low, high, *sorted((factor * low, factor * high))))
    least, greatest = sum(span[2] for span in spans), sum(span[3] for span in spans)
    for (key, factor), (low, high, lower, upper) in zip(unknown, spans, strict=True):
        if cells.cells[key].attacked:
            ends = sorted(((rest - greatest + upper) / factor, (rest - least + lower) / factor))
            yield max(low, -int(-ends[0] // 1)), min(high, int(ends[1] // 1))
