"""Counts that may be published, and what everybody knows of how they hang together.

Whatever a reader can compute is a cell, too: of 50 people 45 of whom answered, 5 did not, though nobody
prints it. Such cells are not `printed`; they are what suppression usually forgets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from fhir_equity.errors import FatalError

Key = tuple[str, ...]
FLOOR = 11  # the least count but 0 that CMS lets anybody show: ResDAC, cell size suppression policy, 2024-01-26


class Cell(Struct):
    """One count of people.

    `floor`: the least count but 0 that may be told. `printed`: it stands in the document unless `hidden`.
    `guarded`: `least` to `floor` - 1 of it must not be told; `least` is 0 where that nobody is left tells one thing of
    all the others. `known`: an earlier publication told it of the same data. `signed`: a change, which may be below
    0. `within_few`: everything of a small group is hidden, nothing excepted, so that a reader cannot tell a 0 from
    others. `rank`: what may go first to protect others, the higher the sooner, those of 0 only when nothing else is
    left. `block`: the table it is in, which is withheld as a whole where its cells cannot be hidden one by one; then
    `withheld`.
    """

    value: int
    floor: int = FLOOR
    printed: bool = True
    guarded: bool = True
    least: int = 1
    known: bool = False
    signed: bool = False
    rank: int = 0
    block: Key = ()
    hidden: bool = False
    within_few: bool = False
    withheld: bool = False

    @property
    def small(self) -> bool:
        """Whether it must not be told."""
        return self.guarded and self.least <= abs(self.value) < self.floor

    @property
    def told(self) -> bool:
        """Whether a reader has the number."""
        return self.known or (self.printed and not self.hidden)

    @property
    def attacked(self) -> bool:
        """Whether anything is lost when a reader finds it out; that a 0 is one may be told."""
        return not self.told and (self.small or (self.printed and self.value != 0))

    def bounds(self, most: int) -> tuple[int, int]:
        """What the public rule alone tells of it: small cells are 1 to 10, those hidden for their sake are not.

        That is more than a reader knows, who cannot tell one from the other: what holds against this
        attacker holds against every weaker one.
        """
        if self.told:
            return self.value, self.value
        if self.signed:
            return 1 - self.floor, self.floor - 1
        if self.small and not self.least:
            return 0, self.floor - 1
        if self.withheld:
            return 0, most
        if self.within_few:
            return 0, self.floor - 1
        if self.small:
            return self.least, self.floor - 1
        return (self.floor if self.printed and self.value and self.guarded else 0), most


class Relation(Struct, frozen=True):
    """The sum of the terms, each a cell times a factor, is `constant`."""

    terms: tuple[tuple[Key, int], ...]
    constant: int = 0

    def unknown(self, cells: dict[Key, Cell]) -> list[tuple[Key, int]]:
        """The terms that a reader has no number for."""
        return [(key, factor) for key, factor in self.terms if not cells[key].told]

    def rest(self, cells: dict[Key, Cell]) -> int:
        """What the unknown terms add up to, as a reader computes it."""
        return self.constant - sum(factor * cells[key].value for key, factor in self.terms if cells[key].told)


def twice_in(whole: Key, parts: list[Key]) -> Key:
    """The name of how many are counted more than once where parts are more than the whole."""
    return (*whole, "twice in", *parts[0])


class Cells:
    """All cells of one publication with their relations."""

    def __init__(self) -> None:
        self._greatest = 0
        self.cells: dict[Key, Cell] = {}
        self.relations: list[Relation] = []
        self.of: dict[Key, list[int]] = {}  # the places of the relations that a cell is in
        self.parts: dict[Key, list[Key]] = {}

    def add(
        self,
        key: Key,
        value: int,
        floor: int = FLOOR,
        *,
        rank: int = 1,
        block: Key = (),
        printed: bool = True,
        guarded: bool = True,
    ) -> Key:
        """Take in a count; one that is there already must be the same. Raises FatalError."""
        cell = self.cells.setdefault(key, Cell(value, floor, printed, guarded, rank=rank, block=block))
        if cell.value != value:
            raise FatalError(f"{'/'.join(key)} is counted twice and differs")
        self._greatest = max(self._greatest, value)
        cell.floor, cell.printed = max(cell.floor, floor), cell.printed or printed
        return key

    def relate(self, terms: Iterable[tuple[Key, int]], constant: int = 0) -> None:
        """Take in what everybody knows. Raises FatalError where it is not true."""
        relation = Relation(tuple(terms), constant)
        if sum(factor * self.cells[key].value for key, factor in relation.terms) != constant:
            raise FatalError(f"{'/'.join(relation.terms[0][0])} does not add up")
        for key, _ in relation.terms:
            self.of.setdefault(key, []).append(len(self.relations))
        self.relations.append(relation)

    def adds_up(self, whole: Key, parts: Iterable[Key]) -> Key | None:
        """Each person of `whole` is in one of the parts; gives who is in none, a cell of its own that nobody prints."""
        parts = list(parts)
        self.parts.setdefault(whole, []).extend(parts)
        rest = self.cells[whole].value - sum(self.cells[part].value for part in parts)
        if rest < 0:
            self._overlap(whole, parts, -rest)
            return None
        name = None
        if rest:
            first = self.cells[parts[0]] if parts else self.cells[whole]
            name = (*whole, "rest of", *(parts[0] if parts else ()))
            parts.append(self.add(name, rest, self.cells[whole].floor, block=first.block, printed=False))
        self.relate([(whole, -1), *((part, 1) for part in parts)])
        return name

    def _overlap(self, whole: Key, parts: list[Key], twice: int) -> None:
        """Some are in several parts: who is counted more than once is no group of people that can be told."""
        slack = self.add(twice_in(whole, parts), twice, printed=False, guarded=False)
        self.relate([(whole, -1), (slack, -1), *((part, 1) for part in parts)])

    def within(self, part: Key, whole: Key) -> Key:
        """`part` are some of `whole`; gives the others, whom nobody prints."""
        value = self.cells[whole].value - self.cells[part].value
        self.parts.setdefault(whole, []).append(part)
        floor = max(self.cells[whole].floor, self.cells[part].floor)
        block = self.cells[part].block
        others = self.add((*whole, "without", *part), value, floor, block=block, printed=False)
        self.relate([(whole, -1), (part, 1), (others, 1)])
        return others

    def at_most(self, part: Key, whole: Key) -> None:
        """`part` is no more than `whole`, and what lies between is no group of people."""
        value = self.cells[whole].value - self.cells[part].value
        between = self.add((*whole, "beyond", *part), value, printed=False, guarded=False)
        self.relate([(whole, -1), (part, 1), (between, 1)])

    def never_none(self, key: Key) -> None:
        """That a count that nobody prints is 0 must not be told either."""
        self.cells[key].least = 0

    def same(self, one: Key, other: Key) -> None:
        """Two names of one count."""
        if one != other:
            self.relate([(one, 1), (other, -1)])

    def small(self) -> None:
        """Hide what is small, and of small groups everything."""
        for key in [key for key, cell in self.cells.items() if cell.small]:
            self.cells[key].hidden = self.cells[key].printed
            self._hide_parts(key)

    def _hide_parts(self, key: Key) -> None:
        for part in self.parts.get(key, ()):
            cell = self.cells[part]
            if not cell.within_few:
                cell.within_few = True
                cell.hidden = cell.hidden or cell.printed
                self._hide_parts(part)

    def withhold(self, block: Key) -> list[Key]:
        """Hide a whole table, every 0 as well; gives its cells."""
        found = [key for key, cell in self.cells.items() if cell.block == block]
        for key in found:
            self.cells[key].withheld, self.cells[key].hidden = True, self.cells[key].printed
        return found

    def known(self, key: Key) -> None:
        """An earlier publication told this count, of the same data."""
        self.cells[key].known = True

    def changed(self, key: Key, before: int) -> None:
        """An earlier publication told that this was `before`: a small difference must not follow from both."""
        cell = self.cells[key]
        if 0 < abs(cell.value - before) < cell.floor:
            change = (*key, "since", str(before))
            self.cells[change] = Cell(cell.value - before, cell.floor, printed=False, signed=True)
            self.relate([(key, 1), (change, -1)], before)

    def joined(self, key: Key) -> set[Key]:
        """The hidden cells that equations join with a hidden one, itself included."""
        found, edge, seen = {key}, [key], set[int]()
        while edge:
            for place in self.of.get(edge.pop(), ()):
                if place not in seen:  # one look tells all of a relation
                    seen.add(place)
                    near = [other for other, _ in self.relations[place].unknown(self.cells) if other not in found]
                    found.update(near)
                    edge += near
        return found

    def lines(self, key: Key) -> Iterator[Relation]:
        """The relations that a cell is in."""
        return (self.relations[place] for place in self.of.get(key, ()))

    def most(self, width: int) -> int:
        """A bound above everything that a reader would think of."""
        return 2 * self._greatest + 100 * width
