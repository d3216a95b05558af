"""Measure the peak memory of ``audit``: ``python -m tests.benchmarks.bench_memory [members [more members]]``.

Each size in a process of its own, as the command line runs it; what counts is the peak at 100,000 members and
what every further member adds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.generate_834 import file_of
from tests.conftest import ROOT

FEW, MANY = 100_000, 1_000_000
MOST, GROWTH = 100, 16  # MB at FEW members, bytes for each member beyond


def peak(path: Path) -> int:
    """The peak resident bytes of auditing a file. Raises ValueError when the audit fails."""
    command = [sys.executable, "-m", "fhir_equity", "--quiet", "audit", "--json", os.devnull, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"the audit ended with {process.returncode}")
    return usage.ru_maxrss * 1024


def report(sizes: dict[int, int]) -> str:
    """The table: the peak at each number of members, and the bytes that each member beyond the first number adds."""
    (few, least), *others = sizes.items()
    lines = [f"peak of audit: {least / 1e6:.0f} MB at {few:,} members (at most {MOST})"]
    for members, most in others:
        growth = (most - least) / (members - few)
        lines.append(
            f"{most / 1e6:.0f} MB at {members:,}: {growth:.1f} bytes for each member beyond (at most {GROWTH})"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Generate, measure, print; one file at a time, because a million members are 430 MB."""
    sizes: dict[int, int] = {}
    for members in [int(word) for word in arguments] or [FEW, MANY]:
        with tempfile.TemporaryDirectory() as folder:
            sizes[members] = peak(file_of(members, Path(folder)))
    sys.stdout.write(report(sizes) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
