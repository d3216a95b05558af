"""fhir-equity ingest"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import counted, say, unreadable, workspace


def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, folders, .gz, .zip, or - .")],
    partner: Annotated[str, typer.Option(help="Whose data this is; selects the partner's sheet.")] = "",
    format_: Annotated[str, typer.Option("--format", help="Do not recognise the format, take this one.")] = "",
    as_of: Annotated[str, typer.Option(help="The date new answers are first seen on (default today).")] = "",
) -> None:
    """Read files into the store: answers with their origin, bad records into quarantine."""
    from fhir_equity.pipeline.ingest import ingest as verb  # loads the database, which others need not

    with workspace(context, as_of) as opened:
        done = verb(opened, paths, partner=partner, format_=format_)
    say(context, f"Read {done.members:,} members from {len(done.inputs):,} inputs.")
    say(context, f"New: {done.new_members:,} members, {done.new_answers:,} answers.")
    if done.rejected:
        say(context, f"Rejected: {done.rejected:,} records, kept verbatim ({done.newly_quarantined:,} new).")
    counted(context, "Findings", done.findings)
    unreadable(done.failures)
