"""Run the command line in a process of its own, as a user's shell does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run("audit", "x.834", stdin=b"...")` in an empty folder; bytes in, bytes out."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FHIR_EQUITY_")}
    environment |= {"COLUMNS": "160", "PYTHONWARNINGS": "error", "NO_COLOR": "1"}

    def call(
        *arguments: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "fhir_equity", *map(str, arguments)]
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=environment | (env or {}),
            timeout=600,
            check=False,
        )

    return call
