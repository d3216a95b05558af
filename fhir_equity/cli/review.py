"""fhir-equity review list | decide | undo | export | import"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_equity.cli.options import say, show, words, workspace, write_json
from fhir_equity.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="What people have to decide: cases, and decisions that can be taken back.")
Json = Annotated[str, typer.Option(metavar="FILE|-", help="Everything as JSON.")]
SHOWN = 20


@app.command("list")
def list_(
    context: typer.Context,
    pattern: Annotated[str, typer.Argument(metavar="[PATTERN]", help="Only the cases of this pattern.")] = "",
    group: Annotated[bool, typer.Option("--group", help="Patterns only, with how many cases follow each.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Also what is decided, and the decisions.")] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="SHOW VALUES of people: what each side says.")
    ] = False,
    json: Json = "",
) -> None:
    """Which cases wait for a decision, by pattern: who says one thing and who another, and about how many members."""
    from fhir_equity.pipeline.review import review_list

    with workspace(context) as opened:
        document = review_list(opened, which=pattern, group=group, every=every, show_values=show_values)
    if json:
        write_json(document, json)
    _tell(context, document)


def _tell(context: typer.Context, document: dict[str, Any]) -> None:
    patterns = document["patterns"]
    waiting = sum(each["waiting"] for each in patterns)
    say(context, f"{waiting:,} cases of {sum(bool(p['waiting']) for p in patterns):,} patterns wait for a decision.")
    rows = [(p["pattern"], p["matter"], p["kind"], _sides(p), p["waiting"], p["decided"]) for p in patterns[:SHOWN]]
    if rows:
        show(context, "Patterns", ("", "topic", "kind", "sides", "waiting", "decided"), rows, left=4)
    cases = [(c["case"], c["matter"], c["state"], c["source"] or c["partner"], c["since"]) for c in document["cases"]]
    if cases:
        show(context, "Cases", ("case", "topic", "state", "of", "since"), cases, left=5)
    for each in document["decisions"]:
        undone = f", undone at {each['undone_at']} by {each['undone_by']}" if each["undone_at"] else ""
        told = f"Decision {each['id']}: pattern {each['pattern']}, {each['members']:,} members"
        mapped = "".join(f"; {row}" for row in each.get("rows", ()))
        say(context, f"{told}, by {each['author']} at {each['at']}{undone}{mapped}")


def _sides(pattern: dict[str, Any]) -> str:
    told = []
    for side in pattern["sides"]:
        who = f"{side['side']}: {side['partner']}, {side['collector']}, {side['method']}"
        said = ", ".join(f"{system} {code}" for system, code in side.get("said", ()))
        told.append(f"{who}: {said}" if said else who)
    return "\n".join(told)


@app.command()
def decide(
    context: typer.Context,
    which: Annotated[str, typer.Argument(metavar="CASE|PATTERN", help="A pattern (12), or one case (12/PSEUDONYM).")],
    choose: Annotated[
        str,
        typer.Option(
            metavar="SIDE|CODE",
            help="The number of a side, or a code or source only it has; of an unmapped value the code that it means.",
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why; kept with the decision.")],
    relationship: Annotated[
        str, typer.Option(help="How well that code fits an unmapped value: equivalent (unless told), wider, inexact.")
    ] = "",
) -> None:
    """Settle all waiting cases of a pattern, or one case: the side that is chosen wins, on record."""
    from fhir_equity.pipeline.review import review_decide

    with workspace(context) as opened:
        done = review_decide(opened, which, choose, reason, relationship=relationship)
    for decision in done.decisions:
        say(context, f"Decision {decision.id} settles {decision.members:,} cases of pattern {decision.pattern}.")
    _stale(context, done.stale)


def _stale(context: typer.Context, count: int) -> None:
    if count:
        say(context, f"{count:,} cases no longer follow their pattern and were left alone.")


@app.command()
def undo(
    context: typer.Context,
    decision: Annotated[int, typer.Argument(metavar="DECISION", help="The number of the decision.")],
) -> None:
    """Take a decision back: who won before it wins again, and its cases wait once more."""
    from fhir_equity.pipeline.review import review_undo

    with workspace(context) as opened:
        undone = review_undo(opened, decision)
    say(context, f"Decision {undone.id} is undone for {undone.members:,} members.")


@app.command()
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that ends in .csv or .xlsx.")],
    cases: Annotated[
        bool, typer.Option("--cases", help="Every case in a row of its own, to be decided alone.")
    ] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="SHOW VALUES of people: what each side says.")
    ] = False,
) -> None:
    """Write the patterns that wait as a sheet, to be decided by people without this tool."""
    from fhir_equity.pipeline.review_sheet import review_export

    if not file.parent.is_dir():
        raise UsageError(f"the folder {file.parent} does not exist")
    with workspace(context) as opened:
        count = review_export(opened, file, cases=cases, show_values=show_values)
    say(
        context,
        f"Wrote {count:,} {'cases' if cases else 'patterns'}; fill in choose and reason, and give it to review import.",
    )


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sheet that review export wrote.")],
) -> None:
    """Take the decisions of a sheet: all of them, or none where a row was changed or is out of date."""
    from fhir_equity.pipeline.review_sheet import review_import

    with workspace(context) as opened:
        done = review_import(opened, file)
    for row, problem in done.problems:
        words.print(f"row {row}: {problem}" if row else problem, markup=False, soft_wrap=True)
    for decision in done.decisions:
        say(context, f"Decision {decision.id} settles {decision.members:,} cases of pattern {decision.pattern}.")
    _stale(context, done.stale)
    if done.problems:
        say(context, "Nothing was decided.")
        raise typer.Exit(1)
    if not done.decisions:
        say(context, "No row of it chooses a side.")
