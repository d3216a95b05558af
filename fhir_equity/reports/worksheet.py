"""A worksheet of plain text cells for people to fill in, written and read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO
from zipfile import BadZipFile

from fhir_equity.errors import UsageError

WIDTH, MOST_WIDTH = 14, 80
_NEEDED = "a worksheet needs: pip install 'fhir-equity[reports]'"


def write_worksheet(out: IO[bytes], title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write cells as text, none of them a formula or a link. Raises UsageError without the library."""
    try:
        from xlsxwriter import Workbook
    except ImportError:
        raise UsageError(_NEEDED) from None
    book = Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet(title)
    bold = book.add_format({"bold": True})
    for number, row in enumerate([header, *rows]):
        for column, cell in enumerate(row):
            sheet.write_string(number, column, cell, None if number else bold)
    for column, name in enumerate(header):
        longest = max((len(row[column]) for row in rows), default=len(name))
        sheet.set_column(column, column, min(max(WIDTH, longest), MOST_WIDTH))
    sheet.freeze_panes(1, 0)
    book.close()


def read_worksheet(file: Path) -> list[list[str]]:
    """The cells of the first worksheet as text; a formula is the text of the formula. Raises UsageError."""
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise UsageError(_NEEDED) from None
    try:
        book = load_workbook(file, read_only=True)
        rows = [[_text(cell) for cell in row] for row in book.worksheets[0].iter_rows(values_only=True)]
        book.close()
    except (BadZipFile, KeyError, ValueError, IndexError):  # of which the message may quote the file
        raise UsageError(f"{file.name} cannot be read as a worksheet") from None
    return rows


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
