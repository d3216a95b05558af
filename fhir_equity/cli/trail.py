"""fhir-equity trail list | verify | export, and fhir-equity disclosures"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec import to_builtins

from fhir_equity.cli.options import say, show, words, workspace, write_json
from fhir_equity.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="The audit trail: who did what, chained so that a change of it shows.")
Since = Annotated[str, typer.Option(metavar="DATE", help="Only entries from this date on.")]
SHOWN = 20
SAID = {
    "edited": "entry {} is not what was written",
    "missing": "entries before {} are missing",
    "chain": "entry {} does not follow the one before it",
    "end": "the entries after {} are missing",
    "expected": "entry {} is not the one that was expected",
}


@app.command("list")
def list_(
    context: typer.Context,
    since: Since = "",
    action: Annotated[str, typer.Option(help="Only this action, such as 'sync apply'.")] = "",
    json: Annotated[str, typer.Option(metavar="FILE|-", help="Every entry as JSON.")] = "",
) -> None:
    """Who did what, when, to how many: the latest entries of the trail."""
    from fhir_equity.pipeline.trail import trail_list

    with workspace(context) as opened:
        entries = list(trail_list(opened, since=since, action=action))
    if json:
        write_json({"schema": "fhir-equity/trail/1", "entries": to_builtins(entries)}, json)
    rows = []
    for entry in entries[-SHOWN:]:
        about = ", ".join(f"{name} {value}" for name, value in entry.about.items())
        counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in entry.counts.items())
        rows.append((entry.id, entry.at[:19], entry.who, f"{entry.action}, {entry.outcome}", about, counts))
    title = f"Trail ({len(rows)} of {len(entries):,}, all with --json)"
    show(context, title, ("", "when (UTC)", "who", "what", "about", "how many"), rows, left=6)


@app.command()
def verify(
    context: typer.Context,
    expect: Annotated[
        str, typer.Option(metavar="HEAD", help="A head that was told earlier: the trail must still begin so.")
    ] = "",
) -> None:
    """Whether anything of the trail was edited, removed, put elsewhere or cut off; exit code 1 where it was."""
    from fhir_equity.pipeline.trail import trail_verify

    with workspace(context) as opened:
        found = trail_verify(opened, expect=expect)
    for number, problem in found.problems:
        words.print(SAID[problem].format(number), markup=False, soft_wrap=True)
    say(context, f"{found.head.entries:,} entries" + ("." if found.problems else ", each as it was written."))
    typer.echo(str(found.head))
    if found.problems:
        raise typer.Exit(1)


@app.command()
def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the AuditEvents go.")],
    form: Annotated[str, typer.Option(help="ndjson (one a line) or bundle.")] = "ndjson",
    since: Since = "",
) -> None:
    """Write the trail as FHIR R4 AuditEvents."""
    from fhir_equity.pipeline.trail import trail_export

    if not out.parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist")
    with workspace(context) as opened:
        count = trail_export(opened, out, form=form, since=since)
    say(context, f"Wrote {count:,} AuditEvents.")


def disclosures(
    context: typer.Context,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="A pseudonym, a member's key, or an identifier.")],
    partner: Annotated[str, typer.Option(help="Whose member, where several partners know the key.")] = "",
    recipient: Annotated[str, typer.Option(help="Only what this recipient was told.")] = "",
    json: Annotated[str, typer.Option(metavar="FILE|-", help="Everything as JSON.")] = "",
) -> None:
    """The account of disclosures of a member: who was told about which topics, when, why and on what basis."""
    from fhir_equity.pipeline.trail import disclosures as verb

    with workspace(context) as opened:
        document = verb(opened, member, partner=partner, recipient=recipient)
    if json:
        write_json(document, json)
    found = document["disclosures"]
    if not found:
        say(context, "Nothing was disclosed.")
        return
    rows = [
        (d["intended_at"][:19], d["recipient"], ", ".join(d["topics"]), d["purpose"], d["rule"], d["state"])
        for d in found
    ]
    show(context, "Disclosures", ("when (UTC)", "recipient", "topics", "purpose", "rule", "state"), rows, left=6)
