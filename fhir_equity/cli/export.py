"""fhir-equity export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import say, workspace


def export(
    context: typer.Context,
    parquet: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for the Parquet files.")],
    partner: Annotated[str, typer.Option(help="Only what is this partner's.")] = "",
    include_sensitive: Annotated[
        bool, typer.Option("--include-sensitive", help="Internal use only: do not leave SOGI out.")
    ] = False,
) -> None:
    """Write the store as typed Parquet for DuckDB, Polars, dbt or Spark; `ingest DIR` reads it back."""
    from fhir_equity.pipeline.lake import export as verb  # loads the database, which others need not

    with workspace(context) as opened:
        done = verb(opened, parquet, partner=partner, include_sensitive=include_sensitive)
    say(
        context,
        "Wrote " + ", ".join(f"{count:,} {table.replace('_', '-')}" for table, count in done.rows.items()) + ".",
    )
    if done.withheld:
        say(context, f"Left out as sensitive: {done.withheld:,} topics of members.")
    if done.merged:
        say(context, f"Merged into others: {done.merged:,} members; the column person says whom they are.")
    if done.elsewhere:
        say(context, f"Part of another partner's people, and not in the folder: {done.elsewhere:,} members.")
