"""Write what a run read: members, answers, findings and quarantine, one transaction for each chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select, update

from fhir_equity.model import (
    Event,
    Finding,
    Member,
    Origin,
    Received,
    Rejected,
)
from fhir_equity.store.connection import writing
from fhir_equity.store.rows import (
    demographics,
    digest,
    encode,
    event_digest,
    finding_row,
    identifiers,
    insert_all,
    insert_new,
    insert_one,
    intern,
    is_same_person,
    update_member,
)
from fhir_equity.store.schema import (
    Artefact,
    MemberIdentifier,
    Quarantined,
    ReceivedValue,
    Run,
    Sighting,
    StoredAnswer,
    StoredFinding,
    StoredMember,
    StoredOrigin,
    core,
)

LOOKUP = 500  # values in one IN (...): below every SQLite's limit of variables


class Record(Struct, frozen=True):
    """A member as read, their answers as events by matter, and the findings about them."""

    member: Member
    events: tuple[tuple[str, Event], ...]
    findings: tuple[Finding, ...] = ()


class Written(Struct):
    """What a run changed."""

    members: int = 0
    answers: int = 0
    quarantined: int = 0


class RunWriter:
    """One run of one partner. Call `add` with chunks, then `finish`."""

    def __init__(
        self, engine: Engine, partner: str, as_of: str, software: str, pseudonym: Callable[[str, str], str]
    ) -> None:
        self._engine = engine
        self._partner = partner
        self._as_of = as_of
        self._pseudonym = pseudonym
        self._received: dict[Received, int] = {}
        self._origins: dict[Origin, int] = {}
        self.written = Written()
        with writing(engine) as connection:
            self.id = insert_one(connection, Run, partner=partner, as_of=as_of, started=now(), software=software)

    def artefact(self, name: str, format_: str) -> int:
        """Begin an input; returns its id for `add` and `close`."""
        with writing(self._engine) as connection:
            return insert_one(connection, Artefact, run_id=self.id, name=name, format=format_)

    def close(self, artefact: int, *, sha256: str, size: int, members: int, rejected: int) -> None:
        """End an input with its digest and counts."""
        table = core(Artefact)
        values = {"sha256": sha256, "bytes": size, "members": members, "rejected": rejected}
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == artefact).values(**values))

    def finish(self) -> Written:
        """End the run."""
        table = core(Run)
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == self.id).values(finished=now()))
        return self.written

    def add(
        self,
        artefact: int,
        records: Sequence[Record],
        rejected: Iterable[Rejected] = (),
        findings: Iterable[Finding] = (),
    ) -> None:
        """Write one chunk in one transaction: all of it or nothing."""
        with writing(self._engine) as connection:
            ids = self._members(connection, [record.member for record in records])
            self._answers(connection, artefact, records, ids)
            insert_new(connection, Sighting, [{"member_id": i, "run_id": self.id} for i in ids])
            found = [*findings, *(f for record in records for f in record.findings)]
            insert_all(connection, StoredFinding, [finding_row(artefact, f) for f in found])
            self._quarantine(connection, artefact, rejected)

    def _members(self, connection: Connection, members: Sequence[Member]) -> list[int]:
        """The ids of members in order; new people are inserted, changed demographics updated."""
        known = self._known(connection, {member.key for member in members})
        ids = []
        for member in members:
            twins = known.setdefault(member.key, [])
            row = next((r for r in twins if is_same_person(r, member)), None)
            if row is None:
                row = self._insert_member(connection, member, twin=len(twins))
                twins.append(row)
                self.written.members += 1
            else:
                update_member(connection, row, member)
            ids.append(row["id"])
        return ids

    def _known(self, connection: Connection, keys: set[str]) -> dict[str, list[dict[str, Any]]]:
        table = core(StoredMember)
        columns = (table.c.id, table.c.key, table.c.family, table.c.given, table.c.birth_date, table.c.details)
        known: dict[str, list[dict[str, Any]]] = {}
        ordered = sorted(keys)
        for start in range(0, len(ordered), LOOKUP):
            some = ordered[start : start + LOOKUP]
            query = (
                select(*columns).where(table.c.partner == self._partner, table.c.key.in_(some)).order_by(table.c.twin)
            )
            for row in connection.execute(query).mappings():
                known.setdefault(row["key"], []).append(dict(row))
        return known

    def _insert_member(self, connection: Connection, member: Member, twin: int) -> dict[str, Any]:
        values = {
            "partner": self._partner,
            "key": member.key,
            "twin": twin,
            "key_rule": member.key_rule,
            "pseudonym": self._pseudonym(self._partner, f"{member.key}#{twin}" if twin else member.key),
            **demographics(member),
        }
        values["id"] = insert_one(connection, StoredMember, **values)
        insert_new(connection, MemberIdentifier, identifiers(values["id"], member))
        return values

    def _answers(self, connection: Connection, artefact: int, records: Sequence[Record], ids: Sequence[int]) -> None:
        rows = []
        for record, member_id in zip(records, ids, strict=True):
            places = {answer.received: answer for answer in record.member.answers}
            for matter, event in record.events:
                said = event_digest(event)
                origin = self._origin(connection, event.origin)
                for received in event.received:
                    answer = places[received]
                    rows.append(
                        {
                            "member_id": member_id,
                            "event": said,
                            "received_id": self._value(connection, received),
                            "origin_id": origin,
                            "matter": matter,
                            "first_seen": self._as_of,
                            "artefact_id": artefact,
                            "unit": answer.unit,
                            "number": answer.number,
                            "offset": answer.offset,
                            "path": answer.path,
                        }
                    )
        self.written.answers += insert_new(connection, StoredAnswer, rows)
        self._seen_earlier(connection, rows)

    def _seen_earlier(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        """A file replayed with an earlier date moves the first sighting back, whatever the order."""
        table = core(StoredAnswer)
        if not rows or connection.execute(select(func.max(table.c.first_seen))).scalar_one() <= self._as_of:
            return
        for row in rows:
            same = [table.c[name] == row[name] for name in ("member_id", "event", "received_id", "origin_id")]
            later = update(table).where(*same, table.c.first_seen > self._as_of)
            connection.execute(later.values(first_seen=self._as_of))

    def _value(self, connection: Connection, received: Received) -> int:
        found = self._received.get(received)
        if found is None:
            value = encode(received)
            found = intern(connection, ReceivedValue, digest(value), topic=received.topic, value=value)
            self._received[received] = found
        return found

    def _origin(self, connection: Connection, origin: Origin) -> int:
        found = self._origins.get(origin)
        if found is None:
            parts = {
                "partner": origin.partner,
                "collector": origin.collector,
                "method": origin.method,
                "standard": origin.standard,
                "question": origin.question,
                "collected_on": origin.collected_on,
            }
            found = intern(connection, StoredOrigin, digest(encode(parts)), **parts)
            self._origins[origin] = found
        return found

    def _quarantine(self, connection: Connection, artefact: int, rejected: Iterable[Rejected]) -> None:
        rows = []
        for item in rejected:
            row = finding_row(artefact, item.finding)
            del row["severity"]
            rows.append({**row, "partner": self._partner, "digest": digest(item.raw), "raw": item.raw})
            connection.execute(core(StoredFinding).insert().values(**finding_row(artefact, item.finding)))
        self.written.quarantined += insert_new(connection, Quarantined, rows)


def now() -> str:
    """The time as the store writes it: ISO, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
