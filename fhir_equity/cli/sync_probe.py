"""fhir-equity sync probe"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fhir_equity.cli.options import say, show, workspace, write_json

if TYPE_CHECKING:  # HTTP is loaded by the command that needs it
    from fhir_equity.sync.profile import Profile

WORDS = {True: "yes", False: "no", None: "not known"}
TRAITS = {
    "if_match": "an update of a version that moved on is refused",
    "conditional_if_match": "so is a conditional update",
    "conditional_create": "If-None-Exist makes one, not two",
    "patch": "a JSON Patch leaves nested extensions whole",
    "rollback": "of a transaction that fails nothing stays",
    "paging": "pages lead to all results",
    "retry_after": "being busy, it says how long",
    "match": "Patient/$match",
    "provenance": "Provenance",
}


def probe(
    context: typer.Context,
    hie: Annotated[str, typer.Option(metavar="NAME", help="The name after hie. in equity.toml.")],
    write_canary: Annotated[
        bool, typer.Option("--write-canary", help="Make, change and delete invented Patients; at a sandbox only.")
    ] = False,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="The profile as JSON.")] = "",
) -> None:
    """What the HIE's server really does; the profile chooses how it is written to."""
    from fhir_equity.pipeline.probe import sync_probe

    with workspace(context) as opened:
        probed = sync_probe(opened, hie, write_canary=write_canary)
    profile = probed.profile
    name = f"{profile.software or 'A server without a name'} {profile.version}".rstrip()
    say(context, f"{name}, FHIR {profile.fhir or 'of a version that it does not say'}")
    rows = [(words, WORDS[getattr(profile, trait)]) for trait, words in TRAITS.items()]
    rows.append(("entries that a batch may have", str(profile.entries) if profile.wrote else WORDS[None]))
    rows.append(("levels of $export", ", ".join(profile.exports) or ("none" if profile.fhir else WORDS[None])))
    show(context, "What it does", ("", "found"), rows, left=2)
    for quirk in profile.quirks:
        say(context, f"Known of this software: {quirk} (guides/server_quirks.csv).")
    if json:
        write_json(document(profile), json)
    if probed.left:
        say(context, f"{probed.left:,} invented Patients could not be deleted; their family name is Canary.")
        raise typer.Exit(1)


def document(profile: Profile) -> dict[str, object]:
    """The profile for machines; null is not known."""
    names = profile.__struct_fields__
    return {"schema": "fhir-equity/profile/1", **{name: getattr(profile, name) for name in names}}
