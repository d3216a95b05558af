"""Everything that members stated, as their resolutions are worked out from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from fhir_equity.store.merged import merged_among, parts_of
from fhir_equity.store.resolutions import Stated
from fhir_equity.store.rows import among
from fhir_equity.store.schema import StoredAnswer, core
from fhir_equity.store.withdrawn import withdrawn_answers


def stated_by(connection: Connection, people: Collection[int]) -> dict[int, list[Stated]]:
    """By person, also of those who stated nothing; without what was withdrawn."""
    table = core(StoredAnswer)
    names = ("member_id", "matter", "event", "origin_id", "received_id", "first_seen", "id")
    stated: dict[int, list[Stated]] = {person: [] for person in people}
    query = select(*(table.c[name] for name in names)).order_by(table.c.id)
    whose = parts_of(connection, people)
    withdrawn = withdrawn_answers(connection, list(whose))
    for member, *said in among(connection, query, table.c.member_id, list(whose)):
        if said[-1] not in withdrawn:
            stated[whose[member]].append(tuple(said))
    return stated


def stated_together(connection: Connection, stated: Mapping[int, list[Stated]]) -> dict[int, list[Stated]]:
    """What single members stated, with all that the people stated whom some of them were merged into."""
    many = merged_among(connection, list(stated))
    alone = {member: said for member, said in stated.items() if member not in many}
    return alone | stated_by(connection, sorted(set(many.values())))
