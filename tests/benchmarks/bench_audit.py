"""Measure reading and auditing an 834 beside its floor: cutting the same file in plain Python.

``python -m tests.benchmarks.bench_audit [members]`` from the repository root. All steps run in this
process in turn, CPU time, the median of five rounds; the ratios are what counts, because machines differ.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import sources
from fhir_equity.model import Member
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.workspace import Workspace
from tests.benchmarks.generate_834 import file_of

ROUNDS = 5
BLOCK = 1024 * 1024


def split_limit(path: Path) -> int:
    """Decode, cut into segments, cut each into elements; the number of members seen."""
    members, rest = 0, ""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            *segments, rest = (rest + block.decode("ascii")).split("~")
            for segment in segments:
                members += segment.split("*")[0] == "INS"
    return members


def read_members(path: Path) -> int:
    """Read to Members as every command does; the number of members."""
    context = Workspace().context("bench", "edi834")
    items = ADAPTER.read(sources([path])[0], Range(), context)
    return sum(isinstance(item, Member) for item in items)


def whole_audit(path: Path) -> int:
    """Audit the file; the population."""
    population: int = audit(Workspace(), [path], partner="bench").document["population"]
    return population


STEPS: dict[str, Callable[[Path], int]] = {
    "split limit": split_limit,
    "read to Members": read_members,
    "whole audit": whole_audit,
}


def measure(path: Path, members: int, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """CPU seconds of every step in every round. Raises ValueError when a step miscounts."""
    seconds: dict[str, list[float]] = {name: [] for name in STEPS}
    for _ in range(rounds):
        for name, step in STEPS.items():
            start = time.process_time()
            counted = step(path)
            seconds[name].append(time.process_time() - start)
            if counted != members:
                raise ValueError(f"{name} counted {counted} of {members} members")
    return seconds


def report(seconds: dict[str, list[float]], members: int) -> str:
    """The table: median CPU seconds, members per CPU second, and the median of the rounds' ratios to the limit."""
    limit = seconds["split limit"]
    lines = [f"{members} members, CPU time, median of {len(limit)} rounds"]
    for name, spent in seconds.items():
        ratio = statistics.median(one / floor for one, floor in zip(spent, limit, strict=True))
        median = statistics.median(spent)
        lines.append(f"{name:16} {median:8.3f} s {members / median:10,.0f} members/s {ratio:6.2f} x the limit")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Generate, measure, print."""
    members = int(arguments[0]) if arguments else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = file_of(members, Path(folder))
        sys.stdout.write(report(measure(path, members), members) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
