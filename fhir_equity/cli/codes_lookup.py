"""fhir-equity codes lookup"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
import typer

from fhir_equity.cli.options import put, workspace, write_json
from fhir_equity.errors import UsageError
from fhir_equity.pipeline.codes_lookup import lookup
from fhir_equity.vocabulary.look import Entry, Link


def lookup_(
    context: typer.Context,
    code: Annotated[str, typer.Argument(help="A code of any table, in any spelling: 2118-8, R5.02, spa, Z.")],
    system: Annotated[str, typer.Option(metavar="S", help="Of this code system only: key, address or OID.")] = "",
    partner: Annotated[str, typer.Option(help="As this partner's folder leaves it.")] = "",
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The entries as JSON.")] = "",
) -> None:
    """What a code means: parents, both OMB views, crosswalks from and to it, editions, partners that differ."""
    with workspace(context) as opened:
        entries = lookup(code, system, partner=partner, workspace=opened)
    if not entries:
        raise UsageError("no table has this code" + (" in this system" if system else ""))
    if json:
        document = {"schema": "fhir-equity/codes-lookup/1", "entries": [msgspec.to_builtins(e) for e in entries]}
        write_json(document, json)
        return
    put("\n\n".join("\n".join(_lines(entry)) for entry in entries) + "\n")


def _lines(entry: Entry) -> list[str]:
    """One entry in words; what it does not have is left out."""
    told = {
        "table": f"{entry.table} ({entry.edition})",
        "status": entry.status,
        "parents": " < ".join(f"{parent.code} {parent.display}".strip() for parent in entry.parents),
        "OMB 2024": entry.omb2024 or "none",
        "OMB 1997": entry.omb1997 or "none",
        "note": entry.note,
        "partners that differ": ", ".join(entry.partners),
    }
    lines = [f"{entry.system}|{entry.code}  {entry.display}"]
    lines += [f"  {name}: {value}" for name, value in told.items() if value]
    return [*lines, *_links("to", entry.to), *_links("from", entry.from_)]


def _links(way: str, links: Iterable[Link]) -> list[str]:
    return [f"  {way}: {_other_end(link)}, {link.relationship}, for {link.applies_to} ({link.rule})" for link in links]


def _other_end(link: Link) -> str:
    return f"{link.system}|{link.code}" if link.code else f"{link.system}, no code"
