"""A plan told: as tables for a person, as JSON for machines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer

from fhir_equity.cli.options import counted, say, show

if TYPE_CHECKING:  # HTTP and the database are loaded by the command that needs them
    from fhir_equity.sync.plan import Change, Plan

SHOWN = 20


def tell(context: typer.Context, made: Plan, *, values: bool) -> None:
    """Tell a plan to a person: counts, and with `values` what they say and what would be said."""
    name = f"Plan {made.name}" if made.name else "A plan that is not kept"
    say(context, f"{name}: {len(made.changes):,} changes for {made.members:,} members.")
    actions = Counter((c.action, matter, how) for c in made.changes for matter, how in c.matters)
    rows = [(action, matter, how, n) for (action, matter, how), n in sorted(actions.items())]
    if rows:
        show(context, "What would change", ("Patient", "topic", "answer", "members"), rows, left=3)
        some = [(c.pseudonym, c.action, ", ".join(f"{m} ({h})" for m, h in c.matters)) for c in made.changes[:SHOWN]]
        title = f"By member (pseudonyms; {min(SHOWN, len(made.changes))} of {len(made.changes):,}, all with --json)"
        show(context, title, ("member", "Patient", "topics"), some, left=3)
    if values:
        _differences(context, made)
    held = [(topic, reason, n) for (topic, reason), n in sorted(made.withheld.items())]
    if held:
        show(context, "Not sent, and why", ("topic", "reason", "members"), held, left=2)
    counted(context, "Left to them: their answer is better", made.theirs_kept)
    counted(context, "Conflicts, not sent", Counter(left.reason for left in made.conflicts))
    say(context, f"In agreement: {made.agreed:,} answers. Not known there: {made.unmatched:,} members.")


def _differences(context: typer.Context, made: Plan) -> None:
    rows = [
        (change.pseudonym, matter, _words(change.there.get(matter, "")), _words(change.said[matter]))
        for change in made.changes
        for matter, _ in change.matters
    ]
    show(context, "Differences", ("member", "topic", "they say", "we would say"), rows, left=4)


def _words(fingerprint: str) -> str:
    return ", ".join(fingerprint.split("\n")) or "nothing"


def document(made: Plan, *, values: bool) -> dict[str, object]:
    """The plan for machines; members are pseudonyms, and answers are part of it only with `values`."""
    return {
        "schema": "fhir-equity/plan/1",
        "plan": made.name,
        "digest": made.digest,
        "members": made.members,
        "looked_at": made.looked,
        "changes": [_change(change, values=values) for change in made.changes],
        "conflicts": [{"member": c.pseudonym, "topic": c.matter, "reason": c.reason} for c in made.conflicts],
        "withheld": [{"topic": t, "reason": r, "members": n} for (t, r), n in sorted(made.withheld.items())],
        "theirs_kept": dict(made.theirs_kept),
        "agreed": made.agreed,
        "unmatched": made.unmatched,
    }


def _change(change: Change, *, values: bool) -> dict[str, object]:
    told: dict[str, object] = {"member": change.pseudonym, "action": change.action, "topics": dict(change.matters)}
    return told | ({"said": change.said, "there": change.there} if values else {})
