"""Cases: what people have to decide, grouped by what they have in common; decisions, and taking them back.

Cases about answers are worked out with the resolutions of a member and written in the same transactions.
Others are handed in (`handed_in`) by who met them, such as synchronising with an HIE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, Integer, func, select, update

from fhir_equity.errors import UsageError
from fhir_equity.model import Side
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.handed_in import WAITING, reopen, settle_handed_in
from fhir_equity.store.hie_journal import supersede
from fhir_equity.store.merged import parts_of
from fhir_equity.store.patterns import decode_sides
from fhir_equity.store.resolutions import Judge, Resolutions
from fhir_equity.store.rows import among, insert_new, insert_one, now, slices
from fhir_equity.store.schema import Pattern, Settlement, StoredCase, StoredDecision, StoredMember, core
from fhir_equity.store.stated import stated_by
from fhir_equity.store.trail import Trail

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


class Decision(Struct, frozen=True):
    """A decision; `undone_at` is empty while it holds."""

    id: int
    pattern: int
    side: int
    author: str
    reason: str
    at: str
    members: int
    undone_at: str = ""
    undone_by: str = ""


class Cases:
    """The cases of a store. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self._engine = engine
        self._trail = trail

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

    def decisions(self) -> list[Decision]:
        """Every decision, oldest first."""
        table = core(StoredDecision)
        names = Decision.__struct_fields__
        columns = [table.c["pattern_id" if name == "pattern" else name] for name in names]
        with reading(self._engine) as connection:
            return [Decision(*row) for row in connection.execute(select(*columns).order_by(table.c.id))]

    def decisions_about(self, member: int) -> list[tuple[str, Decision]]:
        """(matter, decision) of a person under all their keys, also those that were undone, oldest first."""
        settled = core(Settlement)
        query = select(settled.c.matter, settled.c.decision_id)
        with reading(self._engine) as connection:
            found = among(connection, query, settled.c.member_id, sorted(parts_of(connection, {member})))
            matters = {decision: matter for matter, decision in found}
        return [(matters[each.id], each) for each in self.decisions() if each.id in matters] if matters else []

    def decide(
        self, wanted: Sequence[tuple[int, int, str, str]], judges: Judges, author: str
    ) -> tuple[list[Decision], int]:
        """Decide patterns or single cases in one transaction: (pattern, side, pseudonym or empty for all, reason).

        Returns the decisions and how many cases no longer follow their pattern, which are left as they are
        now. Raises UsageError where there is no such pattern or side, or nothing of it waits; nothing is decided then.
        """
        with writing(self._engine) as connection:
            made, stale = [], 0
            for pattern, side, pseudonym, reason in wanted:
                decision, left = self._decide(connection, pattern, side, pseudonym, reason, judges, author)
                made.append(decision)
                stale += left
            return made, stale

    def _decide(
        self,
        connection: Connection,
        pattern: int,
        side: int,
        pseudonym: str,
        reason: str,
        judges: Judges,
        author: str,
    ) -> tuple[Decision, int]:
        kind, matter, chosen = _checked(connection, pattern, side)
        waiting = _waiting(connection, pattern, pseudonym)
        if not waiting:
            raise UsageError(f"no case of pattern {pattern} waits" + (" for this member" if pseudonym else ""))
        what = {"pattern_id": pattern, "side": side, "author": author, "reason": reason, "at": now()}
        number = insert_one(connection, StoredDecision, **what, members=0, undone_at="", undone_by="")
        settled = 0
        for partner, members in sorted(_by_partner(waiting).items()):
            settled += _settle(connection, Resolutions(judges(partner)), members, (number, pattern, side))
            supersede(connection, members)
        handed_in = {member: source for _, member, source in waiting if source}
        settled += settle_handed_in(connection, handed_in, number, pattern, (kind, matter), chosen)
        table = core(StoredDecision)
        connection.execute(update(table).where(table.c.id == number).values(members=settled))
        self._record(connection, "review decide", number, pattern, matter, settled)
        decision = Decision(number, pattern, side, author, reason, what["at"], settled)  # type: ignore[arg-type]
        return decision, len(waiting) - settled

    def undo(self, decision: int, judges: Judges, author: str) -> Decision:
        """Take a decision back: the resolutions are those that there would be without it.

        Raises UsageError where there is no such decision that holds.
        """
        table, settled = core(StoredDecision), core(Settlement)
        with writing(self._engine) as connection:
            held = (table.c.id == decision, table.c.undone_at == "")
            undone = {"undone_at": now(), "undone_by": author}
            if connection.execute(update(table).where(*held).values(**undone)).rowcount != 1:
                raise UsageError(f"there is no decision {decision} that holds")
            members, patterns = core(StoredMember), core(Pattern)
            query = select(members.c.partner, members.c.id).join(settled, settled.c.member_id == members.c.id)
            rows = connection.execute(query.where(settled.c.decision_id == decision).order_by(members.c.id)).all()
            reopen(connection, decision)
            supersede(connection, [row[1] for row in rows])
            for partner in sorted({row[0] for row in rows}):
                resolutions = Resolutions(judges(partner))
                for some in slices([row[1] for row in rows if row[0] == partner]):
                    resolutions.write(connection, stated_by(connection, some), ())
            found = connection.execute(select(table).where(table.c.id == decision)).mappings().one()
            matter = select(patterns.c.matter).where(patterns.c.id == found["pattern_id"])
            matters = str(connection.execute(matter).scalar_one())
            self._record(connection, "review undo", decision, found["pattern_id"], matters, len(rows))
        names = (name for name in Decision.__struct_fields__ if name != "pattern")
        return Decision(pattern=found["pattern_id"], **{name: found[name] for name in names})

    def _record(
        self, connection: Connection, action: str, decision: int, pattern: int, matter: str, members: int
    ) -> None:
        about = {"decision": decision, "pattern": pattern}
        counts, topics = {"members": members}, {matter: members}
        self._trail.record(action, connection=connection, about=about, counts=counts, topics=topics)


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


