"""fhir-equity questionnaire"""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_equity.cli.options import say, workspace
from fhir_equity.pipeline.questionnaire import questionnaire as verb


def questionnaire(
    context: typer.Context,
    lang: Annotated[str, typer.Option(metavar="en|es", help="The language of its words.")] = "en",
    out: Annotated[str, typer.Option(metavar="FILE|-", help="Where the Questionnaire goes.")] = "-",
    partner: Annotated[str, typer.Option(help="As this partner's folder leaves the tables.")] = "",
) -> None:
    """A FHIR Questionnaire that asks members for race and ethnicity, language and SOGI; responses can be ingested."""
    with workspace(context) as opened:
        done = verb(opened, out, lang=lang, partner=partner)
    say(context, f"Wrote {done.questions} questions, version {done.version}.")
    if done.note:
        say(context, done.note)
