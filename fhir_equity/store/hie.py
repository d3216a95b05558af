"""What synchronising with one HIE must remember: links, plans, what we wrote, how far we pulled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, func, or_, select

from fhir_equity.store.connection import alone, reading, writing
from fhir_equity.store.handed_in import Choice, Opening, choices_of, hand_in, source_of
from fhir_equity.store.hie_held import planned
from fhir_equity.store.hie_journal import Journal
from fhir_equity.store.hie_members import by_resource, keepers
from fhir_equity.store.hie_runs import Runs
from fhir_equity.store.hie_standing import Outcome, Standing, Through
from fhir_equity.store.merged import person_of
from fhir_equity.store.planned import PLANNED as PLANNED
from fhir_equity.store.planned import QUARANTINED as QUARANTINED
from fhir_equity.store.planned import SENT as SENT
from fhir_equity.store.planned import UNSEEN as UNSEEN
from fhir_equity.store.planned import UNVERIFIED as UNVERIFIED
from fhir_equity.store.planned import VERIFIED as VERIFIED
from fhir_equity.store.planned import Known as Known
from fhir_equity.store.planned import Planned as Planned
from fhir_equity.store.planned import Settled as Settled
from fhir_equity.store.planned import There as There
from fhir_equity.store.planned import digest_of as digest_of
from fhir_equity.store.rows import among, slices, upsert
from fhir_equity.store.schema import ConsentCursor, Cursor, JournalEntry, Link, MemberIdentifier, Observed, core
from fhir_equity.store.schema import Written as WrittenRow


class HieMemory:
    """The memory of one HIE, with its `journal`, how everybody is `standing`, and its last `runs`.

    Every method raises StoreError, StoreLockedError.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self.journal = Journal(engine, name)
        self.standing = Standing(engine, name)
        self.runs = Runs(engine, name)

    def alone(self) -> AbstractContextManager[None]:
        """While it lasts nobody else deals with this HIE. Raises StoreLockedError where somebody does."""
        return alone(self._engine, self._name)

    def links(self) -> dict[int, There]:
        """member id -> (resource id, etag last seen)."""
        table = core(Link)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._name))
            there = {row.member_id: (row.resource_id, row.etag) for row in rows}
            people = set(person_of(connection, there).values())
            return {person: there[member] for person, member in keepers(connection, self._name, people).items()}

    def count_links(self) -> int:
        """How many of our members are a Patient there."""
        table = core(Link)
        with reading(self._engine) as connection:
            query = select(func.count()).select_from(table).where(table.c.hie == self._name)
            return int(connection.execute(query).scalar_one())

    def members_linked(self) -> dict[str, set[int]]:
        """resource id -> member ids."""
        table = core(Link)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table.c.resource_id, table.c.member_id).where(table.c.hie == self._name))
            return by_resource(connection, rows.all())

    def kept_under(self, resources: Sequence[str]) -> dict[str, set[int]]:
        """resource id -> the very members who are linked to that Patient, each by their own key, merged or not."""
        table, found = core(Link), dict[str, set[int]]()
        query = select(table.c.resource_id, table.c.member_id).where(table.c.hie == self._name)
        with reading(self._engine) as connection:
            for resource, member in among(connection, query, table.c.resource_id, resources):
                found.setdefault(resource, set()).add(member)
        return found

    def keepers(self, people: Collection[int]) -> dict[int, int]:
        """Person -> the member with whom everything is kept that concerns them and this HIE."""
        with reading(self._engine) as connection:
            return keepers(connection, self._name, people)

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
                lost = and_(journal.c.status == UNVERIFIED, journal.c.action == "create", journal.c.resource_id == "")
                open_ = self._of(journal, some).where(or_(journal.c.status == SENT, lost)).order_by(journal.c.id)
                for change in planned(connection, open_):
                    known = found[change.member_id]
                    (known.sent if change.status == SENT else known.lost).append(change)
                tried = self._of(journal, some).where(journal.c.status.in_((VERIFIED, QUARANTINED)))
                for change in planned(connection, tried.order_by(journal.c.id)):
                    kept = change.status == VERIFIED
                    found[change.member_id].unkept |= {m: "" if kept else said for m, said in change.said.items()}
                    found[change.member_id].tries.update(change.said.keys())
        return found

    def stand(
        self,
        connection: Connection,
        outcomes: Mapping[int, Outcome],
        through: Through | None,
        asked: Iterable[Opening],
    ) -> None:
        """Within the transaction of a plan: how people stand, and their cases; one of a part does not know it."""
        if through is not None:
            self.standing.move(connection, outcomes, through)
            hand_in(connection, source_of(self._name), outcomes, asked)

    def choices(self, people: Collection[int]) -> dict[int, list[Choice]]:
        """Person -> what was decided about cases of theirs that were handed in, and holds, oldest first."""
        with reading(self._engine) as connection:
            return choices_of(connection, people)

    def _of(self, table: Any, members: Sequence[int]) -> Select[Any]:
        return select(table).where(table.c.hie == self._name, table.c.member_id.in_(members))

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
        """(member id, matter) -> fingerprints that are our own word: written, or sent and not seen there as sent."""
        found = {key: {said} for key, said in self.written().items()}
        for change in (*self.journal.sent(), *self.journal.in_doubt()):
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

    def consents_since(self) -> str:
        """Up to when the Consents there have been read: an instant, or empty for never."""
        table = core(ConsentCursor)
        with reading(self._engine) as connection:
            query = select(table.c.since).where(table.c.hie == self._name)
            return str(connection.execute(query).scalar() or "")

    def consents_read(self, since: str) -> None:
        """Remember up to when the Consents there have been read."""
        with writing(self._engine) as connection:
            upsert(connection, ConsentCursor, ("hie",), [{"hie": self._name, "since": since}])
