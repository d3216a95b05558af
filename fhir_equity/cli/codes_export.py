"""fhir-equity codes export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import say, workspace
from fhir_equity.pipeline.codes_export import export


def export_(
    context: typer.Context,
    fhir: Annotated[Path, typer.Option("--fhir", metavar="DIR", help="Where the definitions go, one file each.")],
    partner: Annotated[str, typer.Option(help="As this partner's folder leaves the tables.")] = "",
) -> None:
    """The tables as FHIR R4 CodeSystems, ValueSets and ConceptMaps, which a terminology server can load."""
    with workspace(context) as opened:
        written = export(opened, fhir, partner=partner)
    told = ", ".join(f"{count:,} {kind}s" for kind, count in sorted(written.items()))
    say(context, f"Wrote {told} into {fhir}.")
