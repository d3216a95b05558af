"""What synchronising with one HIE must remember: links, plans, what we wrote, how far we pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Select, and_, bindparam, delete, func, select, update

from fhir_equity.store import disclosures
from fhir_equity.store.changed import touch
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.disclosures import Disclosure, Disclosures
from fhir_equity.store.hie_members import by_resource, keepers
from fhir_equity.store.hie_standing import Standing
from fhir_equity.store.merged import parts_of, person_of
from fhir_equity.store.planned import PLANNED as PLANNED
from fhir_equity.store.planned import QUARANTINED as QUARANTINED
from fhir_equity.store.planned import SENT as SENT
from fhir_equity.store.planned import VERIFIED as VERIFIED
from fhir_equity.store.planned import Known as Known
from fhir_equity.store.planned import Planned as Planned
from fhir_equity.store.planned import There as There
from fhir_equity.store.planned import digest_of as digest_of
from fhir_equity.store.rows import among, now, slices, upsert
from fhir_equity.store.schema import Cursor, JournalEntry, Link, MemberIdentifier, Observed, StoredPlan, core
from fhir_equity.store.schema import Written as WrittenRow

# What became of what was disclosed; after anything else it may have arrived.
_BECAME = {VERIFIED: disclosures.VERIFIED, "moved": disclosures.FAILED, "refused": disclosures.FAILED}

_said = msgspec.json.Decoder(dict[str, str]).decode


class HieMemory:
    """The memory of one HIE. Every method raises StoreError, StoreLockedError."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._disclosures = Disclosures(engine)
        self.standing = Standing(engine, name)

    def links(self) -> dict[int, There]:
        """member id -> (resource id, etag last seen)."""
        table = core(Link)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._name))
            there = {row.member_id: (row.resource_id, row.etag) for row in rows}
            people = set(person_of(connection, there).values())
            return {person: there[member] for person, member in keepers(connection, self._name, people).items()}

    def members_linked(self) -> dict[str, set[int]]:
        """resource id -> member ids."""
        table = core(Link)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table.c.resource_id, table.c.member_id).where(table.c.hie == self._name))
            return by_resource(connection, rows.all())

    def known(self, members: Sequence[int]) -> dict[int, Known]:
        """What is remembered about some members."""
        found = {member: Known() for member in members}
        links, ours, seen, journal = core(Link), core(WrittenRow), core(Observed), core(JournalEntry)
        with reading(self._engine) as connection:
            whose = {member: person for person, member in keepers(connection, self._name, members).items()}
            for some in slices(list(whose)):
                for row in connection.execute(self._of(links, some)):
                    found[whose[row.member_id]].link = (row.resource_id, row.etag)
                for row in connection.execute(self._of(ours, some)):
                    found[whose[row.member_id]].written[row.matter] = row.said
                for row in connection.execute(self._of(seen, some)):
                    found[whose[row.member_id]].observed[(row.matter, row.number)] = (row.resource_id, row.etag)
                open_ = self._of(journal, some).where(journal.c.status == SENT).order_by(journal.c.id)
                for change in _planned(connection, open_):
                    found[change.member_id].sent.append(change)
                tried = self._of(journal, some).where(journal.c.status.in_((VERIFIED, QUARANTINED)))
                for change in _planned(connection, tried.order_by(journal.c.id)):
                    kept = change.status == VERIFIED
                    found[change.member_id].unkept |= {m: "" if kept else said for m, said in change.said.items()}
        return found

    def _of(self, table: Any, members: Sequence[int]) -> Select[Any]:
        return select(table).where(table.c.hie == self._name, table.c.member_id.in_(members))

    def begin_plan(
        self,
        changes: Iterable[Planned],
        policy: str,
        found: Mapping[int, There],
        beside: Callable[[Connection], None] = lambda _: None,
    ) -> str:
        """Write a plan and the links it `found` before anything is sent; returns its name.

        What an earlier plan left undone is superseded: it was decided on what has been looked at again.
        `beside` writes more in the same transaction.
        """
        plans, journal = core(StoredPlan), core(JournalEntry)
        left = and_(journal.c.hie == self._name, journal.c.status == PLANNED)
        with writing(self._engine) as connection:
            touch(connection, set(connection.execute(select(journal.c.member_id).where(left)).scalars()))
            connection.execute(update(journal).where(left).values(status="superseded", done_at=now()))
            number = connection.execute(select(func.count()).select_from(plans)).scalar_one() + 1
            name = f"{self._name}-{number}"
            wanted = self._kept(connection, list(changes))
            about = {"hie": self._name, "policy": policy, "made_at": now(), "digest": digest_of(wanted)}
            connection.execute(plans.insert().values(name=name, **about))
            rows = [self._row(change, name, policy) for change in wanted]
            if rows:
                connection.execute(journal.insert(), rows)
            keeping = keepers(connection, self._name, found)
            self._link(connection, {keeping[person]: there for person, there in found.items()})
            beside(connection)
        return name

    def _kept(self, connection: Connection, changes: Sequence[Planned]) -> list[Planned]:
        """Changes as they are kept: with the member whom the HIE knows a person by."""
        keeping = keepers(connection, self._name, {change.member_id for change in changes})
        return [msgspec.structs.replace(change, member_id=keeping[change.member_id]) for change in changes]

    def undone(self) -> set[int]:
        """The members about whom a plan wants something that was not done, or not read back."""
        journal = core(JournalEntry)
        query = select(journal.c.member_id).where(journal.c.status.in_((PLANNED, SENT)), journal.c.hie == self._name)
        with reading(self._engine) as connection:
            return set(person_of(connection, set(connection.execute(query).scalars())).values())

    def has_observed(self) -> bool:
        """Whether we ever made an Observation there."""
        table = core(Observed)
        with reading(self._engine) as connection:
            return connection.execute(select(table.c.hie).where(table.c.hie == self._name).limit(1)).first() is not None

    def members_of(self, resources: Sequence[str]) -> dict[str, set[int]]:
        """resource id -> the members who are that Patient, or of whom that Observation of ours is."""
        rows: list[Any] = []
        with reading(self._engine) as connection:
            for table in (core(Link), core(Observed)):
                query = select(table.c.resource_id, table.c.member_id).where(table.c.hie == self._name)
                rows += among(connection, query, table.c.resource_id, resources)
            return by_resource(connection, rows)

    def named(self, values: Sequence[str]) -> set[int]:
        """The members who have one of these identifiers (values) in our own records."""
        table = core(MemberIdentifier)
        with reading(self._engine) as connection:
            rows = among(connection, select(table.c.member_id), table.c.value, values)
            return set(person_of(connection, {member for (member,) in rows}).values())

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

    def is_as_planned(self, name: str) -> bool:
        """Whether the journal still wants what a plan wanted when it was made; so does one of an older layout."""
        plans, journal = core(StoredPlan), core(JournalEntry)
        with reading(self._engine) as connection:
            said = connection.execute(select(plans.c.digest).where(plans.c.name == name)).scalar()
            rows = select(journal).where(journal.c.plan == name).order_by(journal.c.id)
            return not said or said == digest_of(_as_kept(connection, rows))

    def sent(self) -> list[Planned]:
        """The changes of any plan that were interrupted after the request may have left."""
        journal = core(JournalEntry)
        query = select(journal).where(journal.c.hie == self._name, journal.c.status == SENT)
        with reading(self._engine) as connection:
            return list(_planned(connection, query.order_by(journal.c.id)))

    def sending(self, change: Planned, disclosed: Iterable[Disclosure] = ()) -> None:
        """Record that a change is about to be sent, and what it discloses, so that an interruption leaves a trace."""
        journal = core(JournalEntry)
        with writing(self._engine) as connection:
            connection.execute(update(journal).where(journal.c.id == change.id).values(status=SENT))
            self._disclosures.intend(disclosed, connection=connection)

    def held(self) -> dict[int, list[Planned]]:
        """member id -> what the HIE was last seen to hold from us, as changes that would withdraw it, by matter.

        Of what is in a Patient `resource_id` says which; of Observations it is empty.
        """
        journal = core(JournalEntry)
        done = and_(journal.c.hie == self._name, journal.c.status.in_((VERIFIED, QUARANTINED)))
        last: dict[tuple[int, str, str], Planned | None] = {}
        with reading(self._engine) as connection:
            for each in _planned(connection, select(journal).where(done).order_by(journal.c.id)):
                resource = "" if each.action == "observe" else each.resource_id
                for matter, said in each.said.items():
                    change = Planned(0, each.member_id, (matter,), "withdraw", resource, "", {matter: said})
                    last[each.member_id, resource, matter] = None if each.action == "withdraw" else change
        found: dict[int, list[Planned]] = {}
        for (member, *_), held in last.items():
            if held is not None:
                found.setdefault(member, []).append(held)
        return found

    def withdrawn(self, change: Planned, status: str, pseudonym: str) -> None:
        """Record what became of withdrawing something, in the account of disclosures too."""
        journal, ours = core(JournalEntry), core(WrittenRow)
        with writing(self._engine) as connection:
            done = {"status": status, "done_at": now()}
            connection.execute(update(journal).where(journal.c.id == change.id).values(**done))
            touch(connection, {change.member_id})
            if status == VERIFIED:
                theirs = ours.c.member_id.in_(parts_of(connection, {change.member_id}))
                mine = and_(ours.c.hie == self._name, theirs)
                connection.execute(delete(ours).where(mine, ours.c.matter.in_(change.matters)))
        if status == VERIFIED:
            self._account(pseudonym, set(change.matters))

    def _account(self, pseudonym: str, withdrawn: set[str]) -> None:
        """Say of every disclosure to this HIE of nothing but what is withdrawn now that it was recalled."""
        for each in self._disclosures.of(pseudonym):
            mine = each.transmission.startswith(f"{self._name}/")
            if mine and set(each.topics) <= withdrawn and each.state != disclosures.RECALLED:
                self._disclosures.settle(each.transmission, disclosures.RECALLED, [pseudonym])

    def transmission(self, change: Planned) -> str:
        """The name under which the account of disclosures has a change."""
        return f"{self._name}/{change.id}"

    def settle(
        self,
        change: Planned,
        status: str,
        held: Mapping[str, str] | None = None,
        there: There | None = None,
        observed: Mapping[tuple[str, int], There] | None = None,
    ) -> None:
        """Record what became of a change, what the HIE holds from us (matter -> fingerprint), and where.

        `there` is the Patient, `observed` are our Observations by matter and number.
        """
        journal = core(JournalEntry)
        values = {"status": status, "done_at": now()} | ({"resource_id": there[0]} if there else {})
        with writing(self._engine) as connection:
            connection.execute(update(journal).where(journal.c.id == change.id).values(**values))
            became = _BECAME.get(status, disclosures.SENT)
            self._disclosures.settle(self.transmission(change), became, connection=connection)
            if status != VERIFIED:
                touch(connection, {change.member_id})
            (kept,) = self._kept(connection, [change])
            if there:
                self._link(connection, {kept.member_id: there})
            whose = {"hie": self._name, "member_id": kept.member_id}
            rows = [{**whose, "matter": matter, "said": said, "at": now()} for matter, said in (held or {}).items()]
            upsert(connection, WrittenRow, ("hie", "member_id", "matter"), rows)
            seen = [
                {**whose, "matter": matter, "number": number, "resource_id": key, "etag": etag}
                for (matter, number), (key, etag) in (observed or {}).items()
            ]
            upsert(connection, Observed, ("hie", "member_id", "matter", "number"), seen)

    def is_made_by_us(self, resource: str) -> bool:
        """Whether we made a resource there."""
        journal = core(JournalEntry)
        mine = select(journal.c.id).where(journal.c.hie == self._name, journal.c.action == "create")
        with reading(self._engine) as connection:
            return connection.execute(mine.where(journal.c.resource_id == resource).limit(1)).first() is not None

    def written(self) -> dict[tuple[int, str], str]:
        """(member id, matter) -> fingerprint of what we last wrote there."""
        table = core(WrittenRow)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._name)).all()
            people = set(person_of(connection, {row.member_id for row in rows}).values())
            whose = {member: person for person, member in keepers(connection, self._name, people).items()}
            return {(whose[row.member_id], row.matter): row.said for row in rows if row.member_id in whose}

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
    """The changes of a query, each with the person whom its member is."""
    changes = list(_as_kept(connection, query))
    people = person_of(connection, {change.member_id for change in changes})
    for change in changes:
        yield msgspec.structs.replace(change, member_id=people[change.member_id])


def _as_kept(connection: Connection, query: Any) -> Iterator[Planned]:
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
