"""What people decided: a side of a pattern, or a row for a value that no table had; and taking it back.

A decision is one transaction with everything that it changes. What it says of single members are settlements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, select, update

from fhir_equity.errors import UsageError
from fhir_equity.model import Side
from fhir_equity.store.cases import Judges, waiting_of
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.decided_elsewhere import Made, settle_as_elsewhere
from fhir_equity.store.decided_rows import Laying, TableRow, keep_rows, meant_otherwise, rows_of
from fhir_equity.store.handed_in import reopen, settle_handed_in
from fhir_equity.store.hie_journal import supersede
from fhir_equity.store.merged import parts_of
from fhir_equity.store.patterns import decode_sides
from fhir_equity.store.resolutions import Resolutions
from fhir_equity.store.resolve import resolve_some
from fhir_equity.store.rows import among, insert_new, insert_one, now, slices
from fhir_equity.store.schema import Pattern, Settlement, StoredDecision, core
from fhir_equity.store.stated import stated_by
from fhir_equity.store.trail import Trail

BY_ROW = -1  # the answer that a settlement names where a row settled it


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


class Wanted(Struct, frozen=True):
    """What somebody decides: a `side` of a pattern, of all its cases or of the one with a pseudonym, and why.

    `rows` are those that a value which no table has is settled by; then there is no side to choose.
    """

    pattern: int
    side: int
    pseudonym: str
    reason: str
    rows: tuple[TableRow, ...] = ()


class Decisions:
    """The decisions of a store. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self._engine = engine
        self._trail = trail

    def all(self) -> list[Decision]:
        """Every decision, oldest first."""
        table = core(StoredDecision)
        names = Decision.__struct_fields__
        columns = [table.c["pattern_id" if name == "pattern" else name] for name in names]
        with reading(self._engine) as connection:
            return [Decision(*row) for row in connection.execute(select(*columns).order_by(table.c.id))]

    def about(self, member: int) -> list[tuple[str, Decision]]:
        """(matter, decision) of a person under all their keys, also those that were undone, oldest first."""
        settled = core(Settlement)
        query = select(settled.c.matter, settled.c.decision_id)
        with reading(self._engine) as connection:
            found = among(connection, query, settled.c.member_id, sorted(parts_of(connection, {member})))
            matters = {decision: matter for matter, decision in found}
        return [(matters[each.id], each) for each in self.all() if each.id in matters] if matters else []

    def rows(self, decision: int) -> list[TableRow]:
        """The rows that a decision wrote into partners' tables; most wrote none."""
        with reading(self._engine) as connection:
            return rows_of(connection, decision)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else decides anything."""
        with writing(self._engine):
            yield

    def decide(
        self, wanted: Sequence[Wanted], judges: Judges, author: str, lay: Laying | None = None
    ) -> tuple[list[Decision], int]:
        """Decide patterns or single cases in one transaction.

        Returns the decisions and how many cases no longer follow their pattern, which are left as they are
        now. `lay` writes rows into tables; `judges` know them then, and everybody whom they concern is resolved
        again. Raises UsageError where there is no such pattern or side, nothing of it waits, or a row settles
        nothing; nothing is decided then.
        """
        with writing(self._engine) as connection:
            done = [self._decide(connection, each, judges, author, lay) for each in wanted]
            return [decision for decision, _ in done], sum(left for _, left in done)

    def _decide(
        self, connection: Connection, wanted: Wanted, judges: Judges, author: str, lay: Laying | None
    ) -> tuple[Decision, int]:
        pattern, side = wanted.pattern, wanted.side
        about = _checked(connection, pattern, side)
        matter = about[1]
        waiting = waiting_of(connection, pattern, wanted.pseudonym)
        if not waiting:
            raise UsageError(f"no case of pattern {pattern} waits" + (" for this member" if wanted.pseudonym else ""))
        what = {"pattern_id": pattern, "side": side, "author": author, "reason": wanted.reason, "at": now()}
        number = insert_one(connection, StoredDecision, **what, members=0, undone_at="", undone_by="")
        if lay is None or not wanted.rows:
            settled = _settle_all(connection, judges, waiting, (number, pattern, side), about)
        else:
            keep_rows(connection, number, wanted.rows)
            otherwise = lay(number, wanted.reason, wanted.rows)
            self._trail.forget_versions()
            partners = (row.partner for row in wanted.rows)
            concerned = meant_otherwise(connection, partners, otherwise)
            resolve_some(connection, judges, concerned)
            supersede(connection, concerned)
            settled = _settled_by_rows(connection, waiting, (number, pattern, matter))
        table = core(StoredDecision)
        connection.execute(update(table).where(table.c.id == number).values(members=settled))
        self._record(connection, "review decide", number, pattern, matter, settled)
        decision = Decision(number, pattern, side, author, wanted.reason, what["at"], settled)  # type: ignore[arg-type]
        return decision, len(waiting) - settled

    def bring(self, decisions: Iterable[Made], judges: Judges) -> None:
        """Make decisions of another store in this one, oldest first, in one transaction, and resolve whom they concern.

        One that was made is left as it is, also where it was undone here, but for members who came since.
        """
        with writing(self._engine) as connection:
            concerned = set[int]()
            for number, pattern, settled, each in settle_as_elsewhere(connection, decisions):
                self._record(connection, "review decide", number, pattern, each.matter, settled)
                concerned.update(one.member for one in each.settled)
            resolve_some(connection, judges, sorted(concerned))
            supersede(connection, sorted(concerned))

    def undo(self, decision: int, judges: Judges, author: str, lift: Laying | None = None) -> Decision:
        """Take a decision back: the resolutions are those that there would be without it.

        `lift` takes the rows that it wrote out of tables again. Raises UsageError where there is no such decision
        that holds.
        """
        table, settled = core(StoredDecision), core(Settlement)
        with writing(self._engine) as connection:
            held = (table.c.id == decision, table.c.undone_at == "")
            undone = {"undone_at": now(), "undone_by": author}
            if connection.execute(update(table).where(*held).values(**undone)).rowcount != 1:
                raise UsageError(f"there is no decision {decision} that holds")
            found = connection.execute(select(table).where(table.c.id == decision)).mappings().one()
            query = select(settled.c.member_id).where(settled.c.decision_id == decision)
            members = list(connection.execute(query.order_by(settled.c.member_id)).scalars())
            reopen(connection, decision)
            concerned = list(members)
            if lift is not None and (rows := rows_of(connection, decision)):
                otherwise = lift(decision, found["reason"], rows)
                self._trail.forget_versions()
                concerned += meant_otherwise(connection, (row.partner for row in rows), otherwise)
            resolve_some(connection, judges, concerned)
            supersede(connection, concerned)
            patterns = core(Pattern)
            query = select(patterns.c.matter).where(patterns.c.id == found["pattern_id"])
            matter = str(connection.execute(query).scalar_one())
            self._record(connection, "review undo", decision, found["pattern_id"], matter, len(members))
        names = (name for name in Decision.__struct_fields__ if name != "pattern")
        return Decision(pattern=found["pattern_id"], **{name: found[name] for name in names})

    def _record(
        self, connection: Connection, action: str, decision: int, pattern: int, matter: str, members: int
    ) -> None:
        about = {"decision": decision, "pattern": pattern}
        counts, topics = {"members": members}, {matter: members}
        self._trail.record(action, connection=connection, about=about, counts=counts, topics=topics)


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


def _settle_all(
    connection: Connection,
    judges: Judges,
    waiting: Sequence[Any],
    what: tuple[int, int, int],
    about: tuple[str, str, Side],
) -> int:
    """Settle every case that waits by a side; returns how many still followed the pattern."""
    number, pattern, _ = what
    settled = 0
    for partner, members in sorted(_by_partner(waiting).items()):
        settled += _settle(connection, Resolutions(judges(partner)), members, what)
        supersede(connection, members)
    handed_in = {member: source for _, member, source in waiting if source}
    return settled + settle_handed_in(connection, handed_in, number, pattern, about[:2], about[2])


def _settled_by_rows(connection: Connection, waiting: Sequence[Any], what: tuple[int, int, str]) -> int:
    """Who waited and does not any more, put on record. Raises UsageError where that is nobody."""
    number, pattern, matter = what
    still = {row.id for row in waiting_of(connection, pattern, "")}
    over = [row.id for row in waiting if row.id not in still]
    if not over:
        raise UsageError("with such a row the value would still mean nothing")
    rows = [{"member_id": m, "decision_id": number, "matter": matter, "answer_id": BY_ROW, "known": ""} for m in over]
    return insert_new(connection, Settlement, rows)
