"""fhir-equity worklist"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.lists import write_list
from fhir_equity.cli.options import say, show, workspace
from fhir_equity.pipeline.worklist import worklist as verb
from fhir_equity.quality.due import REASONS


def worklist(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The list (CSV); only you can read it.")],
    partner: Annotated[str, typer.Option(help="Whose members.")] = "",
    topic: Annotated[list[str] | None, typer.Option(help="About what to ask. May be repeated.")] = None,
    reason: Annotated[
        list[str] | None, typer.Option(help=f"Only for these reasons: {', '.join(REASONS)}. May be repeated.")
    ] = None,
    as_of: Annotated[str, typer.Option(help="The day that decides who is enrolled and what is old.")] = "",
    include_sensitive: Annotated[
        bool, typer.Option("--include-sensitive", help="List whom to ask about orientation or gender, where named.")
    ] = False,
) -> None:
    """Whom to ask next: never asked, stale, 1997 only, not mapped; in which language and by which channel."""
    with workspace(context, as_of) as opened:
        found = verb(
            opened,
            partner=partner,
            topics=topic or (),
            reasons=reason or (),
            include_sensitive=include_sensitive,
        )
    write_list(found.columns, found.rows, out)
    show(context, "To be asked", ("Topic", "Why", "People"), [(*key, n) for key, n in found.reasons.items()], left=2)
    say(context, f"People in {out.name}, for your eyes only: {len(found.rows):,}.")
    for why, count in found.left_out.items():
        say(context, f"Not asked ({why.replace('_', ' ')}): {count:,}")
