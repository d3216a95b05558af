"""Write checksum and date of every changed table into mappings/sources.toml: ``python -m tests.refresh_sources``."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from pathlib import Path

MAPPINGS = Path(__file__).resolve().parent.parent / "mappings"
_SECTION = re.compile(r'^\[table\."(?P<name>[^"]+)"\]\n(?P<said>(?:[a-z0-9]+ = .*\n)+)', flags=re.MULTILINE)
_CHECKED = re.compile(r'^(sha256|date) = "(.*)"\n', flags=re.MULTILINE)


def sha256(name: str) -> str:
    """The checksum of a table as it stands in mappings/."""
    return hashlib.sha256((MAPPINGS / name).read_bytes()).hexdigest()


def refreshed(text: str, today: str) -> str:
    """The text of sources.toml with the right checksum first in each section, and the day it became right."""

    def section(found: re.Match[str]) -> str:
        was, now = dict(_CHECKED.findall(found["said"])), sha256(found["name"])
        day = was.get("date", today) if was.get("sha256") == now else today
        said = _CHECKED.sub("", found["said"])
        return f'[table."{found["name"]}"]\nsha256 = "{now}"\ndate = "{day}"\n{said}'

    return _SECTION.sub(section, text)


if __name__ == "__main__":
    SOURCES = MAPPINGS / "sources.toml"
    TODAY = date.today().isoformat()  # noqa: DTZ011 - the calendar day of who changed it
    SOURCES.write_text(refreshed(SOURCES.read_text(encoding="utf-8"), TODAY), encoding="utf-8")
