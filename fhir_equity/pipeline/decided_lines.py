"""The lines of a partner's table that decisions wrote: put in, taken out again, told by the note that they carry."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from fhir_equity.errors import TableError, UsageError
from fhir_equity.pipeline.codes import HEADER
from fhir_equity.store import TableRow

NOTE = re.compile(r"review decision (\d+): ")
FIRST = f"{','.join(HEADER)}\n".encode()


def with_row(content: bytes, row: TableRow, decision: int, reason: str, path: Path) -> bytes:
    """A table with one more row, without what a decision of this number left that did not come to its end."""
    if not content:
        return FIRST + _line(HEADER, _cells(row, decision, reason))
    header, lines = lines_of(content, path)
    line = _line(header, _cells(row, decision, reason))
    kept = b"".join(each for each, cells in lines if each == line or not _is_of(cells, header, row, decision))
    return kept if line in kept else kept + (b"" if kept.endswith(b"\n") else b"\n") + line


def without(content: bytes, row: TableRow, decision: int, reason: str, path: Path) -> bytes:
    """A table without the row that a decision wrote; empty where nothing else was in it.

    Of a row whose value was purged it is known what is beside the value. Raises UsageError where somebody changed it.
    """
    if not content:
        return content
    header, lines = lines_of(content, path)
    line = _line(header, _cells(row, decision, reason))
    left = [(each, cells) for each, cells in lines if _line(header, _known(cells, header, row)) != line]
    if len(left) == len(lines) and any(_is_of(cells, header, row, decision) for _, cells in left):
        raise UsageError(f"somebody has changed the row of decision {decision} in {row.place}; take it out there")
    kept = b"".join(each for each, _ in left)
    return b"" if kept == FIRST else kept


def restored(now: bytes, before: bytes | None, after: bytes, path: Path) -> bytes | None:
    """A table as it was before it was changed, with what somebody else has changed since; None for no file."""
    if now == after:
        return before
    was, made, there = (
        [line for line, _ in lines_of(part, path)[1]] for part in (before or FIRST, after or FIRST, now)
    )
    kept = [line for line in there if line in was or line not in made]
    return b"".join([*kept, *(line for line in was if line not in made and line not in kept)])


def _is_of(cells: Sequence[str], header: Sequence[str], row: TableRow, decision: int) -> bool:
    said = dict(zip(header, cells, strict=False))
    return said.get("note", "").startswith(note_of(decision)) and row.source_code in ("", said["source_code"])


def _known(cells: Sequence[str], header: Sequence[str], row: TableRow) -> dict[str, str]:
    """What a line says, as far as a row of a decision says it still."""
    said = dict(zip(header, cells, strict=False))
    return said if row.source_code else said | {"source_code": "", "target_code": ""}


def is_left(said: dict[str, str], codes: Collection[str], held: Collection[str]) -> bool:
    """Whether a row for one of these codes is of a decision that is not among those that are held."""
    of = NOTE.match(said.get("note", ""))
    return of is not None and of[0] not in held and said["source_code"] in codes


def note_of(decision: int) -> str:
    """How the note of every row of a decision begins."""
    return f"review decision {decision}: "


def _cells(row: TableRow, decision: int, reason: str) -> dict[str, str]:
    note = note_of(decision) + " ".join(reason.split())
    return {name: getattr(row, name, "") for name in HEADER} | {"note": note}


def _line(header: Sequence[str], cells: dict[str, str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([cells.get(name, "") for name in header])
    return text.getvalue().encode()


def lines_of(content: bytes, path: Path) -> tuple[list[str], list[tuple[bytes, list[str]]]]:
    """The columns of a table, and its rows as they stand and as cells, the first one too."""
    lines, found, start = content.splitlines(keepends=True), [], 0
    try:
        reader = csv.reader((line.decode("utf-8-sig") for line in lines), strict=True)
        for cells in reader:
            found.append((b"".join(lines[start : reader.line_num]), cells))
            start = reader.line_num
    except (csv.Error, UnicodeDecodeError):  # of which the message may quote the file
        raise TableError(f"{path.name} cannot be read as CSV in UTF-8") from None
    header = [name.strip() for name in found[0][1]] if found else []
    if missing := set(HEADER[:-1]) - set(header):
        raise TableError(f"{path.name} misses the columns {', '.join(sorted(missing))}")
    return header, found
