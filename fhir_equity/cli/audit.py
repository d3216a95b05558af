"""fhir-equity audit"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_equity.cli.deliver import Places, deliver
from fhir_equity.cli.options import say, unreadable, workspace
from fhir_equity.model import Severity
from fhir_equity.pipeline.audit import Audit
from fhir_equity.pipeline.audit import audit as verb
from fhir_equity.pipeline.measure_report import measure_report as in_fhir
from fhir_equity.pipeline.publish import publish as published
from fhir_equity.quality.publish.document import Internal
from fhir_equity.quality.strata import STRATA

Paths = Annotated[list[str] | None, typer.Argument(metavar="[PATH...]", help="Files to audit; without any, the store.")]
Partner = Annotated[str, typer.Option(help="Whose data this is.")]
Format = Annotated[str, typer.Option("--format", help="Do not recognise the format, take this one.")]
By = Annotated[
    list[str] | None,
    typer.Option(help=f"Strata: {', '.join(STRATA)}; several at once with commas. May be repeated."),
]
Program = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME|FILE", help="Count as this program does (default base). May be repeated."),
]
Require = Annotated[
    list[str] | None, typer.Option(metavar="NAME|FILE", help="As --program; end with 1 when it is not met.")
]
AsOf = Annotated[str, typer.Option(help="The day that decides who is enrolled and how old (default today).")]
Json = Annotated[str, typer.Option(metavar="FILE|-", help="The audit document.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="One self-contained page.")]
Xlsx = Annotated[Path | None, typer.Option(metavar="FILE", help="A spreadsheet, one sheet for each table.")]
Csv = Annotated[Path | None, typer.Option(metavar="DIR", help="Tidy tables, one CSV file each.")]
MeasureReport = Annotated[
    str, typer.Option(metavar="FILE|-", help="A FHIR Bundle of MeasureReports, stratified as --by says.")
]
Evidence = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Evidence that `verify` checks: page, document, tables, digests.")
]
Publish = Annotated[
    bool, typer.Option("--publish", help="For everybody: small counts hidden; end with 1 when that does not hold.")
]
Workers = Annotated[int, typer.Option(min=1, help="Processes that count a large file together.")]
Population = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Compare with this table of county, category and people (CSV).")
]
Engine = Annotated[str, typer.Option(help="local, or spark: PATHs are URLs that Spark can reach.")]
Snapshot = Annotated[
    str, typer.Option(metavar="NAME", help="Count this snapshot again; end with 1 when the numbers differ.")
]
Since = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="Tell what changed since a snapshot or an audit document.")
]
FailOn = Annotated[Severity | None, typer.Option(help="End with 1 when a finding is at least this bad.")]


def audit(
    context: typer.Context,
    paths: Paths = None,
    partner: Partner = "",
    format_: Format = "",
    by: By = None,
    program: Program = None,
    require: Require = None,
    as_of: AsOf = "",
    json: Json = "",
    html: Html = None,
    xlsx: Xlsx = None,
    csv: Csv = None,
    measure_report: MeasureReport = "",
    bundle: Evidence = None,
    publish: Publish = False,
    workers: Workers = 1,
    population: Population = None,
    engine: Engine = "local",
    snapshot: Snapshot = "",
    since: Since = "",
    fail_on: FailOn = None,
) -> None:
    """How complete and how good are race, ethnicity, language and SOGI, in files or in the store?"""
    asked: dict[str, Any] = {"partner": partner, "format_": format_, "by": by or (), "population": population}
    asked |= {"workers": workers, "engine": engine, "snapshot": snapshot, "since": since}
    programs = [*(program or ()), *(require or ())]
    with workspace(context, as_of) as opened:
        done = verb(opened, paths or (), programs=programs, **asked)
        report = published(opened, done, partner) if publish else Internal(done.document)
        fhir = in_fhir(opened, report) if measure_report and report.held else None
    if not done.failures or done.document["run"]["inputs"]:
        deliver(context, report, Places(json, html, xlsx, csv, bundle, measure_report), fhir)
    unreadable(done.failures)
    if _failed(context, done, require or (), fail_on):
        raise typer.Exit(1)


def _failed(context: typer.Context, done: Audit, required: list[str] | tuple[()], fail_on: Severity | None) -> bool:
    """Whether a gate failed; says which."""
    unmet = done.unmet(required)
    for name in unmet:
        say(context, f"Not met, or it cannot be told: {name}")
    recounted = done.document.get("snapshot")
    if recounted is not None:
        _tell_snapshot(context, recounted)
    changed = recounted is not None and not recounted["same"]
    bad = fail_on is not None and done.reaches(fail_on)
    if bad:
        say(context, f"There are findings as bad as --fail-on {fail_on}.")
    return bool(unmet) or changed or bad


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