def _checked(connection: Connection, pattern: int, side: int) -> tuple[str, str, Side]:
    """The kind and the matter of a pattern that has such a side, and that side."""
    table = core(Pattern)
    query = select(table.c.kind, table.c.matter, table.c.sides).where(table.c.id == pattern)
    found = connection.execute(query).one_or_none()
    if found is None:
        raise UsageError(f"there is no pattern {pattern}")
    sides = decode_sides(found.sides)
    if not 0 <= side < len(sides):
        raise UsageError(f"pattern {pattern} has no side {side + 1}")
    return found.kind, found.matter, sides[side]


def _waiting(connection: Connection, pattern: int, pseudonym: str) -> list[Any]:
    cases, members = core(StoredCase), core(StoredMember)
    query = select(members.c.partner, members.c.id, cases.c.source).join(cases, cases.c.member_id == members.c.id)
    query = query.where(cases.c.pattern_id == pattern, cases.c.state.in_(WAITING)).order_by(members.c.id)
    return list(connection.execute(query.where(members.c.pseudonym == pseudonym) if pseudonym else query))


def _by_partner(waiting: Iterable[Any]) -> dict[str, list[int]]:
    """The members of cases that answers made."""
    found: dict[str, list[int]] = {}
    for partner, member, source in waiting:
        if not source:
            found.setdefault(partner, []).append(member)
    return found


def _settle(
    connection: Connection, resolutions: Resolutions, members: Sequence[int], what: tuple[int, int, int]
) -> int:
    """Settle members of one partner and resolve them again; returns how many still followed the pattern."""
    decision, pattern, side = what
    settled = 0
    for some in slices(members):
        stated = stated_by(connection, some)
        rows = [
            {
                "member_id": member,
                "decision_id": decision,
                "matter": matter,
                "answer_id": answer,
                "known": " ".join(map(str, known)),
            }
            for member, (answer, matter, known) in resolutions.chosen(connection, stated, pattern, side).items()
        ]
        settled += insert_new(connection, Settlement, rows)
        resolutions.write(connection, stated, ())
    return settled
