"""Decisions of another store, made in this one about the same members and answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select, update

from fhir_equity.model import Side
from fhir_equity.store.patterns import pattern_id
from fhir_equity.store.rows import insert_new, insert_one
from fhir_equity.store.schema import Settlement, StoredDecision, core


class Chosen(Struct, frozen=True):
    """What a decision says of one member (id): the answer that wins, and those that were known then (ids)."""

    member: int
    answer: int
    known: tuple[int, ...]


class Made(Struct, frozen=True):
    """A decision of another store, about members of this one; `undone_at` is empty while it holds there."""

    kind: str
    matter: str
    sides: tuple[Side, ...]
    side: int
    author: str
    reason: str
    at: str
    undone_at: str
    undone_by: str
    settled: tuple[Chosen, ...]


def settle_as_elsewhere(connection: Connection, decisions: Iterable[Made]) -> Iterator[tuple[int, int, int, Made]]:
    """Write decisions down; yields number, pattern and how many members are new of each that settled any."""
    here = _made(connection)
    for each in decisions:
        pattern = pattern_id(connection, each.kind, each.matter, each.sides)
        said = {"side": each.side, "author": each.author, "reason": each.reason, "at": each.at}
        same, undone = here.get((pattern, *said.values())), {"undone_at": each.undone_at, "undone_by": each.undone_by}
        number = (
            same.pop(0)
            if same
            else insert_one(connection, StoredDecision, pattern_id=pattern, **said, members=0, **undone)
        )
        if settled := _settle(connection, number, each):
            yield number, pattern, settled, each


def _made(connection: Connection) -> dict[tuple[Any, ...], list[int]]:
    """Every decision there is, also where it was undone, by what it says and when it was made, oldest first."""
    table, found = core(StoredDecision), dict[tuple[Any, ...], list[int]]()
    names = ("pattern_id", "side", "author", "reason", "at")
    for number, *said in connection.execute(select(table.c.id, *(table.c[n] for n in names)).order_by(table.c.id)):
        found.setdefault(tuple(said), []).append(number)
    return found


def _settle(connection: Connection, decision: int, made: Made) -> int:
    """Settle members by what was chosen elsewhere; returns how many were not yet."""
    table = core(StoredDecision)
    rows = [
        {
            "member_id": each.member,
            "decision_id": decision,
            "matter": made.matter,
            "answer_id": each.answer,
            "known": " ".join(map(str, each.known)),
        }
        for each in made.settled
    ]
    settled = insert_new(connection, Settlement, rows)
    more = update(table).where(table.c.id == decision).values(members=table.c.members + settled)
    connection.execute(more)
    return settled
