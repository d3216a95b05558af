"""Lists of people as files that only their owner may read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from fhir_equity.errors import UsageError
from fhir_equity.privacy import private_file

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


def write_list(columns: Sequence[str], rows: Iterable[Sequence[str]], path: Path) -> None:
    """A CSV file (0600), in which nothing is a formula. Raises UsageError for a folder that is not there."""
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_plain(cell) for cell in row] for row in rows])
    with private_file(path) as file:
        file.write(text.getvalue().encode("utf-8", "replace"))


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) and not cell.lstrip("-").isdecimal() else cell
