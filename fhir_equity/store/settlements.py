"""What decisions say of single members: the answer that somebody chose, and what they knew then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from fhir_equity.model import CHOSEN, KNOWN
from fhir_equity.store.merged import parts_of
from fhir_equity.store.rows import by_key, slices
from fhir_equity.store.schema import Merged, Settlement, StoredAnswer, StoredDecision, core

Marks = dict[int, str]  # answer id -> CHOSEN or KNOWN
_LATER = ("at", "decision_id")  # one that another store made before gets its number here when it is brought


def marks_of(connection: Connection, people: Sequence[int]) -> dict[int, Marks]:
    """The marks of the answers of these people, by person."""
    table = core(Settlement)
    query = _holding()
    if not people or connection.execute(query.limit(1)).first() is None:
        return {}
    whose = parts_of(connection, people)
    said: dict[int, list[Any]] = {}
    for some in slices(list(whose)):
        for row in connection.execute(query.where(table.c.member_id.in_(some))):
            if whose.get(row.owner) == whose[row.member_id]:
                said.setdefault(whose[row.member_id], []).append(row)
    return {person: _marks(sorted(rows, key=attrgetter(*_LATER))) for person, rows in said.items()}


def strongest(marks: Mapping[int, str], answers: Iterable[int]) -> str:
    """The mark of what was said in these answers together: chosen, else known, else empty."""
    found = {marks.get(answer, "") for answer in answers}
    return next((mark for mark in (CHOSEN, KNOWN) if mark in found), "")


def instead(connection: Connection, member: int, answers: Mapping[int, int]) -> None:
    """Let what was decided about answers of a member hold for others in their place."""
    table = core(Settlement)
    for row in connection.execute(select(table).where(table.c.member_id == member)).all():
        known = " ".join(str(answers.get(number, number)) for number in _numbers(row.known))
        said = {"answer_id": answers.get(row.answer_id, row.answer_id), "known": known}
        if said != {"answer_id": row.answer_id, "known": row.known}:
            one = (table.c.member_id == member, table.c.decision_id == row.decision_id)
            connection.execute(update(table).where(*one).values(**said))


@contextmanager
def marks_in_order(connection: Connection) -> Iterator[Callable[[int], Marks]]:
    """The marks of everybody, asked for in the order of the ids of people, in constant memory."""
    table, merged, theirs, answers = core(Settlement), core(Merged), core(Merged).alias(), core(StoredAnswer)
    person = func.coalesce(merged.c.into_id, table.c.member_id)
    query = _holding().add_columns(person.label("person"))
    query = query.outerjoin(merged, merged.c.member_id == table.c.member_id).order_by(None)
    query = query.outerjoin(theirs, theirs.c.member_id == answers.c.member_id)
    query = query.where(func.coalesce(theirs.c.into_id, answers.c.member_id) == person)
    query = query.order_by(person, core(StoredDecision).c.at, table.c.decision_id).execution_options(yield_per=1000)
    with connection.execute(query) as rows:
        of = by_key(rows, "person")
        yield lambda whose: _marks(of(whose))


def _holding() -> Select[Any]:
    """What decisions that hold say, and whose the chosen answer is; of several about one matter the last comes last.

    One that was made while two were merged may have chosen what the other said: then it is about the two together.
    """
    table, decisions, answers = core(Settlement), core(StoredDecision), core(StoredAnswer)
    names = ("member_id", "matter", "answer_id", "known", "decision_id")
    joined = table.join(decisions, decisions.c.id == table.c.decision_id)
    joined = joined.join(answers, answers.c.id == table.c.answer_id)
    said = (*(table.c[name] for name in names), decisions.c.at, answers.c.member_id.label("owner"))
    query = select(*said).select_from(joined)
    query = query.where(decisions.c.undone_at == "", table.c.answer_id > 0)
    return query.order_by(table.c.member_id, decisions.c.at, table.c.decision_id)


def _marks(said: Iterable[Any]) -> Marks:
    last = {row.matter: row for row in said}
    marks: Marks = {}
    for row in last.values():
        marks.update(dict.fromkeys(_numbers(row.known), KNOWN))
        marks[row.answer_id] = CHOSEN
    return marks


def _numbers(text: str) -> Iterator[int]:
    return map(int, text.split())
