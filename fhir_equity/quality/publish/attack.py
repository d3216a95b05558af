"""The attacker: what can be found out about every hidden cell from all that is told and the public rule.

Whole numbers between bounds, in linear equations: HiGHS (scipy.optimize.milp) finds the least and the
most that a cell can be. Cells that no equation joins are attacked apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct, field

from fhir_equity.errors import FatalError, UsageError
from fhir_equity.quality.publish.cells import Cells, Key, Relation

if TYPE_CHECKING:
    from scipy.optimize import Bounds, LinearConstraint, OptimizeResult

SECONDS = 20.0  # for one question; without an answer the cell counts as found out
FEW = 16  # cells found out together that are enough to hide more
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


def attack(cells: Cells, width: int, safe: set[Key] | None = None, *, thorough: bool = True) -> Attack:
    """Attack every hidden cell; one whose least and most differ by less than `width` is found out.

    `safe` are cells that held before with more told; those that hold are added. Not `thorough`, a few found
    out are enough of those that hang together. Raises UsageError without scipy (the extra ``reports``).
    """
    safe = set() if safe is None else safe
    done = Attack()
    for joined in _joined(cells):
        targets = [key for key in joined.unknown if cells.cells[key].attacked]
        done.attacked += len(targets)
        done.found |= joined.attack([key for key in targets if key not in safe], width, thorough=thorough)
        safe.update(joined.apart(targets, width))
    return done


def bounds(cells: Cells, key: Key) -> tuple[int, int]:
    """The least and the most that a hidden cell can be."""
    for joined in _joined(cells):
        if key in joined.unknown:
            return joined.extreme(key, -1), joined.extreme(key, 1)
    return cells.cells[key].value, cells.cells[key].value


def _joined(cells: Cells) -> Iterator[_Joined]:
    """The hidden cells that equations join, group by group."""
    left = {key for key, cell in cells.cells.items() if not cell.told}
    while left:
        found = cells.joined(min(left))
        left -= found
        places = {place for key in found for place in cells.of.get(key, ())}
        yield _Joined(cells, sorted(found), [cells.relations[place] for place in sorted(places)])


class _Joined:
    """Hidden cells that hang together, as equations."""

    def __init__(self, cells: Cells, unknown: list[Key], relations: list[Relation]) -> None:
        self.unknown = unknown
        self._place = {key: place for place, key in enumerate(unknown)}
        self._lines = [
            ([(self._place[key], factor) for key, factor in relation.unknown(cells.cells)], relation.rest(cells.cells))
            for relation in relations
        ]
        most = cells.most(100)
        self._bounds = [cells.cells[key].bounds(most) for key in unknown]
        truth = [cells.cells[key].value for key in unknown]
        self._low, self._high = truth, [*truth]  # what solutions met so far have shown to be possible

    def attack(self, targets: list[Key], width: int, *, thorough: bool) -> dict[Key, tuple[int, int]]:
        """The targets that cannot be at least `width` apart, with their least and most."""
        if not self._lines:  # a cell alone, of which nothing but the rule is known
            return {key: self._bounds[0] for key in targets if self._bounds[0][1] - self._bounds[0][0] < width}
        self._walk(targets, width)
        found = {}
        for key in targets:
            for sign in (1, -1):
                if self._apart(key) < width:
                    self.extreme(key, sign)
            if self._apart(key) < width:
                found[key] = self._low[self._place[key]], self._high[self._place[key]]
                if not thorough and len(found) >= FEW:
                    break
        return found

    def _walk(self, targets: list[Key], width: int) -> None:
        """Solutions that push all open cells somewhere at once, as long as that settles some of them."""
        random = Random(0)  # noqa: S311 - the same walk for the same tables
        idle = 0
        while idle < IDLE and len(left := [key for key in targets if self._apart(key) < width]) > 1:
            goal = [0] * len(self.unknown)
            for key in left:
                goal[self._place[key]] = random.choice((-1, 1))
            self._solve(goal)
            idle = idle + 1 if all(self._apart(key) < width for key in left) else 0

    def apart(self, targets: list[Key], width: int) -> list[Key]:
        """The targets that were shown to be able to differ by `width`."""
        if not self._lines:
            return targets
        return [key for key in targets if self._apart(key) >= width]

    def _apart(self, key: Key) -> int:
        return self._high[self._place[key]] - self._low[self._place[key]]

    def extreme(self, key: Key, sign: int) -> int:
        """The most (1) or the least (-1) that a cell was shown to be able to be: all there is, unless time ran out."""
        place = self._place[key]
        if not self._lines:
            return self._bounds[place][sign > 0]
        goal = [0] * len(self.unknown)
        goal[place] = sign
        self._solve(goal)
        return (self._high if sign > 0 else self._low)[place]

    def _solve(self, goal: list[int]) -> OptimizeResult:
        """Make the goal as great as can be, and keep what the solution shows to be possible."""
        within, equal = self._equations
        from scipy.optimize import milp

        result = milp(
            [-weight for weight in goal],
            integrality=[1] * len(goal),
            bounds=within,
            constraints=equal,
            options={"time_limit": SECONDS, "mip_rel_gap": 0.0},
        )
        if result.status == INFEASIBLE:  # which the truth is not
            raise FatalError("the cells of a publication contradict each other")
        if result.x is not None:
            self._keep([round(value) for value in result.x])
        return result

    def _keep(self, solution: list[int]) -> None:
        """Remember how far apart cells can be; only what solves the equations to the last digit counts."""
        if any(sum(factor * solution[place] for place, factor in line) != rest for line, rest in self._lines):
            return
        for place, value in enumerate(solution):
            self._low[place] = min(self._low[place], value)
            self._high[place] = max(self._high[place], value)

    @cached_property
    def _equations(self) -> tuple[Bounds, LinearConstraint]:
        """What HiGHS is told but the goal."""
        try:
            from scipy.optimize import Bounds, LinearConstraint
            from scipy.sparse import csc_array
        except ImportError:
            raise UsageError("publishing needs scipy: install fhir-equity[reports]") from None
        entries = [(row, place, factor) for row, (line, _) in enumerate(self._lines) for place, factor in line]
        rows, places, factors = zip(*entries, strict=True)
        matrix = csc_array((factors, (rows, places)), shape=(len(self._lines), len(self.unknown)))
        rests = [rest for _, rest in self._lines]
        low, high = zip(*self._bounds, strict=True)
        return Bounds(low, high), LinearConstraint(matrix, rests, rests)
