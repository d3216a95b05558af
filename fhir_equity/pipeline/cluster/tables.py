"""Tables of Spark as inputs: a column with a FHIR resource in each row, or columns with the headings of a survey."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from fhir_equity.adapters import Adapter, Source, adapter_named
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.survey import SurveyAdapter
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.model import Finding, Frame
from fhir_equity.pipeline.cluster.held import held
from fhir_equity.pipeline.workspace import Workspace

RESOURCES = ("resource", "value")  # what a column with a resource in each row is called


def format_of(columns: Sequence[str], format_: str = "", column: str = "") -> tuple[str, str]:
    """The format that a table is read as, and the column with its lines (empty: all columns are one survey).

    Raises UsageError for a format that no table has.
    """
    found = column or next((each for each in RESOURCES if each in columns), "")
    if column and column not in columns:
        raise UsageError(f"the table has no column {column}")
    if format_ not in ("", "fhir", "survey"):
        raise UsageError("a table is read as fhir (a resource in each row) or as a survey")
    if format_ == "survey" or (not format_ and not found):
        return "survey", ""
    if not found:
        raise UsageError(f"name the column with the resources, or call it {' or '.join(RESOURCES)}")
    return "fhir", found


def adapter_of_rows(format_: str) -> Adapter:
    """What reads a batch of rows: like a file of its own, but nothing is found in the headings, which all share."""
    return _Rows() if format_ == "survey" else adapter_named(format_)


class _Rows(SurveyAdapter):
    def read(self, source: Source, part: Range, context: Context) -> Iterator[Read]:
        """The rows below the headings."""
        for item in super().read(source, part, context):
            if not (isinstance(item, Finding | Frame) and item.locator.number == 1):
                yield item


def headings(workspace: Workspace, partner: str, name: str, format_: str, columns: Sequence[str]) -> list[Finding]:
    """What is found in the headings of a table. Raises UsageError where no survey has such columns."""
    if format_ != "survey":
        return []
    header = io.StringIO()
    csv.writer(header).writerow(columns)
    source = held(name, header.getvalue().encode())
    try:
        found = list(adapter_named(format_).read(source, Range(), workspace.context(partner, format_)))
    except UnreadableError as error:
        raise UsageError(str(error)) from None
    return [item for item in found if isinstance(item, Finding)]
