"""Write what a run read: members, answers, findings and quarantine, one transaction for each chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from sqlalchemy import Connection, Engine, update

from fhir_equity.model import Finding, Loss, Rejected
from fhir_equity.store.answers import Interned, Record, write_answers
from fhir_equity.store.connection import writing
from fhir_equity.store.members import settle
from fhir_equity.store.rows import digest, escaped, finding_row, insert_all, insert_new, insert_one, loss_row
from fhir_equity.store.schema import Artefact, Quarantined, Run, Sighting, StoredFinding, StoredLoss, core

MOST = 50_000  # values remembered within a run; beyond that it starts afresh, so memory has a bound


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
        self._interned = Interned()
        self.written = Written()
        with writing(engine) as connection:
            self.id = insert_one(connection, Run, partner=partner, as_of=as_of, started=now(), software=software)

    def artefact(self, name: str, format_: str) -> int:
        """Begin an input; returns its id for `add` and `close`."""
        with writing(self._engine) as connection:
            return insert_one(connection, Artefact, run_id=self.id, name=escaped(name), format=format_)

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
        records: Iterable[Record],
        rejected: Iterable[Rejected] = (),
        findings: Iterable[Finding] = (),
        losses: Iterable[Loss] = (),
    ) -> None:
        """Write one chunk in one transaction: all of it or nothing. Raises StoreError, StoreLockedError."""
        chunk = _Chunk(artefact, list(records), list(rejected), list(findings), list(losses))
        try:
            self._write(chunk)
        except UnicodeEncodeError:  # rare, and looking for it beforehand would cost every run
            self._write(escaped(chunk))

    def _write(self, chunk: _Chunk) -> None:
        # What is learnt in a transaction that fails must not be remembered: its rows are gone.
        interned, self._interned = self._interned, Interned()
        with writing(self._engine) as connection:
            ids, members = settle(connection, self._partner, [r.member for r in chunk.records], self._pseudonym)
            said = list(zip(ids, chunk.records, strict=True))
            answers = write_answers(connection, interned, chunk.artefact, self._as_of, said)
            insert_new(connection, Sighting, [{"member_id": i, "run_id": self.id} for i in ids])
            insert_all(connection, StoredFinding, [finding_row(chunk.artefact, f) for f in chunk.all_findings()])
            insert_all(connection, StoredLoss, [loss_row(chunk.artefact, loss) for loss in chunk.all_losses()])
            quarantined = self._quarantine(connection, chunk.artefact, chunk.rejected)
        if interned.size() < MOST:
            self._interned = interned
        self.written.members += members
        self.written.answers += answers
        self.written.quarantined += quarantined

    def _quarantine(self, connection: Connection, artefact: int, rejected: Sequence[Rejected]) -> int:
        rows = []
        for item in rejected:
            row = finding_row(artefact, item.finding)
            del row["severity"]
            rows.append({**row, "partner": self._partner, "digest": digest(item.raw), "raw": item.raw})
        return insert_new(connection, Quarantined, rows)


class _Chunk(Struct, frozen=True):
    """What goes into one transaction."""

    artefact: int
    records: list[Record]
    rejected: list[Rejected]
    findings: list[Finding]
    losses: list[Loss]

    def all_findings(self) -> list[Finding]:
        found = [finding for record in self.records for finding in record.findings]
        return [*self.findings, *found, *(item.finding for item in self.rejected)]

    def all_losses(self) -> list[Loss]:
        return [*self.losses, *(loss for record in self.records for loss in record.member.losses)]


def now() -> str:
    """The time as the store writes it: ISO, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
