"""The README's table of servers and scenarios: ``python -m tests.servers.matrix`` plays everything and writes it."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import ROOT
from tests.servers.hies import KINDS, Started
from tests.servers.place import opened
from tests.servers.scenarios.every import SCENARIOS

README = ROOT / "README.md"
_BLOCK = re.compile(r"(<!-- tests\.servers\.matrix -->\n)(.*?)(<!-- /tests\.servers\.matrix -->\n)", re.DOTALL)
Cells = Mapping[tuple[str, str], str]  # (scenario, server) -> what it said


def rows(cells: Cells) -> str:
    """The table; what was not played is empty."""
    lines = [["What happens", *(kind.title for kind in KINDS)], ["---"] * (len(KINDS) + 1)]
    lines += [[title(name), *(cells.get((name, kind.name), "") for kind in KINDS)] for name in SCENARIOS]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def title(name: str) -> str:
    """The row of a scenario: its docstring."""
    return " ".join((SCENARIOS[name].__doc__ or "").split())


def written() -> dict[tuple[str, str], str]:
    """The cells of the README. Raises ValueError where it has another table than the scenarios make."""
    found = _BLOCK.search(README.read_text(encoding="utf-8"))
    lines = [line.strip("| ").split(" | ") for line in found[2].splitlines()] if found else []
    cells = {
        (name, kind.name): word
        for name, line in zip(SCENARIOS, lines[2:], strict=False)
        for kind, word in zip(KINDS, line[1:], strict=False)
    }
    if found is None or rows(cells) != found[2]:
        raise ValueError("the README's matrix is stale: python -m tests.servers.matrix")
    return cells


def main() -> None:
    """Play every scenario with every server and write what they said."""
    started, cells = Started(), {}
    try:
        for kind in KINDS:
            for name, play in SCENARIOS.items():
                with tempfile.TemporaryDirectory() as folder, opened(Path(folder), started[kind.name]) as place:
                    cells[name, kind.name] = play(place)
                sys.stdout.write(f"{kind.name} {name}: {cells[name, kind.name]}\n")
    finally:
        started.stop()
    text = README.read_text(encoding="utf-8")
    README.write_text(_BLOCK.sub(lambda block: block[1] + rows(cells) + block[3], text), encoding="utf-8")


if __name__ == "__main__":
    main()
