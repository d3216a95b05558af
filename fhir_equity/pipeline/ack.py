"""ack: answer an 834 with TA1 and 999."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from fhir_equity.adapters.edi834.ack import Acknowledger, Answered, Guides, How, Structure, Verdicts, Wish
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.pipeline.reading import sources_in
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.pipeline.writing import written
from fhir_equity.tables import Tables

GUIDE = "005010X220A1"  # whose tables describe ISA and GS, too


class Acknowledged(Struct):
    """What was answered, and the inputs that could not be."""

    answered: Answered
    failures: list[str]


def ack(
    workspace: Workspace,
    path: str | Path,
    out: str | Path = "-",
    *,
    partner: str = "",
    wish: Wish | None = None,
    with_values: bool = False,
) -> Acknowledged:
    """Answer the interchanges of `path` in one file `out` (``-`` for standard output), TA1 before 999.

    The file appears whole or not at all. What was sent stays out of the answer unless `with_values`.
    Raises UsageError, and UnreadableError where nothing could be answered.
    """
    if str(out) != "-" and Path(out).exists() and Path(path).exists() and Path(out).samefile(path):
        raise UsageError("FILE and --out are the same file")
    context = workspace.context(workspace.partner(partner), "edi834")
    context = msgspec.structs.replace(context, created=datetime.now(UTC).isoformat(timespec="minutes"))
    tables = workspace.vocabulary(context.partner).tables
    most = int(context.guide.get("acknowledge", {}).get("most_errors", 5000))
    how = How(Verdicts(tables.rows("guides/x12_acknowledgement.csv")), with_values, most)
    acknowledger = Acknowledger(context, guides(tables), how, wish or Wish())
    failures: list[str] = []
    with written(out) as file:
        for source in sources_in([path]):
            try:
                acknowledger.answer(source, file)
            except UnreadableError as error:
                failures.append(str(error))
        if failures and not acknowledger.done.interchanges:
            raise UnreadableError(failures[0])
    return Acknowledged(acknowledger.done, failures)


def guides(tables: Tables) -> Guides:
    """The guides that the tables know: all of ``versions``, and whole those that have tables of their own."""
    versions = frozenset(tables.document("guides/edi834.toml").get("versions", {}))
    whole = sorted(version for version in versions | {GUIDE} if tables.has(f"guides/{version}/segments.csv"))
    structures = {version: _structure(tables, version) for version in whole}
    return Guides(versions, structures, structures[GUIDE])


def _structure(tables: Tables, version: str) -> Structure:
    loops, segments, elements = (
        tables.rows(f"guides/{version}/{name}.csv") for name in ("loops", "segments", "elements")
    )
    return Structure(loops, segments, elements, tables.rows("guides/x12_data_elements.csv"))
