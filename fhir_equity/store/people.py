"""Read people back with everything that was ever said about them, one person at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, Select, func, select

from fhir_equity.model import Event, Member, Origin, Received
from fhir_equity.store.connection import reading
from fhir_equity.store.members import Kept
from fhir_equity.store.rows import slices
from fhir_equity.store.schema import (
    Artefact,
    Quarantined,
    ReceivedValue,
    Run,
    StoredAnswer,
    StoredFinding,
    StoredLoss,
    StoredMember,
    StoredOrigin,
    core,
)
from fhir_equity.store.settlements import Marked, Marks, marks_of
from fhir_equity.store.withdrawn import answer_stands, member_stands, run_stands

_received = msgspec.json.Decoder(Received).decode
_kept = msgspec.json.Decoder(Kept).decode


class Person(Struct, frozen=True):
    """A stored member (without answers) and their events by matter. `id` is the store's."""

    id: int
    pseudonym: str
    member: Member
    events: tuple[tuple[str, Event], ...]


class People:
    """Everybody in the store, as decisions need them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __iter__(self) -> Iterator[Person]:
        """Every person in the order of their id, in constant memory."""
        return self.among(None)

    def among(self, partners: Sequence[str] | None) -> Iterator[Person]:
        """The people of some partners, or of all."""
        members, answers = core(StoredMember), core(StoredAnswer)
        with reading(self._engine) as connection:
            values, origins, marked = _values(connection), _origins(connection), Marked(connection)
            columns = (answers.c.member_id, answers.c.matter, answers.c.event, answers.c.received_id)
            said = select(*columns, answers.c.origin_id, answers.c.first_seen, answers.c.id)
            said = said.where(answer_stands(answers)).order_by(answers.c.member_id, answers.c.id)
            rows = groupby(connection.execute(said.execution_options(yield_per=5000)), key=lambda row: row[0])
            waiting = next(rows, None)
            everybody = select(members).where(member_stands(members)).order_by(members.c.id)
            everybody = everybody.execution_options(yield_per=2000)
            for row in connection.execute(everybody).mappings():
                events: tuple[tuple[str, Event], ...] = ()
                while waiting is not None and waiting[0] < row["id"]:
                    waiting = next(rows, None)
                if waiting is not None and waiting[0] == row["id"]:
                    events = _events(waiting[1], values, origins, marked.of(row["id"]))
                    waiting = next(rows, None)
                if partners is None or row["partner"] in partners:
                    yield Person(row["id"], row["pseudonym"], _member(row), events)

    def known(self, partner: str, key: str) -> Person | None:
        """The person under a key of a partner; None where there is nobody, or more than one."""
        members = core(StoredMember)
        found = select(members).where(members.c.partner == partner, members.c.key == key, member_stands(members))
        return self._only(found.limit(2))

    def one(self, member: int, *, withdrawn: bool = False) -> Person | None:
        """The person with an id of the store, with what stands or with what was `withdrawn`."""
        members = core(StoredMember)
        return self._only(select(members).where(members.c.id == member), withdrawn=withdrawn)

    def some(self, members: Sequence[int]) -> Iterator[Person]:
        """The people with these ids of the store, in order, and no work for anybody else."""
        table, answers = core(StoredMember), core(StoredAnswer)
        for ids in slices(members):
            with reading(self._engine) as connection:
                who = select(table).where(table.c.id.in_(ids), member_stands(table)).order_by(table.c.id)
                rows = connection.execute(who).mappings().all()
                said = select(answers).where(answers.c.member_id.in_(ids), answer_stands(answers))
                told = connection.execute(said.order_by(answers.c.member_id, answers.c.id)).all()
                values = _values(connection, sorted({row.received_id for row in told}))
                origins, marks = _origins(connection), marks_of(connection, ids)
            by_member = {member: list(found) for member, found in groupby(told, key=lambda row: row.member_id)}
            for row in rows:
                events = _events(iter(by_member.get(row["id"], ())), values, origins, marks.get(row["id"], {}))
                yield Person(row["id"], row["pseudonym"], _member(row), events)

    def _only(self, found: Select[Any], *, withdrawn: bool = False) -> Person | None:
        answers = core(StoredAnswer)
        with reading(self._engine) as connection:
            rows = connection.execute(found).mappings().all()
            if len(rows) != 1:
                return None
            stands = answer_stands(answers)
            said = select(answers).where(answers.c.member_id == rows[0]["id"], ~stands if withdrawn else stands)
            said = said.order_by(answers.c.id)
            told = connection.execute(said).all()
            values = _values(connection, sorted({row.received_id for row in told}))
            marks = marks_of(connection, [rows[0]["id"]]).get(rows[0]["id"], {})
            events = _events(iter(told), values, _origins(connection), marks)
        return Person(rows[0]["id"], rows[0]["pseudonym"], _member(rows[0]), events)

    def events(self, members: Sequence[int]) -> dict[int, tuple[tuple[str, Event], ...]]:
        """The events of some members, in order of their ids; who said nothing is left out."""
        table = core(StoredAnswer)
        with reading(self._engine) as connection:
            query = select(table).where(answer_stands(table)).order_by(table.c.member_id, table.c.id)
            rows = [
                row for some in slices(members) for row in connection.execute(query.where(table.c.member_id.in_(some)))
            ]
            values = {
                n: v
                for some in slices(sorted({row.received_id for row in rows}))
                for n, v in _values(connection, some).items()
            }
            origins, marks = _origins(connection), marks_of(connection, members)
        return {
            member: _events(said, values, origins, marks.get(member, {}))
            for member, said in groupby(rows, key=lambda row: row.member_id)
        }

    def inputs(self, partners: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """What was read so far: every name and partner as of the latest run that read it."""
        table = core(Artefact)
        query = select(table).where(table.c.id.in_(_latest(partners))).order_by(table.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        names = ("name", "sha256", "bytes", "format", "members", "rejected")
        return [{name: row[name] for name in names} for row in rows]

    def unfinished(self, partners: Sequence[str] | None = None) -> int:
        """How many of the same inputs belong to a run that never came to its end."""
        table, runs = core(Artefact), core(Run)
        query = select(func.count()).select_from(table.join(runs, runs.c.id == table.c.run_id))
        query = query.where(table.c.id.in_(_latest(partners)), runs.c.finished == "")
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def findings(self, partners: Sequence[str] | None = None) -> list[tuple[str, str, int]]:
        """(code, severity, count) over the same inputs."""
        table = core(StoredFinding)
        return self._counted((table.c.code, table.c.severity), table.c.artefact_id, partners)

    def losses(self, partners: Sequence[str] | None = None) -> list[tuple[str, str, int]]:
        """(rule, relationship, count) over the same inputs."""
        table = core(StoredLoss)
        return self._counted((table.c.rule, table.c.relationship), table.c.artefact_id, partners, "losses_of")

    def _counted(
        self, columns: Any, artefact: Any, partners: Sequence[str] | None, elsewhere: str = ""
    ) -> list[tuple[str, str, int]]:
        query = select(*columns, func.count()).where(artefact.in_(_latest(partners, elsewhere))).group_by(*columns)
        with reading(self._engine) as connection:
            return sorted((row[0], row[1], row[2]) for row in connection.execute(query))

    def counts(self) -> dict[str, int]:
        """Rows that an unchanged file must not change: members, answers, received values, quarantine."""
        tables = {
            "members": StoredMember,
            "answers": StoredAnswer,
            "received": ReceivedValue,
            "quarantined": Quarantined,
        }
        with reading(self._engine) as connection:
            return {
                name: int(connection.execute(select(func.count()).select_from(core(model))).scalar_one())
                for name, model in tables.items()
            }


def _latest(partners: Sequence[str] | None, elsewhere: str = "") -> Select[int]:
    """The artefacts of the latest run that read their name: two files of one run may share a name.

    Where the column `elsewhere` names another artefact, that one.
    """
    table, runs = core(Artefact), core(Run)
    newest = select(table.c.name, func.max(runs.c.id).label("run")).join(runs, runs.c.id == table.c.run_id)
    newest = newest.where(run_stands(runs))
    if partners is not None:
        newest = newest.where(runs.c.partner.in_(partners))
    found = newest.group_by(table.c.name, runs.c.partner).subquery()
    wanted = func.coalesce(table.c[elsewhere], table.c.id) if elsewhere else table.c.id
    return select(wanted).join(found, (found.c.name == table.c.name) & (found.c.run == table.c.run_id))


def _events(
    rows: Iterator[Any], values: dict[int, Received], origins: dict[int, Origin], marks: Marks
) -> tuple[tuple[str, Event], ...]:
    grouped: dict[tuple[str, int, int], list[Any]] = {}
    for row in rows:
        grouped.setdefault((row.matter, row.event, row.origin_id), []).append(row)
    return tuple(
        (
            matter,
            Event(
                tuple(values[row.received_id] for row in said),
                origins[origin_id],
                min(row.first_seen for row in said),
                tuple(row.id for row in said),
                marks.get(said[0].id, ""),
            ),
        )
        for (matter, _, origin_id), said in grouped.items()
    )


def _member(row: Any) -> Member:
    kept = _kept(row["details"])
    return Member(
        partner=row["partner"],
        key=row["key"],
        key_rule=row["key_rule"],
        identifiers=kept.identifiers,
        name=kept.name,
        birth_date=row["birth_date"],
        address=kept.address,
        enrollment=kept.enrollment,
    )


def _values(connection: Connection, among: Sequence[int] | None = None) -> dict[int, Received]:
    table = core(ReceivedValue)
    query = select(table.c.id, table.c.value)
    portions = [query] if among is None else [query.where(table.c.id.in_(some)) for some in slices(among)]
    return {row.id: _received(row.value) for each in portions for row in connection.execute(each)}


def _origins(connection: Connection) -> dict[int, Origin]:
    table = core(StoredOrigin)
    return {
        row.id: Origin(
            partner=row.partner,
            collector=row.collector,
            method=row.method,
            standard=row.standard,
            question=row.question,
            collected_on=row.collected_on,
        )
        for row in connection.execute(select(table))
    }
