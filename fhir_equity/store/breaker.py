"""The circuit breaker: how much of a partner's an ingest would drop, flip or erase, judged before anything is written.

The files are read once to be judged and once more to be stored, so nothing of a stopped file is ever in the
store, and memory stays that of a chunk and one bit for each member. An ingest that was judged and then
interrupted goes on without being judged again.

* *Dropped members*: where files say of themselves that they are whole (an 834 with BGN08 = 4), those whom the
  partner's last whole ingest had and this one lacks; in any file, those whose coverage a record ends (INS03 = 024).
* *Dropped statements*: matters about which the last whole ingest said something of a member and a whole file
  says nothing any more, by the member's first record. Surveys, FHIR and changes drop nothing by leaving it out.
* *Flipped*: a new statement with a known answer that differs from the latest one told the same way (collector,
  method, standard, question, kind of file); *erased*: one without a known answer in place of one that had it.
  Whether it would win is not asked: the sender changed its word. What two senders always told differently is
  no flip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select

from fhir_equity.model import Event, Origin
from fhir_equity.store.answers import Record
from fhir_equity.store.connection import reading
from fhir_equity.store.members import find
from fhir_equity.store.people import People
from fhir_equity.store.rows import among, event_digest, insert_one, now
from fhir_equity.store.schema import (
    Merged,
    Run,
    SayingPart,
    Sighting,
    StoredJudgement,
    StoredMember,
    StoredResolution,
    core,
)
from fhir_equity.store.withdrawn import is_withdrawn, run_stands

ENDS = "024"  # INS03: coverage ends
Said = frozenset[tuple[str, str]]  # empty where nothing is known
Meant = Callable[[Event], Said]


class Judgement(Struct):
    """What an ingest would do. Each count is beside what it is a share of."""

    partner: str = ""
    whole: bool = False
    accepted: bool = False
    members: int = 0
    members_dropped: int = 0
    statements: int = 0
    statements_dropped: int = 0
    known: int = 0
    flipped: int = 0
    erased: int = 0

    def keep(self, connection: Connection, run: int | None) -> None:
        """Put it on record, with its run or, where it was stopped, without one."""
        insert_one(
            connection, StoredJudgement, run_id=run, at=now(), **{n: getattr(self, n) for n in self.__struct_fields__}
        )


class Breaker:
    """Judges one ingest of a partner. Call `look` with the records of every chunk, then `judgement`."""

    def __init__(self, engine: Engine, partner: str, meant: Meant) -> None:
        self._engine = engine
        self._people = People(engine)
        self._partner = partner
        self._meant = meant
        self._met = bytearray()  # a bit for each member
        self._met_before = 0  # of those of the last whole ingest
        self._ended = 0
        self._matters: dict[int, frozenset[str]] = {}  # by saying
        self._found = Judgement(partner)
        with reading(engine) as connection:
            self._last = _last_whole(connection, partner)
            self._had, self._had_said = _sizes(connection, self._last)
            self._everybody, self._found.known = _everybody(connection, partner)

    @property
    def nothing_to_lose(self) -> bool:
        """Whether the partner has nobody in the store: then there is nothing to judge."""
        return not self._everybody

    def look(self, records: Sequence[Record]) -> None:
        """Judge a chunk of records, in the order in which they are read."""
        with reading(self._engine) as connection:
            ids = find(connection, self._partner, [record.member for record in records])
            known = [(number, record) for number, record in zip(ids, records, strict=True) if number]
            first = [(number, record) for number, record in known if self._meets(number)]
            before = self._said_before(connection, [number for number, _ in first])
        for number, record in first:
            if number in before:
                self._met_before += 1
                self._found.statements_dropped += len(before[number] - {matter for matter, _ in record.events})
            self._ended += record.member.enrollment.maintenance == ENDS
        self._compare(known)

    def judgement(self, *, whole: bool) -> Judgement:
        """What was found; `whole` is whether every file said that whoever it leaves out is gone."""
        found = self._found
        found.whole = whole
        found.statements = self._had_said
        if whole and self._last:
            found.members, found.members_dropped = self._had, self._had - self._met_before + self._ended
        else:
            found.members, found.members_dropped = self._everybody, self._ended
        if not whole:
            found.statements_dropped = 0
        return found

    def _meets(self, number: int) -> bool:
        """Whether it is the first time."""
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._met):
            self._met.extend(bytes(place + 1 - len(self._met)))
        new = not self._met[place] & bit
        self._met[place] |= bit
        return new

    def _said_before(self, connection: Connection, members: Sequence[int]) -> dict[int, set[str]]:
        """The matters of which the last whole ingest spoke, for those whom it met."""
        if not self._last:
            return {}
        table, parts = core(Sighting), core(SayingPart)
        query = select(table.c.member_id, table.c.saying_id).where(table.c.run_id == self._last)
        rows = list(among(connection, query, table.c.member_id, members))
        new = sorted({saying for _, saying in rows} - self._matters.keys())
        self._matters.update(dict.fromkeys(new, frozenset()))
        for saying, matter in among(connection, select(parts.c.saying_id, parts.c.matter), parts.c.saying_id, new):
            self._matters[saying] |= {matter}
        said: dict[int, set[str]] = {}
        for member, saying in rows:
            said.setdefault(member, set()).update(self._matters[saying])
        return said

    def _compare(self, known: Iterable[tuple[int, Record]]) -> None:
        telling = {number: record for number, record in known if record.events}
        for number, stored in self._people.events(sorted(telling)).items():
            there = {(event_digest(event.received), _plain(event.origin)) for _, event in stored}
            for matter, event in telling[number].events:
                if (event_digest(event.received), _plain(event.origin)) not in there:
                    self._turns(event, [e for about, e in stored if about == matter and _way(e) == _way(event)])

    def _turns(self, event: Event, earlier: Sequence[Event]) -> None:
        """Count a new statement beside what was last known from the same side."""
        told = [(_date(each), said) for each in earlier if (said := self._meant(each))]
        if told:
            last = max(told, key=lambda each: each[0])[1]
            said = self._meant(event)
            self._found.erased += not said
            self._found.flipped += bool(said) and said != last


def _plain(origin: Origin) -> tuple[str, ...]:
    return (origin.partner, origin.collector, origin.method, origin.standard, origin.question, origin.collected_on)


def _way(event: Event) -> tuple[str, ...]:
    """How it was told: by whom, to which question, and in which kind of file (``x12``, ``survey``, ``fhir``)."""
    return (*_plain(event.origin)[:-1], event.received[0].element.partition(".")[0])


def _date(event: Event) -> str:
    return event.origin.collected_on or event.first_seen


def _last_whole(connection: Connection, partner: str) -> int:
    table, runs = core(StoredJudgement), core(Run)
    query = select(func.max(runs.c.id)).select_from(table.join(runs, runs.c.id == table.c.run_id))
    query = query.where(table.c.partner == partner, table.c.whole, runs.c.finished != "", run_stands(runs))
    return int(connection.execute(query).scalar() or 0)


def _sizes(connection: Connection, run: int) -> tuple[int, int]:
    """How many members a run met, and of how many matters of theirs it spoke."""
    if not run:
        return 0, 0
    table, parts = core(Sighting), core(SayingPart)
    members = select(func.count(table.c.member_id.distinct())).where(table.c.run_id == run)
    spoken: Any = select(func.count()).select_from(table.join(parts, parts.c.saying_id == table.c.saying_id))
    said = connection.execute(spoken.where(table.c.run_id == run)).scalar_one()
    return int(connection.execute(members).scalar_one()), int(said)


def _everybody(connection: Connection, partner: str) -> tuple[int, int]:
    """How many members a partner has, and how many known answers the people have whom they are, whoever's they are."""
    members, merged, kept = core(StoredMember), core(Merged), core(StoredResolution)
    theirs = (members.c.partner == partner, ~is_withdrawn(members))
    people = select(func.coalesce(merged.c.into_id, members.c.id)).where(*theirs)
    people = people.select_from(members.outerjoin(merged, merged.c.member_id == members.c.id))
    known = select(func.count()).where(kept.c.state == "answered", kept.c.member_id.in_(people))
    many = select(func.count()).select_from(members).where(*theirs)
    return int(connection.execute(many).scalar_one()), int(connection.execute(known).scalar_one())
