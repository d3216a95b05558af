"""fhir-equity members"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.lists import write_list
from fhir_equity.cli.options import say, workspace


def members(
    context: typer.Context,
    cell: Annotated[
        list[str], typer.Option(metavar="CELL", help="state/race_ethnicity/declined; repeated: all of them.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The list (CSV); only you can read it.")],
    partner: Annotated[str, typer.Option(help="Whose members.")] = "",
    program: Annotated[
        list[str] | None, typer.Option(metavar="NAME|FILE", help="The program that a cell is of. May be repeated.")
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="Draw so many at random (default all).")] = 0,
    seed: Annotated[str, typer.Option(help="The same seed draws the same people.")] = "1",
    as_of: Annotated[str, typer.Option(help="The day that decides who is enrolled and how old (default today).")] = "",
    include_sensitive: Annotated[
        bool, typer.Option("--include-sensitive", help="List people of a cell on orientation or gender all the same.")
    ] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="SHOW VALUES: put into the list what was received.")
    ] = False,
) -> None:
    """Who is behind a number of the audit of the store, and where their answers stand in the source."""
    from fhir_equity.pipeline.members import members as verb

    with workspace(context, as_of) as opened:
        found = verb(
            *(opened, cell),
            partner=partner,
            programs=program or (),
            sample=sample,
            seed=seed,
            include_sensitive=include_sensitive,
            show_values=show_values,
        )
    write_list(found.columns, found.rows, out)
    say(
        context,
        f"People behind this number: {found.people:,}. In {out.name}, for your eyes only: {found.drawn:,}.",
    )
