"""What each path of the performance table costs beside its floor: CPU seconds for so many members, and memory.

``python -m tests.benchmarks.paths NAME MEMBERS`` measures one in a process of its own and prints it as JSON.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from msgspec import Struct

from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from tests.benchmarks import bench_audit, bench_fhir, bench_fhir_write, bench_ingest, bench_sync, bench_write
from tests.benchmarks.generate_834 import file_of
from tests.benchmarks.generate_fhir import file_of as fhir_file_of
from tests.conftest import ROOT

FEW = 20_000  # members up to which there are three rounds
READ = "import sys; from tests.benchmarks import bench_audit as b; b.read_members(b.Path(sys.argv[1]))"
Pair = tuple[float, float]  # CPU seconds of ours, and of the floor


class Cost(Struct, frozen=True):
    """CPU seconds of ours and of the floor (medians of the rounds), and the peak of ours in MB (0: not measured)."""

    seconds: float
    floor: float
    memory: float


class Measured(Struct, frozen=True):
    """A row of the table: the floor in words, how pairs are measured, and what to run for the memory.

    `only` is the one size that it is measured at, where that is not for the caller to say.
    """

    floor: str
    rounds: Callable[[Path, int], Sequence[Pair]]
    command: Callable[[Path, int], list[str]] | None = None
    only: int = 0


def times(members: int) -> int:
    """How many rounds."""
    return 3 if members <= FEW else 1


def _audit(step: str) -> Callable[[Path, int], Sequence[Pair]]:
    def rounds(folder: Path, members: int) -> Sequence[Pair]:
        spent = bench_audit.measure(file_of(members, folder), members, times(members))
        return list(zip(spent[step], spent["split limit"], strict=True))

    return rounds


def _write(folder: Path, members: int) -> Sequence[Pair]:
    reading, writing = bench_write.measure(folder, members, times(members))
    return list(zip(writing, reading, strict=True))


def _fhir_read(folder: Path, members: int) -> Sequence[Pair]:
    spent = bench_fhir.measure(fhir_file_of(members, folder), members, times(members))
    ours, floor = spent[bench_fhir.OURS], spent[bench_fhir.FLOOR]
    return [(one * members, other * members) for one, other in zip(ours, floor, strict=True)]


def _fhir_write(folder: Path, members: int) -> Sequence[Pair]:
    floor, ours = bench_fhir_write.measure(folder, members, times(members)).values()
    return list(zip(ours, floor, strict=True))


def _ingest(folder: Path, members: int) -> list[bench_ingest.Round]:
    numbers, path = count(), file_of(members, folder)
    return [
        bench_ingest.measure(
            lambda: f"sqlite:///{folder}/{next(numbers)}.db", bench_ingest.floor_of_sqlite, path, time.process_time
        )
        for _ in range(times(members))
    ]


def _resolve(folder: Path, members: int) -> Sequence[Pair]:
    place = folder / "resolve.db"
    settings = Settings(
        store=StoreSettings(url=f"sqlite:///{place}"), privacy=PrivacySettings(key_file=folder / "equity.key")
    )
    with Workspace(settings, "2026-01-01") as workspace:
        ingest(workspace, [file_of(members, folder)], partner="bench")
        found = []
        for _ in range(times(members)):
            start = time.process_time()
            resolve(workspace)
            middle = time.process_time()
            with sqlite3.connect(place) as driver:
                for table in ("answer", "resolution"):
                    driver.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608 - our own names
            found.append((middle - start, time.process_time() - middle))
    return found


def _sync(folder: Path, members: int) -> Sequence[Pair]:
    ours, bare, _, _ = bench_sync.client(members)
    return [(ours, bare)]


def _command(*words: str) -> Callable[[Path, int], list[str]]:
    def command(folder: Path, members: int) -> list[str]:
        places: dict[str, Callable[[int, Path], Path]] = {"<834>": file_of, "<ndjson>": fhir_file_of}
        found = [str(places[word](members, folder)) if word in places else word for word in words]
        found = [word.replace("<folder>", str(folder)) for word in found]
        store = f"sqlite:///{folder}/memory.db"
        return [sys.executable, "-m", "fhir_equity", "--quiet", "--store", store, *found]

    return command


def _reading(folder: Path, members: int) -> list[str]:
    return [sys.executable, "-c", READ, str(file_of(members, folder))]


def _fhir_reading(folder: Path, members: int) -> list[str]:
    return [sys.executable, "-c", bench_fhir.READ, str(fhir_file_of(members, folder))]


def _spark(folder: Path, members: int) -> Sequence[Pair]:
    """Wall seconds of an audit with the local engine as the floor: a JVM's CPU time is mostly its own start."""
    found = []
    for _ in range(times(members)):
        spent = []
        for engine in ("spark", "local"):
            words = _command("audit", "<834>", "--engine", engine, "--json", os.devnull)(folder, members)
            start = time.monotonic()
            subprocess.run(words, check=True, cwd=ROOT, capture_output=True)
            spent.append(time.monotonic() - start)
        found.append((spent[0], spent[1]))
    return found


AUDIT = _command("audit", "<834>", "--json", os.devnull)
INGEST = _command("ingest", "<834>")
PATHS = {
    "834 read": Measured("cutting it in plain Python", _audit("read to Members"), _reading),
    "834 audit": Measured("cutting it in plain Python", _audit("whole audit"), AUDIT),
    "834 write": Measured("834 read", _write, _command("convert", "<834>", "<folder>/out.834")),
    "NDJSON read": Measured("`orjson.loads`", _fhir_read, _fhir_reading),
    "NDJSON write": Measured(
        "dictionaries and `orjson.dumps`", _fhir_write, _command("convert", "<834>", "<folder>/out.ndjson")
    ),
    "ingest, first": Measured(
        "the same rows by the driver", lambda f, m: [(r.first, r.floor) for r in _ingest(f, m)], INGEST
    ),
    "ingest, again": Measured("ingest, first", lambda f, m: [(r.again, r.first) for r in _ingest(f, m)]),
    "resolve": Measured("reading answers and resolutions", _resolve),
    "sync client": Measured("bare httpx, the same requests", _sync, only=200),
    "Spark audit, local[2] (wall)": Measured("834 audit (wall)", _spark),
}


def cost(name: str, members: int) -> Cost:
    """What a path costs. Raises ValueError where a command for the memory fails."""
    path = PATHS[name]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pairs = path.rounds(folder, members)
        memory = 0.0 if path.command is None else peak(path.command(folder, members))
    return Cost(statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs), memory)


# What a process starts from counts as its memory until it is another program: so it is started by a small one.
LAUNCH = """
import os, sys
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak(command: list[str]) -> float:
    """The peak MB of a command in a process of its own. Raises ValueError when it fails."""
    done = subprocess.run([sys.executable, "-S", "-c", LAUNCH, *command], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"{command[2:6]} ended with {done.returncode}")
    return int(done.stdout.split()[-1]) / 1000


def main(arguments: list[str]) -> None:
    """Measure one path."""
    found = cost(arguments[0], int(arguments[1]))
    sys.stdout.write(json.dumps([found.seconds, found.floor, found.memory]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
