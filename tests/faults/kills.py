"""Kill an ingest many times: ``python -m tests.faults.kills [COUNT [URL of a PostgreSQL server]]``.

Each round starts with an empty store and kills the ingest at a random moment, and what goes on with it at
another one, until one comes to its end. Without a URL a server is started here.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from tests import postgresql
from tests.faults.points import everything, files, killed, load, moments

AGAIN = 0.5  # how often what goes on is killed once more


def survive(new_url: Callable[[], str], folder: Path, rounds: int, seed: int) -> int:
    """How many kills were survived in so many rounds. Raises ValueError where the end is another one."""
    files(folder)
    whole = new_url()
    with moments(0, lambda _: None) as counted:
        load(whole, folder)
    expected, (most,) = everything(whole), counted
    chance, kills = random.Random(seed), 0
    for number in range(rounds):
        url = new_url()
        while killed(url, folder, chance.randint(1, most)):
            kills += 1
            if chance.random() > AGAIN:
                load(url, folder)
                break
        found = everything(url)
        if found != expected:
            tables = [name for name, rows in expected.items() if found[name] != rows]
            raise ValueError(f"round {number} of seed {seed} ended otherwise in {', '.join(tables)}")
    return kills


def main(arguments: list[str]) -> None:
    """Kill on SQLite and on PostgreSQL, and tell."""
    rounds = int(arguments[0]) if arguments else 300
    with tempfile.TemporaryDirectory() as name:
        folder, numbers = Path(name), count()
        kills = survive(lambda: f"sqlite:///{folder}/{next(numbers)}.db", folder, rounds, seed=6)
        sys.stdout.write(f"sqlite: {kills} kills survived in {rounds} rounds\n")
        if arguments[1:]:
            kills = survive(partial(postgresql.new_schema, arguments[1]), folder, rounds, seed=6)
        else:
            with postgresql.cluster() as server:
                kills = survive(partial(postgresql.new_schema, server), folder, rounds, seed=6)
        sys.stdout.write(f"postgresql: {kills} kills survived in {rounds} rounds\n")


if __name__ == "__main__":
    main(sys.argv[1:])
