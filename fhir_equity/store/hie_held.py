"""What the journal of an HIE says: its changes as they are kept, and what the HIE may hold from us after them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec
from msgspec import structs
from sqlalchemy import Connection, Select, and_, or_, select, true

from fhir_equity.store.merged import person_of
from fhir_equity.store.planned import QUARANTINED, SENT, UNSEEN, UNVERIFIED, VERIFIED, Planned
from fhir_equity.store.schema import JournalEntry, core

MAY_BE_THERE = (VERIFIED, QUARANTINED, SENT, UNVERIFIED)

_said = msgspec.json.Decoder(dict[str, str]).decode


def held(connection: Connection, hie: str, members: Collection[int] | None = None) -> dict[int, list[Planned]]:
    """member id -> what the HIE may hold from us, as changes that would withdraw it, by matter.

    That is what was seen there last, and what was sent and not seen. Of what is in a Patient `resource_id` says which,
    `UNSEEN` one whom nobody saw made; of Observations and Provenance it is empty. Of some `members`, else of all.
    """
    last: dict[tuple[int, str, str], Planned | None] = {}
    for each in planned(connection, _arrived_or_gone(hie, members)):
        place = _place(each)
        for matter, said in each.said.items():
            known_by = each.etag if place == UNSEEN else ""
            change = Planned(0, each.member_id, (matter,), "withdraw", place, known_by, {matter: said})
            last[each.member_id, place, matter] = None if each.action == "withdraw" else change
    found: dict[int, list[Planned]] = {}
    for (member, *_), held_still in last.items():
        if held_still is not None:
            found.setdefault(member, []).append(held_still)
    return found


def gone(connection: Connection, hie: str, members: Collection[int]) -> dict[int, set[str]]:
    """Change (its id) -> the matters of it that were withdrawn since, of what was sent about these members."""
    standing: dict[tuple[int, str, str], list[Planned]] = {}
    found: dict[int, set[str]] = {}
    for each in planned(connection, _arrived_or_gone(hie, members)):
        for said in each.said:
            place = (each.member_id, _place(each), said)
            if each.action != "withdraw":
                standing.setdefault(place, []).append(each)
                continue
            for sent in standing.pop(place, ()):  # who told a matter is not remembered under the matter's name
                found.setdefault(sent.id, set()).update(sent.matters if sent.action == "tell" else (said,))
    return found


def _arrived_or_gone(hie: str, members: Collection[int] | None) -> Select[Any]:
    """What may have arrived there, and what was withdrawn, in the order in which it was wanted."""
    journal = core(JournalEntry)
    gone = and_(journal.c.action == "withdraw", journal.c.status == VERIFIED)
    there = and_(journal.c.action != "withdraw", journal.c.status.in_(MAY_BE_THERE))
    whose = true() if members is None else journal.c.member_id.in_(members)
    return select(journal).where(journal.c.hie == hie, or_(gone, there), whose).order_by(journal.c.id)


def _place(change: Planned) -> str:
    if change.action in ("observe", "tell"):
        return ""
    return change.resource_id or (UNSEEN if change.action == "create" else "")


def planned(connection: Connection, query: Any) -> Iterator[Planned]:
    """The changes that a query of the journal finds, each with the person whom its member is."""
    changes = list(as_kept(connection, query))
    people = person_of(connection, {change.member_id for change in changes})
    for change in changes:
        yield structs.replace(change, member_id=people[change.member_id])


def as_kept(connection: Connection, query: Any) -> Iterator[Planned]:
    """The same, each with the member with whom it is kept."""
    for row in connection.execute(query).mappings():
        yield Planned(
            id=row["id"],
            member_id=row["member_id"],
            matters=tuple(row["matters"].split()),
            action=row["action"],
            resource_id=row["resource_id"],
            etag=row["etag"],
            said=_said(row["said"]),
            status=row["status"],
        )
