"""Which answers and members are marked as withdrawn: they stay in the store and decide nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select

from fhir_equity.store.merged import is_merged
from fhir_equity.store.rows import among, slices
from fhir_equity.store.schema import Merged, Retraction, WithdrawnAnswer, WithdrawnMember, core


def answer_stands(answers: Any) -> ColumnElement[bool]:
    """The condition that an answer of this table (or alias) was not withdrawn."""
    table = core(WithdrawnAnswer)
    return ~select(table.c.answer_id).where(table.c.answer_id == answers.c.id).exists()


def member_stands(members: Any) -> ColumnElement[bool]:
    """The condition that a member of this table (or alias) is a person: part of no other one, and not withdrawn.

    One who was merged stands while any of their members does.
    """
    table, merged = core(WithdrawnMember), core(Merged)
    part_withdrawn = select(table.c.member_id).where(table.c.member_id == merged.c.member_id).exists()
    part_stands = select(merged.c.member_id).where(merged.c.into_id == members.c.id, ~part_withdrawn).exists()
    return and_(~is_merged(members), or_(~is_withdrawn(members), part_stands))


def is_withdrawn(members: Any) -> ColumnElement[bool]:
    """The condition that only retracted runs brought a member of this table (or alias)."""
    table = core(WithdrawnMember)
    return select(table.c.member_id).where(table.c.member_id == members.c.id).exists()


def run_stands(runs: Any) -> ColumnElement[bool]:
    """The condition that a run of this table (or alias) was not retracted."""
    table = core(Retraction)
    return ~select(table.c.id).where(table.c.run_id == runs.c.id, table.c.undone_at == "").exists()


def withdrawn_answers(connection: Connection, members: Sequence[int]) -> set[int]:
    """The ids of the answers of these members that were withdrawn."""
    table = core(WithdrawnAnswer)
    return {row[0] for row in among(connection, select(table.c.answer_id), table.c.member_id, members)}


def revive_answers(connection: Connection, answers: Iterable[int]) -> None:
    """Let answers stand again."""
    _unmark(connection, core(WithdrawnAnswer).c.answer_id, answers)


def revive_members(connection: Connection, members: Iterable[int]) -> None:
    """Let members stand again."""
    _unmark(connection, core(WithdrawnMember).c.member_id, members)


def _unmark(connection: Connection, column: Any, numbers: Iterable[int]) -> None:
    for some in slices(sorted(numbers)):
        connection.execute(delete(column.table).where(column.in_(some)))
