"""Read people back with everything that was ever said about them, one person at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, Select, func, select

from fhir_equity.model import Event, Member, Origin, Received
from fhir_equity.store.as_one import as_known_to, in_order, member_of
from fhir_equity.store.connection import reading
from fhir_equity.store.inputs import latest_inputs
from fhir_equity.store.merged import parts_of, person_of
from fhir_equity.store.rows import by_key, slices
from fhir_equity.store.schema import (
    Artefact,
    Merged,
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
from fhir_equity.store.settlements import Marks, marks_in_order, marks_of, strongest
from fhir_equity.store.withdrawn import answer_stands, member_stands

_received = msgspec.json.Decoder(Received).decode


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
        members = core(StoredMember)
        with reading(self._engine) as connection, ExitStack() as opened:
            values, origins = _values(connection), _origins(connection)
            marks_of_person = opened.enter_context(marks_in_order(connection))
            results = [opened.enter_context(connection.execute(query)) for query in _everything()]
            said, said_elsewhere, parts = map(by_key, results)
            everybody = select(members).where(member_stands(members)).order_by(members.c.id)
            everybody = everybody.execution_options(yield_per=2000)
            for row in opened.enter_context(connection.execute(everybody)).mappings():
                person = row["id"]
                marks, others = marks_of_person(person), sorted(parts(person), key=in_order)
                told = said(person)
                if others:
                    told = sorted((*told, *said_elsewhere(person)), key=attrgetter("id"))
                if partners is None or row["partner"] in partners:
                    yield Person(
                        person, row["pseudonym"], member_of(row, others), _events(told, values, origins, marks)
                    )

    def known(self, partner: str, key: str) -> Person | None:
        """The person under a key of a partner; None where there is nobody, or more than one.

        Beside answers they are as this partner knows them, where they are another's person too: whose numbers and
        enrollment are not this one's to tell. But what restricts them holds, whoever said it.
        """
        members = core(StoredMember)
        query = select(members.c.id).where(members.c.partner == partner, members.c.key == key)
        with reading(self._engine) as connection:
            under = person_of(connection, connection.execute(query).scalars().all())
        who = sorted(set(under.values()))
        found = select(members).where(members.c.id.in_(who), member_stands(members))
        return self._only(found.limit(2), partner=partner)

    def one(self, member: int, *, withdrawn: bool = False) -> Person | None:
        """The person with an id of the store, with what stands or with what was `withdrawn`."""
        members = core(StoredMember)
        return self._only(select(members).where(members.c.id == member), withdrawn=withdrawn)

    def several(self) -> set[int]:
        """Who is several members who were merged."""
        with reading(self._engine) as connection:
            return set(connection.execute(select(core(Merged).c.into_id)).scalars())

    def apart(self, person: int) -> dict[int, Member]:
        """The members who are a person, by id and each as they were sent, without answers."""
        table = core(StoredMember)
        with reading(self._engine) as connection:
            parts = list(parts_of(connection, {person}))
            rows = connection.execute(select(table).where(table.c.id.in_(parts)).order_by(table.c.id)).mappings().all()
        return {row["id"]: member_of(row) for row in rows}

    def some(self, members: Sequence[int]) -> Iterator[Person]:
        """The people with these ids of the store, in order, and no work for anybody else."""
        table = core(StoredMember)
        for ids in slices(members):
            with reading(self._engine) as connection:
                who = select(table).where(table.c.id.in_(ids), member_stands(table)).order_by(table.c.id)
                rows = connection.execute(who).mappings().all()
                told, others = _said_by(connection, [row["id"] for row in rows])
                stated = [row for said in told.values() for row in said]
                values = _values(connection, sorted({row.received_id for row in stated}))
                origins, marks = _origins(connection, stated), marks_of(connection, ids)
            for row in rows:
                number = row["id"]
                events = _events(told.get(number, ()), values, origins, marks.get(number, {}))
                yield Person(number, row["pseudonym"], member_of(row, others.get(number, ())), events)

    def _only(self, found: Select[Any], *, withdrawn: bool = False, partner: str = "") -> Person | None:
        with reading(self._engine) as connection:
            rows = connection.execute(found).mappings().all()
            if len(rows) != 1:
                return None
            number = rows[0]["id"]
            said, parts = _said_by(connection, [number], withdrawn=withdrawn)
            told, others = said.get(number, []), parts.get(number, [])
            values = _values(connection, sorted({row.received_id for row in told}))
            marks = marks_of(connection, [number]).get(number, {})
            events = _events(told, values, _origins(connection, told), marks)
        member = as_known_to(partner, rows[0], others) if partner else member_of(rows[0], others)
        return Person(number, rows[0]["pseudonym"], member, events)

    def events(self, members: Sequence[int]) -> dict[int, tuple[tuple[str, Event], ...]]:
        """What was said under the keys of some members, in order of their ids; who said nothing is left out."""
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
            origins, marks = _origins(connection, rows), marks_of(connection, members)
        return {
            member: _events(said, values, origins, marks.get(member, {}))
            for member, said in groupby(rows, key=lambda row: row.member_id)
        }

    def inputs(self, partners: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """What was read so far: every name and partner as of the latest run that read it."""
        table = core(Artefact)
        query = select(table).where(table.c.id.in_(latest_inputs(partners))).order_by(table.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        names = ("name", "sha256", "bytes", "format", "members", "rejected")
        return [{name: row[name] for name in names} for row in rows]

    def partners(self) -> list[str]:
        """Those from whom anything came, by name."""
        with reading(self._engine) as connection:
            return sorted(connection.execute(select(core(Run).c.partner).distinct()).scalars())

    def unfinished(self, partners: Sequence[str] | None = None) -> int:
        """How many of the same inputs belong to a run that never came to its end."""
        table, runs = core(Artefact), core(Run)
        query = select(func.count()).select_from(table.join(runs, runs.c.id == table.c.run_id))
        query = query.where(table.c.id.in_(latest_inputs(partners)), runs.c.finished == "")
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
        query = (
            select(*columns, func.count()).where(artefact.in_(latest_inputs(partners, elsewhere))).group_by(*columns)
        )
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


def _everything() -> tuple[Select[Any], ...]:
    """By person: what was said under their own key, what under others, and the members whom they are, too."""
    answers, members, merged = core(StoredAnswer), core(StoredMember), core(Merged)
    names = ("matter", "event", "received_id", "origin_id", "first_seen", "id")
    columns = [answers.c[name] for name in names]
    said = select(answers.c.member_id, *columns).where(answer_stands(answers))
    elsewhere = select(merged.c.into_id.label("member_id"), *columns).where(answer_stands(answers))
    elsewhere = elsewhere.join(answers, answers.c.member_id == merged.c.member_id)
    parts = select(merged.c.into_id.label("member_id"), members).join(members, members.c.id == merged.c.member_id)
    return (
        said.order_by(answers.c.member_id, answers.c.id).execution_options(yield_per=5000),
        elsewhere.order_by(merged.c.into_id, answers.c.id).execution_options(yield_per=5000),
        parts.order_by(merged.c.into_id, members.c.id).execution_options(yield_per=2000),
    )


def _said_by(
    connection: Connection, people: Sequence[int], *, withdrawn: bool = False
) -> tuple[dict[int, list[Any]], dict[int, list[Any]]]:
    """By person: what stands of what they said (or what was `withdrawn`), and the other members whom they are."""
    answers, members = core(StoredAnswer), core(StoredMember)
    whose = parts_of(connection, people)
    stands = answer_stands(answers)
    query = select(answers).where(~stands if withdrawn else stands).order_by(answers.c.id)
    said: dict[int, list[Any]] = {}
    for some in slices(list(whose)):
        for row in connection.execute(query.where(answers.c.member_id.in_(some))):
            said.setdefault(whose[row.member_id], []).append(row)
    parts: dict[int, list[Any]] = {}
    for some in slices([member for member, person in whose.items() if member != person]):
        for row in connection.execute(select(members).where(members.c.id.in_(some))):
            parts.setdefault(whose[row.id], []).append(row)
    ordered = {person: sorted(rows, key=in_order) for person, rows in parts.items()}
    return {person: sorted(rows, key=attrgetter("id")) for person, rows in said.items()}, ordered


def _events(
    rows: Iterable[Any], values: dict[int, Received], origins: dict[int, Origin], marks: Marks
) -> tuple[tuple[str, Event], ...]:
    grouped: dict[tuple[str, int, int], list[Any]] = {}
    for row in rows:
        grouped.setdefault((row.matter, row.event, row.origin_id), []).append(row)
    return tuple(
        (matter, _event(said, values, origins[origin_id], marks)) for (matter, _, origin_id), said in grouped.items()
    )


def _event(said: Sequence[Any], values: dict[int, Received], origin: Origin, marks: Marks) -> Event:
    """What was said together. A person who was merged may have said it under two keys: then it is said once."""
    once = {row.received_id: row for row in reversed(said)}
    parts = [row for row in said if once[row.received_id] is row]
    return Event(
        tuple(values[row.received_id] for row in parts),
        origin,
        min(row.first_seen for row in said),
        tuple(row.id for row in parts),
        strongest(marks, [row.id for row in said]) if marks else "",
    )


def _values(connection: Connection, among: Sequence[int] | None = None) -> dict[int, Received]:
    table = core(ReceivedValue)
    query = select(table.c.id, table.c.value)
    portions = [query] if among is None else [query.where(table.c.id.in_(some)) for some in slices(among)]
    return {row.id: _received(row.value) for each in portions for row in connection.execute(each)}


def _origins(connection: Connection, among: Sequence[Any] | None = None) -> dict[int, Origin]:
    """The origins of some answers, or all."""
    table = core(StoredOrigin)
    query = select(table)
    ids = sorted({row.origin_id for row in among}) if among is not None else []
    portions = [query] if among is None else [query.where(table.c.id.in_(some)) for some in slices(ids)]
    return {
        row.id: Origin(
            partner=row.partner,
            collector=row.collector,
            method=row.method,
            standard=row.standard,
            question=row.question,
            collected_on=row.collected_on,
        )
        for each in portions
        for row in connection.execute(each)
    }
