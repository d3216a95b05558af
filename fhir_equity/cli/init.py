"""fhir-equity init"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import say


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where it goes (default: here).")] = Path(),
) -> None:
    """Write a commented equity.toml to start from; one that is there stays as it is."""
    from fhir_equity.pipeline.init import init as verb

    path = verb(folder)
    say(context, f"Wrote {path}.")
    there = "" if folder == Path() else f", in {folder}"
    say(
        context,
        f"Next{there}: fhir-equity doctor, then fhir-equity ingest --partner NAME YOUR.834, then fhir-equity audit.",
    )
