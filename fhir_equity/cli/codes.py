"""fhir-equity codes lookup | show | lint | export | unmapped"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from fhir_equity.cli.codes_export import export_
from fhir_equity.cli.codes_lookup import lookup_
from fhir_equity.cli.options import options, put, say, show, unreadable, workspace, write_json
from fhir_equity.errors import UsageError
from fhir_equity.pipeline.codes import Gathered, Shown
from fhir_equity.pipeline.codes import show as merged
from fhir_equity.pipeline.codes import unmapped as gather
from fhir_equity.pipeline.codes_lint import lint as problems_of
from fhir_equity.privacy import private_file

app = typer.Typer(no_args_is_help=True, help="Look into the tables that say what codes and wordings mean.")
app.command("lookup")(lookup_)
app.command("export")(export_)
OTHER = "(not in systems.csv)"


@app.command("show")
def show_(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="Its name below mappings/; folder and ending may be left out.")],
    partner: Annotated[str, typer.Option(help="As this partner's folder leaves it.")] = "",
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The rows as JSON.")] = "",
) -> None:
    """A table as it is after partner and overlay, as CSV; each row with the file and line it came from."""
    with workspace(context) as opened:
        shown = merged(opened, table, partner=partner)
    if json:
        write_json(_shown_document(shown, partner), json)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(shown.columns)
    writer.writerows(shown.rows)
    put(text.getvalue())


def _shown_document(shown: Shown, partner: str) -> dict[str, object]:
    rows = [dict(zip(shown.columns, row, strict=True)) for row in shown.rows]
    return {"schema": "fhir-equity/codes-show/1", "table": shown.table, "partner": partner, "rows": rows}


@app.command()
def lint(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="An overlay folder (default: that of equity.toml).")
    ] = None,
) -> None:
    """What is wrong in the tables, in partners' folders and in your overlay; ends with 1 if anything is."""
    found = problems_of(folder or options(context).settings().mappings.overlay)
    for problem in found:
        put(f"{problem}\n")
    if found:
        say(context, f"Problems: {len(found):,}.")
        raise typer.Exit(1)
    say(context, "No problem found.")


@app.command()
def unmapped(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH...]", help="Files to look into; without any, the store.")
    ] = None,
    partner: Annotated[str, typer.Option(help="Whose data this is.")] = "",
    format_: Annotated[str, typer.Option("--format", help="Do not recognise the format, take this one.")] = "",
    show_values: Annotated[
        bool, typer.Option("--show-values", help="SHOW VALUES of records: the codes and wordings themselves.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The rows into a file of your own (needs --show-values).")
    ] = None,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The list as JSON.")] = "",
) -> None:
    """Wordings and codes that no table has, with counts, ready to be pasted as rows of a crosswalk.

    Without --show-values only topic, code system and counts are told. With it values of records are
    shown, and a rare write-in can identify a person: keep the list where only stewards can read it.
    """
    if out is not None and not show_values:
        raise UsageError("--out writes values of records; say so with --show-values")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist")
    with workspace(context) as opened:
        found = gather(opened, paths or (), partner=partner, format_=format_)
        known = {row["system"] for row in opened.vocabulary().tables.rows("codes/systems.csv")}
    _counts(context, found, known)
    if show_values and out is not None:
        with private_file(out) as file:
            file.write(found.csv().encode("utf-8", "backslashreplace"))
    elif show_values and not json:
        put(found.csv())
    if json:
        write_json(_document(found, known, show_values=show_values), json)
    unreadable(found.failures)


def _told(system: str, known: set[str]) -> str:
    """A system that we do not know is the sender's word, and no word of a sender is told unasked."""
    return system if system in known else OTHER


def _counts(context: typer.Context, found: Gathered, known: set[str]) -> None:
    totals: dict[tuple[str, str], list[int]] = {}
    for one in found.found:
        total = totals.setdefault((one.topic, _told(one.system, known)), [0, 0])
        total[0] += 1
        total[1] += one.count
    rows = [(*at, *total) for at, total in sorted(totals.items(), key=lambda item: (-item[1][1], item[0]))]
    if rows:
        show(context, "Without a row in any table", ("topic", "system", "values", "count"), rows, left=2)
    else:
        say(context, "Every code and wording has a row.")


def _document(found: Gathered, known: set[str], *, show_values: bool) -> dict[str, object]:
    values = [
        {
            "topic": one.topic,
            "system": one.system if show_values else _told(one.system, known),
            "count": one.count,
            "table": one.table,
            **({"code": one.code} if show_values else {}),
        }
        for one in found.found
    ]
    return {"schema": "fhir-equity/codes-unmapped/1", "values_shown": show_values, "unmapped": values}
