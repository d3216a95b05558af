"""fhir-equity sync plan | apply | pull | probe"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import counted, say, workspace, write_json
from fhir_equity.cli.plan import document, tell
from fhir_equity.cli.sync_probe import probe

app = typer.Typer(no_args_is_help=True, help="Plan, apply and prove changes at an HIE's FHIR endpoint.")
Hie = Annotated[str, typer.Option(metavar="NAME", help="The name after hie. in equity.toml.")]
app.command()(probe)


DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing, neither there nor into the store.")]


@app.command()
def plan(
    context: typer.Context,
    hie: Hie,
    only: Annotated[list[str] | None, typer.Option(metavar="TOPIC", help="Only this topic; may be repeated.")] = None,
    members: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only these: a pseudonym, key or identifier per line.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="Stop once so many changes are planned.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="Look at everybody, whether or not anything changed.")] = False,
    dry_run: DryRun = False,
    show_values: Annotated[bool, typer.Option("--show-values", help="Show what they say and we would.")] = False,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The plan as JSON; members as pseudonyms.")] = "",
) -> None:
    """What would change at the HIE, per member and topic. Nothing is sent."""
    from fhir_equity.pipeline.sync import selection, sync_plan

    with workspace(context) as opened:
        chosen = selection(opened, only or [], members, limit, everybody=full)
        made = sync_plan(opened, hie, chosen, dry=dry_run)
    tell(context, made, values=show_values)
    if json:
        write_json(document(made, values=show_values), json)
    if made.conflicts:
        raise typer.Exit(1)


@app.command()
def apply(
    context: typer.Context,
    hie: Hie,
    plan: Annotated[str, typer.Argument(metavar="[PLAN]", help="The name of the plan (default: the newest).")] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="Carry out at most so many changes now.")] = 0,
    dry_run: DryRun = False,
) -> None:
    """Carry out exactly a plan and read back what arrived."""
    from fhir_equity.pipeline.sync import sync_apply
    from fhir_equity.sync.apply import How

    with workspace(context) as opened:
        done = sync_apply(opened, hie, How(plan, limit, dry_run))
    verb = "looked at, nothing was sent" if dry_run else "carried out"
    say(context, f"Plan {done.plan}: {sum(done.statuses.values()):,} changes {verb}.")
    counted(context, "Outcome", done.statuses)
    if done.repaired:
        say(context, f"Not as sent when read back, and sent once more: {done.repaired:,}.")
    if done.left:
        raise typer.Exit(1)


@app.command()
def pull(
    context: typer.Context,
    hie: Hie,
    bulk: Annotated[
        str, typer.Option(metavar="LEVEL", help="Everything at once, by $export: system, patient or group/ID.")
    ] = "",
) -> None:
    """Bring the HIE's answers about our members into the store, with their origin."""
    from fhir_equity.pipeline.sync import sync_pull

    with workspace(context) as opened:
        done = sync_pull(opened, hie, bulk)
    pulled = done.pulled
    say(context, f"Looked at {pulled.patients:,} Patients: {pulled.members:,} are our members and say something.")
    say(context, f"New answers: {done.new_answers:,}. Echoes of our own answers left out: {pulled.echoes:,}.")
    aside = {
        "not our members": pulled.unknown_here,
        "name or birth date differ": pulled.differ,
        "not active or replaced": pulled.not_active,
        "the member declined": pulled.refused,
        "marked as from a Part 2 programme": pulled.part_2,
        "malformed": pulled.malformed,
        "gone there": done.deleted,
    }
    aside |= {f"no inbound rule for {topic}": count for topic, count in pulled.not_accepted.items()}
    aside |= {f"not exported: {code}": count for code, count in done.unexported.items()}
    counted(context, "Left aside", {reason: count for reason, count in aside.items() if count})
    if done.observations_refused:
        say(context, "The server did not let Observations be searched: answers of Patients only.")
