"""fhir-equity hold add | list | release"""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_equity.cli.options import say, show, workspace, write_json

app = typer.Typer(no_args_is_help=True, help="What purge must not take, whatever its age.")
COLUMNS = ("hold", "on", "by", "since", "state")


@app.command()
def add(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why, in words without any value; kept with the hold.")],
    member: Annotated[str, typer.Option(help="Hold a member: a pseudonym, key or identifier.")] = "",
    run: Annotated[int, typer.Option(help="Hold a run: what it read and everybody whom it met.")] = 0,
) -> None:
    """Hold a member or a run: nothing of it is purged until the hold is released."""
    from fhir_equity.pipeline.hold import hold_add

    with workspace(context) as opened:
        made = hold_add(opened, member=member, run=run, reason=reason)
    say(context, f"Hold {made.id} on {_on(made.pseudonym, made.run)}.")


@app.command("list")
def list_(
    context: typer.Context,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The holds as JSON.")] = "",
) -> None:
    """Every hold, also those that were released."""
    from fhir_equity.pipeline.hold import hold_list

    with workspace(context) as opened:
        found = hold_list(opened)
    if json:
        names = ("id", "pseudonym", "run", "author", "at", "released_at", "released_by")
        entries = [{name: getattr(each, name) for name in names} for each in found]
        write_json({"schema": "fhir-equity/holds/1", "holds": entries}, json)
    rows = [
        (str(h.id), _on(h.pseudonym, h.run), h.author, h.at[:10], "released" if h.released_at else "holds")
        for h in found
    ]
    show(context, "Holds", COLUMNS, rows, left=5)


@app.command()
def release(
    context: typer.Context,
    hold: Annotated[int, typer.Argument(metavar="HOLD", help="The number of the hold.")],
) -> None:
    """Let what was held go with the next purge that it is too old for."""
    from fhir_equity.pipeline.hold import hold_release

    with workspace(context) as opened:
        hold_release(opened, hold)
    say(context, f"Hold {hold} is released.")


def _on(pseudonym: str, run: int) -> str:
    return f"run {run}" if run else f"member {pseudonym}"
