"""Members who are one person: merged by somebody's word, and read apart again when that is taken back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import Connection, Engine, delete, func, select, update

from fhir_equity.errors import UsageError
from fhir_equity.store.cases import Judges
from fhir_equity.store.changed import touch
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.handed_in import LINK, OPEN, source_of
from fhir_equity.store.hie_journal import refuse_interrupted, supersede
from fhir_equity.store.hie_members import LINKED_TWICE, links_of, side_of
from fhir_equity.store.hie_standing import Standing
from fhir_equity.store.merged import parts_of, person_of
from fhir_equity.store.patterns import forget_cases, pattern_id
from fhir_equity.store.resolutions import Resolutions
from fhir_equity.store.resolve import resolve_some
from fhir_equity.store.rows import among, insert_new, insert_one, now
from fhir_equity.store.schema import Link, Merge, Merged, StoredAnswer, StoredCase, StoredMember, core
from fhir_equity.store.schema import Standing as StandingRow
from fhir_equity.store.stated import stated_by
from fhir_equity.store.trail import Trail
from fhir_equity.store.withdrawn import answer_stands


class Merging(Struct, frozen=True):
    """A merge: `member` is `into` (pseudonyms). `undone_at` is empty while it holds."""

    id: int
    partner: str
    member: str
    into: str
    author: str
    reason: str
    at: str
    undone_at: str = ""
    undone_by: str = ""


class Joined(Struct, frozen=True):
    """A merge that was made or undone: how many answers and links of HIEs it brought over or gave back.

    `linked_twice` are the HIEs where both are Patients, each a case now.
    """

    merging: Merging
    answers: int
    links: int
    linked_twice: tuple[str, ...] = ()


class Brought(Struct, frozen=True):
    """A merge of another store, between members of this one (by id); `undone_at` is empty while it holds there."""

    member: int
    into: int
    author: str
    reason: str
    at: str
    undone_at: str
    undone_by: str


class Merges:
    """The merges of a store. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self._engine = engine
        self._trail = trail

    def all(self) -> list[Merging]:
        """Every merge, also those that were undone, oldest first."""
        with reading(self._engine) as connection:
            return [Merging(*row) for row in connection.execute(_mergings())]

    def merge(self, into: int, member: int, judges: Judges, author: str, reason: str) -> Joined:
        """Read a member as part of another person from now on, in one transaction, and resolve the person again.

        The person is of the partner of `into`; every answer stays read by the tables of the partner it came through.
        Raises UsageError where they are one already, or a change of theirs at an HIE was interrupted.
        """
        with writing(self._engine) as connection:
            return self._merge(connection, Brought(member, into, author, reason, now(), "", ""), judges)

    def bring(self, merges: Iterable[Brought], judges: Judges) -> None:
        """Make merges of another store in this one, oldest first, in one transaction, but for those that were made.

        Who is part of somebody here by now is merged as that person. Raises UsageError as `merge` does.
        """
        with writing(self._engine) as connection:
            made = _made(connection)
            for each in merges:
                people = person_of(connection, {each.into, each.member})
                told = (each.member, each.into, each.at), (people[each.member], people[each.into], each.at)
                if not made.isdisjoint(told):
                    continue
                if each.undone_at:
                    _insert(connection, each)
                elif people[each.into] != people[each.member]:
                    here = {"into": people[each.into], "member": people[each.member]}
                    self._merge(connection, structs.replace(each, **here), judges)

    def _merge(self, connection: Connection, each: Brought, judges: Judges) -> Joined:
        into, member = each.into, each.member
        partner = _mergeable(connection, into, member)
        came = parts_of(connection, {member})
        self._settle_plans(connection, {into, member})
        number = _insert(connection, each)
        there = core(Merged)
        connection.execute(update(there).where(there.c.into_id == member).values(into_id=into))
        insert_new(connection, Merged, [{"member_id": member, "into_id": into}])
        for hie in connection.execute(_hies(member)).scalars().all():
            Standing(self._engine, hie).leave(connection, [member])
            forget_cases(connection, [member], source_of(hie))
        stated = stated_by(connection, {into}) | {member: []}
        Resolutions(judges(partner)).write(connection, stated, ())
        twice = _linked_twice(connection, number, into)
        done = self._joined(connection, number, came, twice)
        self._record(connection, "merge", done, {"reason": each.reason})
        return done

    def undo(self, merge: int, judges: Judges, author: str) -> Joined:
        """Read a member apart again, with whoever was merged into them, and resolve both people again.

        Raises UsageError where there is no such merge that holds, or a change of theirs at an HIE was interrupted.
        """
        table, there, cases = core(Merge), core(Merged), core(StoredCase)
        with writing(self._engine) as connection:
            held = select(table.c.member_id).where(table.c.id == merge, table.c.undone_at == "")
            member = connection.execute(held).scalar()
            if member is None:
                raise UsageError(f"there is no merge {merge} that holds")
            whole = person_of(connection, {member})[member]
            self._settle_plans(connection, {whole})
            undone = {"undone_at": now(), "undone_by": author}
            connection.execute(update(table).where(table.c.id == merge).values(**undone))
            came = _came_with(connection, member, parts_of(connection, {whole}))
            connection.execute(delete(there).where(there.c.member_id == member))
            others = sorted(came - {member})
            if others:
                connection.execute(update(there).where(there.c.member_id.in_(others)).values(into_id=member))
            connection.execute(delete(cases).where(cases.c.source == _source(merge)))
            done = self._joined(connection, merge, came, ())
            resolve_some(connection, judges, [whole, member])
            self._record(connection, "unmerge", done, {})
            return done

    def _settle_plans(self, connection: Connection, people: set[int]) -> None:
        """What a plan wants about these people was decided on who they were: it is not done any more."""
        refuse_interrupted(connection, people)
        supersede(connection, people)
        touch(connection, people)

    def _joined(self, connection: Connection, merge: int, came: Any, twice: tuple[str, ...]) -> Joined:
        answers, links = core(StoredAnswer), core(Link)
        members = sorted(came)
        said = select(func.count()).where(answers.c.member_id.in_(members), answer_stands(answers))
        linked = select(func.count()).where(links.c.member_id.in_(members))
        merging = Merging(*connection.execute(_mergings().where(core(Merge).c.id == merge)).one())
        counts = [int(connection.execute(query).scalar_one()) for query in (said, linked)]
        return Joined(merging, counts[0], counts[1], twice)

    def _record(self, connection: Connection, action: str, done: Joined, more: dict[str, str | int]) -> None:
        counts = {"members": 2, "answers": done.answers, "links": done.links, "cases": len(done.linked_twice)}
        self._trail.record(action, connection=connection, about={"merge": done.merging.id} | more, counts=counts)


