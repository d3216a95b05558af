"""Everything that members stated, as their resolutions are worked out from it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from fhir_equity.store.resolutions import Stated
from fhir_equity.store.rows import among
from fhir_equity.store.schema import StoredAnswer, core
from fhir_equity.store.withdrawn import withdrawn_answers


def stated_by(connection: Connection, members: Sequence[int]) -> dict[int, list[Stated]]:
    """By member, also of those who stated nothing; without what was withdrawn."""
    table = core(StoredAnswer)
    names = ("member_id", "matter", "event", "origin_id", "received_id", "first_seen", "id")
    stated: dict[int, list[Stated]] = {member: [] for member in members}
    query = select(*(table.c[name] for name in names)).order_by(table.c.id)
    withdrawn = withdrawn_answers(connection, members)
    for member, *said in among(connection, query, table.c.member_id, members):
        if said[-1] not in withdrawn:
            stated[member].append(tuple(said))
    return stated
