"""What synchronising with one HIE must remember: links, plans, what we wrote, how far we pulled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, select, update
from sqlmodel import Field, SQLModel

from fhir_equity.store.connection import reading, writing
from fhir_equity.store.rows import now, upsert
from fhir_equity.store.schema import Cursor, JournalEntry, Link, core
from fhir_equity.store.schema import Written as WrittenRow

PLANNED = "planned"
SENT = "sent"  # a request has left, or was about to, and its outcome was not recorded yet
There = tuple[str, str]  # resource id, etag

_said = msgspec.json.Decoder(dict[str, str]).decode


class StoredPlan(SQLModel, table=True):
    """A plan, also one without a change; what it wants done is in the journal under its name."""

    __tablename__ = "plan"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    hie: str = Field(index=True)
    policy: str
    made_at: str


class Planned(Struct, frozen=True):
    """One change of a plan: what to do about which matters of one member, and what it rests on.

    `said` maps each matter to the fingerprint of what will be said; `etag` is the version of the
    HIE's resource that was looked at. `status` is ``planned`` or ``sent``.
    """

    id: int
    member_id: int
    matters: tuple[str, ...]
    action: str
    resource_id: str
    etag: str
    said: dict[str, str]
    status: str = PLANNED

    def __repr__(self) -> str:
        return f"Planned({self.id}, {self.action}, {self.status})"


class HieMemory:
    """The memory of one HIE. Every method raises StoreError, StoreLockedError."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def links(self) -> dict[int, There]:
        """member id -> (resource id, etag last seen)."""
        table = core(Link)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._name))
            return {row.member_id: (row.resource_id, row.etag) for row in rows}

    def members_linked(self) -> dict[str, set[int]]:
        """resource id -> member ids."""
        members: dict[str, set[int]] = {}
        for member, (resource, _) in self.links().items():
            members.setdefault(resource, set()).add(member)
        return members

    def begin_plan(self, changes: Iterable[Planned], policy: str, found: Mapping[int, There]) -> str:
        """Write a plan and the links it `found` before anything is sent; returns its name.

        What an earlier plan left undone is superseded: it was decided on what has been looked at again.
        """
        plans, journal = core(StoredPlan), core(JournalEntry)
        left = update(journal).where(journal.c.hie == self._name, journal.c.status == PLANNED)
        with writing(self._engine) as connection:
            connection.execute(left.values(status="superseded", done_at=now()))
            number = connection.execute(select(func.count()).select_from(plans)).scalar_one() + 1
            name = f"{self._name}-{number}"
            connection.execute(plans.insert().values(name=name, hie=self._name, policy=policy, made_at=now()))
            rows = [self._row(change, name, policy) for change in changes]
            if rows:
                connection.execute(journal.insert(), rows)
            self._link(connection, found)
        return name

    def _row(self, change: Planned, plan: str, policy: str) -> dict[str, Any]:
        return {
            "plan": plan,
            "hie": self._name,
            "policy": policy,
            "member_id": change.member_id,
            "matters": " ".join(change.matters),
            "action": change.action,
            "resource_id": change.resource_id,
            "etag": change.etag,
            "said": msgspec.json.encode(change.said).decode(),
            "status": PLANNED,
            "planned_at": now(),
            "done_at": "",
        }

    def _link(self, connection: Connection, found: Mapping[int, There]) -> None:
        """Remember which resource each member is; what we wrote into another one is no longer theirs."""
        if not found:
            return
        links, ours = core(Link), core(WrittenRow)
        rows = [{"hie": self._name, "member_id": m, "resource_id": r, "etag": e} for m, (r, e) in found.items()]
        moved = and_(links.c.member_id == ours.c.member_id, links.c.resource_id != bindparam("now"))
        elsewhere = select(links.c.member_id).where(links.c.hie == self._name, moved).exists()
        forget = delete(ours).where(ours.c.hie == self._name, ours.c.member_id == bindparam("who"), elsewhere)
        connection.execute(forget, [{"who": m, "now": r} for m, (r, _) in found.items()])
        upsert(connection, Link, ("hie", "member_id"), rows)

    def latest_plan(self) -> tuple[str, list[Planned]]:
        """The newest plan and its changes that are still to do; ("", []) when there is none."""
        plans, journal = core(StoredPlan), core(JournalEntry)
        newest = select(plans.c.name).where(plans.c.hie == self._name).order_by(plans.c.id.desc()).limit(1)
        with reading(self._engine) as connection:
            name = str(connection.execute(newest).scalar() or "")
            open_ = select(journal).where(journal.c.plan == name, journal.c.status.in_((PLANNED, SENT)))
            return name, list(_planned(connection, open_.order_by(journal.c.id)))

    def sent(self) -> list[Planned]:
        """The changes of any plan that were interrupted after the request may have left."""
        journal = core(JournalEntry)
        query = select(journal).where(journal.c.hie == self._name, journal.c.status == SENT)
        with reading(self._engine) as connection:
            return list(_planned(connection, query.order_by(journal.c.id)))

    def sending(self, change: Planned) -> None:
        """Record that a change is about to be sent, so that an interruption leaves a trace."""
        journal = core(JournalEntry)
        with writing(self._engine) as connection:
            connection.execute(update(journal).where(journal.c.id == change.id).values(status=SENT))

    def settle(
        self, change: Planned, status: str, held: Mapping[str, str] | None = None, there: There | None = None
    ) -> None:
        """Record what became of a change, what the HIE holds from us (matter -> fingerprint), and where."""
        journal = core(JournalEntry)
        values = {"status": status, "done_at": now()} | ({"resource_id": there[0]} if there else {})
        with writing(self._engine) as connection:
            connection.execute(update(journal).where(journal.c.id == change.id).values(**values))
            if there:
                self._link(connection, {change.member_id: there})
            whose = {"hie": self._name, "member_id": change.member_id}
            rows = [{**whose, "matter": matter, "said": said, "at": now()} for matter, said in (held or {}).items()]
            upsert(connection, WrittenRow, ("hie", "member_id", "matter"), rows)

    def created(self) -> set[str]:
        """The ids of the resources that we made there."""
        journal = core(JournalEntry)
        query = select(journal.c.resource_id).where(journal.c.hie == self._name, journal.c.action == "create")
        with reading(self._engine) as connection:
            return {found for found in connection.execute(query).scalars() if found}

    def written(self) -> dict[tuple[int, str], str]:
        """(member id, matter) -> fingerprint of what we last wrote there."""
        table = core(WrittenRow)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._name))
            return {(row.member_id, row.matter): row.said for row in rows}

    def echoes(self) -> dict[tuple[int, str], set[str]]:
        """(member id, matter) -> fingerprints that are our own word: written, or sent when we were interrupted."""
        found = {key: {said} for key, said in self.written().items()}
        for change in self.sent():
            for matter, said in change.said.items():
                found.setdefault((change.member_id, matter), set()).add(said)
        return found

    def since(self) -> str:
        """How far the HIE has been pulled: an instant, or empty for never."""
        table = core(Cursor)
        with reading(self._engine) as connection:
            query = select(table.c.since).where(table.c.hie == self._name)
            return str(connection.execute(query).scalar() or "")

    def pulled(self, since: str) -> None:
        """Remember how far the HIE has been pulled."""
        with writing(self._engine) as connection:
            upsert(connection, Cursor, ("hie",), [{"hie": self._name, "since": since}])


def _planned(connection: Connection, query: Any) -> Iterator[Planned]:
    for row in connection.execute(query).mappings():
        yield Planned(
            id=row["id"],
            member_id=row["member_id"],
            matters=tuple(row["matters"].split()),
            action=row["action"],
            resource_id=row["resource_id"],
            etag=row["etag"],
            said=_said(row["said"]),
            status=row["status"],
        )
