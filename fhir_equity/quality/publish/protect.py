"""Hides small counts, then what would give them away, until the attacker finds nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from fhir_equity.quality.publish.attack import Attack, attack
from fhir_equity.quality.publish.cells import Cells, Key, Relation

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
    safe: set[Key] = set()
    rounds = 0
    _mend(cells, width, list(range(len(cells.relations))))
    while (found := attack(cells, width, safe, thorough=False).found) and _hide_beside_all(cells, found, width):
        rounds += 1
    done = attack(cells, width, safe)
    hidden = sum(cell.hidden for cell in cells.cells.values())
    return Protection(primary, hidden - primary, rounds, done)


def _rank_alike(cells: Cells) -> None:
    """Names of one count are kept as long as the weightiest of them."""
    pairs = [r.terms for r in cells.relations if not r.constant and sorted(f for _, f in r.terms) == [-1, 1]]
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
    alone = sum(not relation.unknown(cells.cells) for relation in cells.lines(key))
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
