"""Dependents whose subscriber nobody has seen: neither in their chunk nor among the people of the partner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from fhir_equity.model import Locator, Member
from fhir_equity.store.kept import kept_of
from fhir_equity.store.rows import slices
from fhir_equity.store.schema import MemberIdentifier, StoredMember, core

Orphan = tuple[str, Locator]  # the subscriber's number, and where the dependent stands


def orphans(connection: Connection, partner: str, members: Sequence[Member]) -> list[Orphan]:
    """The dependents among the members of a chunk, already written, whose subscriber is not known yet."""
    named = {member.enrollment.subscriber_key for member in members if member.enrollment.subscriber} | {""}
    alone = [
        (member.enrollment.subscriber_key, Locator("", member.unit, member.number, member.offset))
        for member in members
        if not member.enrollment.subscriber and member.enrollment.subscriber_key not in named
    ]
    return still_orphans(connection, partner, alone)


def still_orphans(connection: Connection, partner: str, found: Sequence[Orphan]) -> list[Orphan]:
    """Those whose subscriber is not known by now: the subscriber may come after the dependents."""
    known = _subscribers(connection, partner, {number for number, _ in found})
    return [orphan for orphan in found if orphan[0] not in known]


def _subscribers(connection: Connection, partner: str, numbers: Iterable[str]) -> set[str]:
    """Those numbers that are an identifier of a subscriber, whatever kind the partner keeps it as."""
    people, known = core(StoredMember), core(MemberIdentifier)
    query = select(known.c.value, people.c.details).join(people, people.c.id == known.c.member_id)
    found: set[str] = set()
    for some in slices(sorted(numbers)):
        rows = connection.execute(query.where(known.c.value.in_(some), people.c.partner == partner))
        found.update(value for value, details in rows if kept_of(details).enrollment.subscriber)
    return found
