"""fhir-equity convert"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from fhir_equity.cli.options import counted, say, unreadable, workspace
from fhir_equity.pipeline.convert import convert as verb
from fhir_equity.pipeline.leaving import Wish
from fhir_equity.vocabulary import US_CORE


class Purpose(StrEnum):
    """What an 834 is for (BGN08)."""

    GUIDE = "as-guide"
    FULL = "full"
    CHANGE = "change"


class Form(StrEnum):
    """How FHIR is laid out."""

    NDJSON = "ndjson"
    BUNDLE = "bundle"
    BULK = "bulk"


class Omb(StrEnum):
    """How OMB 2024 answers are told to an OMB 1997 receiver."""

    FAITHFUL = "faithful"
    ROLLUP = "rollup-1997"


def convert(
    context: typer.Context,
    src: Annotated[str, typer.Argument(metavar="SRC", help="A file, folder, .gz, .zip, or - .")],
    dst: Annotated[str, typer.Argument(metavar="DST", help="The file (.834, .ndjson, .csv) or folder, or - .")],
    from_: Annotated[str, typer.Option("--from", help="Do not recognise the format of SRC, take this one.")] = "",
    to: Annotated[str, typer.Option(help="The format of DST where its name does not say.")] = "",
    partner: Annotated[str, typer.Option(help="Whose data this is.")] = "",
    recipient: Annotated[str, typer.Option(help="Apply the release rules of this recipient.")] = "",
    omb: Annotated[Omb, typer.Option(help="How OMB 2024 answers are told to an OMB 1997 receiver.")] = Omb.FAITHFUL,
    us_core: Annotated[
        str, typer.Option(help="The version of US Core that Patients are written as, or none.")
    ] = US_CORE,
    form: Annotated[
        Form, typer.Option(help="FHIR as one resource a line, one transaction a line, or a Bulk Data folder.")
    ] = Form.NDJSON,
    purpose: Annotated[Purpose, typer.Option(help="What an 834 is for: BGN08, and INS03 with it.")] = Purpose.GUIDE,
    control_number: Annotated[
        int, typer.Option(min=0, max=999_999_999, help="The first control number of an 834; 0: the next one.")
    ] = 0,
    losses: Annotated[str, typer.Option(metavar="FILE", help="Every loss, one JSON object a line.")] = "",
    include_sensitive: Annotated[
        bool, typer.Option("--include-sensitive", help="Internal use only: do not leave SOGI out.")
    ] = False,
    validate: Annotated[
        bool,
        typer.Option("--validate", help="Check every Patient with fhir.resources; 1 when one is not valid."),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that convert a large file together.")] = 1,
    engine: Annotated[
        str, typer.Option(help="local, or spark: SRC and DST are URLs, DST a new folder (fhir, parquet or delta).")
    ] = "local",
) -> None:
    """Convert members from one format to another, telling the losses on the way."""
    wish = Wish(
        from_,
        to,
        partner,
        recipient,
        omb.value,
        us_core,
        form.value,
        include_sensitive,
        validate,
        purpose.value,
        control_number,
    )
    with workspace(context) as opened:
        done = verb(opened, src, dst, wish=wish, losses=losses or None, engine=engine, workers=workers)
    say(context, f"Wrote {done.members - done.unchanged:,} members.")
    if done.unchanged:
        say(context, f"Left out {done.unchanged:,} members who are as the store knows them.")
    if done.rejected:
        say(context, f"Left out {done.rejected:,} records that could not be read as a member.")
    counted(context, "Losses", done.losses)
    counted(context, "Findings", done.findings)
    unreadable(done.failures)
    if done.invalid:
        say(context, f"{done.invalid:,} of the written resources are not valid FHIR R4.")
        raise typer.Exit(1)
