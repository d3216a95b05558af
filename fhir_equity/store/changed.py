"""Who changed since when: a number that grows with every change, so that nobody else has to be looked at again."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import Connection, Engine, func, select

from fhir_equity.store.connection import reading
from fhir_equity.store.merged import person_of
from fhir_equity.store.rows import insert_new, upsert
from fhir_equity.store.schema import Changed, core


def touch(connection: Connection, members: Collection[int], *, new: bool = False) -> None:
    """Note, within an open write transaction, that something about these members changed.

    Answers, who they are, what was decided about them, what they keep back. `new` members have no note yet.
    The note is the person's whom a member was merged into.
    """
    if not members:
        return
    number = newest(connection) + 1
    people = members if new else set(person_of(connection, members).values())
    rows = [{"member_id": member, "number": number} for member in sorted(people)]
    if new:
        insert_new(connection, Changed, rows)
    else:
        upsert(connection, Changed, ("member_id",), rows)


def newest(connection: Connection) -> int:
    """The number of the latest change; 0 where there was none."""
    return int(connection.execute(select(func.coalesce(func.max(core(Changed).c.number), 0))).scalar_one())


def changed_since(engine: Engine, number: int) -> Iterator[int]:
    """The members who changed after a number."""
    table = core(Changed)
    with reading(engine) as connection:
        yield from connection.execute(select(table.c.member_id).where(table.c.number > number)).scalars()
