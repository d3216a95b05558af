"""What decisions say of single members: the answer that somebody chose, and what they knew then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, select

from fhir_equity.model import CHOSEN, KNOWN
from fhir_equity.store.rows import slices
from fhir_equity.store.schema import Settlement, StoredDecision, core

Marks = dict[int, str]  # answer id -> CHOSEN or KNOWN


def marks_of(connection: Connection, members: Sequence[int]) -> dict[int, Marks]:
    """The marks of the answers of these members, by member."""
    query, table = _holding(), core(Settlement)
    if not members or connection.execute(query.limit(1)).first() is None:
        return {}
    rows = (row for some in slices(members) for row in connection.execute(query.where(table.c.member_id.in_(some))))
    return {member: _marks(said) for member, said in groupby(rows, key=_member)}


class Marked:
    """The marks of everybody, asked for in the order of their ids, in constant memory."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute(_holding().execution_options(yield_per=1000))
        self._groups = ((member, _marks(said)) for member, said in groupby(rows, key=_member))
        self._next = next(self._groups, None)

    def of(self, member: int) -> Marks:
        """The marks of one member, whose id is greater than that of the one before."""
        while self._next is not None and self._next[0] < member:
            self._next = next(self._groups, None)
        return self._next[1] if self._next is not None and self._next[0] == member else {}


def _holding() -> Select[Any]:
    """What decisions that hold say; of several about one matter the last comes last."""
    table, decisions = core(Settlement), core(StoredDecision)
    query = select(table.c.member_id, table.c.matter, table.c.answer_id, table.c.known)
    query = query.join(decisions, decisions.c.id == table.c.decision_id).where(
        decisions.c.undone_at == "", table.c.answer_id > 0
    )
    return query.order_by(table.c.member_id, table.c.decision_id)


def _member(row: Any) -> int:
    return int(row[0])


def _marks(said: Iterable[Any]) -> Marks:
    last = {row[1]: row for row in said}
    marks: Marks = {}
    for _, _, answer, known in last.values():
        marks.update(dict.fromkeys(_numbers(known), KNOWN))
        marks[answer] = CHOSEN
    return marks


def _numbers(text: str) -> Iterator[int]:
    return map(int, text.split())
