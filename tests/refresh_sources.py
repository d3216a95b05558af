"""Write the checksum of every table into mappings/sources.toml: ``python -m tests.refresh_sources``."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

MAPPINGS = Path(__file__).resolve().parent.parent / "mappings"
_HEAD = re.compile(r'^\[table\."(?P<name>[^"]+)"\]$')


def sha256(name: str) -> str:
    """The checksum of a table as it stands in mappings/."""
    return hashlib.sha256((MAPPINGS / name).read_bytes()).hexdigest()


def refreshed(text: str) -> str:
    """The text of sources.toml with the right checksum as the first line of each section."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("sha256 = "):
            continue
        lines.append(line)
        if head := _HEAD.match(line):
            lines.append(f'sha256 = "{sha256(head["name"])}"')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    SOURCES = MAPPINGS / "sources.toml"
    SOURCES.write_text(refreshed(SOURCES.read_text(encoding="utf-8")), encoding="utf-8")
