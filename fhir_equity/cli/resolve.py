"""fhir-equity resolve"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import say, show, workspace, write_json

SHOWN = 20


def resolve(
    context: typer.Context,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What another policy says differently (survivorship.toml).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change, and change nothing.")] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="SHOW VALUES: what was said, in place of rules alone.")
    ] = False,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="Every pattern as JSON.")] = "",
) -> None:
    """Decide everybody's answers again, by the policy in force or another one; how many resolutions change, and how."""
    from fhir_equity.pipeline.resolve import resolve as verb

    with workspace(context) as opened:
        done = verb(opened, policy=policy, dry_run=dry_run, show_values=show_values)
    patterns = [(each.matter, each.before, each.after, count) for each, count in done.patterns.items()]
    if json:
        entries = [dict(zip(("matter", "before", "after", "count"), row, strict=True)) for row in patterns]
        document = {"schema": "fhir-equity/resolve/1", "policy": done.policy, "dry_run": dry_run}
        write_json({**document, "changed": done.changed, "patterns": entries}, json)
    say(context, f"Policy {done.policy}: {done.changed:,} resolutions {'would change' if dry_run else 'changed'}.")
    if patterns:
        title = f"By pattern ({min(SHOWN, len(patterns))} of {len(patterns):,})"
        show(context, title, ("matter", "stood", "stands", "count"), patterns[:SHOWN], left=3)
    if policy and not dry_run:
        say(
            context, "Ingests go on with the policy in force; policies/survivorship.toml of the overlay folder sets it."
        )
