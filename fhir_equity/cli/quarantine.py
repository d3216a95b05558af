"""fhir-equity quarantine list | show | retry"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_equity.cli.options import counted, say, show, unreadable, workspace, write_json
from fhir_equity.errors import UsageError
from fhir_equity.model import Locator
from fhir_equity.privacy import private_file

if TYPE_CHECKING:  # the database is loaded by the command that needs it
    from fhir_equity.store import Held

app = typer.Typer(no_args_is_help=True, help="Records that could not be read: where they stand, and another try.")
Partner = Annotated[str, typer.Option(help="Only records of this partner.")]
Code = Annotated[str, typer.Option(help="Only records kept for this finding, such as x12.nm1.missing.")]
SHOWN = 20


@app.command("list")
def list_(
    context: typer.Context,
    partner: Partner = "",
    code: Code = "",
    json: Annotated[str, typer.Option(metavar="FILE|-", help="Every record as JSON, without its values.")] = "",
) -> None:
    """Which records are in quarantine: counts, then where each stands. No value of a record is shown."""
    from fhir_equity.pipeline.quarantine import quarantine_list

    with workspace(context) as opened:
        records = list(quarantine_list(opened, partner=partner, code=code))
    if json:
        write_json({"schema": "fhir-equity/quarantine/1", "records": [_entry(record) for record in records]}, json)
    if not records:
        say(context, "The quarantine holds no such record.")
        return
    _counts(context, records)
    some = [(r.id, r.code, _place(r), f"run {r.settled_run}" if r.settled_run else "") for r in records[:SHOWN]]
    title = f"By record ({len(some)} of {len(records):,}, all with --json)"
    show(context, title, ("id", "code", "where", "settled"), some, left=4)


def _counts(context: typer.Context, records: Iterable[Held]) -> None:
    waiting: Counter[tuple[str, str, str]] = Counter()
    settled: Counter[tuple[str, str, str]] = Counter()
    for record in records:
        at = (str(record.run), record.partner, record.code)
        settled[at] += bool(record.settled_run)
        waiting[at] += not record.settled_run
    rows = [(*at, count, settled[at]) for at, count in waiting.items()]
    show(context, "In quarantine", ("run", "partner", "code", "waiting", "settled"), rows, left=3)


def _place(record: Held) -> Locator:
    return Locator(record.artefact, record.unit, record.number, record.offset, record.path)


def _entry(record: Held) -> dict[str, object]:
    names = ("id", "run", "partner", "artefact", "format", "code", "unit", "number", "offset", "path", "size")
    settled = {"run": record.settled_run, "at": record.settled_at} if record.settled_run else None
    return {**{name: getattr(record, name) for name in names}, "settled": settled}


@app.command("show")
def show_(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="The id that quarantine list tells.")],
    show_values: Annotated[
        bool, typer.Option("--show-values", help="SHOW VALUES of a person: the verbatim bytes, to standard output.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The bytes into a file of your own (needs --show-values).")
    ] = None,
) -> None:
    """One quarantined record: where it stood and why it was kept; its bytes only with --show-values."""
    from fhir_equity.pipeline.quarantine import quarantine_show

    if out is not None and not show_values:
        raise UsageError("--out writes values of a person; say so with --show-values")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist")
    with workspace(context) as opened:
        record, raw = quarantine_show(opened, number)
    say(context, f"Record {record.id}: {record.code}")
    say(context, f"  where: {_place(record)}")
    say(context, f"  partner: {record.partner}, format: {record.format}, run: {record.run}, bytes: {record.size:,}")
    settled = f"{record.settled_at}, run {record.settled_run}" if record.settled_run else "no"
    say(context, f"  settled: {settled}")
    if out is not None:
        with private_file(out) as file:
            file.write(raw)
    elif show_values:
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()


@app.command()
def retry(
    context: typer.Context,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID...]", help="Records by their id; without any, all that wait.")
    ] = None,
    partner: Partner = "",
    code: Code = "",
) -> None:
    """Read quarantined records again, after a table or a guide was mended; those that can be read enter the store."""
    from fhir_equity.pipeline.quarantine import quarantine_retry

    with workspace(context) as opened:
        done = quarantine_retry(opened, partner=partner, code=code, ids=ids or ())
    say(context, f"Settled: {done.settled:,} records ({done.new_members:,} new members, {done.new_answers:,} answers).")
    say(context, f"Kept in quarantine: {sum(done.kept.values()):,} records.")
    counted(context, "Why they are kept", done.kept)
    unreadable(done.failures)
