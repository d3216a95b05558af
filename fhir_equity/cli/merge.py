"""fhir-equity merge | unmerge"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fhir_equity.cli.options import say, show, workspace, write_json
from fhir_equity.errors import UsageError

if TYPE_CHECKING:
    from fhir_equity.store import Merging

COLUMNS = ("merge", "partner", "member", "into", "by", "on", "state")
NAMES = ("id", "partner", "member", "into", "author", "at", "undone_at", "undone_by")


def merge(
    context: typer.Context,
    into: Annotated[
        str, typer.Argument(metavar="[MEMBER]", help="Who stays: a pseudonym, key or identifier; none lists merges.")
    ] = "",
    member: Annotated[str, typer.Argument(metavar="[MEMBER]", help="Who is the same person.")] = "",
    reason: Annotated[str, typer.Option(help="Why, in words without any value; kept with the merge.")] = "",
    partner: Annotated[str, typer.Option(help="Look among the members of this partner only.")] = "",
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The merges as JSON.")] = "",
) -> None:
    """Two keys, one person: from now on their answers, links and counts are those of one; unmerge takes it back."""
    from fhir_equity.pipeline.merge import merge as verb
    from fhir_equity.pipeline.merge import merges

    with workspace(context) as opened:
        if not into:
            _list(context, merges(opened), json)
            return
        if not member:
            raise UsageError("a merge takes two members")
        done = verb(opened, into, member, reason=reason, partner=partner)
    joined = done.joined
    say(context, f"Merge {joined.merging.id}: {joined.merging.member} is {joined.merging.into} from now on.")
    say(context, f"With them came {joined.answers:,} answers and {joined.links:,} links to HIEs.")
    for what in done.differs:
        say(context, f"Their {what} is not the same; if they are two people, fhir-equity unmerge {joined.merging.id}")
    for hie in joined.linked_twice:
        say(context, f"Both are Patients of {hie}: a case that review list shows.")


def unmerge(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="MERGE", help="The number of the merge; merge alone lists them.")],
) -> None:
    """Take a merge back: both are the people that they were, with what came under their keys since."""
    from fhir_equity.pipeline.merge import unmerge as verb

    with workspace(context) as opened:
        done = verb(opened, number)
    say(context, f"Merge {number} is undone: {done.merging.member} is a person of their own again.")
    say(context, f"With them went {done.answers:,} answers and {done.links:,} links to HIEs.")


def _list(context: typer.Context, found: list[Merging], json: str) -> None:
    if json:
        entries = [{name: getattr(each, name) for name in NAMES} for each in found]
        write_json({"schema": "fhir-equity/merges/1", "merges": entries}, json)
    rows = [
        (str(m.id), m.partner, m.member, m.into, m.author, m.at[:10], "undone" if m.undone_at else "holds")
        for m in found
    ]
    show(context, "Merges", COLUMNS, rows, left=7)
