"""Write what a run read: members, answers, findings and quarantine, one transaction for each chunk.

Each transaction carries how far its artefact has been read. A run that was interrupted is read again from
the start by whoever runs it again; what is in the store is passed over, so that the end is that of a run
that nobody interrupted, row by row. Whoever finds that another process moved on with it stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, Engine, select, update

from fhir_equity.model import Finding, Frame, Loss, Member, Rejected
from fhir_equity.store.answers import Changed, Interned, Record, write_answers
from fhir_equity.store.backend import UnstorableError
from fhir_equity.store.breaker import Judgement
from fhir_equity.store.connection import writing
from fhir_equity.store.kept import Placed
from fhir_equity.store.members import recall, settle
from fhir_equity.store.progress import Progress, move_on, take_up, unfinished
from fhir_equity.store.repeats import Met, Repeats
from fhir_equity.store.resolutions import Judge, Resolutions
from fhir_equity.store.rows import (
    digest,
    escaped,
    finding_row,
    frame_row,
    insert_all,
    insert_new,
    insert_one,
    loss_row,
    now,
    slices,
)
from fhir_equity.store.schema import (
    Artefact,
    Quarantined,
    QuarantinedIn,
    Run,
    Settled,
    Sighting,
    StoredFinding,
    StoredFrame,
    StoredLoss,
    core,
)
from fhir_equity.store.stated import stated_together
from fhir_equity.store.tally import TOPIC, add_to_tally, split, tally
from fhir_equity.store.trail import BEGUN, DONE, Since, Trail
from fhir_equity.store.watch import Noticed, Watch
from fhir_equity.store.withdrawn import revive_members

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
        self,
        engine: Engine,
        partner: str,
        as_of: str,
        software: str,
        pseudonym: Callable[[str, str], str],
        inputs: str = "",
        judge: Judge | None = None,
        *,
        trail: Trail,
        action: str = "ingest",
        judgement: Judgement | None = None,
    ) -> None:
        self._engine = engine
        self._trail = trail
        self._since = Since()
        self._action = action
        self._partner = partner
        self._as_of = as_of
        self._pseudonym = pseudonym
        self._interned = Interned()
        self._resolutions = None if judge is None else Resolutions(judge)
        self._repeats: dict[str, Repeats] = {}  # by format
        self._watches: dict[int, Watch] = {}  # by artefact, while it is read
        self._progress: dict[int, Progress] = {}  # by artefact of this run
        self.written = Written()
        with writing(engine) as connection:
            who = {"partner": partner, "as_of": as_of, "software": software, "inputs": inputs}
            self.id = unfinished(connection, who)
            if not self.id:
                self.id = insert_one(connection, Run, started=now(), **who)
                self._record(connection, BEGUN, {})
                if judgement is not None:
                    judgement.keep(connection, self.id)
                    if judgement.accepted:
                        trail.record("ingest accept-drop", connection=connection, about={"run": self.id})

    def artefact(self, name: str, format_: str, *, families: bool = False, watched: bool = True) -> int:
        """Begin an input; returns its id for `add` and `close`. `families`: it has its dependents' subscribers.

        What is not `watched` brings its own findings about people met twice, and is never closed.
        """
        what: dict[str, str | int] = {"run_id": self.id, "name": escaped(name), "format": format_}
        with writing(self._engine) as connection:
            made, self._progress[made] = take_up(connection, what, self._progress)
        if watched:
            repeats = self._repeats.setdefault(format_, Repeats())
            self._watches[made] = Watch(self._partner, made, repeats, families=families)
        return made

    def close(self, artefact: int, *, sha256: str, size: int, members: int, rejected: int) -> None:
        """End an input with its digest and counts, and find what shows only then."""
        table = core(Artefact)
        values = {"sha256": sha256, "bytes": size, "members": members, "rejected": rejected}
        progress = self._progress[artefact]
        with writing(self._engine) as connection:
            new = not progress.has(1)  # the end is an item, too
            if new:
                move_on(connection, artefact, progress, 1)
                connection.execute(update(table).where(table.c.id == artefact).values(**values))
            findings = self._watches[artefact].end(connection)
            if new:
                insert_all(connection, StoredFinding, [finding_row(artefact, each) for each in findings])
        progress.moved(1)
        del self._watches[artefact]
        self.written.count(findings)

    def finish(self) -> Written:
        """End the run, on the trail too."""
        table = core(Run)
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == self.id).values(finished=now()))
            self._record(connection, DONE, tally(connection, self.id))
        return self.written

    def _record(self, connection: Connection, outcome: str, counts: Mapping[str, int]) -> None:
        about: dict[str, str | int] = {"run": self.id, "partner": self._partner, "as_of": self._as_of}
        plain, topics = split(counts)
        self._trail.record(
            self._action, connection=connection, outcome=outcome, about=about, counts=plain, topics=topics
        )

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
        """Write one chunk in one transaction, all of it or nothing; pass over what is in the store already.

        Raises StoreError, StoreUnavailableError, and StoreLockedError also where another process goes on
        with this very run.

        `artefact` may be one of an earlier run: then `settled` are the ids of the quarantined
        records that could be read after all.
        """
        found, lost, framed = list(findings), list(losses), list(frames)
        chunk = _Chunk(artefact, list(records), list(rejected), found, lost, framed, list(settled))
        progress = self._progress.get(artefact)  # none for an artefact of an earlier run
        take = self._pass_over if progress is not None and progress.has(chunk.size()) else self._write
        try:
            take(chunk)
        except (UnicodeEncodeError, UnstorableError):  # rare, and looking for it beforehand would cost every run
            take(escaped(chunk))
        if progress is not None:
            progress.moved(chunk.size())

    def _pass_over(self, chunk: _Chunk) -> None:
        """Remember what a chunk says that an earlier try of this run has written."""
        watch, noticed = self._watches.get(chunk.artefact), Noticed()
        with writing(self._engine) as connection:
            self._forget(connection)
            ids = recall(connection, self._partner, chunk.members(), self._pseudonym, chunk.placed())
            self._interned.learn(connection, chunk.records)
            if watch is not None:
                said = zip(ids, chunk.records, strict=True)
                noticed = watch.notice(connection, [Met(i, r.member, self._interned.said(r)) for i, r in said])
        self._learn(chunk, noticed)

    def _forget(self, connection: Connection) -> None:
        """Forget ids where others were at work in the store meanwhile: they may be nobody's now, or another row's."""
        if self._since.moved(connection):
            self._interned, self._resolutions = Interned(), self._resolutions and self._resolutions.afresh()

    def _learn(self, chunk: _Chunk, noticed: Noticed) -> None:
        if self._interned.size() >= MOST:
            self._interned = Interned()
        if chunk.artefact in self._watches:
            self._watches[chunk.artefact].learn(noticed)
        self.written.count(noticed.findings)

    def _write(self, chunk: _Chunk) -> None:
        watch, noticed = self._watches.get(chunk.artefact), Noticed()
        progress = self._progress.get(chunk.artefact)
        with writing(self._engine) as connection:
            self._forget(connection)
            # What is learnt in a transaction that fails must not be remembered: its rows are gone.
            interned, self._interned = self._interned, Interned()
            resolutions, self._resolutions = self._resolutions, self._resolutions and self._resolutions.afresh()
            if progress is not None:
                move_on(connection, chunk.artefact, progress, chunk.size())
            who = (chunk.members(), self._pseudonym, self._as_of, chunk.placed())
            ids, new = settle(connection, self._partner, *who)
            said = list(zip(ids, chunk.records, strict=True))
            answers = write_answers(connection, interned, chunk.artefact, self._as_of, said, new)
            if resolutions is not None:
                resolutions.write(connection, stated_together(connection, answers.stated), new)
            revive_members(connection, set(ids) - new)
            seen = [{"member_id": i, "run_id": self.id, "saying_id": interned.saying(record)} for i, record in said]
            insert_new(connection, Sighting, seen)
            if watch is not None:
                noticed = watch.notice(connection, [Met(i, r.member, interned.said(r)) for i, r in said])
            losses = () if progress is not None and progress.same else chunk.all_losses()
            self._log(connection, chunk, noticed.findings, losses)
            quarantined = self._quarantine(connection, chunk.artefact, chunk.rejected)
            add_to_tally(connection, self.id, chunk.counts(len(new), answers, quarantined))
        self._interned, self._resolutions = interned, resolutions
        self._learn(chunk, noticed)
        self.written.members += len(new)
        self.written.answers += answers.new
        self.written.quarantined += quarantined

    def _log(self, connection: Connection, chunk: _Chunk, noticed: Iterable[Finding], losses: Iterable[Loss]) -> None:
        found = [*chunk.all_findings(), *noticed]
        insert_all(connection, StoredFinding, [finding_row(chunk.artefact, each) for each in found])
        insert_all(connection, StoredLoss, [loss_row(chunk.artefact, loss) for loss in losses])
        insert_all(connection, StoredFrame, [frame_row(chunk.artefact, frame) for frame in chunk.frames])
        settled = [{"quarantine_id": i, "run_id": self.id, "at": now()} for i in chunk.settled]
        insert_new(connection, Settled, settled)

    def _quarantine(self, connection: Connection, artefact: int, rejected: Sequence[Rejected]) -> int:
        rows: dict[tuple[str, str], dict[str, Any]] = {}  # by code and digest: once for each content and reason
        for item in rejected:
            row = finding_row(artefact, item.finding)
            del row["severity"], row["loop"], row["within"]
            row |= {"partner": self._partner, "digest": digest(item.raw), "raw": item.raw}
            rows.setdefault((row["code"], row["digest"]), row)
        table = core(Quarantined)
        query = select(table.c.code, table.c.digest, table.c.id).where(table.c.partner == self._partner)
        met: list[int] = []
        for some in slices(sorted({digested for _, digested in rows})):
            for code, digested, number in connection.execute(query.where(table.c.digest.in_(some))).all():
                if rows.pop((code, digested), None) is not None:
                    met.append(number)
        first = insert_all(connection, Quarantined, list(rows.values()))
        met += range(first, first + len(rows))
        if met:
            insert_new(connection, QuarantinedIn, [{"quarantine_id": each, "artefact_id": artefact} for each in met])
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

    def size(self) -> int:
        """How many items it has."""
        parts = (self.records, self.rejected, self.findings, self.losses, self.frames)
        return sum(len(part) for part in parts)

    def members(self) -> list[Member]:
        return [record.member for record in self.records]

    def placed(self) -> list[Placed | None]:
        return [record.placed for record in self.records]

    def counts(self, new: int, answers: Changed, quarantined: int) -> dict[str, int]:
        """What it adds to the tally of its run."""
        met = {"members": len(self.records), "rejected": len(self.rejected), "settled": len(self.settled)}
        made = {"new_members": new, "new_answers": answers.new, "newly_quarantined": quarantined}
        return met | made | {f"{TOPIC}{matter}": many for matter, many in answers.matters.items()}

    def all_findings(self) -> list[Finding]:
        found = [finding for record in self.records for finding in record.findings]
        return [*self.findings, *found, *(item.finding for item in self.rejected)]

    def all_losses(self) -> list[Loss]:
        return [*self.losses, *(loss for record in self.records for loss in record.member.losses)]
