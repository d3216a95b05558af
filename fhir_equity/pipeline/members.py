"""members: who is behind a number of the audit, and a random sample of them to check against the source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.model import Received, Resolution
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.cells import NOT, Cells, meets
from fhir_equity.quality.inspection import Person
from fhir_equity.quality.programs import programs_from
from fhir_equity.store import Person as Stored

WHO = ("partner", "member", "pseudonym", "family", "given", "birth_date")
SAID = ("matter", "artefact", "unit", "number", "offset", "path", "collector", "method", "collected_on", "first_seen")
COLUMNS = (*WHO, *SAID)
RECEIVED = "received"


class Behind(Struct, frozen=True):
    """Who is behind a number: `people` of them, and rows (`columns`) of those who were drawn, or of all.

    A person has a row for each matter of the cells that somebody answered, with where the winning answer stands.
    """

    people: int
    drawn: int
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def members(
    workspace: Workspace,
    cells: Sequence[str],
    *,
    partner: str = "",
    programs: Sequence[str] = (),
    sample: int = 0,
    seed: str = "1",
    include_sensitive: bool = False,
    show_values: bool = False,
) -> Behind:
    """The people of the store who are counted in every one of `cells` (see `quality.cells`), and it is on the trail.

    `sample` draws so many: the same people for the same `seed`, whatever their order. Sensitive cells
    need `include_sensitive`. Raises UsageError.
    """
    workspace.require_store()
    vocabulary = workspace.vocabulary()
    named = tuple(programs) or workspace.settings.audit.programs
    naming = Cells(programs_from(vocabulary.tables, named), vocabulary, workspace.as_of)
    if not cells:
        raise UsageError("name a cell, such as state/race_ethnicity/declined")
    for cell in cells:
        naming.check(cell)
    matters = sorted({matter for cell in cells for matter in naming.matters(cell)})
    sensitive = {topic.matter for topic in vocabulary.codes.topics.values() if topic.sensitive}
    if not include_sensitive and sensitive.intersection(matters):
        raise UsageError("this cell tells of a sensitive answer; --include-sensitive lists its people all the same")
    behind = [
        (stored, person.resolutions)
        for stored, person in _people(workspace, partner)
        if meets(naming.of(stored.member, person), cells)
    ]
    drawn = sorted(behind, key=lambda each: _lot(seed, each[0].pseudonym))[:sample] if sample else behind
    rows = [row for each in drawn for row in _rows(workspace, *each, matters, show_values=show_values)]
    workspace.store.trail.record(
        "members",
        about={"purpose": " and ".join(_named(cell) for cell in cells), "as_of": workspace.as_of},
        counts={"people": len(behind), "listed": len(drawn)},
    )
    return Behind(len(behind), len(drawn), (*COLUMNS, *((RECEIVED,) if show_values else ())), tuple(rows))


def _people(workspace: Workspace, partner: str) -> Iterator[tuple[Stored, Person]]:
    for number, stored in enumerate(workspace.store.people.among(workspace.partners(partner)), start=1):
        events = tuple(event for _, event in stored.events)
        resolve = partial(workspace.resolutions, stored.member.partner)
        yield stored, Person(stored.member.partner, events, resolve(events), resolve, workspace.meaning_of)
        if number % 1000 == 0:
            workspace.progress("store", number)


def _lot(seed: str, pseudonym: str) -> str:
    return hashlib.sha256(f"{seed}|{pseudonym}".encode()).hexdigest()


def _rows(
    workspace: Workspace,
    stored: Stored,
    resolutions: Mapping[str, Resolution],
    matters: Sequence[str],
    *,
    show_values: bool,
) -> Iterator[tuple[str, ...]]:
    member = stored.member
    who = (
        member.partner,
        member.key,
        stored.pseudonym,
        member.name.family,
        " ".join(member.name.given),
        member.birth_date,
    )
    said = [
        (matter, resolution.winner)
        for matter, resolution in sorted(resolutions.items())
        if matter in matters and resolution.winner is not None
    ]
    places = workspace.store.history.places(stored.id) if said else {}
    for matter, winner in said:
        locator = places[winner.identity[0]].locator
        where = (locator.artefact, locator.unit, str(locator.number), str(locator.offset), locator.path)
        origin = winner.origin
        row = (*who, matter, *where, origin.collector, origin.method, origin.collected_on, winner.first_seen)
        yield (*row, " | ".join(map(_words, winner.received))) if show_values else row
    if not said:
        yield (*who, *([""] * (len(SAID) + show_values)))


def _words(received: Received) -> str:
    return received.raw or received.text or " ".join(coding.code for coding in received.codings)


def _named(cell: str) -> str:
    """A cell without what came with people: values of strata and product lines."""
    negated, kind, *more = (
        ("not", *cell.removeprefix(NOT).split("/")) if cell.startswith(NOT) else ("", *cell.split("/"))
    )
    more = more[:1] if kind == "stratum" else [more[0], *more[2:]] if kind == "program" and len(more) > 1 else more
    return "/".join(word for word in (negated, kind, *more) if word)
