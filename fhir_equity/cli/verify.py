"""fhir-equity verify"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import say
from fhir_equity.pipeline.verify import verify as verb


def verify(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder that audit --bundle wrote.")],
) -> None:
    """Does an evidence bundle still add up: digests, page, tables, every total and rate?"""
    problems = verb(bundle)
    for problem in problems:
        say(context, problem)
    if problems:
        raise typer.Exit(1)
    say(context, f"{bundle.name}: everything adds up.")
