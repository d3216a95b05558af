"""What of a store is exported for analysis: people with what they said and where it stood, findings, losses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, func, select

from fhir_equity.model import Event, Member
from fhir_equity.store.answers import origin_digest
from fhir_equity.store.as_one import in_order, member_of
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.holds import held_by
from fhir_equity.store.kept import Placed, kept_of
from fhir_equity.store.members import recall, settle
from fhir_equity.store.people import People, Person
from fhir_equity.store.rows import LOOKUP, among, by_key, event_digest, insert_new
from fhir_equity.store.schema import (
    Artefact,
    Beaten,
    Merge,
    Merged,
    Run,
    StoredAnswer,
    StoredFinding,
    StoredLoss,
    StoredMember,
    StoredOrigin,
    StoredResolution,
    WithdrawnMember,
    core,
)
from fhir_equity.store.standing import Meeting, meetings, standing_runs
from fhir_equity.store.strangers import Namer
from fhir_equity.store.withdrawn import answer_stands, run_stands
from fhir_equity.store.words import Words, words_of

Met = dict[int, list[Meeting]]  # by member
WHOSE = ("partner", "key", "twin")


class Told(Struct, frozen=True):
    """Where one stored answer stood: the name and format of its artefact, and the position in it.

    `last_seen` is the ISO date of the latest run that gave it.
    """

    artefact: str
    format: str
    unit: str
    number: int
    offset: int
    path: str
    last_seen: str


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


class Part(Struct, frozen=True):
    """A member as their partner knows them, and what was said under their key; `withdrawn` with their every run.

    `placed` is what tells them from others under that key, `last_seen` the ISO date of the latest run that met them.
    """

    pseudonym: str
    member: Member
    placed: Placed
    events: tuple[tuple[str, Event], ...]
    last_seen: str
    withdrawn: bool
    words: Words


class Whole(Struct, frozen=True):
    """A person as the store holds them: `told` and the events' identities are by answer id.

    `parts` are the members who are this person, first the one by whom they are called.
    """

    person: Person
    parts: tuple[Part, ...]
    told: dict[int, Told]
    settled: tuple[Settled, ...]


class Lake:
    """A store read out in whole, in constant memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._people = People(engine)

    def people(self) -> Iterator[Whole]:
        """Everybody, in the order of their ids; who came, and what was said, after this began is left out."""
        queries = (_positions(), _positions(merged=True), _settled(), _beaten(), _members(), _members(merged=True))
        with reading(self._engine) as connection, ExitStack() as opened:
            streamed = [query.execution_options(yield_per=5000) for query in queries]
            results = [opened.enter_context(connection.execute(query)) for query in streamed]
            told, told_elsewhere, settled, beaten = map(by_key, results[:4])
            own, others = (by_key(rows, "person") for rows in results[4:])
            runs, people, held = standing_runs(connection), iter(self._people), held_by(connection)
            while page := list(islice(people, LOOKUP)):
                parts = [[*own(person.id), *sorted(others(person.id), key=in_order)] for person in page]
                everybody = [row.id for rows in parts for row in rows]
                met, words = self._met(everybody, runs), self._words(everybody, held)
                for person, rows in zip(page, parts, strict=True):
                    places = [*told(person.id), *told_elsewhere(person.id)]
                    at = {row.id: _told(row, _last(met.get(row.whose, ()), row)) for row in places}
                    found = _settled_of(settled(person.id), beaten(person.id))
                    if rows:
                        yield Whole(person, self._apart(person, rows, met, at, words), at, found)

    def _met(self, members: Sequence[int], runs: dict[int, str]) -> Met:
        """The runs that met these members, beside the streams that are read."""
        with reading(self._engine) as connection:
            return meetings(connection, members, runs)

    def _words(self, members: Sequence[int], held: Mapping[int, list[dict[str, Any]]]) -> dict[int, Words]:
        """What is on record about these members, beside the streams that are read."""
        with reading(self._engine) as connection:
            return words_of(connection, members, held)

    def _apart(
        self, person: Person, rows: Sequence[Any], met: Met, at: Mapping[int, Told], words: Mapping[int, Words]
    ) -> tuple[Part, ...]:
        """The members who are a person, with what was said that has a place; few are more than one."""
        said = {person.id: person.events} if len(rows) == 1 else self._people.events(sorted(row.id for row in rows))
        return tuple(
            Part(
                pseudonym=row.pseudonym,
                member=member_of(row._mapping),
                placed=Placed(row.twin, kept_of(row.details).seen),
                events=tuple([each for each in said.get(row.id, ()) if each[1].identity[0] in at]),
                last_seen=_last(met.get(row.id, ())),
                withdrawn=row.withdrawn is not None,
                words=words.get(row.id, {}),
            )
            for row in rows
        )

    def mergings(self) -> list[Mapping[str, Any]]:
        """Every merge, oldest first, with partner, key and number of both members, of the second as `into_key`, ..."""
        table, one, other = core(Merge), core(StoredMember).alias(), core(StoredMember).alias()
        said = [table.c[name] for name in ("author", "reason", "at", "undone_at", "undone_by")]
        whose = [one.c[name] for name in WHOSE] + [other.c[name].label(f"into_{name}") for name in WHOSE]
        joined = table.join(one, one.c.id == table.c.member_id).join(other, other.c.id == table.c.into_id)
        query = select(table.c.id.label("merge"), *whose, *said).select_from(joined).order_by(table.c.id)
        with reading(self._engine) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def who(
        self, partner: str, members: Sequence[Member], pseudonym: Namer, placed: Sequence[Placed | None]
    ) -> list[int]:
        """The ids of members who were brought from another store, in order. Raises StoreError for one who was not."""
        with reading(self._engine) as connection:
            return recall(connection, partner, members, pseudonym, placed)

    def bring_withdrawn(
        self, partner: str, members: Sequence[Member], pseudonym: Namer, placed: Sequence[Placed | None]
    ) -> list[int]:
        """Bring members whom only runs brought that were retracted elsewhere, in order; who is here is left alone."""
        with writing(self._engine) as connection:
            ids, new = settle(connection, partner, members, pseudonym, "", placed)
            insert_new(connection, WithdrawnMember, [{"member_id": member} for member in sorted(new)])
            return ids

    def answers(self, said: Sequence[tuple[int, Event]]) -> list[int]:
        """The first answer of each of these occasions (of members, by id), in order; 0 for one that is not there."""
        table, origins = core(StoredAnswer), core(StoredOrigin)
        one = (table.c.member_id, table.c.event, origins.c.digest)
        query = select(*one, func.min(table.c.id)).join(origins, origins.c.id == table.c.origin_id).group_by(*one)
        with reading(self._engine) as connection:
            rows = among(connection, query, table.c.member_id, sorted({member for member, _ in said}))
            found = {(member, event, origin): number for member, event, origin, number in rows}
        return [found.get((who, event_digest(e.received), origin_digest(e.origin)), 0) for who, e in said]

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


