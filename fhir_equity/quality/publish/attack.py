"""The attacker: what can be found out about every hidden cell from all that is told and the public rule.

Whole numbers between bounds, in linear equations: HiGHS (scipy.optimize) finds the least and the most that a cell
can be, in fractions first, which mostly are whole numbers already. Cells that no equation joins are attacked apart.
What was shown to be possible once (`Witnesses`) stays so when more is hidden, and is not asked for again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct, field

from fhir_equity.errors import FatalError, UsageError
from fhir_equity.quality.publish.cells import Cells, Key, Relation
from fhir_equity.quality.publish.narrow import Line, narrowed

if TYPE_CHECKING:
    from scipy.optimize import Bounds, LinearConstraint

SECONDS = 20.0  # for one question; without an answer the cell counts as found out
IDLE = 3  # walks that settle nothing before cells are asked about one by one
INFEASIBLE = 2  # as scipy numbers the states of HiGHS


class Attack(Struct):
    """What the attacker achieved.

    `attacked`: hidden cells, those that nobody prints included. `found`: those it could bound more
    narrowly than the width asked for, each with its least and most.
    """

    attacked: int = 0
    found: dict[Key, tuple[int, int]] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Whether nothing was found out."""
        return not self.found


class Witnesses:
    """Worlds that a reader cannot tell from the true one, each by how far its cells are from the truth."""

    def __init__(self, worlds: Iterable[dict[Key, int]] = ()) -> None:
        self._worlds: list[dict[Key, int]] = []
        self._spans: dict[Key, tuple[int, int]] = {}
        for world in worlds:
            self.add(world)

    def add(self, world: dict[Key, int]) -> None:
        """Another world; it is kept where it takes a cell further than those before."""
        further = False
        for key, distance in world.items():
            low, high = self._spans.get(key, (0, 0))
            if distance < low or distance > high:
                self._spans[key] = min(low, distance), max(high, distance)
                further = True
        if further:
            self._worlds.append(world)

    def span(self, key: Key) -> tuple[int, int]:
        """The least and the most that a cell is away from the truth."""
        return self._spans.get(key, (0, 0))

    def apart(self, key: Key) -> int:
        """How far apart a cell was shown to be able to be."""
        low, high = self.span(key)
        return high - low

    def without(self, keys: Iterable[Key]) -> Witnesses:
        """Those that are left once these cells are told."""
        told = {*keys}
        return Witnesses(world for world in self._worlds if told.isdisjoint(world))


def attack(
    cells: Cells,
    width: int,
    known: Witnesses | None = None,
    *,
    enough: int | None = None,
    among: Collection[Key] | None = None,
) -> Attack:
    """Attack every hidden cell; one whose least and most differ by less than `width` is found out.

    `known` are witnesses of when more was told, and are added to. So many found out are `enough` of those that hang
    together, their bounds may then be narrower still. `among`: only those that hang together with these hidden
    cells, which come first. Raises UsageError without scipy (the extra ``reports``).
    """
    known = Witnesses() if known is None else known
    done = Attack()
    for group in _groups(cells, among):
        first = frozenset(among or ())
        targets = sorted((key for key in group if cells.cells[key].attacked), key=lambda key: key not in first)
        done.attacked += len(targets)
        if any(known.apart(key) < width for key in targets):
            done.found |= _Joined(cells, group, known).attack(targets, width, enough)
    return done


def bounds(cells: Cells, key: Key) -> tuple[int, int]:
    """The least and the most that a hidden cell can be."""
    for group in _groups(cells):
        if key in group:
            joined = _Joined(cells, group, Witnesses())
            return joined.extreme(key, -1), joined.extreme(key, 1)
    return cells.cells[key].value, cells.cells[key].value


def _groups(cells: Cells, among: Collection[Key] | None = None) -> Iterator[list[Key]]:
    """The hidden cells that equations join, group by group; of all, or those with these cells in them."""
    left = {key for key, cell in cells.cells.items() if not cell.told} if among is None else {*among}
    while left:
        found = cells.joined(min(left))
        left -= found
        yield sorted(found)


