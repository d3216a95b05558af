"""Measure reading FHIR Patients: ``python -m tests.benchmarks.bench_fhir [patients]``.

In this process in turn, CPU time, the median of five rounds: `orjson.loads` over the lines of a file (the
floor), the same file to Members, and `fhir.resources` (R4B) over a part of the lines. Then the peak
memory of reading in a process of its own, for a tenth of the file and for all of it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import orjson
from fhir.resources.R4B.patient import Patient

from fhir_equity.adapters.fhir import ADAPTER
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import sources
from fhir_equity.model import Member
from fhir_equity.pipeline.workspace import Workspace
from tests.benchmarks.generate_fhir import file_of
from tests.conftest import ROOT

ROUNDS = 5
PART = 50  # of so many lines, fhir.resources is given one: it is that slow
FLOOR, OURS, PEER = "orjson.loads", "read to Members", "fhir.resources R4B"
MOST, LEAST = 3, 20  # times the floor at most, times the peer at least (issue: at most 3, at least 20)
READ = "import sys; from tests.benchmarks import bench_fhir as b; b.read_all(b.Path(sys.argv[1]))"


def load_all(path: Path) -> int:
    """Parse every line; their number."""
    with path.open("rb") as lines:
        return sum(isinstance(orjson.loads(line), dict) for line in lines)


@cache
def context() -> Context:
    """What the reader is handed; tables are loaded once."""
    return Workspace().context("bench", "fhir")


def read_all(path: Path) -> int:
    """Read to Members; their number."""
    items = ADAPTER.read(sources([path])[0], Range(), context())
    return sum(isinstance(item, Member) for item in items)


def validate_part(path: Path) -> int:
    """Parse and validate one of PART lines; their number."""
    with path.open("rb") as lines:
        some = [line for number, line in enumerate(lines) if number % PART == 0]
    return len([Patient.model_validate_json(line) for line in some])


def measure(path: Path, patients: int, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """CPU seconds for each Patient, by what was measured, in every round. Raises ValueError when one is missing."""
    steps: dict[str, tuple[Callable[[Path], int], int]] = {
        FLOOR: (load_all, patients),
        OURS: (read_all, patients),
        PEER: (validate_part, -(-patients // PART)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    context()
    validate_part(path)  # its models are built once
    for _ in range(rounds):
        for name, (step, expected) in steps.items():
            start = time.process_time()
            counted = step(path)
            seconds[name].append((time.process_time() - start) / expected)
            if counted != expected:
                raise ValueError(f"{name}: {counted} of {expected} Patients")
    return seconds


def report(seconds: dict[str, list[float]], patients: int) -> str:
    """The table: microseconds for each Patient, and the medians of the rounds' ratios to the other two."""
    lines = [f"{patients} Patients, CPU time for each, median of {len(seconds[FLOOR])} rounds"]
    lines += [f"{name:20} {statistics.median(spent) * 1e6:9.2f} us" for name, spent in seconds.items()]
    floor = statistics.median(own / one for own, one in zip(seconds[OURS], seconds[FLOOR], strict=True))
    peer = statistics.median(one / own for own, one in zip(seconds[OURS], seconds[PEER], strict=True))
    lines.append(f"reading is {floor:.2f} x {FLOOR} (at most {MOST})")
    lines.append(f"{PEER} is {peer:.0f} x reading (at least {LEAST})")
    return "\n".join(lines)


def peak(path: Path) -> int:
    """The peak resident bytes of reading a file in a process of its own. Raises ValueError when that fails."""
    process = subprocess.Popen([sys.executable, "-c", READ, str(path)], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"reading ended with {process.returncode}")
    return usage.ru_maxrss * 1024


def main(arguments: list[str]) -> None:
    """Generate, measure, print."""
    patients = int(arguments[0]) if arguments else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path, part = file_of(patients, Path(folder)), file_of(patients // 10, Path(folder))
        size = path.stat().st_size / patients
        few, many = peak(part), peak(path)
        told = report(measure(path, patients), patients)
    sys.stdout.write(
        f"{told}\n{size:.0f} bytes each; peak memory of reading: {few / 1e6:.0f} MB at {patients // 10:,}, "
    )
    sys.stdout.write(f"{many / 1e6:.0f} MB at {patients:,}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
