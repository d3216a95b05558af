"""Measure reading an 834 beside its peers: ``python -m tests.benchmarks.bench_peers [rounds [members]]``.

Each program runs in a process of its own, in turn with the others, on generated files: ours to Members
and linuxforhealth-x12's model reader on 100,000 members, pyx12's context reader on a tenth of them (and
without repeats, which it cannot read). CPU time of the whole process less that of the same program on a
file of one member, so that neither the interpreter nor what is imported counts; the median of the rounds.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.adapters.edi834.peers import linuxforhealth
from tests.benchmarks.generate_834 import file_of
from tests.conftest import ROOT

MEMBERS, ROUNDS = 100_000, 3
TARGETS = {"linuxforhealth-x12": 40, "pyx12": 100}  # times as many members a CPU second, at least

OURS = """
import sys
from pathlib import Path
from tests.benchmarks.bench_audit import read_members
print(read_members(Path(sys.argv[1])))
"""
LINUXFORHEALTH = """
import sys
from linuxforhealth.x12.io import X12ModelReader
with X12ModelReader(sys.argv[1]) as reader:
    print(sum(len(model.loop_2000) for model in reader.models()))
"""
PYX12 = """
import sys
from pyx12.error_handler import errh_null
from pyx12.params import ParamsBase
from pyx12.x12context import X12ContextReader
with open(sys.argv[1]) as file:
    loops = X12ContextReader(ParamsBase(), errh_null(), file).iter_segments("2000")
    print(sum(loop.id == "2000" for loop in loops))
"""


class Program(NamedTuple):
    """A reader: the interpreter, the script that prints how many members it counted, and whether repeats are for it."""

    python: Path
    script: str
    repeats: bool = True
    part: int = 1  # of the members, one in so many


def programs() -> dict[str, Program]:
    """Ours first. Raises PeerError where a peer cannot be installed."""
    here = Path(sys.executable)
    return {
        "fhir_equity": Program(here, OURS),
        "linuxforhealth-x12": Program(linuxforhealth(), LINUXFORHEALTH),
        "pyx12": Program(here, PYX12, repeats=False, part=10),
    }


def cpu_seconds(program: Program, path: Path, members: int) -> float:
    """CPU seconds of one run, children included. Raises ValueError when it fails or miscounts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(program.python), "-c", program.script, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.stdout.strip() != str(members):
        raise ValueError(f"counted {done.stdout.strip() or 'nothing'} of {members} members: {done.stderr[-1000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(found: dict[str, Program], members: int, rounds: int, folder: Path) -> dict[str, list[float]]:
    """Members per CPU second of every program in every round."""
    rates: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, program in found.items():
            many = members // program.part
            start = cpu_seconds(program, file_of(1, folder, repeats=program.repeats), 1)
            spent = cpu_seconds(program, file_of(many, folder, repeats=program.repeats), many)
            rates[name].append(many / (spent - start))
    return rates


def report(rates: dict[str, list[float]]) -> str:
    """The table: median members per CPU second, and how many times a peer's ours is (median of the rounds)."""
    ours, *_ = rates.values()
    lines = [f"members per CPU second, median of {len(ours)} rounds"]
    for name, found in rates.items():
        line = f"{name:20} {statistics.median(found):10,.0f}"
        if name in TARGETS:
            times = statistics.median(one / other for one, other in zip(ours, found, strict=True))
            line += f"   fhir_equity is {times:.0f} times as fast (at least {TARGETS[name]})"
        lines.append(line)
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Generate, measure, print."""
    rounds, members = [int(word) for word in arguments] + [ROUNDS, MEMBERS][len(arguments) :]
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(report(measure(programs(), members, rounds, Path(folder))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
