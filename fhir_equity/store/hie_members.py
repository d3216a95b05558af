"""Under which of their keys a person is known to an HIE, where members were merged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from fhir_equity.model import Side
from fhir_equity.store.merged import parts_of, person_of
from fhir_equity.store.patterns import decode_sides
from fhir_equity.store.rows import among
from fhir_equity.store.schema import Link, Pattern, Settlement, StoredDecision, core

LINKED_TWICE = "linked_twice"  # a case: a person is two Patients of one HIE
PATIENT = "Patient"
_Links = dict[int, str]  # member -> Patient's id


def keepers(connection: Connection, hie: str, people: Collection[int]) -> dict[int, int]:
    """Person -> the member with whom everything is kept that concerns them and the HIE.

    Who is linked there: as somebody decided, else the person's own key, else the first of the others. What is
    sent and learnt stays with that member when the merge is undone.
    """
    whose, found = parts_of(connection, people), {person: person for person in people}
    if len(whose) == len(found):
        return found
    links = links_of(connection, hie, whose)
    of: dict[int, list[int]] = {}
    for member, person in whose.items():
        if member in links:
            of.setdefault(person, []).append(member)
    decided = _decided(connection, hie, [person for person, linked in of.items() if len(linked) > 1])
    for person, linked in of.items():
        found[person] = next((member for member in linked if links[member] == decided.get(person)), linked[0])
    return found


def links_of(connection: Connection, hie: str, members: Iterable[int]) -> _Links:
    """The Patients that these members are at an HIE."""
    table = core(Link)
    query = select(table.c.member_id, table.c.resource_id).where(table.c.hie == hie)
    return dict(among(connection, query, table.c.member_id, sorted(members)))


def by_resource(connection: Connection, rows: Sequence[Any]) -> dict[str, set[int]]:
    """resource id -> people, from rows of resource and member."""
    people = person_of(connection, {member for _, member in rows})
    found: dict[str, set[int]] = {}
    for resource, member in rows:
        found.setdefault(resource, set()).add(people[member])
    return found


def side_of(hie: str, patient: str) -> Side:
    """One Patient as the side of a case."""
    return Side(hie, "hie", "", ((PATIENT, patient),))


def _decided(connection: Connection, hie: str, people: Collection[int]) -> dict[int, str]:
    """Which Patient of the HIE somebody said that these people are."""
    settled, decisions, patterns = core(Settlement), core(StoredDecision), core(Pattern)
    query = select(settled.c.member_id, decisions.c.side, patterns.c.sides).order_by(decisions.c.id)
    query = query.join(decisions, decisions.c.id == settled.c.decision_id)
    query = query.join(patterns, patterns.c.id == decisions.c.pattern_id)
    query = query.where(decisions.c.undone_at == "", patterns.c.kind == LINKED_TWICE)
    chosen = (
        (person, decode_sides(sides)[side])
        for person, side, sides in among(connection, query, settled.c.member_id, sorted(people))
    )
    return {person: side.said[0][1] for person, side in chosen if side.partner == hie}
