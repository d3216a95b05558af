"""fhir-equity sync plan | apply | pull | probe | recall | opt-out | status"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import counted, say, show, workspace, write_json
from fhir_equity.cli.plan import document, tell
from fhir_equity.cli.sync_probe import probe
from fhir_equity.cli.sync_status import status

app = typer.Typer(no_args_is_help=True, help="Plan, apply and prove changes at an HIE's FHIR endpoint.")
Hie = Annotated[str, typer.Option(metavar="NAME", help="The name after hie. in equity.toml.")]
app.command()(probe)
app.command()(status)


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
    _consents(context, refused=made.consents_refused)
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
    _consents(context, refused=done.consents_refused)
    if done.left:
        raise typer.Exit(1)


@app.command()
def recall(context: typer.Context, hie: Hie, dry_run: DryRun = False) -> None:
    """Withdraw what the HIE holds from us and may not have any more, and look whether it is gone."""
    from fhir_equity.pipeline.sync import sync_recall

    with workspace(context) as opened:
        done = sync_recall(opened, hie, dry=dry_run)
    say(context, f"To be withdrawn: {sum(done.found.values()):,} answers.")
    rows = [(topic, reason, n) for (topic, reason), n in sorted(done.found.items())]
    if rows:
        show(context, "Why", ("topic", "reason", "members"), rows, left=2)
    counted(context, "Outcome", done.applied.statuses)
    if done.applied.left:
        raise typer.Exit(1)


@app.command("opt-out")
def opt_out(
    context: typer.Context,
    member: Annotated[str, typer.Argument(help="A pseudonym, key or identifier.")],
    topic: Annotated[str, typer.Option(metavar="TOPIC", help="What is kept back (default: everything).")] = "",
    recipient: Annotated[str, typer.Option(metavar="NAME", help="From whom (default: everybody).")] = "",
    since: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day (default: today).")] = "",
    until: Annotated[str, typer.Option("--to", metavar="DATE", help="The last day (default: open).")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="The member takes it back.")] = False,
) -> None:
    """Record what a member keeps back: it wins over every release rule."""
    from fhir_equity.pipeline.opt_out import opt_out as verb

    with workspace(context) as opened:
        done = verb(opened, member, topic, recipient, since, until, undo=undo)
    say(context, "Taken back." if undo else "Recorded." if done else "Nothing was recorded.")


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
    if done.consents:
        say(context, f"Consents there keep back something else than before: of {done.consents:,} members.")
    _consents(context, refused=done.consents_refused)
    if done.observations_refused:
        say(context, "The server did not let Observations be searched: answers of Patients only.")


def _consents(context: typer.Context, *, refused: bool) -> None:
    if refused:
        say(context, "The server did not let Consents be searched: what they deny is not known.")
