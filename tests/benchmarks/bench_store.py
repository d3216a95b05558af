"""Measure the audit of a store beside its floor: reading the same rows and doing nothing with them.

``python -m tests.benchmarks.bench_store [members]`` from the repository root. Both run in this process in turn, CPU
time, the median of five rounds; the audit is to take at most twice the time of reading.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from tests.benchmarks.generate_834 import file_of

ROUNDS = 5
ALLOWED = 2.0


def filled(folder: Path, members: int) -> Settings:
    """A store with so many generated members."""
    keys = PrivacySettings(key_file=folder / "equity.key")
    settings = Settings(store=StoreSettings(url=str(folder / "equity.db")), privacy=keys)
    with Workspace(settings, "2026-01-01") as workspace:
        ingest(workspace, [file_of(members, folder)], partner="bench")
    return settings


def measure(settings: Settings, members: int, rounds: int = ROUNDS) -> tuple[list[float], list[float]]:
    """CPU seconds of reading and of auditing, by round. Raises ValueError when one of them miscounts."""
    reading, auditing = [], []
    for _ in range(rounds):
        with Workspace(settings, "2026-01-01") as workspace:
            start = time.process_time()
            read = sum(1 for _ in workspace.store.people)
            reading.append(time.process_time() - start)
        with Workspace(settings, "2026-01-01") as workspace:
            start = time.process_time()
            population = audit(workspace).document["population"]
            auditing.append(time.process_time() - start)
        if (read, population) != (members, members):
            raise ValueError(f"{read} of {members} members were read, {population} counted")
    return reading, auditing


def report(reading: list[float], auditing: list[float], members: int) -> str:
    """Medians, members per CPU second, and the median of the rounds' ratios."""
    ratio = statistics.median(one / floor for one, floor in zip(auditing, reading, strict=True))
    lines = [f"{members} members in a store, CPU time, median of {len(reading)} rounds"]
    for name, spent in (("read the rows", reading), ("audit", auditing)):
        median = statistics.median(spent)
        lines.append(f"{name:14} {median:8.3f} s {members / median:10,.0f} members/s")
    lines.append(f"the audit takes {ratio:.2f} x reading (at most {ALLOWED:g})")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Generate, ingest, measure, print."""
    members = int(arguments[0]) if arguments else 50_000
    with tempfile.TemporaryDirectory() as folder:
        settings = filled(Path(folder), members)
        sys.stdout.write(report(*measure(settings, members), members) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
