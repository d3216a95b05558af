"""fhir-equity retract"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fhir_equity.cli.options import say, show, workspace, write_json
from fhir_equity.errors import UsageError

if TYPE_CHECKING:
    from fhir_equity.store import Ran

COLUMNS = ("run", "partner", "as of", "state", "inputs", "records")


def retract(
    context: typer.Context,
    run: Annotated[int, typer.Argument(metavar="[RUN]", help="The number of the run; none lists the runs.")] = 0,
    reason: Annotated[str, typer.Option(help="Why, in words without any value; kept with the retraction.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let a retracted run stand again.")] = False,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The runs as JSON.")] = "",
) -> None:
    """Withdraw the answers of one run: marked, not deleted, resolved again, and undone as easily."""
    from fhir_equity.pipeline.retract import retract as verb
    from fhir_equity.pipeline.retract import runs

    with workspace(context) as opened:
        if not run:
            if undo or reason:
                raise UsageError("say which run")
            _list(context, runs(opened), json)
            return
        done = verb(opened, run, reason=reason, undo=undo)
    say(
        context,
        f"Run {run} of {done.run.partner}, as of {done.run.as_of}, {'stands again' if undo else 'is retracted'}.",
    )
    changed = f"{done.restored:,} answers stand again" if undo else f"{done.withdrawn:,} answers withdrawn"
    say(context, f"Resolved again: {done.members:,} members; {changed}.")


def _list(context: typer.Context, found: list[Ran], json: str) -> None:
    if json:
        names = ("id", "partner", "as_of", "started", "finished", "inputs", "members", "retracted_at")
        entries = [{name: getattr(run, name) for name in names} for run in found]
        write_json({"schema": "fhir-equity/runs/1", "runs": entries}, json)
    rows = [(str(run.id), run.partner, run.as_of, _state(run), run.inputs, run.members) for run in found]
    show(context, "Runs", COLUMNS, rows, left=4)


def _state(run: Ran) -> str:
    if run.retracted_at:
        return "retracted"
    return "stands" if run.finished else "unfinished"
