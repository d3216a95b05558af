"""review export and import: patterns as a sheet for people without the tool, and their decisions back from it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.model import Side
from fhir_equity.pipeline.review import decided, wanted
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import private_file
from fhir_equity.store import Decision, Group, Wanted

TOLD = ("pattern", "kind", "matter", "waiting", "sides")
HEADER = (*TOLD, "choose", "reason", "check")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # what a spreadsheet would take for more than text
Row = dict[str, str]


class Imported(Struct):
    """What came of an import: decisions, or (row, problem) for what stopped all of it."""

    decisions: list[Decision]
    stale: int
    problems: list[tuple[int, str]]


def review_export(workspace: Workspace, file: Path, *, cases: bool = False, show_values: bool = False) -> int:
    """Write the patterns that wait, one a row, as CSV or XLSX by the file's name; returns how many rows.

    With `cases` every case has a row of its own, called ``PATTERN/PSEUDONYM``. The file is private. Without
    `show_values` a side is told by its source only. Raises UsageError, StoreError.
    """
    workspace.require_store()
    groups = workspace.store.cases.groups()
    told = [_cells(group, show_values=show_values) for group in groups]
    if cases:
        of = {cells[0]: cells for cells in told}
        waiting = workspace.store.cases.cases(limit=sum(group.waiting for group in groups))
        told = [_of_case(of[str(case.pattern)], case.pseudonym) for case in waiting]
    rows = [[_plain(cell) for cell in cells] for cells in told]
    _kind(file)
    with private_file(file) as out:
        if file.suffix.lower() == ".xlsx":
            from fhir_equity.reports.worksheet import write_worksheet

            write_worksheet(out, "review", HEADER, rows)
        else:
            text = io.StringIO(newline="")
            csv.writer(text).writerows([HEADER, *rows])
            out.write(text.getvalue().encode("utf-8-sig", "backslashreplace"))
    return len(rows)


def review_import(workspace: Workspace, file: Path) -> Imported:
    """Take the decisions of a sheet that `review_export` wrote: all of them, or none where any row does not fit.

    A row that somebody changed in what it told, or whose pattern has changed since, is a problem. Rows without
    a choice are passed over. Raises UsageError, StoreError, StoreLockedError.
    """
    workspace.require_store()
    groups = {group.pattern: group for group in workspace.store.cases.groups(every=True)}
    found: list[Wanted] = []
    problems: list[tuple[int, str]] = []
    for number, row in enumerate(_rows(file), start=2):
        if not row["choose"].strip():
            continue
        try:
            found.append(_wanted(workspace, row, groups))
        except UsageError as error:
            problems.append((number, str(error)))
    named = [f"{each.pattern}/{each.pseudonym}".rstrip("/") for each in found]
    problems += [(0, f"pattern {each} is decided twice") for each in sorted(set(named)) if named.count(each) > 1]
    if problems or not found:
        return Imported([], 0, problems)
    done = decided(workspace, found)
    return Imported(done.decisions, done.stale, [])


def _wanted(workspace: Workspace, row: Row, groups: dict[int, Group]) -> Wanted:
    if row["check"] != _check([row[name] for name in TOLD]):
        raise UsageError("somebody changed what this row told; export again")
    pattern, _, pseudonym = row["pattern"].partition("/")
    group = groups.get(int(pattern))
    if group is None or (str(group.waiting) != row["waiting"] and not pseudonym):
        raise UsageError("the cases of this row have changed since it was exported; export again")
    if not row["reason"].strip():
        raise UsageError("a decision needs a reason")
    return wanted(workspace, group, row["choose"].strip(), pseudonym, row["reason"])


def _cells(group: Group, *, show_values: bool) -> list[str]:
    sides = "; ".join(f"{n}: {_side(side, show_values)}" for n, side in enumerate(group.sides, start=1))
    told = [str(group.pattern), group.kind, group.matter, str(group.waiting), " ".join(sides.split())]
    return [*told, "", "", _check(told)]


def _of_case(cells: Sequence[str], pseudonym: str) -> list[str]:
    """The row of a pattern as that of one case of it."""
    told = [f"{cells[0]}/{pseudonym}", *cells[1:3], "1", cells[4]]
    return [*told, "", "", _check(told)]


def _side(side: Side, show_values: bool) -> str:  # noqa: FBT001 - private
    who = f"{side.partner}, {side.collector}, {side.method}"
    return who + (" says " + ", ".join(f"{system} {code}" for system, code in side.said) if show_values else "")


def _check(told: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(told).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _plain(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _read(cell: str) -> str:
    """The cell as it was before; what somebody wrote that looks like a formula stays text."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _rows(file: Path) -> list[Row]:
    cells = _worksheet(file) if _kind(file) == ".xlsx" else _csv(file)
    header = [cell.strip() for cell in cells[0]] if cells else []
    if missing := set(HEADER) - set(header):
        raise UsageError(f"the sheet misses the columns {', '.join(sorted(missing))}")
    rows = [dict.fromkeys(header, "") | dict(zip(header, map(_read, row), strict=False)) for row in cells[1:]]
    return [row for row in rows if any(row.values())]


def _csv(file: Path) -> list[list[str]]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
        sheet = csv.Sniffer().sniff(text.partition("\n")[0], delimiters=",;\t")
        return list(csv.reader(io.StringIO(text, newline=""), sheet))
    except (UnicodeDecodeError, csv.Error):  # of which the message may quote the file
        raise UsageError(f"{file.name} cannot be read as CSV in UTF-8") from None


def _worksheet(file: Path) -> list[list[str]]:
    from fhir_equity.reports.worksheet import read_worksheet

    return read_worksheet(file)


def _kind(file: Path) -> str:
    kind = file.suffix.lower()
    if kind not in (".csv", ".xlsx"):
        raise UsageError("a sheet is a file that ends in .csv or .xlsx")
    return kind