def _mergings() -> Any:
    table, one, other = core(Merge), core(StoredMember).alias(), core(StoredMember).alias()
    names = ("author", "reason", "at", "undone_at", "undone_by")
    query = select(table.c.id, one.c.partner, one.c.pseudonym, other.c.pseudonym, *(table.c[name] for name in names))
    joined = table.join(one, one.c.id == table.c.member_id).join(other, other.c.id == table.c.into_id)
    return query.select_from(joined).order_by(table.c.id)


def _insert(connection: Connection, each: Brought) -> int:
    said = structs.asdict(each)
    return insert_one(connection, Merge, member_id=said.pop("member"), into_id=said.pop("into"), **said)


def _made(connection: Connection) -> set[tuple[int, int, str]]:
    """Every merge there is, also where it was undone, by its members and when it was made."""
    table = core(Merge)
    return {tuple(row) for row in connection.execute(select(table.c.member_id, table.c.into_id, table.c.at))}


def _mergeable(connection: Connection, into: int, member: int) -> str:
    """The partner of the one who stays."""
    table = core(StoredMember)
    people = person_of(connection, {into, member})
    if people[into] == people[member]:
        raise UsageError("they are one person already")
    if people[into] != into or people[member] != member:
        raise UsageError("a member who was merged is part of somebody; merge the whole person")
    return str(connection.execute(select(table.c.partner).where(table.c.id == into)).scalar_one())


def _hies(member: int) -> Any:
    table = core(StandingRow)
    return select(table.c.hie).where(table.c.member_id == member).order_by(table.c.hie)


def _came_with(connection: Connection, member: int, parts: dict[int, int]) -> set[int]:
    """Of the parts of a person, a member and whoever was merged into them, by the merges that hold."""
    table = core(Merge)
    query = select(table.c.member_id, table.c.into_id).where(table.c.undone_at == "")
    into = dict(among(connection, query, table.c.member_id, sorted(parts)))
    return {part for part in parts if part == member or member in _way(part, into)}


def _way(part: int, into: dict[int, int]) -> list[int]:
    """Whom a member was merged into, and these into whom."""
    way: list[int] = []
    while part in into:
        part = into[part]
        way.append(part)
    return way


def _linked_twice(connection: Connection, merge: int, person: int) -> tuple[str, ...]:
    """The HIEs where a person is two Patients; each is handed in as a case."""
    table = core(Link)
    members = sorted(parts_of(connection, {person}))
    several = select(table.c.hie).where(table.c.member_id.in_(members)).group_by(table.c.hie)
    several = several.having(func.count(table.c.resource_id.distinct()) > 1).order_by(table.c.hie)
    found = connection.execute(several).scalars().all()
    rows = []
    for hie in found:
        patients = sorted(set(links_of(connection, hie, members).values()))
        pattern = pattern_id(connection, LINKED_TWICE, LINK, [side_of(hie, patient) for patient in patients])
        row = {"member_id": person, "pattern_id": pattern, "source": _source(merge), "state": OPEN}
        rows.append(row | {"since": now()[:10]})
    insert_new(connection, StoredCase, rows)
    return tuple(found)


def _source(merge: int) -> str:
    return f"merge {merge}"
