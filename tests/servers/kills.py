"""Kill an apply many times with each server: ``python -m tests.servers.kills [COUNT]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.servers.hies import KINDS, Started
from tests.servers.place import opened
from tests.servers.scenarios.nights import survive


def main(arguments: list[str]) -> None:
    """Kill, look whether everybody is there once, and tell."""
    kills = int(arguments[0]) if arguments else 300
    started = Started()
    try:
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder, opened(Path(folder), started[kind.name]) as place:
                rounds = survive(place, kills, seed=6)
            sys.stdout.write(f"{kind.title}: {kills} kills and more survived in {rounds} rounds, nobody there twice\n")
            sys.stdout.flush()
    finally:
        started.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
