"""The audit as CSV files and as a spreadsheet: numbers are numbers, and no text is ever a formula."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from fhir_equity.errors import UsageError
from fhir_equity.privacy import private_file
from fhir_equity.quality.publish.document import Report
from fhir_equity.reports.page import notice
from fhir_equity.reports.tidy import Tidy, Value, tidy

# What spreadsheets take for the beginning of a formula: OWASP, CSV injection; the wide ones are read like the others.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_csv(report: Report, folder: Path) -> list[str]:
    """One file for each table, in a folder that is made where it is missing; gives their names."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = []
    for table in tidy(report.document):
        names.append(f"{table.name}.csv")
        with private_file(folder / names[-1]) as file:
            file.write(csv_of(table))
    return names


def csv_of(table: Tidy) -> bytes:
    """The table as it stands in its file: UTF-8, RFC 4180."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows([_field(value) for value in row] for row in table.rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _field(value: Value) -> str:
    """Empty for nothing, true and false, and words that no spreadsheet reckons with."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return repr(value)


def write_xlsx(report: Report, path: Path) -> None:
    """One sheet for each table, its notice on top of all. Raises UsageError without the extra ``reports``."""
    try:
        import xlsxwriter
    except ImportError:
        raise UsageError("the spreadsheet is an extra: install fhir-equity[reports]") from None
    content = io.BytesIO()
    quiet = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(content, quiet) as book:
        bold = book.add_format({"bold": True})
        for table in tidy(report.document):
            sheet = book.add_worksheet(table.name)
            sheet.write_string(0, 0, notice(report.document), bold)
            sheet.set_header(f"&C{notice(report.document)}")
            for place, column in enumerate(table.columns):
                sheet.write_string(2, place, column, bold)
                sheet.set_column(place, place, _width(table, place))
            for number, row in enumerate(table.rows, start=3):
                for place, value in enumerate(row):
                    if isinstance(value, str):
                        sheet.write_string(number, place, value)
                    elif value is not None:
                        sheet.write(number, place, value)
            sheet.freeze_panes(3, 0)
            sheet.autofilter(2, 0, 2 + len(table.rows), len(table.columns) - 1)
    with private_file(path) as file:
        file.write(content.getvalue())


def _width(table: Tidy, place: int) -> int:
    longest = max(len(str(row[place])) for row in table.rows)
    return min(60, max(longest, len(table.columns[place])) + 2)
