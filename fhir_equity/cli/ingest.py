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
    accept_drop: Annotated[
        bool, typer.Option("--accept-drop", help="Let in what drops, flips or erases too much; on record.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read a large file while one writes.")] = 1,
    as_of: Annotated[str, typer.Option(help="The date new answers are first seen on (default today).")] = "",
) -> None:
    """Read files into the store: answers with their origin, bad records into quarantine."""
    from fhir_equity.pipeline.ingest import ingest as verb  # loads the database, which others need not

    with workspace(context, as_of) as opened:
        done = verb(opened, paths, partner=partner, format_=format_, accept_drop=accept_drop, workers=workers)
    for words in done.too_much:
        say(context, f"Too much: {words}.")
    if done.stopped:
        say(context, "Stopped: nothing was read into the store. --accept-drop lets it in.")
        raise typer.Exit(1)
    say(context, f"Read {done.members:,} members from {len(done.inputs):,} inputs.")
    say(context, f"New: {done.new_members:,} members, {done.new_answers:,} answers.")
    if done.rejected:
        say(context, f"Rejected: {done.rejected:,} records, kept verbatim ({done.newly_quarantined:,} new).")
    counted(context, "Findings", done.findings)
    unreadable(done.failures)
