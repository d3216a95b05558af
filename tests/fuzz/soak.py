"""Fuzz the 834 reader for some time and say what came of it: ``python -m tests.fuzz.soak [seconds [folder]]``.

The inputs that reached something new are kept in `folder` (build/fuzz), where the next run starts
from; one that breaks a rule is kept beside them as ``crash-...`` and ends the run with exit code 1.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.conftest import ROOT

CORPUS = Path(__file__).parent / "corpus"
_LONGEST, _SLOWEST, _MEMORY = 8192, 20, 512  # bytes of an input, seconds for one, MB of the process
_EVERY = 60  # seconds between two lines that say how far it is
_STATUS = re.compile(r"#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+) .*?rss: (\d+)Mb")


def seeds() -> list[Path]:
    """Every 834 of invented people that is in the repository."""
    return sorted([*CORPUS.iterdir(), *(ROOT / "fixtures").rglob("*.834")])


def command(seconds: int, folder: Path) -> list[str]:
    """The fuzzer's command line for `seconds` of fuzzing in `folder`."""
    limits = {"max_total_time": seconds, "max_len": _LONGEST, "timeout": _SLOWEST, "rss_limit_mb": _MEMORY}
    options = [f"-{name}={value}" for name, value in limits.items()]
    return [
        sys.executable,
        "-m",
        "tests.fuzz.fuzz_834",
        *options,
        f"-artifact_prefix={folder}/",
        str(folder / "corpus"),
    ]


def follow(lines: Iterable[str]) -> tuple[str, str]:
    """Print the fuzzer's progress now and then; its first and last status line, and all that is no status."""
    said, first, last = time.monotonic(), "", ""
    other = []
    for line in lines:
        if _STATUS.match(line) is None:
            other.append(line)
            continue
        first, last = first or line, line
        if time.monotonic() - said >= _EVERY:
            said = time.monotonic()
            sys.stdout.write(f"{status(line)}\n")
            sys.stdout.flush()
    told = f"start: {status(first)}\nend:   {status(last)}" if first else "it did not start"
    return told, "".join(other[-40:])


def status(line: str) -> str:
    """A status line of libFuzzer in words."""
    found = _STATUS.match(line)
    if found is None:
        raise ValueError(f"no status line: {line[:80]}")
    executions, _, edges, features, memory = found.groups()
    return f"{int(executions):,} executions, {edges} edges and {features} features covered, {memory} MB resident"


def main(arguments: list[str]) -> int:
    """Run, follow, report; 1 where an input broke a rule."""
    seconds = int(arguments[0]) if arguments else 3600
    folder = Path(arguments[1]) if len(arguments) > 1 else ROOT / "build" / "fuzz"
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        shutil.copyfile(seed, folder / "corpus" / f"seed-{number}")
    with subprocess.Popen(
        command(seconds, folder),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as fuzzer:
        told, rest = follow(fuzzer.stdout or ())
    findings = sorted(path.name for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*"))
    sys.stdout.write(f"{told}\nfindings: {', '.join(findings) or 'none'}\n")
    if fuzzer.returncode:
        sys.stdout.write(rest)
    return int(bool(fuzzer.returncode))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
