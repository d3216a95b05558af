"""Cases: what people have to decide, grouped by what they have in common. `decisions` settle them.

Cases about answers are worked out with the resolutions of a member and written in the same transactions.
Others are handed in (`handed_in`) by who met them, such as synchronising with an HIE.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, Integer, func, select

from fhir_equity.model import Side
from fhir_equity.store.connection import reading
from fhir_equity.store.handed_in import WAITING
from fhir_equity.store.patterns import decode_sides
from fhir_equity.store.resolutions import Judge
from fhir_equity.store.schema import Pattern, StoredCase, StoredMember, core

MOST = 1000  # cases in one list
Judges = Callable[[str], Judge]  # by partner


class Group(Struct, frozen=True):
    """A pattern with how many of its cases wait and how many are decided."""

    pattern: int
    kind: str
    matter: str
    sides: tuple[Side, ...]
    waiting: int
    decided: int


class Case(Struct, frozen=True):
    """A pattern that applies to one member. `source` is empty for what the answers say, else who handed it in."""

    pattern: int
    kind: str
    matter: str
    member: int
    pseudonym: str
    partner: str
    source: str
    state: str
    since: str


class Cases:
    """The cases of a store. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def groups(self, *, every: bool = False, pattern: int = 0) -> list[Group]:
        """The patterns with cases that wait, or `every` one with a case, the most frequent first; or just one."""
        with reading(self._engine) as connection:
            rows = connection.execute(group_query(pattern)).all()
        found = [Group(a, b, c, decode_sides(sides), waiting, decided) for a, b, c, sides, waiting, decided in rows]
        kept = [group for group in found if every or group.waiting]
        return sorted(kept, key=lambda group: (-group.waiting, -group.decided, group.pattern))

    def cases(self, pattern: int = 0, *, every: bool = False, limit: int = MOST) -> list[Case]:
        """The cases that wait, or `every` one, of one pattern or of all, by pattern and member; at most `limit`."""
        with reading(self._engine) as connection:
            return [Case(*row) for row in connection.execute(case_query(pattern, every=every, limit=limit))]


def group_query(pattern: int = 0) -> Any:
    """The patterns with their counts; an index has both."""
    cases, patterns = core(StoredCase), core(Pattern)
    waiting = func.sum(cases.c.state.in_(WAITING).cast(Integer))
    counted = select(cases.c.pattern_id, waiting.label("waiting"), func.count().label("all"))
    counted = counted.where(cases.c.pattern_id == pattern) if pattern else counted
    counts = counted.group_by(cases.c.pattern_id).subquery()
    columns = (patterns.c.id, patterns.c.kind, patterns.c.matter, patterns.c.sides, counts.c.waiting)
    return select(*columns, counts.c.all - counts.c.waiting).join(counts, counts.c.pattern_id == patterns.c.id)


def case_query(pattern: int = 0, *, every: bool = False, limit: int = MOST) -> Any:
    """Single cases, by pattern and member: an index has them in that order, and only those listed are looked up."""
    table, patterns, members = core(StoredCase), core(Pattern), core(StoredMember)
    first = select(table).where(table.c.pattern_id == pattern) if pattern else select(table)
    first = first if every else first.where(table.c.state.in_(WAITING))
    cases = first.order_by(table.c.pattern_id, table.c.member_id).limit(limit).subquery()
    who = (members.c.id, members.c.pseudonym, members.c.partner)
    query = select(
        patterns.c.id, patterns.c.kind, patterns.c.matter, *who, cases.c.source, cases.c.state, cases.c.since
    )
    query = query.select_from(cases).join(patterns, patterns.c.id == cases.c.pattern_id)
    query = query.join(members, members.c.id == cases.c.member_id)
    return query.order_by(cases.c.pattern_id, cases.c.member_id)


def waiting_of(connection: Connection, pattern: int, pseudonym: str) -> list[Any]:
    """(partner, id, source) of the members of whom a case of a pattern waits, or of the one with this pseudonym."""
    cases, members = core(StoredCase), core(StoredMember)
    query = select(members.c.partner, members.c.id, cases.c.source).join(cases, cases.c.member_id == members.c.id)
    query = query.where(cases.c.pattern_id == pattern, cases.c.state.in_(WAITING)).order_by(members.c.id)
    return list(connection.execute(query.where(members.c.pseudonym == pseudonym) if pseudonym else query))
