"""Where the reports of an audit go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from msgspec import Struct

from fhir_equity.cli.options import options, say, show, write_json
from fhir_equity.errors import UsageError
from fhir_equity.quality.publish.document import Published, Report
from fhir_equity.reports.evidence import write_bundle
from fhir_equity.reports.html import write_html
from fhir_equity.reports.spreadsheet import write_csv, write_xlsx
from fhir_equity.reports.text import summary

MOST = 20  # counts named where nothing is published


class Places(Struct):
    """The files and folders asked for; empty ones were not."""

    json: str = ""
    html: Path | None = None
    xlsx: Path | None = None
    csv: Path | None = None
    bundle: Path | None = None
    measure_report: str = ""


def deliver(context: typer.Context, report: Report, places: Places, fhir: dict[str, Any] | None = None) -> None:
    """Write every report asked for (`fhir` is the Bundle of MeasureReports), and show the summary.

    Raises UsageError, typer.Exit where nothing may go out.
    """
    if isinstance(report, Published) and not report.held:
        _refuse(context, report)
    for path in (places.html, places.xlsx, places.csv, places.bundle):
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"the folder {path.parent} does not exist")
    if places.json:
        write_json(report.document, places.json)
    if places.html is not None:
        write_html(report, places.html)
    if places.xlsx is not None:
        write_xlsx(report, places.xlsx)
    if places.csv is not None:
        write_csv(report, places.csv)
    if places.bundle is not None:
        write_bundle(report, places.bundle)
    if places.measure_report:
        write_json(fhir, places.measure_report)
    if not options(context).quiet:
        for section in summary(report.document):
            show(context, section.title, section.columns, section.rows, section.words)


def _refuse(context: typer.Context, report: Published) -> None:
    """Say which tables give something away; nothing was written. Raises typer.Exit."""
    show(context, "Counts that could be found out", ("Count",), [(name,) for name in report.found[:MOST]])
    say(context, f"Nothing is published: {len(report.found)} hidden counts could be found out.")
    raise typer.Exit(1)
