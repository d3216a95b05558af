"""fhir-equity audit"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_equity.cli.deliver import Places, deliver
from fhir_equity.cli.options import say, unreadable, workspace
from fhir_equity.model import Severity
from fhir_equity.pipeline.audit import audit as verb
from fhir_equity.pipeline.publish import publish as published
from fhir_equity.quality.publish.document import Internal
from fhir_equity.quality.strata import STRATA


def audit(
    context: typer.Context,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH...]", help="Files to audit; without any, the store.")
    ] = None,
    partner: Annotated[str, typer.Option(help="Whose data this is.")] = "",
    format_: Annotated[str, typer.Option("--format", help="Do not recognise the format, take this one.")] = "",
    by: Annotated[
        list[str] | None,
        typer.Option(help=f"Strata: {', '.join(STRATA)}; several at once with commas. May be repeated."),
    ] = None,
    program: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="Count as this program does (default base). May be repeated."),
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option(metavar="NAME|FILE", help="As --program; end with 1 when it is not met.")
    ] = None,
    as_of: Annotated[str, typer.Option(help="The day that decides who is enrolled and how old (default today).")] = "",
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The audit document.")] = "",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="One self-contained page.")] = None,
    xlsx: Annotated[Path | None, typer.Option(metavar="FILE", help="A spreadsheet, one sheet for each table.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="DIR", help="Tidy tables, one CSV file each.")] = None,
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Evidence that `verify` checks: page, document, tables, digests.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="For everybody: small counts hidden; end with 1 when that does not hold.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that count a large file together.")] = 1,
    population: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with this table of county, category and people (CSV)."),
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or spark: PATHs are URLs that Spark can reach.")] = "local",
    snapshot: Annotated[
        str, typer.Option(metavar="NAME", help="Count this snapshot again; end with 1 when the numbers differ.")
    ] = "",
    since: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Tell what changed since a snapshot or an audit document.")
    ] = "",
    fail_on: Annotated[Severity | None, typer.Option(help="End with 1 when a finding is at least this bad.")] = None,
) -> None:
    """How complete and how good are race, ethnicity, language and SOGI, in files or in the store?"""
    required = require or []
    programs = [*(program or ()), *required]
    with workspace(context, as_of) as opened:
        if not paths:
            opened.require_store()
        done = verb(
            *(opened, paths or ()),
            partner=partner,
            format_=format_,
            by=by or (),
            programs=programs,
            workers=workers,
            population=population,
            engine=engine,
            snapshot=snapshot,
            since=since,
        )
        report = published(opened, done, partner) if publish else Internal(done.document)
    if not done.failures or done.document["run"]["inputs"]:
        deliver(context, report, Places(json, html, xlsx, csv, bundle))
    unreadable(done.failures)
    unmet = done.unmet(required)
    for name in unmet:
        say(context, f"Not met, or it cannot be told: {name}")
    recounted = done.document.get("snapshot", {"same": True})
    if snapshot:
        _tell_snapshot(context, recounted)
    if unmet or not recounted["same"] or (fail_on is not None and done.reaches(fail_on)):
        raise typer.Exit(1)


def _tell_snapshot(context: typer.Context, recounted: dict[str, Any]) -> None:
    """Whether the numbers are those that were frozen, and what may be why not."""
    say(
        context,
        "The numbers are those that were frozen."
        if recounted["same"]
        else f"Other numbers than those that were frozen: {', '.join(recounted['differs'])}",
    )
    if recounted["tables_changed"]:
        say(context, f"Tables that have changed since: {', '.join(recounted['tables_changed'])}")
