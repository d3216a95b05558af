"""DataFrames in, DataFrames out: for notebooks on a cluster, where tables are at hand rather than files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fhir_equity.engine import spark
from fhir_equity.errors import UsageError
from fhir_equity.model import Finding
from fhir_equity.pipeline.audit import Audit, counting
from fhir_equity.pipeline.cluster.convert import Converting, rows_of
from fhir_equity.pipeline.cluster.executor import Known, OnExecutor
from fhir_equity.pipeline.cluster.tables import format_of, headings
from fhir_equity.pipeline.leaving import Wish
from fhir_equity.pipeline.luggage import packed
from fhir_equity.pipeline.normal import GUIDE, Normalizing, Rows, layout_name
from fhir_equity.pipeline.publish import publish as published
from fhir_equity.pipeline.reading import Failures
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.reports.tidy import Row, Value, tidy

if TYPE_CHECKING:
    from fhir_equity.engine.spark import DataFrame

NAME = "frame"
_COUNT = ("part", "stratum", "topic", "source", "name", "count", "whole")


def normalize_frame(
    frame: DataFrame,
    *,
    workspace: Workspace | None = None,
    partner: str = "",
    format_: str = "",
    column: str = "",
    include_sensitive: bool = False,
) -> DataFrame:
    """Every row of a table as a member with what each answer means: the table `normalized` of guides/frame.toml.

    A row is a FHIR resource (JSON) in the column `column` (else ``resource`` or ``value``), or its columns have the
    headings of a survey. Batches of rows are read like files of their own. This is internal use: sensitive topics are
    left out, with a loss, unless `include_sensitive`; what somebody else is told goes through `convert`, which
    accounts for it. Nothing is computed before you ask for it. Raises UsageError.
    """
    opened = workspace or Workspace()
    format_, column = format_of(frame.columns, format_, column)
    found = headings(opened, opened.partner(partner), NAME, format_, frame.columns)
    wish = Wish(to="parquet", partner=partner, include_sensitive=include_sensitive)
    job = Converting(Rows(wish), opened.partner(partner))
    work = OnExecutor(packed(opened), job, "", {}, {1: Known(NAME, format_)})
    made = spark.over_rows(frame, 1, work, column)
    return rows_of(opened, made.unionAll(_of_headings(frame, opened, wish, found)) if found else made)


def _of_headings(frame: DataFrame, workspace: Workspace, wish: Wish, found: Sequence[Finding]) -> DataFrame:
    """What is found in the headings, as pieces."""
    making = Normalizing(workspace, wish)
    pieces = [made.piece for made in map(making.made, found) if made.piece is not None]
    return spark.results(frame, [("piece", line) for piece in pieces for _, line in piece.parts])


def audit_frame(
    frame: DataFrame,
    *,
    workspace: Workspace | None = None,
    partner: str = "",
    format_: str = "",
    column: str = "",
    by: Sequence[str] = (),
    programs: Sequence[str] = (),
    publish: bool = False,
) -> DataFrame:
    """Audit the rows of a table: the table `audited` of guides/frame.toml, every count of the audit a row.

    Rows are read as `normalize_frame` reads them; `by` and `programs` are as for `audit`. With `publish` small counts
    are suppressed, once, for everything together. Raises UsageError, EngineError.
    """
    opened = workspace or Workspace()
    count, failures = counting(opened, by=by, programs=programs, history=False), Failures()
    entries = count.on_frame(frame, NAME, opened.partner(partner), format_, column, failures)
    if failures.messages:
        raise UsageError(failures.messages[0])
    done = Audit(count.document(entries), [])
    document = published(opened, done, partner).document if publish else done.document
    guide = opened.vocabulary().tables.document(GUIDE)
    return spark.table_of(frame, _rows(document, layout_name(opened)), spark.ddl(guide["audited"], guide["types"]))


def _rows(document: dict[str, Any], layout: str) -> list[Row]:
    """The tidy tables in the columns of `audited`."""
    return [
        (layout, *row)
        for table in tidy(document)
        for row in _audited(table.name, [dict(zip(table.columns, each, strict=True)) for each in table.rows])
    ]


def _audited(table: str, rows: Sequence[dict[str, Value]]) -> Iterator[Row]:
    """Part, stratum, topic, source, name, count, whole, rate, hidden."""
    for r in rows:
        if table == "counts":
            yield *(r[name] for name in _COUNT), None, r["hidden"]
        elif table == "rates":
            name = " ".join(str(r[each]) for each in ("measure", "line") if r[each])
            told = (r["numerator"], r["denominator"], r["rate"], r["hidden"])
            yield "rate", "", r["topic"], r["program"], name, *told
        elif table == "findings":
            yield "finding", "", "", r["severity"], r["code"], r["count"], None, None, r["count"] is None
        elif table == "losses":
            yield "loss", "", "", r["relationship"], r["rule"], r["count"], None, None, r["count"] is None
