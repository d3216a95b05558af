"""fhir-equity explain"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from fhir_equity.cli.options import say, show, workspace, write_json

COLUMNS = ("", "first seen", "collected", "collector, method", "where")
VALUES = ("", "topic", "as received", "means", "by the table")
SHORT = 60  # characters of what was received, verbatim; of longer ones the words or codes


def explain(
    context: typer.Context,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="A pseudonym, a member's key, or an identifier.")],
    partner: Annotated[str, typer.Option(help="Whose member, where several partners know the key.")] = "",
    topic: Annotated[str, typer.Option(help="Only this topic, such as race or language_spoken.")] = "",
    as_of: Annotated[str, typer.Option(help="What was believed on this date (default today).")] = "",
    show_values: Annotated[
        bool, typer.Option("--show-values", help="SHOW VALUES of a person: what was received and what it means.")
    ] = False,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="Everything as JSON.")] = "",
) -> None:
    """Why we believe what we believe of a member: every answer, who gave it and where it stood, what won and why."""
    from fhir_equity.pipeline.explain import explain as verb

    with workspace(context, as_of) as opened:
        document = verb(opened, member, partner=partner, topic=topic, show_values=show_values)
    if json:
        write_json(document, json)
    _tell(context, document)


def _tell(context: typer.Context, document: dict[str, Any]) -> None:
    member, seen = document["member"], document["seen"]
    say(context, f"Member {member['pseudonym']} of {member['partner']}, as of {document['as_of']}.")
    say(context, f"Seen in runs: {seen['runs']:,}, from {seen['first']} to {seen['last']}.")
    for matter in document["matters"]:
        show(context, matter["matter"], COLUMNS, _answers(matter), left=len(COLUMNS))
        if document["values_shown"]:
            show(context, "What was said", VALUES, _said(matter), left=len(VALUES))
        if matter["why"]:
            say(context, matter["why"])
        for decision in matter["decisions"]:
            taken_back = f", undone at {decision['undone_at']}" if decision["undone_at"] else ""
            why = f": {decision['reason']}" if "reason" in decision else ""
            told = f"{decision['id']} by {decision['author']} at {decision['at']}{taken_back}{why}"
            say(context, f"  decision {told}")
        for entry in matter["sent"]:
            at = entry["done_at"] or entry["planned_at"]
            say(context, f"  {entry['hie']}: {entry['action']} {entry['status']} at {at} (plan {entry['plan']})")
    if not document["matters"]:
        say(context, "Nothing was answered.")
    elif not document["values_shown"]:
        say(context, "What was said is hidden; --show-values shows it.")


def _answers(matter: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for statement in (*matter["statements"], *matter["withdrawn"]):
        who = f"{statement['collector']}, {statement['method']}"
        place = "withdrawn" if statement in matter["withdrawn"] else _place(statement)
        row = (place, statement["first_seen"], statement["collected_on"], who)
        yield from ((*row, answer["where"]) for answer in statement["answers"])


def _said(matter: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for statement in matter["statements"]:
        for answer in statement["answers"]:
            codes = ", ".join(f"{each['system']} {each['code']}" for each in answer["codings"])
            short = answer["raw"] if len(answer["raw"]) < SHORT else answer["text"] or codes
            means = ", ".join(each["display"] or each["code"] for each in answer["means"]) or answer["state"]
            rules = dict.fromkeys(f"{each['rule'].partition(':')[0]} of {each['edition']}" for each in answer["means"])
            yield _place(statement), answer["topic"], short, means, ", ".join(rules)


def _place(statement: dict[str, Any]) -> str:
    place = statement["place"]
    if place is None:
        return "same"
    return f"beaten {place}" if place else "won"
