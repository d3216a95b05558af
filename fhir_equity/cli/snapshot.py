"""fhir-equity snapshot"""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_equity.cli.options import say, show, workspace

app = typer.Typer(help="Freeze a measurement, so that its numbers can be made again exactly.", no_args_is_help=True)
SHORT = 12  # of a digest


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it, such as my2026.")],
    partner: Annotated[str, typer.Option(help="Whose people.")] = "",
    by: Annotated[list[str] | None, typer.Option(help="Strata, as of audit. May be repeated.")] = None,
    program: Annotated[
        list[str] | None, typer.Option(metavar="NAME|FILE", help="Count as this program does. May be repeated.")
    ] = None,
    as_of: Annotated[str, typer.Option(help="The day that decides who is enrolled and how old (default today).")] = "",
) -> None:
    """Measure the store and freeze what the numbers are made of: `audit --snapshot NAME` makes them again."""
    from fhir_equity.pipeline.snapshot import snapshot_create

    with workspace(context, as_of) as opened:
        made = snapshot_create(opened, name, partner=partner, by=by or (), programs=program or ())
    say(context, f"Frozen as of {made.as_of}: {made.people:,} people.")


@app.command("list")
def list_(context: typer.Context) -> None:
    """The snapshots of the store."""
    from fhir_equity.pipeline.snapshot import snapshot_list

    with workspace(context) as opened:
        found = snapshot_list(opened)
    rows = [(each.name, each.as_of, each.at, each.digest[:SHORT], each.people) for each in found]
    show(context, "Snapshots", ("Name", "As of", "Frozen at", "Digest", "People"), rows, left=4)
