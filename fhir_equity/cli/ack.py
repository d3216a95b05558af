"""fhir-equity ack"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.adapters.edi834.ack import Answered, Wish
from fhir_equity.cli.options import counted, say, show, unreadable, workspace
from fhir_equity.pipeline.ack import ack as verb


class Only(StrEnum):
    """One of the two answers, where both are not wanted."""

    TA1 = "ta1"
    SETS = "999"


class Gate(StrEnum):
    """What ends the command with 1."""

    ERRORS = "errors"
    REJECTED = "rejected"


_WORDS = {"A": "accepted", "E": "accepted, with errors", "P": "accepted in part", "R": "rejected"}


def ack(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An 834, a folder or .zip of them, .gz, or - .")],
    out: Annotated[str, typer.Option(metavar="FILE|-", help="Where the answer goes.")] = "-",
    partner: Annotated[str, typer.Option(help="Whose data this is; selects the partner's sheet.")] = "",
    only: Annotated[Only | None, typer.Option(help="Write one of the two (default: TA1 and 999).")] = None,
    control: Annotated[
        int, typer.Option(min=0, max=999_999_999, help="Count control numbers from here (0: those received).")
    ] = 0,
    with_values: Annotated[
        bool, typer.Option("--with-values", help="Send bad values and the subscriber's number back.")
    ] = False,
    fail_on: Annotated[Gate | None, typer.Option(help="End with 1 when something is that bad.")] = None,
) -> None:
    """Answer an 834 with TA1 (the interchange) and 999 (its groups, sets, segments and elements)."""
    wish = Wish(only is not Only.SETS, only is not Only.TA1, control)
    with workspace(context) as opened:
        done = verb(opened, file, out, partner=partner, wish=wish, with_values=with_values)
    answered = done.answered
    _tell(context, answered)
    unreadable(done.failures)
    bad = {Gate.ERRORS: "EPR", Gate.REJECTED: "PR"}.get(fail_on, "") if fail_on else ""
    if any(level[mark] for level in (answered.interchanges, answered.groups, answered.sets) for mark in bad):
        raise typer.Exit(1)


def _tell(context: typer.Context, answered: Answered) -> None:
    levels = {"interchange": answered.interchanges, "group": answered.groups, "set": answered.sets}
    rows = [(name, _WORDS[mark], level[mark]) for name, level in levels.items() for mark in _WORDS if level[mark]]
    show(context, "Answers", ("", "", "count"), rows, 2)
    counted(context, "Causes", answered.causes)
    if answered.unlisted:
        say(context, f"{answered.unlisted:,} more segments are in error than the 999 lists.")
    if answered.unchecked:
        say(context, f"Of {answered.unchecked:,} sets only the envelope was checked: we do not have their guide whole.")
