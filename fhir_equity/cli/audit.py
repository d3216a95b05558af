"""fhir-equity audit"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.options import options, say, show, unreadable, workspace, write_json
from fhir_equity.errors import UsageError
from fhir_equity.model import Severity
from fhir_equity.pipeline.audit import Audit
from fhir_equity.pipeline.audit import audit as verb
from fhir_equity.quality.strata import STRATA
from fhir_equity.reports.html import write_html
from fhir_equity.reports.text import summary


def audit(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH...]", help="Files to audit; without any, the store.")
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
    workers: Annotated[int, typer.Option(min=1, help="Processes that count a large file together.")] = 1,
    population: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with this table of county, category and people (CSV)."),
    ] = None,
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
        )
    _deliver(context, done, json, html)
    unreadable(done.failures)
    unmet = done.unmet(required)
    for name in unmet:
        say(context, f"Not met, or it cannot be told: {name}")
    if unmet or (fail_on is not None and done.reaches(fail_on)):
        raise typer.Exit(1)


def _deliver(context: typer.Context, done: Audit, json: str, html: Path | None) -> None:
    if html is not None and not html.parent.is_dir():
        raise UsageError(f"the folder {html.parent} does not exist")
    if json:
        write_json(done.document, json)
    if html is not None:
        write_html(done.document, html)
    if options(context).quiet or (done.failures and not done.document["run"]["inputs"]):
        return
    for section in summary(done.document):
        show(context, section.title, section.columns, section.rows, section.words)
