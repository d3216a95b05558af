"""What members keep back, from whom: recorded as they or their Consent say it, and in force on its days."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Struct, structs
from sqlalchemy import Engine, Select, and_, delete, or_, select

from fhir_equity.store.changed import touch
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.merged import parts_of, person_of
from fhir_equity.store.rows import among, now, slices, upsert
from fhir_equity.store.schema import OptOut, StoredMember, core

MEMBER, CONSENT = "member", "consent:"  # the latter with the name of the HIE that has the Consents
_KEYS = ("member_id", "recipient", "matter", "source")
ALL = ""  # any recipient, any matter


class Kept(Struct, frozen=True):
    """What one member keeps from a recipient about a matter (empty: any), from a day on and until one (or open)."""

    member_id: int
    since: str
    recipient: str = ALL
    matter: str = ALL
    until: str = ""
    source: str = MEMBER


class OptOuts:
    """The opt-outs of a store. Every method raises StoreError, StoreLockedError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, kept: Iterable[Kept]) -> int:
        """Write down opt-outs; one of the same source, member, recipient and matter is replaced. Returns how many."""
        rows = [{**{name: getattr(each, name) for name in each.__struct_fields__}, "at": now()} for each in kept]
        with writing(self._engine) as connection:
            upsert(connection, OptOut, _KEYS, rows)
            touch(connection, {row["member_id"] for row in rows})
        return len(rows)

    def take_back(self, member: int, recipient: str = ALL, matter: str = ALL) -> bool:
        """Remove one opt-out, because the member said so; whether there was one."""
        table = core(OptOut)
        with writing(self._engine) as connection:
            whose = table.c.member_id.in_(parts_of(connection, {member}))
            mine = and_(whose, table.c.recipient == recipient, table.c.matter == matter, table.c.source == MEMBER)
            gone = connection.execute(delete(table).where(mine)).rowcount
            touch(connection, {member} if gone else ())
        return bool(gone)

    def consented(self, hie: str, members: Collection[int], kept: Iterable[Kept]) -> int:
        """Write down what the Consents of an HIE say of members now, in place of what they said before.

        What the members said themselves stays, as does what the Consents of another Patient say who is the same
        person under another key. Returns of how many members something changed.
        """
        table, source = core(OptOut), f"{CONSENT}{hie}"
        now_said = {structs.replace(each, source=source) for each in kept}
        with writing(self._engine) as connection:
            before = set[Kept]()
            for some in slices(sorted(members)):
                theirs = and_(table.c.source == source, table.c.member_id.in_(some))
                before |= set(_kept(connection.execute(select(table).where(theirs))))
                connection.execute(delete(table).where(theirs))
            rows = [{**structs.asdict(each), "at": now()} for each in now_said]
            upsert(connection, OptOut, _KEYS, rows)
            changed = {each.member_id for each in before ^ now_said}
            touch(connection, changed)
        return len(changed)

    def bring(self, kept: Iterable[tuple[Kept, str]]) -> int:
        """Write down opt-outs of another store, each with when it was recorded there; what was recorded here later
        stays. Returns how many are new or otherwise.
        """
        rows = [{**structs.asdict(each), "at": at} for each, at in kept]
        table = core(OptOut)
        with writing(self._engine) as connection:
            here = {
                tuple(getattr(row, name) for name in _KEYS): row.at
                for some in slices(sorted({row["member_id"] for row in rows}))
                for row in connection.execute(select(table).where(table.c.member_id.in_(some)))
            }
            rows = [row for row in rows if row["at"] > here.get(tuple(row[name] for name in _KEYS), "")]
            upsert(connection, OptOut, _KEYS, rows)
            touch(connection, {row["member_id"] for row in rows})
        return len(rows)

    def of(self, member: int) -> list[Kept]:
        """Everything that one member keeps back, whenever, under each of their keys."""
        table = core(OptOut)
        with reading(self._engine) as connection:
            whose = table.c.member_id.in_(parts_of(connection, {member}))
            return list(_kept(connection.execute(select(table).where(whose))))

    def in_force(self, members: Sequence[int], recipient: str, on: str) -> dict[int, set[str]]:
        """member id -> matters (an empty one: all) kept from a recipient on an ISO date."""
        table = core(OptOut)
        query = self._about(recipient).where(table.c.since <= on, or_(table.c.until == "", table.c.until >= on))
        found: dict[int, set[str]] = {}
        with reading(self._engine) as connection:
            whose = parts_of(connection, members)
            for some in slices(list(whose)):
                for each in _kept(connection.execute(query.where(table.c.member_id.in_(some)))):
                    found.setdefault(whose[each.member_id], set()).add(each.matter)
        return found

    def keys_in_force(self, recipient: str, on: str) -> dict[tuple[str, str], frozenset[str]]:
        """(partner, key) -> what `in_force` says, of everybody who keeps something back, under each of their keys."""
        table, members = core(OptOut), core(StoredMember)
        with reading(self._engine) as connection:
            whose = set(connection.execute(select(table.c.member_id).distinct()).scalars())
            parts = parts_of(connection, set(person_of(connection, whose).values()))
            query = select(members.c.id, members.c.partner, members.c.key)
            called = {row[0]: (row[1], row[2]) for row in among(connection, query, members.c.id, sorted(parts))}
        kept = self.in_force(sorted(set(parts.values())), recipient, on)
        found: dict[tuple[str, str], frozenset[str]] = {}
        for member, person in parts.items():
            if person in kept:
                found[called[member]] = found.get(called[member], frozenset()) | kept[person]
        return found

    def turning(self, recipient: str, after: str, on: str) -> set[int]:
        """The members of whom an opt-out began or ended after one day and by another."""
        table = core(OptOut)
        begun = and_(table.c.since > after, table.c.since <= on)
        ended = and_(table.c.until >= after, table.c.until < on, table.c.until != "")
        with reading(self._engine) as connection:
            rows = _kept(connection.execute(self._about(recipient).where(or_(begun, ended))))
            return set(person_of(connection, {each.member_id for each in rows}).values())

    def _about(self, recipient: str) -> Select[tuple[object, ...]]:
        table = core(OptOut)
        return select(table).where(table.c.recipient.in_((ALL, recipient)))


def _kept(rows: Iterable[object]) -> Iterator[Kept]:
    for row in rows:
        yield Kept(**{name: getattr(row, name) for name in Kept.__struct_fields__})
