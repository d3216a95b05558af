"""fhir-equity purge"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import counted, say, workspace
from fhir_equity.errors import UsageError


def purge(
    context: typer.Context,
    before: Annotated[str, typer.Option(metavar="DATE", help="Take what is older than this day.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and change nothing.")] = False,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write what went (default purge-DATE.json).")
    ] = None,
) -> None:
    """Take what is too old to be kept, but nothing under hold; a certificate says what went, and the trail."""
    from fhir_equity.pipeline.purge import purge as verb

    file = certificate or Path(f"purge-{before}.json")
    if not file.parent.is_dir():
        raise UsageError(f"the folder {file.parent} does not exist")
    with workspace(context) as opened:
        done = verb(opened, before, file, dry_run=dry_run)
    for kind in done.cutoffs.__struct_fields__:
        say(context, f"{kind} before {getattr(done.cutoffs, kind)}")
    counted(context, "Would go" if dry_run else "Gone", {name: n for name, n in done.gone.counts.items() if n})
    if done.gone.held:
        say(context, f"{done.gone.held:,} people are under hold.")
    if not dry_run:
        say(context, f"Certificate {file.name}, SHA-256 {done.certificate}.")
