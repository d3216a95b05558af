"""fhir-equity sandbox"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import say
from fhir_equity.sandbox import serve


def sandbox(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on loopback; 0 takes a free one.")] = 8034,
    file: Annotated[Path, typer.Option(metavar="FILE", help="Where its resources are kept.")] = Path("sandbox.db"),
    faults: Annotated[
        str, typer.Option(metavar="SPEC", help="Faults to rehearse, such as 429:0.2,503:0.1,seed=7")
    ] = "",
) -> None:
    """Serve a small FHIR R4 endpoint on loopback, for rehearsals; never a server of record."""
    serve(file, port, faults, ready=lambda url: say(context, f"Serving FHIR R4 at {url} (end with Ctrl-C)"))
