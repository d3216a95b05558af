"""Random tables with all their totals, and an attacker by trying out that knows nothing of linear programming.

``python -m tests.quality.publish.tables 1000`` protects as many and attacks each of them in both ways.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from random import Random

from fhir_equity.quality.publish.attack import bounds
from fhir_equity.quality.publish.cells import Cells, Key
from fhir_equity.quality.publish.protect import protect

TABLE: Key = ("table",)
Spans = dict[Key, tuple[int, int]]


class Few(Cells):
    """Cells of a world with few people, so that everything can be tried out."""

    def most(self, width: int) -> int:
        return max(cell.value for cell in self.cells.values()) + 2


def random_table(seed: int, cells: Cells, rows: int, columns: int, top: int, floor: int) -> Cells:
    """A table with totals, withheld as a whole where need be; some have a detail row, some people who are in no row."""
    random = Random(seed)
    share = random.choice((0.1, 0.4, 0.8))
    value = {
        (row, column): random.randrange(floor) if random.random() < share else random.randrange(top + 1)
        for row in range(rows)
        for column in range(columns)
    }
    keys = {at: cells.add(("cell", *map(str, at)), count, floor, block=TABLE) for at, count in value.items()}
    down = [sum(value[row, column] for row in range(rows)) for column in range(columns)]
    across = [sum(value[row, column] for column in range(columns)) for row in range(rows)]
    row_keys = [cells.add(("row", str(row)), count, floor, block=TABLE) for row, count in enumerate(across)]
    column_keys = [cells.add(("column", str(column)), count, floor, block=TABLE) for column, count in enumerate(down)]
    whole = cells.add(("all",), sum(across) + random.choice((0, 0, 1, floor)), floor, block=TABLE)
    for row, key in enumerate(row_keys):
        cells.adds_up(key, [keys[row, column] for column in range(columns)])
    for column, key in enumerate(column_keys):
        cells.adds_up(key, [keys[row, column] for row in range(rows)])
    cells.adds_up(whole, row_keys)
    cells.adds_up(whole, column_keys)
    if random.random() < 0.5:
        detail = cells.add(("detail",), random.randint(0, value[0, 0]), floor, block=TABLE)
        cells.within(detail, keys[0, 0])
    return cells


def tried_out(cells: Cells) -> Spans:
    """The least and the most of every hidden cell, from every solution there is."""
    spans: Spans = {}
    for solution in _solutions(cells):
        for key, value in solution.items():
            low, high = spans.get(key, (value, value))
            spans[key] = min(low, value), max(high, value)
    return spans


def _solutions(cells: Cells) -> Iterator[dict[Key, int]]:
    unknown = [key for key, cell in cells.cells.items() if not cell.told]
    most = cells.most(0)
    lines = [(dict(r.unknown(cells.cells)), r.rest(cells.cells)) for r in cells.relations]
    return _extend({}, unknown, {key: cells.cells[key].bounds(most) for key in unknown}, lines)


def _extend(
    known: dict[Key, int], left: list[Key], spans: Spans, lines: list[tuple[dict[Key, int], int]]
) -> Iterator[dict[Key, int]]:
    """Every way to go on; a line with one cell left decides it."""
    forced: dict[Key, int] = {}
    for line, rest in lines:
        free = [key for key in line if key not in known]
        missing = rest - sum(factor * known[key] for key, factor in line.items() if key in known)
        if not free and missing:
            return
        if len(free) == 1:
            value, remainder = divmod(missing, line[free[0]])
            if remainder or forced.setdefault(free[0], value) != value:
                return
    if any(not spans[key][0] <= value <= spans[key][1] for key, value in forced.items()):
        return
    if forced:
        yield from _extend(known | forced, [key for key in left if key not in forced], spans, lines)
    elif left:
        low, high = spans[left[0]]
        for value in range(low, high + 1):
            yield from _extend(known | {left[0]: value}, left[1:], spans, lines)
    else:
        yield known


def judged_by_trying_out(seed: int) -> str:
    """Protect a small table and compare the two attackers; gives what came of it."""
    random = Random(seed)
    floor, width = random.choice(((3, 1), (4, 2)))
    cells = random_table(seed, Few(), 2, random.choice((2, 2, 3)), 6, floor)
    done = protect(cells, width)
    if sum(not cell.told for cell in cells.cells.values()) > 9:
        return "too many to try out"
    spans = tried_out(cells)
    assert spans == {key: bounds(cells, key) for key in spans}, seed
    assert set(spans) == {key for key, cell in cells.cells.items() if not cell.told}, seed
    narrow = {k: s for k, s in spans.items() if cells.cells[k].attacked and s[1] - s[0] < width}
    assert set(narrow) == set(done.attack.found), seed
    return "held" if done.attack.held else "found out"


def judged_at_size(seed: int) -> str:
    """Protect a table of a usual size; the attack goes on from nothing that was known before."""
    from fhir_equity.quality.publish.attack import attack

    random = Random(seed)
    cells = random_table(seed, Cells(), random.randint(2, 8), random.randint(2, 6), random.choice((30, 200, 2000)), 11)
    held = protect(cells).attack.held
    assert attack(cells, 5).held is held, seed
    small = [cell for cell in cells.cells.values() if cell.small]
    assert all(not cell.told for cell in small), seed
    return "held" if held else "found out"


def main(count: int) -> None:
    begun = time.monotonic()
    for judge in (judged_by_trying_out, judged_at_size):
        outcomes = Counter(judge(seed) for seed in range(count))
        sys.stdout.write(f"{judge.__name__}: {count} tables, {dict(outcomes)}, {time.monotonic() - begun:.0f} s\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
