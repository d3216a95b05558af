"""The performance table of the README: ``python -m tests.benchmarks.table [SIZE...] [--path NAME] [--peers]``.

Measures every path (see `tests.benchmarks.paths`) at these numbers of members (10,000 and 100,000), each in a process
of its own, keeps what it found beside what was found before in ``results.json`` and writes the table into the README.
Nothing measured: it only writes the table. A size that was not measured has a dash.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks import bench_fhir, bench_peers
from tests.benchmarks.generate_fhir import file_of as fhir_file_of
from tests.benchmarks.paths import PATHS
from tests.conftest import ROOT

RESULTS = Path(__file__).with_name("results.json")
README = ROOT / "README.md"
SIZES = (10_000, 100_000, 1_000_000)
PEERS = 10_000  # members
STEEPEST = 1.15  # exponent: a machine that others use, too, is no better than that
OF_PEERS = {"linuxforhealth-x12": "834 read", "pyx12": "834 read", "fhir.resources": "NDJSON read"}
_BLOCK = re.compile(r"(<!-- tests\.benchmarks\.table -->\n)(.*?)(<!-- /tests\.benchmarks\.table -->\n)", re.DOTALL)


def machine() -> str:
    """Cores and model, without the name of the host."""
    known = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in known if "model name" in line), platform.machine())
    return f"{len(os.sched_getaffinity(0))} cores of {model}"


def about() -> str:
    """When, on what, with what."""
    names = ("orjson", "msgspec", "sqlmodel", "httpx", "fhir.resources", "pyx12", "pyspark")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{datetime.now(UTC).date()}, {machine()}, Python {platform.python_version()}, {versions}"


def measured(names: list[str], sizes: list[int]) -> dict[str, Any]:
    """Seconds, floor and memory of these paths at these sizes, one after the other; what fails is told and raised."""
    found: dict[str, Any] = {}
    for members in sizes:
        for name in names:
            size = PATHS[name].only or members
            if str(size) in found.get(name, {}):
                continue
            command = [sys.executable, "-m", "tests.benchmarks.paths", name, str(size)]
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
            found.setdefault(name, {})[str(size)] = json.loads(done.stdout.splitlines()[-1])
            sys.stderr.write(f"{name}, {size:,}: {done.stdout.splitlines()[-1]}\n")
            keep({"paths": found})
    return found


def peers() -> dict[str, float]:
    """How many times the CPU time of ours each peer takes for the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, *others = bench_peers.measure(bench_peers.programs(), PEERS, 1, folder).items()
        found = {peer: ours[1][0] / rates[0] for peer, rates in others}
        seconds = bench_fhir.measure(fhir_file_of(PEERS, folder), PEERS, 1)
        found["fhir.resources"] = seconds[bench_fhir.PEER][0] / seconds[bench_fhir.OURS][0]
    return found


def keep(news: dict[str, Any]) -> None:
    """Lay what was found over what was found before."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"paths": {}, "peers": {}}
    for name, sizes in news.get("paths", {}).items():
        kept["paths"].setdefault(name, {}).update(sizes)
    kept["peers"].update(news.get("peers", {}))
    kept["about"] = about()
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def growth(sizes: dict[str, list[float]]) -> float | None:
    """The exponent that fits how the CPU time grows with the members: 1 is proportional. None for one size."""
    points = [(math.log(int(members)), math.log(found[0])) for members, found in sizes.items()]
    if len(points) < 2:
        return None
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def too_steep(results: dict[str, Any]) -> list[str]:
    """The paths whose time for each member grows with the members."""
    found = {name: growth(sizes) for name, sizes in results["paths"].items()}
    return [f"{name}: {exponent:.2f}" for name, exponent in found.items() if (exponent or 0) > STEEPEST]


def table(results: dict[str, Any]) -> str:
    """The table in Markdown."""
    heads = [f"{size:,} members: µs each, x floor, MB" for size in SIZES]
    lines = [
        f"Measured {results['about']}.",
        "",
        f"| Path | Floor | {' | '.join(heads)} | Growth | Peers take |",
        "|---|---|" + "---|" * (len(SIZES) + 2),
    ]
    for name, path in PATHS.items():
        sizes = results["paths"].get(name, {})
        cells = [_cell(size, sizes.get(str(size))) for size in SIZES]
        other = [f"{times:.0f} x ({peer})" for peer, times in results["peers"].items() if OF_PEERS[peer] == name]
        exponent = growth(sizes)
        grows = "-" if exponent is None else f"{exponent:.2f}"
        if path.only:
            cells[0] = f"at {path.only:,}: {_cell(path.only, sizes.get(str(path.only)))}"
        lines.append(f"| {name} | {path.floor} | {' | '.join(cells)} | {grows} | {', '.join(other) or '-'} |")
    return "\n".join(lines) + "\n"


def _cell(members: int, found: list[float] | None) -> str:
    if found is None:
        return "-"
    seconds, floor, memory = found
    return f"{seconds / members * 1e6:.1f}, {seconds / floor:.2f} x, {f'{memory:.0f}' if memory else '-'}"


def written(readme: str, results: dict[str, Any]) -> str:
    """The README with the table in its place. Raises ValueError where there is no place for it."""
    if not _BLOCK.search(readme):
        raise ValueError("the README has no place for the table")
    return _BLOCK.sub(lambda found: found[1] + table(results) + found[3], readme)


def main(arguments: list[str]) -> None:
    """Measure what is asked for, and write."""
    names = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--path"] or list(PATHS)
    sizes = [int(word) for word in arguments if word.isdigit()]
    if sizes:
        measured(names, sizes)
    if "--peers" in arguments:
        keep({"peers": peers()})
    results = json.loads(RESULTS.read_text())
    README.write_text(written(README.read_text(encoding="utf-8"), results), encoding="utf-8")
    if steep := too_steep(results):
        sys.exit(f"the time for each member grows (at most {STEEPEST}): {', '.join(steep)}")


if __name__ == "__main__":
    main(sys.argv[1:])
