"""Measure writing an 834 beside reading the same people: ``python -m tests.benchmarks.bench_write [members]``.

Both in this process in turn, CPU time, the median of five rounds: file to Members, and the same Members
with their answers in X12's codes to a file.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import sources
from fhir_equity.model import Expressed, Member, Outgoing, Received
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.people import events_of
from tests.benchmarks.generate_834 import file_of

ROUNDS = 5


def people(path: Path, workspace: Workspace) -> list[Outgoing]:
    """Everybody in a file with their answers in X12's codes; equal answers are one object, as in `convert`."""
    known: dict[tuple[Received, ...], tuple[Expressed, ...]] = {}
    found = []
    express = workspace.vocabulary("bench").express
    for item in ADAPTER.read(sources([path])[0], Range(), workspace.context("bench", "edi834")):
        if not isinstance(item, Member):
            continue
        key = tuple(answer.received for answer in item.answers)
        if key not in known:
            events = events_of(item.answers, workspace.matter_of, workspace.as_of)
            known[key] = tuple(express.x12(workspace.resolutions("bench", events))[0])
        found.append(Outgoing(msgspec.structs.replace(item, answers=()), known[key]))
    return found


def read_all(path: Path, workspace: Workspace) -> int:
    """Read to Members; their number."""
    items = ADAPTER.read(sources([path])[0], Range(), workspace.context("bench", "edi834"))
    return sum(isinstance(item, Member) for item in items)


def write_all(everybody: list[Outgoing], path: Path, workspace: Workspace) -> int:
    """Write to a file; the number of losses."""
    context = msgspec.structs.replace(workspace.context("bench", "edi834"), created="2026-01-01T12:00")
    with path.open("wb") as out:
        return sum(1 for _ in ADAPTER.write(everybody, out, context))


def measure(folder: Path, members: int, rounds: int = ROUNDS) -> tuple[list[float], list[float]]:
    """CPU seconds of reading and of writing in every round. Raises ValueError when somebody is missing."""
    workspace = Workspace(as_of="2026-01-01")
    source, target = file_of(members, folder), folder / "written.834"
    everybody = people(source, workspace)
    reading, writing = [], []
    for _ in range(rounds):
        start = time.process_time()
        counted = read_all(source, workspace)
        middle = time.process_time()
        write_all(everybody, target, workspace)
        reading.append(middle - start)
        writing.append(time.process_time() - middle)
        if counted != members:
            raise ValueError(f"read {counted} of {members} members")
    if read_all(target, workspace) != members:
        raise ValueError("not everybody was written")
    return reading, writing


def report(reading: list[float], writing: list[float], members: int) -> str:
    """The table: median CPU seconds, members per CPU second, and the median of the rounds' ratios."""
    lines = [f"{members} members, CPU time, median of {len(reading)} rounds"]
    for name, spent in (("read to Members", reading), ("write Members", writing)):
        ratio = statistics.median(members / one / (members / base) for one, base in zip(spent, reading, strict=True))
        median = statistics.median(spent)
        lines.append(f"{name:16} {median:8.3f} s {members / median:10,.0f} members/s {ratio:6.2f} x reading")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Generate, measure, print."""
    members = int(arguments[0]) if arguments else 100_000
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(report(*measure(Path(folder), members), members) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
