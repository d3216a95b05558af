"""What synchronising with one HIE must remember: links, plans, what we wrote, how far we pulled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects.sqlite import insert

from fhir_equity.store.connection import reading, writing
from fhir_equity.store.ingest import now
from fhir_equity.store.schema import Cursor, JournalEntry, Link, MemberIdentifier, StoredMember, core
from fhir_equity.store.schema import Written as WrittenRow


class Planned(Struct, frozen=True):
    """One change of a plan: what to do about which matters of one member, and what it rests on.

    `said` maps each matter to the fingerprint of what will be said; `etag` is the version of the
    HIE's resource that was looked at.
    """

    id: int
    member_id: int
    matters: tuple[str, ...]
    action: str
    resource_id: str
    etag: str
    said: str
    status: str = "planned"


class HieMemory:
    """The memory of one HIE."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def links(self) -> dict[int, tuple[str, str]]:
        """member id -> (resource id, etag last seen)."""
        table = core(Link)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._name))
            return {row.member_id: (row.resource_id, row.etag) for row in rows}

    def members_linked(self) -> dict[str, int]:
        """resource id -> member id."""
        return {resource: member for member, (resource, _) in self.links().items()}

    def link(self, member_id: int, resource_id: str, etag: str) -> None:
        """Remember which resource a member is, with its version."""
        statement = insert(core(Link)).values(hie=self._name, member_id=member_id, resource_id=resource_id, etag=etag)
        changed = {"resource_id": resource_id, "etag": etag}
        with writing(self._engine) as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["hie", "member_id"], set_=changed))

    def member_with(self, systems: Iterable[tuple[str, str]], partner: str) -> int | None:
        """The one member who has one of these identifiers (kind or system, value); None when unsure."""
        table, members = core(MemberIdentifier), core(StoredMember)
        found: set[int] = set()
        with reading(self._engine) as connection:
            for _, value in systems:
                query = select(members.c.id).join(table, table.c.member_id == members.c.id)
                query = query.where(members.c.partner == partner, table.c.value == value)
                found |= {int(i) for i in connection.execute(query).scalars()}
        return found.pop() if len(found) == 1 else None

    def begin_plan(self, changes: Iterable[dict[str, Any]], policy: str) -> str:
        """Write a plan to the journal before anything is sent; returns its name."""
        table = core(JournalEntry)
        with writing(self._engine) as connection:
            count = connection.execute(select(func.count(func.distinct(table.c.plan)))).scalar_one()
            plan = f"{self._name}-{count + 1}"
            rows = [
                {
                    "plan": plan,
                    "hie": self._name,
                    "policy": policy,
                    "status": "planned",
                    "planned_at": now(),
                    "done_at": "",
                    **change,
                }
                for change in changes
            ]
            if rows:
                connection.execute(table.insert(), rows)
        return plan

    def latest_plan(self) -> tuple[str, list[Planned]]:
        """The newest plan and its changes that are still to do; ("", []) when there is none."""
        table = core(JournalEntry)
        with reading(self._engine) as connection:
            plan = connection.execute(
                select(table.c.plan).where(table.c.hie == self._name).order_by(table.c.id.desc()).limit(1)
            ).scalar()
            if plan is None:
                return "", []
            query = select(table).where(table.c.plan == plan, table.c.status == "planned").order_by(table.c.id)
            rows = connection.execute(query).mappings().all()
        return plan, [
            Planned(
                id=row["id"],
                member_id=row["member_id"],
                matters=tuple(row["matters"].split()),
                action=row["action"],
                resource_id=row["resource_id"],
                etag=row["etag"],
                said=row["said"],
            )
            for row in rows
        ]

    def settle(self, change: Planned, status: str, written: dict[str, str]) -> None:
        """Record what became of a change, and what the HIE now holds from us (matter -> fingerprint)."""
        table, ours = core(JournalEntry), core(WrittenRow)
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == change.id).values(status=status, done_at=now()))
            for matter, said in written.items():
                row = insert(ours).values(
                    hie=self._name, member_id=change.member_id, matter=matter, said=said, at=now()
                )
                keys = ["hie", "member_id", "matter"]
                connection.execute(row.on_conflict_do_update(index_elements=keys, set_={"said": said, "at": now()}))

    def written(self) -> dict[tuple[int, str], str]:
        """(member id, matter) -> fingerprint of what we last wrote there: an equal answer is an echo."""
        table = core(WrittenRow)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._name))
            return {(row.member_id, row.matter): row.said for row in rows}

    def since(self) -> str:
        """How far the HIE has been pulled: an instant, or empty for never."""
        table = core(Cursor)
        with reading(self._engine) as connection:
            query = select(table.c.since).where(table.c.hie == self._name)
            return str(connection.execute(query).scalar() or "")

    def pulled(self, since: str) -> None:
        """Remember how far the HIE has been pulled."""
        row = insert(core(Cursor)).values(hie=self._name, since=since)
        with writing(self._engine) as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["hie"], set_={"since": since}))
