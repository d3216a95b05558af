"""What stands of members' answers, worked out from the runs that said it; and which of it wins.

An answer stands while a run that gave it does, and it is first seen on the earliest date of those runs.
What only retracted runs gave is marked as withdrawn. Of what runs said into a store of layout 3 or older
nothing but the meeting is known: such a run counts for every answer that the member had by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, select, update

from fhir_equity.store.resolutions import Resolutions, Stated
from fhir_equity.store.rows import among, insert_new, slices
from fhir_equity.store.schema import (
    Artefact,
    Run,
    SayingPart,
    Sighting,
    StoredAnswer,
    WithdrawnAnswer,
    WithdrawnMember,
    core,
)
from fhir_equity.store.stated import stated_together
from fhir_equity.store.withdrawn import run_stands, withdrawn_answers

Part = tuple[int, int]  # event, origin id


class Changed(Struct):
    """How many members were looked at, and how many answers were withdrawn or stand again."""

    members: int = 0
    withdrawn: int = 0
    restored: int = 0


class Meeting(Struct, frozen=True):
    """A run that met a member; `parts` is None where what it said is not known."""

    run: int
    as_of: str
    parts: frozenset[Part] | None

    def gave(self, answer: Any) -> bool:
        """Whether it said this answer (a row of `answers_of`)."""
        if self.parts is None:
            return bool(answer.run_id <= self.run)
        return (answer.event, answer.origin_id) in self.parts


def restate(connection: Connection, resolutions: Resolutions, members: Iterable[int]) -> Changed:
    """Work out for these members what stands, and resolve it again. In pages, in the transaction at hand."""
    runs = standing_runs(connection)
    done = Changed()
    for page in slices(sorted(members)):
        met = meetings(connection, page, runs)
        answers = answers_of(connection, page)
        before = withdrawn_answers(connection, page)
        seen = {a.id: min((m.as_of for m in met.get(a.member_id, ()) if m.gave(a)), default="") for a in answers}
        after = {number for number, first in seen.items() if not first}
        _mark(connection, page, met, [a for a in answers if a.id in after])
        _redate(connection, [(a.id, seen[a.id]) for a in answers if seen[a.id] not in ("", a.first_seen)])
        stated: dict[int, list[Stated]] = {member: [] for member in page}
        for a in answers:
            if a.id not in after:
                said = (a.matter, a.event, a.origin_id, a.received_id, seen[a.id], a.id)
                stated[a.member_id].append(said)
        resolutions.write(connection, stated_together(connection, stated), ())
        done.members += len(page)
        done.withdrawn += len(after - before)
        done.restored += len(before - after)
    return done


def met_in(connection: Connection, run: int) -> list[int]:
    """The members whom a run met, in order."""
    table = core(Sighting)
    query = select(table.c.member_id).distinct().where(table.c.run_id == run).order_by(table.c.member_id)
    return [int(row[0]) for row in connection.execute(query)]


def standing_runs(connection: Connection) -> dict[int, str]:
    """The runs that stand, and the dates that they are as of."""
    table = core(Run)
    query = select(table.c.id, table.c.as_of).where(run_stands(table))
    return {row.id: row.as_of for row in connection.execute(query)}


def meetings(connection: Connection, page: Sequence[int], runs: dict[int, str]) -> dict[int, list[Meeting]]:
    """Who met these members of these runs (with their dates), by member."""
    table = core(Sighting)
    query = select(table.c.member_id, table.c.run_id, table.c.saying_id).order_by(table.c.member_id, table.c.run_id)
    rows = [row for row in among(connection, query, table.c.member_id, page) if row[1] in runs]
    parts = _parts(connection, sorted({saying for *_, saying in rows} - {0}))
    met: dict[int, list[Meeting]] = {}
    for member, run, saying in rows:
        met.setdefault(member, []).append(Meeting(run, runs[run], parts[saying] if saying else None))
    return met


def _parts(connection: Connection, sayings: Sequence[int]) -> dict[int, frozenset[Part]]:
    table = core(SayingPart)
    query = select(table.c.saying_id, table.c.event, table.c.origin_id)
    found: dict[int, set[Part]] = {saying: set() for saying in sayings}
    for saying, event, origin in among(connection, query, table.c.saying_id, sayings):
        found[saying].add((event, origin))
    return {saying: frozenset(parts) for saying, parts in found.items()}


def answers_of(connection: Connection, page: Sequence[int]) -> list[Any]:
    """Every answer of these members, each with the run that gave it first."""
    table, artefacts = core(StoredAnswer), core(Artefact)
    names = ("id", "member_id", "matter", "event", "received_id", "origin_id", "first_seen")
    query = select(*(table.c[name] for name in names), artefacts.c.run_id)
    query = query.join(artefacts, artefacts.c.id == table.c.artefact_id)
    return list(connection.execute(query.where(table.c.member_id.in_(page)).order_by(table.c.id)))


def _mark(connection: Connection, page: Sequence[int], met: Iterable[int], withdrawn: Iterable[Any]) -> None:
    for model in (WithdrawnAnswer, WithdrawnMember):
        table = core(model)
        connection.execute(delete(table).where(table.c.member_id.in_(page)))
    insert_new(connection, WithdrawnAnswer, [{"answer_id": a.id, "member_id": a.member_id} for a in withdrawn])
    insert_new(connection, WithdrawnMember, [{"member_id": member} for member in sorted(set(page) - set(met))])


def _redate(connection: Connection, dated: Sequence[tuple[int, str]]) -> None:
    if dated:
        table = core(StoredAnswer)
        statement = update(table).where(table.c.id == bindparam("row")).values(first_seen=bindparam("day"))
        connection.execute(statement, [{"row": number, "day": day} for number, day in dated])
