"""Kill an apply many times with each server: ``python -m tests.servers.kills [COUNT]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.servers.hies import KINDS, Started
from tests.servers.place import opened
from tests.servers.scenarios.nights import survived


def main(arguments: list[str]) -> None:
    """Kill, look whether everybody is there once, and tell."""
    rounds = int(arguments[0]) if arguments else 100
    started = Started()
    try:
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder, opened(Path(folder), started[kind.name]) as place:
                kills = survived(place, rounds, seed=6)
            sys.stdout.write(f"{kind.title}: {kills} kills survived in {rounds} rounds, nobody there twice\n")
    finally:
        started.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
