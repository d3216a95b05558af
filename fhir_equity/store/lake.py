"""What of a store is exported for analysis: people with what they said and where it stood, findings, losses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, func, select

from fhir_equity.store.connection import reading
from fhir_equity.store.people import People, Person
from fhir_equity.store.rows import by_key
from fhir_equity.store.schema import (
    Artefact,
    Beaten,
    Merged,
    Run,
    StoredAnswer,
    StoredFinding,
    StoredLoss,
    StoredMember,
    StoredResolution,
    core,
)
from fhir_equity.store.withdrawn import answer_stands, run_stands


class Told(Struct, frozen=True):
    """Where one stored answer stood: the name and format of its artefact, and the position in it."""

    artefact: str
    format: str
    unit: str
    number: int
    offset: int
    path: str


class Settled(Struct, frozen=True):
    """A stored resolution: the first answer of the event that wins, and of those that lost in order."""

    matter: str
    state: str
    winner: int | None
    beaten: tuple[int, ...]
    rule: str
    policy: str
    provisional: bool
    refused: bool


class Whole(Struct, frozen=True):
    """A person as the store holds them: `told` and the events' identities are by answer id."""

    person: Person
    twin: int
    told: dict[int, Told]
    settled: tuple[Settled, ...]


class Lake:
    """A store read out in whole, in constant memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._people = People(engine)

    def people(self) -> Iterator[Whole]:
        """Everybody, in the order of their ids."""
        queries = (_positions(), _positions(merged=True), _settled(), _beaten())
        with reading(self._engine) as connection, ExitStack() as opened:
            streamed = [query.execution_options(yield_per=5000) for query in queries]
            results = [opened.enter_context(connection.execute(query)) for query in streamed]
            told, told_elsewhere, settled, beaten = map(by_key, results)
            twins = dict(connection.execute(_twins()).all())
            for person in self._people:
                at = {row.id: Told(*row[2:]) for row in (*told(person.id), *told_elsewhere(person.id))}
                lost: dict[str, list[int]] = {}
                for row in beaten(person.id):
                    lost.setdefault(row.matter, []).append(row.answer_id)
                found = tuple(
                    Settled(
                        matter=row.matter,
                        state=row.state,
                        winner=row.winner,
                        beaten=tuple(lost.get(row.matter, ())),
                        rule=row.rule,
                        policy=row.policy,
                        provisional=bool(row.provisional),
                        refused=bool(row.refused),
                    )
                    for row in settled(person.id)
                )
                yield Whole(person, twins.get(person.id, 0), at, found)

    def merged(self) -> list[tuple[str, str, int]]:
        """How many members are part of another person, by the partner of that person and their own."""
        parts, members, people = core(Merged), core(StoredMember), core(StoredMember).alias()
        query = select(people.c.partner, members.c.partner, func.count()).select_from(parts)
        query = query.join(members, members.c.id == parts.c.member_id).join(people, people.c.id == parts.c.into_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.group_by(people.c.partner, members.c.partner)).all()
        return [(whose, own, many) for whose, own, many in rows]

    def findings(self) -> Iterator[dict[str, Any]]:
        """Every finding of a run that stands, with partner and artefact."""
        return self._logged(core(StoredFinding))

    def losses(self) -> Iterator[dict[str, Any]]:
        """Every loss of a run that stands, with partner and artefact."""
        return self._logged(core(StoredLoss))

    def _logged(self, table: Any) -> Iterator[dict[str, Any]]:
        artefacts, runs = core(Artefact), core(Run)
        columns = [column for column in table.c if column.name not in ("id", "artefact_id")]
        query = select(runs.c.partner, runs.c.as_of, artefacts.c.name.label("artefact"), artefacts.c.format, *columns)
        joined = table.join(artefacts, artefacts.c.id == table.c.artefact_id).join(
            runs, runs.c.id == artefacts.c.run_id
        )
        query = query.select_from(joined).where(run_stands(runs)).order_by(table.c.id)
        with reading(self._engine) as connection:
            for row in connection.execute(query.execution_options(yield_per=5000)).mappings():
                yield dict(row)


def _positions(*, merged: bool = False) -> Any:
    """Where answers stood, by member; or those of members who were `merged`, by person."""
    answers, artefacts, parts = core(StoredAnswer), core(Artefact), core(Merged)
    whose = (parts.c.into_id if merged else answers.c.member_id).label("member_id")
    places = (answers.c.unit, answers.c.number, answers.c.offset, answers.c.path)
    query = select(whose, answers.c.id, artefacts.c.name, artefacts.c.format, *places)
    joined = answers.join(artefacts, artefacts.c.id == answers.c.artefact_id)
    joined = joined.join(parts, parts.c.member_id == answers.c.member_id) if merged else joined
    return query.select_from(joined).where(answer_stands(answers)).order_by(whose, answers.c.id)


def _settled() -> Any:
    table = core(StoredResolution)
    return select(table).order_by(table.c.member_id, table.c.matter)


def _beaten() -> Any:
    table = core(Beaten)
    return select(table).order_by(table.c.member_id, table.c.matter, table.c.place)


def _twins() -> Any:
    table = core(StoredMember)
    return select(table.c.id, table.c.twin).where(table.c.twin > 0)
