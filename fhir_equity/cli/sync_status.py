"""fhir-equity sync status"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from fhir_equity.cli.options import say, show, workspace, write_json

if TYPE_CHECKING:  # the store is loaded by the command that needs it
    from fhir_equity.pipeline.sync_status import SyncStatus


def status(
    context: typer.Context,
    hie: Annotated[str, typer.Option(metavar="NAME", help="The name after hie. in equity.toml.")],
    metrics: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a Prometheus text file (extra telemetry).")
    ] = None,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The status as JSON.")] = "",
) -> None:
    """The last runs at an HIE, how far behind we are, and what is open. Nobody is asked."""
    from fhir_equity.pipeline.sync_status import sync_status, write_metrics

    with workspace(context) as opened:
        found = sync_status(opened, hie)
    tell(context, found)
    if metrics is not None:
        write_metrics(found, metrics)
    if json:
        write_json({"schema": "fhir-equity/sync-status/1", **msgspec.to_builtins(found)}, json)


def tell(context: typer.Context, found: SyncStatus) -> None:
    """Say it in words."""
    rows = [(run.verb, run.began, run.ended or "-", run.outcome, run.counts.get("requests", 0)) for run in found.runs]
    if rows:
        show(context, "Last runs", ("verb", "began", "ended", "outcome", "requests"), rows, left=4)
    say(context, f"Linked members: {found.linked:,}. Changed here since the last whole plan: {found.changed_here:,}.")
    behind = "never pulled" if found.lag is None else f"pulled up to {found.lag:,} s ago"
    say(context, f"From there: {behind}.")
    say(
        context,
        f"In the journal: {found.pending['planned']:,} planned, {found.pending['sent']:,} sent and not read back.",
    )
    say(context, f"Members of whom something is left to a person: {found.open_cases:,}.")