def _told(row: Any, last_seen: str) -> Told:
    return Told(row.name, row.format, row.unit, row.number, row.offset, row.path, last_seen)


def _last(met: Iterable[Meeting], answer: Any = None) -> str:
    """The date of the latest of these runs, or of those that gave an answer."""
    return max((each.as_of for each in met if answer is None or each.gave(answer)), default="")


def _settled_of(rows: Iterable[Any], beaten: Iterable[Any]) -> tuple[Settled, ...]:
    """The resolutions of one person."""
    lost: dict[str, list[int]] = {}
    for row in beaten:
        lost.setdefault(row.matter, []).append(row.answer_id)
    return tuple(
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
        for row in rows
    )


def _positions(*, merged: bool = False) -> Any:
    """Where answers stood, by member; or those of members who were `merged`, by person."""
    answers, artefacts, parts = core(StoredAnswer), core(Artefact), core(Merged)
    whose = (parts.c.into_id if merged else answers.c.member_id).label("member_id")
    places = (answers.c.unit, answers.c.number, answers.c.offset, answers.c.path)
    said = (answers.c.member_id.label("whose"), answers.c.event, answers.c.origin_id, artefacts.c.run_id)
    query = select(whose, answers.c.id, artefacts.c.name, artefacts.c.format, *places, *said)
    joined = answers.join(artefacts, artefacts.c.id == answers.c.artefact_id)
    joined = joined.join(parts, parts.c.member_id == answers.c.member_id) if merged else joined
    return query.select_from(joined).where(answer_stands(answers)).order_by(whose, answers.c.id)


def _settled() -> Any:
    table = core(StoredResolution)
    return select(table).order_by(table.c.member_id, table.c.matter)


def _beaten() -> Any:
    table = core(Beaten)
    return select(table).order_by(table.c.member_id, table.c.matter, table.c.place)


def _members(*, merged: bool = False) -> Any:
    """Every member, or those who were `merged`, by person."""
    members, parts, withdrawn = core(StoredMember), core(Merged), core(WithdrawnMember)
    person = parts.c.into_id if merged else members.c.id
    query = select(person.label("person"), members, withdrawn.c.member_id.label("withdrawn"))
    joined = members.join(parts, parts.c.member_id == members.c.id) if merged else members
    joined = joined.outerjoin(withdrawn, withdrawn.c.member_id == members.c.id)
    return query.select_from(joined).order_by(person, members.c.id)
