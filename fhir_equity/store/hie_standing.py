"""How everybody stands with an HIE: kept per member, counted as it moves, so that a plan looks at few and knows all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct, field
from sqlalchemy import Connection, Engine, delete, func, select

from fhir_equity.store.changed import changed_since, newest
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.rows import among, slices, upsert
from fhir_equity.store.schema import PlannedThrough, StandingCount, StoredMember, core
from fhir_equity.store.schema import Standing as StandingRow

Count = tuple[str, str, str]  # kind, matter, reason
MEMBERS = ("members", "", "")


class Outcome(Struct):
    """How one member stands: what is agreed (matter -> fingerprint), withheld (matter -> reason), left alone.

    `last` is what both sides agreed on last about each matter, also where they no longer do. `asked` is what was
    known (``KIND MATTER`` -> a digest) when a person was asked to decide.
    """

    agreed: dict[str, str] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    theirs: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)  # (matter, reason)
    unmatched: bool = False
    asked: dict[str, str] = field(default_factory=dict)

    def counts(self) -> Counter[Count]:
        """What the member adds to the totals."""
        found: Counter[Count] = Counter({MEMBERS: 1})
        found["agreed", "", ""] = len(self.agreed)
        found["unmatched", "", ""] = int(self.unmatched)
        found.update(("withheld", matter, reason) for matter, reason in self.withheld.items())
        found.update(("theirs", matter, "") for matter in self.theirs)
        return +found


class Through(Struct, frozen=True):
    """How far a plan has looked: changes here up to `number` and there until `since`, by `edition`, on `as_of`."""

    edition: str
    as_of: str
    number: int
    since: str


_decode = msgspec.json.Decoder(Outcome).decode


class Standing:
    """How everybody stands with one HIE. Every method raises StoreError, StoreLockedError."""

    def __init__(self, engine: Engine, hie: str) -> None:
        self._engine, self._hie = engine, hie

    def through(self) -> Through | None:
        """How far the last whole plan has looked."""
        table = core(PlannedThrough)
        with reading(self._engine) as connection:
            row = connection.execute(select(table).where(table.c.hie == self._hie)).first()
        return None if row is None else Through(row.edition, row.as_of, row.number, row.since)

    def newest(self) -> int:
        """The number of the latest change here."""
        with reading(self._engine) as connection:
            return newest(connection)

    def changed_since(self, number: int) -> Iterator[int]:
        """The members who changed here after a number."""
        return changed_since(self._engine, number)

    def of(self, members: Sequence[int]) -> dict[int, Outcome]:
        """How some members stood last."""
        with reading(self._engine) as connection:
            return self._of(connection, members)

    def _of(self, connection: Connection, members: Sequence[int]) -> dict[int, Outcome]:
        table = core(StandingRow)
        query = select(table.c.member_id, table.c.outcome).where(table.c.hie == self._hie)
        found: dict[int, Outcome] = {}
        for some in slices(members):
            rows = connection.execute(query.where(table.c.member_id.in_(some)))
            found.update((row.member_id, _decode(row.outcome)) for row in rows)
        return found

    def totals(self, moved: Mapping[int, Outcome]) -> Counter[Count]:
        """How many stand how, once these members have moved."""
        table = core(StandingCount)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._hie))
            found: Counter[Count] = Counter({(row.kind, row.matter, row.reason): row.count for row in rows})
            found.update(_difference(self._of(connection, sorted(moved)), moved))
        return +found

    def open(self) -> int:
        """Of how many members something is left to a person to decide."""
        table = core(StandingRow)
        query = select(func.count()).select_from(table).where(table.c.hie == self._hie, table.c.open)
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def open_but(self, moved: Iterable[int]) -> list[tuple[str, str, str]]:
        """(pseudonym, matter, reason) of what is left alone about everybody but these members."""
        table, members, passed = core(StandingRow), core(StoredMember), set(moved)
        query = select(members.c.pseudonym, table.c.member_id, table.c.outcome).join(
            members, members.c.id == table.c.member_id
        )
        query = query.where(table.c.hie == self._hie, table.c.open).order_by(table.c.member_id)
        with reading(self._engine) as connection:
            rows = [row for row in connection.execute(query) if row.member_id not in passed]
        return [(row.pseudonym, matter, reason) for row in rows for matter, reason in _decode(row.outcome).left]

    def write(self, moved: Mapping[int, Outcome]) -> None:
        """Write how members stand in a transaction of its own."""
        with writing(self._engine) as connection:
            self.move(connection, moved)

    def move(self, connection: Connection, moved: Mapping[int, Outcome], through: Through | None = None) -> None:
        """Write how members stand now and, where a plan has come to its end, how far it looked."""
        self._count(connection, _difference(self._of(connection, sorted(moved)), moved))
        standing = [
            {
                "hie": self._hie,
                "member_id": member,
                "outcome": msgspec.json.encode(outcome).decode(),
                "open": bool(outcome.left),
            }
            for member, outcome in moved.items()
        ]
        upsert(connection, StandingRow, ("hie", "member_id"), standing)
        if through is not None:
            row = {name: getattr(through, name) for name in through.__struct_fields__}
            upsert(connection, PlannedThrough, ("hie",), [{"hie": self._hie, **row}])

    def leave(self, connection: Connection, members: Sequence[int]) -> None:
        """Forget how members stood, who are nobody of their own any more."""
        table = core(StandingRow)
        gone = self._of(connection, members)
        fewer: Counter[Count] = Counter()
        for each in gone.values():
            fewer.subtract(each.counts())
        self._count(connection, fewer)
        connection.execute(delete(table).where(table.c.hie == self._hie, table.c.member_id.in_(sorted(gone))))

    def _count(self, connection: Connection, moving: Counter[Count]) -> None:
        table = core(StandingCount)
        counted = connection.execute(select(table).where(table.c.hie == self._hie))
        counts = Counter({(row.kind, row.matter, row.reason): row.count for row in counted})
        counts.update(moving)
        names = ("kind", "matter", "reason")
        rows = [{"hie": self._hie, **dict(zip(names, key, strict=True)), "count": counts[key]} for key in moving]
        upsert(connection, StandingCount, ("hie", *names), rows)
        connection.execute(delete(table).where(table.c.hie == self._hie, table.c.count == 0))


def asked_of(connection: Connection, hie: str, members: Sequence[int]) -> dict[int, dict[str, str]]:
    """What was known when a person was last asked to decide about some members."""
    table = core(StandingRow)
    query = select(table.c.member_id, table.c.outcome).where(table.c.hie == hie)
    return {member: _decode(outcome).asked for member, outcome in among(connection, query, table.c.member_id, members)}


def _difference(before: Mapping[int, Outcome], after: Mapping[int, Outcome]) -> Counter[Count]:
    found: Counter[Count] = Counter()
    for member, outcome in after.items():
        found.update(outcome.counts())
        if member in before:
            found.subtract(before[member].counts())
    return Counter({key: count for key, count in found.items() if count})
