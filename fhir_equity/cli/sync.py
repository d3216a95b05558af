"""fhir-equity sync plan | apply | pull"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_equity.cli.options import counted, say, show, workspace, write_json

if TYPE_CHECKING:  # HTTP and the database are loaded by the command that needs them
    from fhir_equity.sync.plan import Plan

app = typer.Typer(no_args_is_help=True, help="Plan, apply and prove changes at an HIE's FHIR endpoint.")
Hie = Annotated[str, typer.Option(metavar="NAME", help="The name after hie. in equity.toml.")]
SHOWN = 20


@app.command()
def plan(
    context: typer.Context,
    hie: Hie,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The plan as JSON; members as pseudonyms.")] = "",
) -> None:
    """What would change at the HIE, per member and topic. Nothing is sent."""
    from fhir_equity.pipeline.sync import sync_plan

    with workspace(context) as opened:
        made = sync_plan(opened, hie)
    _tell(context, made)
    if json:
        write_json(document(made), json)
    if made.conflicts:
        raise typer.Exit(1)


@app.command()
def apply(context: typer.Context, hie: Hie) -> None:
    """Carry out exactly the latest plan and read back what arrived."""
    from fhir_equity.pipeline.sync import sync_apply

    with workspace(context) as opened:
        done = sync_apply(opened, hie)
    say(context, f"Plan {done.plan}: {sum(done.statuses.values()):,} changes carried out.")
    counted(context, "Outcome", done.statuses)
    if done.left:
        raise typer.Exit(1)


@app.command()
def pull(context: typer.Context, hie: Hie) -> None:
    """Bring the HIE's answers about our members into the store, with their origin."""
    from fhir_equity.pipeline.sync import sync_pull

    with workspace(context) as opened:
        done = sync_pull(opened, hie)
    pulled = done.pulled
    say(context, f"Looked at {pulled.patients:,} Patients: {pulled.members:,} are our members and say something.")
    say(context, f"New answers: {done.new_answers:,}. Echoes of our own answers left out: {pulled.echoes:,}.")
    aside = {
        "not our members": pulled.unknown_here,
        "name or birth date differ": pulled.differ,
        "not active or replaced": pulled.not_active,
        "the member declined": pulled.refused,
        "malformed": pulled.malformed,
    }
    counted(context, "Left aside", {reason: count for reason, count in aside.items() if count})


def _tell(context: typer.Context, made: Plan) -> None:
    say(context, f"Plan {made.name}: {len(made.changes):,} changes for {made.members:,} members.")
    actions = Counter((c.action, matter, how) for c in made.changes for matter, how in c.matters)
    rows = [(action, matter, how, n) for (action, matter, how), n in sorted(actions.items())]
    if rows:
        show(context, "What would change", ("Patient", "topic", "answer", "members"), rows, left=3)
        some = [(c.pseudonym, c.action, ", ".join(f"{m} ({h})" for m, h in c.matters)) for c in made.changes[:SHOWN]]
        title = f"By member (pseudonyms; {min(SHOWN, len(made.changes))} of {len(made.changes):,}, all with --json)"
        show(context, title, ("member", "Patient", "topics"), some, left=3)
    held = [(topic, reason, n) for (topic, reason), n in sorted(made.withheld.items())]
    if held:
        show(context, "Not sent, and why", ("topic", "reason", "members"), held, left=2)
    counted(context, "Left to them: their answer is better", made.theirs_kept)
    counted(context, "Conflicts, not sent", Counter(left.reason for left in made.conflicts))
    say(context, f"In agreement: {made.agreed:,} answers. Not known there: {made.unmatched:,} members.")


def document(made: Plan) -> dict[str, object]:
    """The plan for machines; members are pseudonyms and no answer is part of it."""
    return {
        "schema": "fhir-equity/plan/1",
        "plan": made.name,
        "members": made.members,
        "changes": [{"member": c.pseudonym, "action": c.action, "topics": dict(c.matters)} for c in made.changes],
        "conflicts": [{"member": c.pseudonym, "topic": c.matter, "reason": c.reason} for c in made.conflicts],
        "withheld": [{"topic": t, "reason": r, "members": n} for (t, r), n in sorted(made.withheld.items())],
        "theirs_kept": dict(made.theirs_kept),
        "agreed": made.agreed,
        "unmatched": made.unmatched,
    }
