"""fhir-equity split"""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_equity.cli.options import say, show, workspace, write_json
from fhir_equity.errors import UsageError

COLUMNS = ("split", "partner", "member", "other", "by", "on", "state")
NAMES = ("id", "partner", "member", "apart", "author", "at", "undone_at", "undone_by")


def split(
    context: typer.Context,
    member: Annotated[
        str, typer.Argument(metavar="[MEMBER]", help="Who is two people: a pseudonym, key or identifier; none lists.")
    ] = "",
    runs: Annotated[
        list[int] | None, typer.Option("--run", help="What this run brought is the other's; repeat.")
    ] = None,
    file: Annotated[str, typer.Option(help="What files of this name brought is the other's.")] = "",
    collected: Annotated[str, typer.Option(metavar="DATE", help="What was collected on this day is the other's.")] = "",
    given: Annotated[str, typer.Option(help="The other's first name, by which later records find them.")] = "",
    family: Annotated[str, typer.Option(help="The other's family name, where it is another one.")] = "",
    born: Annotated[str, typer.Option(metavar="DATE", help="The other's birth date, where it is another one.")] = "",
    reason: Annotated[str, typer.Option(help="Why, in words without any value; kept with the split.")] = "",
    partner: Annotated[str, typer.Option(help="Look among the members of this partner only.")] = "",
    undo: Annotated[int, typer.Option(metavar="SPLIT", help="Take this split back.")] = 0,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The splits as JSON.")] = "",
) -> None:
    """One key, two people: part of what was said under it is the word of a person of their own from now on."""
    from fhir_equity.pipeline.split import split as verb
    from fhir_equity.pipeline.split import split_undo, splits
    from fhir_equity.store import Which

    if undo and member:
        raise UsageError("--undo takes the number of a split and no member")
    with workspace(context) as opened:
        if undo:
            done = split_undo(opened, undo)
        elif member:
            which = Which(tuple(runs or ()), file, collected)
            names = {"family": family, "given": given, "born": born}
            done = verb(opened, member, which, reason=reason, partner=partner, **names)
        else:
            found = splits(opened)
            if json:
                entries = [{name: getattr(each, name) for name in NAMES} for each in found]
                write_json({"schema": "fhir-equity/splits/1", "splits": entries}, json)
            states = ["undone" if each.undone_at else "holds" for each in found]
            rows = [
                (str(s.id), s.partner, s.member, s.apart, s.author, s.at[:10], state)
                for s, state in zip(found, states, strict=True)
            ]
            show(context, "Splits", COLUMNS, rows, left=7)
            return
    splitting = done.splitting
    if undo:
        say(context, f"Split {undo} is undone: {done.moved:,} answers are {splitting.member}'s again.")
        if done.stays:
            say(context, f"{splitting.apart} stays, with what came since; merge them if they are one person.")
    else:
        say(context, f"Split {splitting.id}: {splitting.apart} is a person of their own from now on.")
        say(context, f"With them went {done.moved:,} answers; {done.shared:,} are both's.")
