"""How many calls each path makes for a member: what a busy machine does not change, so that CI can hold it.

``python -m tests.benchmarks.calls`` prints them. Calls of Python and of C are counted alike; what is done once for a
file is taken out by the difference of two sizes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.leaving import Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from tests.benchmarks import bench_audit, bench_fhir
from tests.benchmarks.generate_834 import file_of
from tests.benchmarks.generate_fhir import file_of as fhir_file_of

SIZES = (500, 1500, 2500)  # members


def counted(work: Callable[[], object]) -> int:
    """The calls that some work makes, in this thread."""
    calls = 0

    def see(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def _workspace(folder: Path) -> Workspace:
    store = StoreSettings(url=f"sqlite:///{folder}/calls.db")
    return Workspace(Settings(store=store, privacy=PrivacySettings(key_file=folder / "equity.key")), "2026-01-01")


def _read(path: Path) -> int:
    return counted(lambda: bench_audit.read_members(path))


def _audit(path: Path) -> int:
    return counted(lambda: bench_audit.whole_audit(path))


def _fhir_read(path: Path) -> int:
    return counted(lambda: bench_fhir.read_all(path))


def _convert(path: Path, name: str) -> int:
    return counted(lambda: convert(_workspace(path.parent), path, path.parent / name, wish=Wish(partner="bench")))


def _ingest(path: Path, times: int) -> int:
    """The calls of the last of so many ingests of the same file."""
    calls = 0
    with tempfile.TemporaryDirectory() as folder, _workspace(Path(folder)) as workspace:
        for _ in range(times):
            calls = counted(lambda: ingest(workspace, [path], partner="bench"))
    return calls


PATHS: dict[str, tuple[Callable[[int, Path], Path], Callable[[Path], int]]] = {
    "834 read": (file_of, _read),
    "834 audit": (file_of, _audit),
    "834 to 834": (file_of, lambda path: _convert(path, "out.834")),
    "834 to NDJSON": (file_of, lambda path: _convert(path, "out.ndjson")),
    "NDJSON read": (fhir_file_of, _fhir_read),
    "ingest, first": (file_of, lambda path: _ingest(path, 1)),
    "ingest, again": (file_of, lambda path: _ingest(path, 2)),
}


def of_a_member(name: str, sizes: tuple[int, ...] = SIZES) -> list[float]:
    """The calls for a member of a path, from each size to the next."""
    make, measure = PATHS[name]
    with tempfile.TemporaryDirectory() as folder:
        files = [make(size, Path(folder)) for size in sizes]
        measure(files[0])  # what is read or made once in a process
        found = [measure(path) for path in files]
    calls, members = pairwise(found), pairwise(sizes)
    return [(more - fewer) / (after - before) for (fewer, more), (before, after) in zip(calls, members, strict=True)]


def main() -> None:
    """Print the table."""
    for name in PATHS:
        sys.stdout.write(f"{name:16} {' '.join(f'{calls:8.1f}' for calls in of_a_member(name))}\n")


if __name__ == "__main__":
    main()
