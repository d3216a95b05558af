"""Write what a run read: members, answers, findings and quarantine, one transaction for each chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, Engine, select, update

from fhir_equity.model import Finding, Frame, Loss, Rejected
from fhir_equity.store.answers import Interned, Record, write_answers
from fhir_equity.store.backend import UnstorableError
from fhir_equity.store.connection import writing
from fhir_equity.store.members import settle
from fhir_equity.store.repeats import Met, Repeats
from fhir_equity.store.rows import (
    digest,
    escaped,
    finding_row,
    frame_row,
    insert_all,
    insert_new,
    insert_one,
    loss_row,
    slices,
)
from fhir_equity.store.schema import (
    Artefact,
    Quarantined,
    Run,
    Settled,
    Sighting,
    StoredFinding,
    StoredFrame,
    StoredLoss,
    core,
)
from fhir_equity.store.watch import Noticed, Watch

MOST = 50_000  # values remembered within a run; beyond that it starts afresh, so memory has a bound


class Written(Struct):
    """What a run changed, and what only the store could find, by code."""

    members: int = 0
    answers: int = 0
    quarantined: int = 0
    findings: dict[str, int] = field(default_factory=dict)

    def count(self, findings: Iterable[Finding]) -> None:
        """Count findings."""
        for finding in findings:
            self.findings[finding.code] = self.findings.get(finding.code, 0) + 1


class RunWriter:
    """One run of one partner. Call `add` with chunks, then `finish`."""

    def __init__(
        self, engine: Engine, partner: str, as_of: str, software: str, pseudonym: Callable[[str, str], str]
    ) -> None:
        self._engine = engine
        self._partner = partner
        self._as_of = as_of
        self._pseudonym = pseudonym
        self._interned = Interned()
        self._repeats: dict[str, Repeats] = {}  # by format
        self._watches: dict[int, Watch] = {}  # by artefact, while it is read
        self.written = Written()
        with writing(engine) as connection:
            self.id = insert_one(connection, Run, partner=partner, as_of=as_of, started=now(), software=software)

    def artefact(self, name: str, format_: str, *, families: bool = False) -> int:
        """Begin an input; returns its id for `add` and `close`. `families`: it has its dependents' subscribers."""
        with writing(self._engine) as connection:
            made = insert_one(connection, Artefact, run_id=self.id, name=escaped(name), format=format_)
        self._watches[made] = Watch(
            self._partner, made, self._repeats.setdefault(format_, Repeats()), families=families
        )
        return made

    def close(self, artefact: int, *, sha256: str, size: int, members: int, rejected: int) -> None:
        """End an input with its digest and counts, and find what shows only then."""
        table = core(Artefact)
        values = {"sha256": sha256, "bytes": size, "members": members, "rejected": rejected}
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == artefact).values(**values))
            findings = self._watches[artefact].end(connection)
            insert_all(connection, StoredFinding, [finding_row(artefact, each) for each in findings])
        del self._watches[artefact]
        self.written.count(findings)

    def finish(self) -> Written:
        """End the run."""
        table = core(Run)
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == self.id).values(finished=now()))
        return self.written

    def add(
        self,
        artefact: int,
        records: Iterable[Record],
        rejected: Iterable[Rejected] = (),
        findings: Iterable[Finding] = (),
        losses: Iterable[Loss] = (),
        *,
        frames: Iterable[Frame] = (),
        settled: Iterable[int] = (),
    ) -> None:
        """Write one chunk in one transaction: all of it or nothing. Raises StoreError, StoreLockedError.

        `artefact` may be one of an earlier run: then `settled` are the ids of the quarantined
        records that could be read after all.
        """
        found, lost, framed = list(findings), list(losses), list(frames)
        chunk = _Chunk(artefact, list(records), list(rejected), found, lost, framed, list(settled))
        try:
            self._write(chunk)
        except (UnicodeEncodeError, UnstorableError):  # rare, and looking for it beforehand would cost every run
            self._write(escaped(chunk))

    def _write(self, chunk: _Chunk) -> None:
        # What is learnt in a transaction that fails must not be remembered: its rows are gone.
        interned, self._interned = self._interned, Interned()
        watch, noticed = self._watches.get(chunk.artefact), Noticed()
        with writing(self._engine) as connection:
            ids, members = settle(connection, self._partner, [r.member for r in chunk.records], self._pseudonym)
            said = list(zip(ids, chunk.records, strict=True))
            answers = write_answers(connection, interned, chunk.artefact, self._as_of, said)
            insert_new(connection, Sighting, [{"member_id": i, "run_id": self.id} for i in ids])
            if watch is not None:
                noticed = watch.notice(connection, [Met(i, r.member, interned.said(r)) for i, r in said])
            found = [*chunk.all_findings(), *noticed.findings]
            insert_all(connection, StoredFinding, [finding_row(chunk.artefact, each) for each in found])
            insert_all(connection, StoredLoss, [loss_row(chunk.artefact, loss) for loss in chunk.all_losses()])
            insert_all(connection, StoredFrame, [frame_row(chunk.artefact, frame) for frame in chunk.frames])
            quarantined = self._quarantine(connection, chunk.artefact, chunk.rejected)
            settled = [{"quarantine_id": i, "run_id": self.id, "at": now()} for i in chunk.settled]
            insert_new(connection, Settled, settled)
        if interned.size() < MOST:
            self._interned = interned
        if watch is not None:
            watch.learn(noticed)
        self.written.count(noticed.findings)
        self.written.members += members
        self.written.answers += answers
        self.written.quarantined += quarantined

    def _quarantine(self, connection: Connection, artefact: int, rejected: Sequence[Rejected]) -> int:
        rows: dict[tuple[str, str], dict[str, Any]] = {}  # by code and digest: once for each content and reason
        for item in rejected:
            row = finding_row(artefact, item.finding)
            del row["severity"], row["loop"], row["within"]
            row |= {"partner": self._partner, "digest": digest(item.raw), "raw": item.raw}
            rows.setdefault((row["code"], row["digest"]), row)
        table = core(Quarantined)
        query = select(table.c.code, table.c.digest).where(table.c.partner == self._partner)
        for some in slices(sorted({digested for _, digested in rows})):
            for code, digested in connection.execute(query.where(table.c.digest.in_(some))).all():
                rows.pop((code, digested), None)
        insert_all(connection, Quarantined, list(rows.values()))
        return len(rows)


class _Chunk(Struct, frozen=True):
    """What goes into one transaction."""

    artefact: int
    records: list[Record]
    rejected: list[Rejected]
    findings: list[Finding]
    losses: list[Loss]
    frames: list[Frame]
    settled: list[int]

    def all_findings(self) -> list[Finding]:
        found = [finding for record in self.records for finding in record.findings]
        return [*self.findings, *found, *(item.finding for item in self.rejected)]

    def all_losses(self) -> list[Loss]:
        return [*self.losses, *(loss for record in self.records for loss in record.member.losses)]


def now() -> str:
    """The time as the store writes it: ISO, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
