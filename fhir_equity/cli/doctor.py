"""fhir-equity doctor"""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_equity.cli.options import options, show, write_json


def doctor(
    context: typer.Context,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="What was looked at, as JSON.")] = "",
) -> None:
    """Is everything as it should be: settings, extras, tables, store, keys, files? Ends with 1 where it is not."""
    from fhir_equity.pipeline.doctor import WRONG
    from fhir_equity.pipeline.doctor import doctor as verb

    given = options(context)
    checks = verb(given.config, given.store)
    if json:
        entries = [{"name": check.name, "state": check.state, "words": check.words} for check in checks]
        write_json({"schema": "fhir-equity/doctor/1", "checks": entries}, json)
    show(context, "", ("", "", ""), [(check.name, check.state, check.words) for check in checks], left=3)
    if any(check.state == WRONG for check in checks):
        raise typer.Exit(1)
