"""A browser that looks at a page of ours, with the referee of accessibility of others (axe-core) beside it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.programs import PATIENCE, ProgramError, node_packages
from tests.servers.renderer import browser

PROJECT = Path(__file__).with_name("audit-page")


@dataclass(frozen=True)
class Seen:
    """What a page looks like: pixels that stick out, what it asked the network for, and what axe-core says.

    `charts` are (name, whether it has words, rows of the table that comes next).
    """

    overflow: int
    asked: list[str]
    errors: list[str]
    violations: list[list[str]]
    passed: list[str]
    charts: list[tuple[str, bool, int]]
    reached: int


def seen(
    page: Path, width: int, *, paper: bool = False, screenshot: Path | None = None, pdf: Path | None = None
) -> Seen:
    """Look at a page on a screen so many pixels wide, or on paper. Raises ProgramError."""
    request = {"page": str(page), "width": width, "print": paper}
    request |= {"screenshot": str(screenshot or ""), "pdf": str(pdf or "")}
    done = subprocess.run(
        ["node", str(PROJECT / "look.mjs"), str(node_packages(PROJECT)), browser()],
        input=json.dumps(request).encode(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise ProgramError(done.stderr.decode(errors="replace")[-2000:])
    return Seen(**json.loads(done.stdout))