class _Joined:
    """Hidden cells that hang together, as equations."""

    def __init__(self, cells: Cells, unknown: list[Key], known: Witnesses) -> None:
        self.unknown = unknown
        self._known = known
        self._place = {key: place for place, key in enumerate(unknown)}
        places = sorted({place for key in unknown for place in cells.of.get(key, ())})
        self._lines = [self._line(cells, cells.relations[place]) for place in places]
        most = cells.most(100)
        self._truth = [cells.cells[key].value for key in unknown]
        self._bounds = narrowed(self._lines, [cells.cells[key].bounds(most) for key in unknown], self._truth)

    def _line(self, cells: Cells, relation: Relation) -> Line:
        unknown = [(self._place[key], factor) for key, factor in relation.unknown(cells.cells)]
        return Line(unknown, relation.rest(cells.cells))

    def attack(self, targets: list[Key], width: int, enough: int | None) -> dict[Key, tuple[int, int]]:
        """The targets that cannot be at least `width` apart, with their least and most."""
        narrow = {key: self._bounds[self._place[key]] for key in targets if self._room(key) < width}
        if not self._lines or (narrow and enough):
            return narrow
        found: dict[Key, tuple[int, int]] = {}
        self._walk([key for key in targets if key not in narrow], width)
        for key in targets:
            for sign in (1, -1):
                if self._known.apart(key) < width:
                    self.extreme(key, sign)
            if self._known.apart(key) < width:
                found[key] = self._shown(key)
                if enough and len(found) >= enough:
                    break
        return found

    def _room(self, key: Key) -> int:
        """How far apart a cell can be at most, as single equations tell."""
        low, high = self._bounds[self._place[key]]
        return high - low

    def _walk(self, targets: list[Key], width: int) -> None:
        """Solutions that push all open cells somewhere at once, as long as that settles some of them."""
        random = Random(0)  # noqa: S311 - the same walk for the same tables
        idle = 0 if self._lines else IDLE
        while idle < IDLE and len(left := [key for key in targets if self._known.apart(key) < width]) > 1:
            goal = [0] * len(self.unknown)
            for key in left:
                goal[self._place[key]] = self._direction(key, random)
            self._solve(goal)
            idle = idle + 1 if all(self._known.apart(key) < width for key in left) else 0

    def _direction(self, key: Key, random: Random) -> int:
        """Where there is more room, mostly."""
        place = self._place[key]
        low, high = self._bounds[place]
        below, above = self._truth[place] - low, high - self._truth[place]
        return 1 if random.random() * (below + above) < above else -1

    def _shown(self, key: Key) -> tuple[int, int]:
        truth = self._truth[self._place[key]]
        low, high = self._known.span(key)
        return truth + low, truth + high

    def extreme(self, key: Key, sign: int) -> int:
        """The most (1) or the least (-1) that a cell was shown to be able to be: all there is, unless time ran out."""
        if not self._lines:
            return self._bounds[self._place[key]][sign > 0]
        goal = [0] * len(self.unknown)
        goal[self._place[key]] = sign
        self._solve(goal)
        return self._shown(key)[sign > 0]

    def _solve(self, goal: list[int]) -> None:
        """Make the goal as great as can be, and keep what the solution shows to be possible.

        What solves the equations in fractions and is whole all the same is the best in whole numbers, too.
        """
        for whole in (False, True):
            solution = self._solution(goal, whole=whole)
            if solution is not None and self._solves(solution):
                distances = (value - truth for value, truth in zip(solution, self._truth, strict=True))
                self._known.add({key: away for key, away in zip(self.unknown, distances, strict=True) if away})
                return

    def _solution(self, goal: list[int], *, whole: bool) -> list[int] | None:
        """The nearest whole numbers to a solution; None where time ran out. Raises FatalError."""
        within, equal = self._equations
        from scipy.optimize import milp

        result = milp(
            [-weight for weight in goal],
            integrality=[1 if whole else 0] * len(goal),
            bounds=within,
            constraints=equal,
            options={"time_limit": SECONDS, "mip_rel_gap": 0.0},
        )
        if result.status == INFEASIBLE:  # which the truth is not
            raise FatalError("the cells of a publication contradict each other")
        return None if result.x is None else [round(value) for value in result.x]

    def _solves(self, solution: list[int]) -> bool:
        """Only what is within bounds and solves the equations to the last digit counts."""
        inside = all(low <= value <= high for value, (low, high) in zip(solution, self._bounds, strict=True))
        return inside and all(line.value(solution) == line.rest for line in self._lines)

    @cached_property
    def _equations(self) -> tuple[Bounds, LinearConstraint]:
        """What HiGHS is told but the goal."""
        try:
            from scipy.optimize import Bounds, LinearConstraint
            from scipy.sparse import csc_array
        except ImportError:
            raise UsageError("publishing needs scipy: install fhir-equity[reports]") from None
        entries = [(row, place, factor) for row, line in enumerate(self._lines) for place, factor in line.terms]
        rows, places, factors = zip(*entries, strict=True)
        matrix = csc_array((factors, (rows, places)), shape=(len(self._lines), len(self.unknown)))
        rests = [line.rest for line in self._lines]
        low, high = zip(*self._bounds, strict=True)
        return Bounds(low, high), LinearConstraint(matrix, rests, rests)
