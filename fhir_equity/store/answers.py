"""Write answers: received values and origins once, each answer once, first seen on the earliest date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, bindparam, select, update

from fhir_equity.model import Event, Finding, Member, Origin, Received
from fhir_equity.store.kept import Placed
from fhir_equity.store.resolutions import Stated
from fhir_equity.store.rows import among, digest, encode, event_digest, insert_all, insert_new, intern
from fhir_equity.store.schema import ReceivedValue, Saying, SayingPart, StoredAnswer, StoredOrigin, core
from fhir_equity.store.withdrawn import revive_answers, withdrawn_answers

_IDENTITY = ("member_id", "event", "received_id", "origin_id")
Identity = tuple[int, int, int, int]
Known = tuple[int, str, str]  # answer id, matter, first seen
Row = dict[str, Any]
Said = tuple[tuple[str, int, int], ...]  # matter, event and origin id of all that a record says, in order


class Record(Struct, frozen=True):
    """A member as read, their answers as events by matter, and the findings about them.

    `placed` says who they are where they come from another store.
    """

    member: Member
    events: tuple[tuple[str, Event], ...]
    findings: tuple[Finding, ...] = ()
    placed: Placed | None = None


class Interned(Struct):
    """Ids and digests of what repeats from record to record."""

    received: dict[Received, int] = field(default_factory=dict)
    origins: dict[Origin, int] = field(default_factory=dict)
    events: dict[tuple[Received, ...], int] = field(default_factory=dict)
    sayings: dict[Said, int] = field(default_factory=dict)
    parts: dict[tuple[str, int, int], tuple[str, int, int]] = field(default_factory=dict)  # which sayings share

    def size(self) -> int:
        """How many values are remembered."""
        return len(self.received) + len(self.origins) + len(self.events) + len(self.sayings)

    def said(self, record: Record) -> dict[str, int]:
        """What a learnt record says: each matter with 32 bits of the digests of what was said about it, never 0."""
        said: dict[str, int] = {}
        for matter, event in record.events:  # two events of one matter in whatever order are one statement
            said[matter] = (said.get(matter, 0) + self.events[event.received]) & 0xFFFFFFFF or 1
        return said

    def learn(self, connection: Connection, records: Sequence[Record]) -> None:
        """Know the ids of everything these records say."""
        events = list(dict.fromkeys(event for record in records for _, event in record.events))
        values = {each: encode(each) for event in events for each in event.received if each not in self.received}
        rows = {digest(value): {"topic": each.topic, "value": value} for each, value in values.items()}
        ids = intern(connection, ReceivedValue, rows)
        self.received.update((each, ids[digest(value)]) for each, value in values.items())
        origins = {e.origin: origin_digest(e.origin) for e in events if e.origin not in self.origins}
        ids = intern(connection, StoredOrigin, {of: _parts(origin) for origin, of in origins.items()})
        self.origins.update((origin, ids[of]) for origin, of in origins.items())
        for event in events:
            if event.received not in self.events:
                self.events[event.received] = event_digest(event.received)
        self._learn_sayings(connection, {self._parts(record) for record in records} - self.sayings.keys())

    def saying(self, record: Record) -> int:
        """The id of all that a learnt record says."""
        return self.sayings[self._parts(record)]

    def _parts(self, record: Record) -> Said:
        parts = [(matter, self.events[e.received], self.origins[e.origin]) for matter, e in record.events]
        return tuple(sorted(set(parts))) if len(parts) > 1 else tuple(parts)

    def _learn_sayings(self, connection: Connection, new: Iterable[Said]) -> None:
        found = _sayings(connection, sorted(new))
        parts = self.parts
        self.sayings.update((tuple([parts.setdefault(part, part) for part in said]), of) for said, of in found.items())


def saying_of(connection: Connection, parts: Said) -> int:
    """The id of a saying of these parts (in order), made where it is new."""
    return _sayings(connection, [parts])[parts]


def _sayings(connection: Connection, new: Sequence[Said]) -> dict[Said, int]:
    digests = {digest(encode(parts)): parts for parts in new}
    ids = intern(connection, Saying, {of: {} for of in digests})
    names = ("matter", "event", "origin_id")
    rows = [
        {"saying_id": ids[of], **dict(zip(names, part, strict=True))} for of, said in digests.items() for part in said
    ]
    insert_new(connection, SayingPart, rows)
    return {said: ids[of] for of, said in digests.items()}


def _parts(origin: Origin) -> dict[str, str]:
    # The artefact is no part of it: the same statement in next month's file has the same origin.
    return {name: getattr(origin, name) for name in origin.__struct_fields__ if name != "artefact"}


def origin_digest(origin: Origin) -> str:
    """By which an origin is known."""
    return digest(encode(_parts(origin)))


class Changed(Struct, frozen=True):
    """How many answers are new, and everything that the members have stated for whom anything changed.

    `matters` is how many members have a new answer about each matter.
    """

    new: int
    stated: dict[int, list[Stated]]
    matters: dict[str, int] = {}


def write_answers(
    connection: Connection,
    interned: Interned,
    artefact: int,
    as_of: str,
    said: Sequence[tuple[int, Record]],
    new_members: Container[int] = (),
) -> Changed:
    """Write what members (by id) said.

    An answer known already is left alone, but for a file replayed with an earlier date: that moves
    the date it was first seen back, whatever the order of the files. One that was withdrawn stands again.
    """
    interned.learn(connection, [record for _, record in said])
    known_members = sorted({number for number, _ in said if number not in new_members})
    stored, withdrawn = _stored(connection, known_members), withdrawn_answers(connection, known_members)
    new: dict[Identity, Row] = {}
    earlier: dict[Identity, int] = {}
    for identity, matter, event, record in _identities(interned, said):
        known = stored.get(identity)
        if known is None:
            if identity not in new:
                new[identity] = _row(identity, matter, event, record) | {"first_seen": as_of, "artefact_id": artefact}
        elif known[0] in withdrawn or known[2] > as_of:
            earlier[identity] = known[0]
    first = insert_all(connection, StoredAnswer, list(new.values()))
    if earlier:
        revive_answers(connection, withdrawn & set(earlier.values()))
        withdrawn -= set(earlier.values())
        table = core(StoredAnswer)
        statement = update(table).where(table.c.id == bindparam("row")).values(first_seen=as_of)
        connection.execute(statement, [{"row": row} for row in sorted(earlier.values())])
    if not new and not earlier:
        return Changed(0, {})
    dated = {who: (known[0], known[1], as_of) if who in earlier else known for who, known in stored.items()}
    dated = {who: known for who, known in dated.items() if known[0] not in withdrawn}
    dated |= {identity: (number, row["matter"], as_of) for number, (identity, row) in enumerate(new.items(), first)}
    whose = {(identity[0], row["matter"]) for identity, row in new.items()}
    stated = _stated(dated, {identity[0] for each in (new, earlier) for identity in each})
    return Changed(len(new), stated, Counter(matter for _, matter in whose))


def _stated(stored: Mapping[Identity, Known], members: Container[int]) -> dict[int, list[Stated]]:
    stated: dict[int, list[Stated]] = {}
    for (member, event, received, origin), (number, matter, first_seen) in stored.items():
        if member in members:
            stated.setdefault(member, []).append((matter, event, origin, received, first_seen, number))
    return stated


def _stored(connection: Connection, members: Sequence[int]) -> dict[Identity, Known]:
    """What these members answered so far."""
    table = core(StoredAnswer)
    query = select(*(table.c[name] for name in (*_IDENTITY, "id", "matter", "first_seen")))
    rows = among(connection, query, table.c.member_id, members)
    return {row[:4]: row[4:] for row in rows}


def _identities(
    interned: Interned, said: Iterable[tuple[int, Record]]
) -> Iterator[tuple[Identity, str, tuple[Received, Origin], Record]]:
    for member_id, record in said:
        for matter, event in record.events:
            digested, origin = interned.events[event.received], interned.origins[event.origin]
            for each in event.received:
                identity = (member_id, digested, interned.received[each], origin)
                yield identity, matter, (each, event.origin), record


def _row(identity: Identity, matter: str, answered: tuple[Received, Origin], record: Record) -> Row:
    place = next(a for a in record.member.answers if (a.received, a.origin) == answered)
    member, digested, received, origin = identity
    return {
        "member_id": member,
        "event": digested,
        "received_id": received,
        "origin_id": origin,
        "matter": matter,
        "unit": place.unit,
        "number": place.number,
        "offset": place.offset,
        "path": place.path,
    }
