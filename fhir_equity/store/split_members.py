"""Who was split off, as a member: gone where undoing it leaves nothing of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlmodel import SQLModel

from fhir_equity.store.rows import slices
from fhir_equity.store.schema import (
    Beaten,
    Changed,
    OptOut,
    Saying,
    SayingPart,
    Sighting,
    SplitSighting,
    StoredCase,
    StoredDisclosure,
    StoredHold,
    StoredMember,
    StoredResolution,
    WithdrawnMember,
    core,
)

# What is worked out of a person's answers, or kept for nothing but them.
WORKED_OUT = (StoredResolution, Beaten, StoredCase, Changed, WithdrawnMember, OptOut)


def forget(connection: Connection, apart: int, member: int) -> bool:
    """Delete who was split off a member, where nothing is theirs but what the split gave them; whether it was so."""
    key, worked_out = core(StoredMember).c.id, [core(model) for model in WORKED_OUT]
    for table in SQLModel.metadata.sorted_tables:
        mine = [column for column in table.c if any(each.column is key for each in column.foreign_keys)]
        for column in mine if table not in worked_out else ():
            if connection.execute(select(column).where(column == apart).limit(1)).first() is not None:
                return False
    if _has_a_word_of_their_own(connection, apart, member):
        return False
    for table in worked_out:
        connection.execute(delete(table).where(table.c.member_id == apart))
    connection.execute(delete(core(StoredMember)).where(key == apart))
    return True


def _has_a_word_of_their_own(connection: Connection, apart: int, member: int) -> bool:
    """Whether they were told of, are under hold, keep back what the member does not, or have a handed-in case."""
    told, held, cases, kept = core(StoredDisclosure), core(StoredHold), core(StoredCase), core(OptOut)
    called = select(core(StoredMember).c.pseudonym).where(core(StoredMember).c.id == apart).scalar_subquery()
    queries: list[Any] = [
        select(told.c.id).where(told.c.pseudonym == called),
        select(held.c.id).where(held.c.pseudonym == called, held.c.released_at == ""),
        select(cases.c.member_id).where(cases.c.member_id == apart, cases.c.source != ""),
    ]
    if any(connection.execute(query.limit(1)).first() is not None for query in queries):
        return True
    columns = [column for column in kept.c if column.name not in ("member_id", "at")]
    of = [
        {tuple(row) for row in connection.execute(select(*columns).where(kept.c.member_id == one))}
        for one in (apart, member)
    ]
    return not of[0] <= of[1]


def forget_sayings(connection: Connection, sayings: Collection[int]) -> None:
    """Delete those of these sayings that nobody is met by any more."""
    seen, before, parts, table = core(Sighting), core(SplitSighting), core(SayingPart), core(Saying)
    for some in slices(sorted(set(sayings) - {0})):
        used = {
            number
            for column in (seen.c.saying_id, before.c.saying_id)
            for number in connection.execute(select(column).where(column.in_(some))).scalars()
        }
        unused = [number for number in some if number not in used]
        connection.execute(delete(parts).where(parts.c.saying_id.in_(unused)))
        connection.execute(delete(table).where(table.c.id.in_(unused)))
