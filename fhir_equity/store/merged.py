"""Who is one person under several keys: every member stays as they were sent, and is read as part of the person.

Nothing moves. What was said, sent or linked under a key stays with that member, whatever is merged, so that
undoing a merge is only to read them apart again, however much came in between.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from fhir_equity.store.rows import among
from fhir_equity.store.schema import Merge, Merged, Split, core


def is_merged(members: Any) -> ColumnElement[bool]:
    """The condition that a member of this table (or alias) is part of another person."""
    table = core(Merged)
    return select(table.c.member_id).where(table.c.member_id == members.c.id).exists()


def person_of(connection: Connection, members: Collection[int]) -> dict[int, int]:
    """Member -> the person they are: themselves, or whom they were merged into."""
    found = {member: member for member in members}
    if found and _any(connection):
        table = core(Merged)
        query = select(table.c.member_id, table.c.into_id)
        found |= dict(among(connection, query, table.c.member_id, sorted(found)))
    return found


def parts_of(connection: Connection, people: Collection[int]) -> dict[int, int]:
    """Member -> person, of everybody whom these people are, themselves first."""
    found = {person: person for person in people}
    if found and _any(connection):
        table = core(Merged)
        query = select(table.c.member_id, table.c.into_id).order_by(table.c.member_id)
        found |= dict(among(connection, query, table.c.into_id, sorted(found)))
    return found


def merged_among(connection: Connection, members: Sequence[int]) -> dict[int, int]:
    """Member -> person, of those of these members who are a person together with others."""
    people = person_of(connection, members)
    many = {person for member, person in parts_of(connection, set(people.values())).items() if member != person}
    return {member: person for member, person in people.items() if person in many}


def ever_merged(connection: Connection, members: Collection[int]) -> set[int]:
    """These members and everybody who ever was one person with one of them, also where that was undone."""
    table = core(Merge)
    beside: dict[int, list[int]] = {}
    for member, into in connection.execute(select(table.c.member_id, table.c.into_id)):
        beside.setdefault(member, []).append(into)
        beside.setdefault(into, []).append(member)
    parted = core(Split)
    for member, apart in connection.execute(select(parted.c.member_id, parted.c.apart_id).where(parted.c.apart_id > 0)):
        beside.setdefault(member, []).append(apart)
        beside.setdefault(apart, []).append(member)
    found, waiting = set(members), list(members)
    while waiting:
        new = [other for other in beside.get(waiting.pop(), ()) if other not in found]
        found.update(new)
        waiting += new
    return found


def _any(connection: Connection) -> bool:
    """Most stores have none, and then nothing else is asked."""
    return connection.execute(select(core(Merged).c.member_id).limit(1)).first() is not None
