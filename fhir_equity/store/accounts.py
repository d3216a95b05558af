"""What the store can account for to an auditor, in counts: cases that wait or were decided, and disclosures."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Engine, func, select

from fhir_equity.store.connection import reading
from fhir_equity.store.handed_in import WAITING
from fhir_equity.store.schema import OptOut, Pattern, StoredCase, StoredDisclosure, StoredMember, core


class CaseCount(Struct, frozen=True):
    """How many cases of one kind and matter are in one state since one ISO date."""

    kind: str
    matter: str
    state: str
    since: str
    count: int

    @property
    def waits(self) -> bool:
        """Whether somebody has still to decide."""
        return self.state in WAITING


class Told(Struct, frozen=True):
    """How many `records` about how many `people` one recipient was told of `topics` under one rule, and how that ended.

    `first` and `last` are the moments at which it was first and last intended.
    """

    recipient: str
    purpose: str
    basis: str
    rule: str
    topics: tuple[str, ...]
    state: str
    records: int
    people: int
    first: str
    last: str


class Accounts:
    """The accounts of a store, of some partners or of all. Every method raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cases(self, partners: Sequence[str] | None = None) -> list[CaseCount]:
        """Cases by kind, matter, state and the day since when; an index is all that a count needs."""
        cases, patterns, members = core(StoredCase), core(Pattern), core(StoredMember)
        columns = (patterns.c.kind, patterns.c.matter, cases.c.state, func.substr(cases.c.since, 1, 10))
        query = select(*columns, func.count()).join(patterns, patterns.c.id == cases.c.pattern_id)
        if partners is not None:
            query = query.join(members, members.c.id == cases.c.member_id).where(members.c.partner.in_(partners))
        with reading(self._engine) as connection:
            return [CaseCount(*row) for row in connection.execute(query.group_by(*columns).order_by(*columns))]

    def disclosures(self, partners: Sequence[str] | None = None) -> list[Told]:
        """The account of disclosures by recipient, rule, topics and outcome."""
        table = core(StoredDisclosure)
        columns = [table.c[name] for name in ("recipient", "purpose", "basis", "rule", "topics", "state")]
        told = table.c.intended_at
        counts = (func.count(), func.count(table.c.pseudonym.distinct()), func.min(told), func.max(told))
        query = select(*columns, *counts).group_by(*columns).order_by(*columns)
        if partners is not None:
            query = query.where(table.c.partner.in_(partners))
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        names = Told.__struct_fields__
        return [Told(**{**dict(zip(names, row, strict=True)), "topics": tuple(row[4].split())}) for row in rows]

    def kept_back(self, partners: Sequence[str] | None = None) -> list[tuple[str, str, int]]:
        """(recipient, matter, members) of what members or their Consent keep back; empty words mean any."""
        table, members = core(OptOut), core(StoredMember)
        columns = (table.c.recipient, table.c.matter)
        query = select(*columns, func.count()).group_by(*columns).order_by(*columns)
        if partners is not None:
            query = query.join(members, members.c.id == table.c.member_id).where(members.c.partner.in_(partners))
        with reading(self._engine) as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query)]
