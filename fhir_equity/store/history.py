"""Read back the past of one member: where each answer stood, in which runs they were met, and what went where."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Engine, func, select, union

from fhir_equity.model import Locator
from fhir_equity.store.connection import reading
from fhir_equity.store.merged import parts_of, person_of
from fhir_equity.store.schema import (
    Artefact,
    JournalEntry,
    MemberIdentifier,
    Run,
    Sighting,
    StoredAnswer,
    StoredMember,
    Written,
    core,
)

MOST = 20  # members who are named where one was meant


class Found(Struct, frozen=True):
    """A member whom a search found. `id` is the store's."""

    id: int
    partner: str
    pseudonym: str


class Place(Struct, frozen=True):
    """Where a stored answer was read first."""

    run: int
    format: str
    sha256: str
    locator: Locator


class Seen(Struct, frozen=True):
    """In how many runs a member was met, and the dates of the first and the last of them."""

    runs: int
    first: str
    last: str


class Sent(Struct, frozen=True):
    """What a plan wanted done about a member at an HIE, and what became of it."""

    hie: str
    plan: str
    matters: tuple[str, ...]
    action: str
    status: str
    planned_at: str
    done_at: str


class History:
    """The past of single members. Every method raises StoreError, StoreUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, name: str, partner: str = "") -> list[Found]:
        """Who has this pseudonym, key or identifier (value), of one partner or of any; at most `MOST`, each once."""
        members, identifiers = core(StoredMember), core(MemberIdentifier)
        named = union(  # and no OR: each of them has its index
            select(members.c.id).where(members.c.pseudonym == name),
            select(members.c.id).where(members.c.key == name),
            select(identifiers.c.member_id).where(identifiers.c.value == name),
        )
        query = select(members.c.id, members.c.partner, members.c.pseudonym).where(members.c.id.in_(named))
        if partner:
            query = query.where(members.c.partner == partner)
        with reading(self._engine) as connection:
            found = connection.execute(query.order_by(members.c.id).limit(MOST)).all()
            people = person_of(connection, [row.id for row in found])
            if any(member != person for member, person in people.items()):
                who = sorted(set(people.values()))
                query = select(members.c.id, members.c.partner, members.c.pseudonym).where(members.c.id.in_(who))
                found = connection.execute(query.order_by(members.c.id)).all()
        return [Found(*row) for row in found]

    def pseudonyms(self, member: int) -> list[str]:
        """The pseudonyms under which a person is known, their own first: more than one for who was merged."""
        members = core(StoredMember)
        with reading(self._engine) as connection:
            parts = list(parts_of(connection, {member}))
            query = select(members.c.id, members.c.pseudonym).where(members.c.id.in_(parts))
            named = {row.id: row.pseudonym for row in connection.execute(query)}
        return [named[part] for part in parts]

    def places(self, member: int) -> dict[int, Place]:
        """Every answer of a member, by its id, with where it was read first."""
        answers, artefacts = core(StoredAnswer), core(Artefact)
        where = [answers.c[name] for name in ("id", "unit", "number", "offset", "path")]
        read = [artefacts.c[name] for name in ("run_id", "format", "sha256", "name")]
        query = select(*where, *read).join(artefacts, artefacts.c.id == answers.c.artefact_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(answers.c.member_id.in_(parts_of(connection, {member})))).all()
        return {row.id: Place(row.run_id, row.format, row.sha256, Locator(row.name, *row[1:5])) for row in rows}

    def seen(self, member: int) -> Seen:
        """When a member was met."""
        sightings, runs = core(Sighting), core(Run)
        query = select(func.count(runs.c.id.distinct()), func.min(runs.c.as_of), func.max(runs.c.as_of))
        query = query.select_from(sightings.join(runs, runs.c.id == sightings.c.run_id))
        with reading(self._engine) as connection:
            whose = sightings.c.member_id.in_(parts_of(connection, {member}))
            count, first, last = connection.execute(query.where(whose)).one()
        return Seen(count, first or "", last or "")

    def sent(self, member: int) -> list[Sent]:
        """What was planned and sent, oldest first."""
        table = core(JournalEntry)
        names = ("hie", "plan", "matters", "action", "status", "planned_at", "done_at")
        query = select(*(table.c[name] for name in names)).order_by(table.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(table.c.member_id.in_(parts_of(connection, {member}))))
            return [Sent(row.hie, row.plan, tuple(row.matters.split()), *row[3:]) for row in rows]

    def held(self, member: int) -> dict[tuple[str, str], str]:
        """(HIE, matter) -> when what they hold from us was written there last."""
        table = core(Written)
        query = select(table.c.hie, table.c.matter, table.c.at).order_by(table.c.at)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(table.c.member_id.in_(parts_of(connection, {member}))))
            return {(row.hie, row.matter): row.at for row in rows}
