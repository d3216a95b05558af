"""What is too old to be kept goes: people, answers, bytes in quarantine, findings, journal, disclosures.

Nothing of it goes that is under hold.

* *People* whom no file has brought since, under any of their keys: with everything of theirs, but not who still
  keeps something back, or of whom a change at an HIE was interrupted.
* *Answers* that were last given before, unless who wins would turn out otherwise without them, or somebody has
  to decide about them (`purge_answers`).
* *Quarantined records* with their frames; *findings and losses* of inputs that a later run has read again.
* *Journal* entries that came to nothing; *disclosures* whose period is over.
* *Strangers*, whom no file has brought, with the last disclosure about them.
* What nothing refers to any more then: received values, origins, sayings, patterns.

Runs, their artefacts, plans, decisions and the trail stay: they say what was done, and hold no value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, Engine, Table, delete, func, or_, select, update
from sqlmodel import SQLModel

from fhir_equity.errors import StoreLockedError
from fhir_equity.store.cases import Judges
from fhir_equity.store.connection import backend_of, database_errors, reading, writing
from fhir_equity.store.hie_held import MAY_BE_THERE
from fhir_equity.store.hie_standing import Standing
from fhir_equity.store.holds import Held, held
from fhir_equity.store.inputs import latest_inputs
from fhir_equity.store.merged import parts_of, person_of
from fhir_equity.store.planned import PLANNED, SENT
from fhir_equity.store.purge_answers import Runs, purge_answers
from fhir_equity.store.rows import among, encode, slices
from fhir_equity.store.schema import (
    Artefact,
    DecidedRow,
    JournalEntry,
    OptOut,
    Pattern,
    Quarantined,
    QuarantinedIn,
    ReceivedValue,
    Run,
    Saying,
    SayingPart,
    Settled,
    Settlement,
    Sighting,
    Split,
    SplitAnswer,
    SplitSighting,
    StoredAnswer,
    StoredCase,
    StoredDecision,
    StoredDisclosure,
    StoredFinding,
    StoredFrame,
    StoredLoss,
    StoredMember,
    StoredOrigin,
    Stranger,
    core,
)
from fhir_equity.store.schema import Standing as StandingRow
from fhir_equity.store.trail import Trail
from fhir_equity.store.withdrawn import run_stands

About = Mapping[str, str | int]
STAYS = (PLANNED, *MAY_BE_THERE)  # of the journal: what is under way, and what an HIE may hold from us


class Cutoffs(Struct, frozen=True):
    """The ISO dates before which each kind goes."""

    people: str
    quarantine: str
    findings: str
    journal: str
    disclosures: str


class Gone(Struct):
    """How many rows of what went, and by the run that had brought them; `held` is how many people are under hold."""

    counts: Counter[str] = field(default_factory=Counter)
    runs: Counter[int] = field(default_factory=Counter)
    held: int = 0


class Purge:
    """Purges a store. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self._engine = engine
        self._trail = trail

    def purge(self, cutoffs: Cutoffs, judges: Judges, certify: Callable[[Gone], About] | None) -> Gone:
        """Take what is too old, in one transaction and on the trail; without `certify` it is only counted.

        `certify` says what the entry of the trail is about, knowing what goes.
        """
        with writing(self._engine) as connection:
            kept = held(connection)
            gone = Gone(held=len(set(person_of(connection, kept.members).values())))
            self._people(connection, cutoffs.people, kept, gone)
            every = connection.execute(select(core(Run).c.id, core(Run).c.as_of))
            runs: Runs = {row.id: row.as_of for row in every}
            purge_answers(connection, judges, cutoffs.people, kept.members, runs, gone)
            _quarantine(connection, cutoffs.quarantine, kept, gone)
            _findings(connection, cutoffs.findings, kept, gone)
            _journal(connection, cutoffs.journal, kept, gone)
            _disclosures(connection, cutoffs.disclosures, kept, gone)
            _orphans(connection, gone)
            if certify is not None:
                counts = dict(sorted(gone.counts.items()))
                self._trail.record("purge", connection=connection, about=certify(gone), counts=counts)
            elif (transaction := connection.get_transaction()) is not None:
                transaction.rollback()
            return gone

    def inputs_of(self, runs: Sequence[int]) -> dict[int, list[str]]:
        """run -> the SHA-256 of each of its inputs that has one."""
        table = core(Artefact)
        query = select(table.c.run_id, table.c.sha256).where(table.c.sha256 != "").order_by(table.c.id)
        found: dict[int, list[str]] = {}
        with reading(self._engine) as connection:
            for run, digest in among(connection, query, table.c.run_id, runs):
                found.setdefault(run, []).append(digest)
        return found

    def scrub(self) -> None:
        """Have the database overwrite or give back what was deleted. Raises StoreLockedError while others read it."""
        try:
            with database_errors(self._engine):
                backend_of(self._engine).scrub(self._engine)
        except StoreLockedError:
            raise StoreLockedError(
                "the purge is done, but somebody else is in the store, so that its files still have what went; "
                "run purge again when they are done"
            ) from None

    def _people(self, connection: Connection, before: str, kept: Held, gone: Gone) -> None:
        members = _not_met_since(connection, before, kept)
        hies = connection.execute(select(core(StandingRow).c.hie).distinct()).scalars().all()
        by_run = select(core(Artefact).c.run_id, func.count()).join(
            core(StoredAnswer), core(StoredAnswer).c.artefact_id == core(Artefact).c.id
        )
        for some in slices(members):
            for run, count in connection.execute(
                by_run.where(core(StoredAnswer).c.member_id.in_(some)).group_by(core(Artefact).c.run_id)
            ):
                gone.runs[run] += count
            for hie in hies:
                Standing(self._engine, hie).leave(connection, some)
        for model in (SplitAnswer, SplitSighting):  # who was split off is told of there, and may stay
            for some in slices(members):
                splits = select(core(Split).c.id).where(core(Split).c.member_id.in_(some))
                connection.execute(delete(core(model)).where(core(model).c.split_id.in_(splits)))
        for table, column in _of_members():  # everybody's: what wins for one may be what a part of them said
            count = _delete(connection, table, column, members)
            if table.name in ("answer", "journal"):
                gone.counts["answers" if table.name == "answer" else "journal"] += count
        gone.counts["members"] += _delete(connection, core(StoredMember), core(StoredMember).c.id, members)


def _delete(connection: Connection, table: Table, column: Any, values: Sequence[int]) -> int:
    """Delete the rows where a column has one of these values, however many; returns how many rows went."""
    return sum(connection.execute(delete(table).where(column.in_(some))).rowcount for some in slices(values))


def _of_members() -> Iterable[tuple[Table, Any]]:
    """Every table and column that says whose a row is, those first that others do not refer to."""
    key = core(StoredMember).c.id
    for table in reversed(SQLModel.metadata.sorted_tables):
        for column in table.c:
            if any(each.column is key for each in column.foreign_keys):
                yield table, column


def _not_met_since(connection: Connection, before: str, kept: Held) -> list[int]:
    """The members of the people whom no run has met since, under any key, and who may go."""
    seen, runs, journal, opt_outs = core(Sighting), core(Run), core(JournalEntry), core(OptOut)
    last = select(seen.c.member_id).join(runs, runs.c.id == seen.c.run_id).group_by(seen.c.member_id)
    old = set(connection.execute(last.having(func.max(runs.c.as_of) < before)).scalars())
    splits = core(Split)  # who was nobody after all is met by no run
    undone = select(splits.c.apart_id).where(
        splits.c.apart_id > 0, splits.c.undone_at != "", splits.c.undone_at < before
    )
    old |= set(connection.execute(undone.where(splits.c.apart_id.not_in(select(seen.c.member_id)))).scalars())
    old -= kept.members
    kept_back = select(opt_outs.c.member_id).where(or_(opt_outs.c.until == "", opt_outs.c.until >= before))
    under_way = select(journal.c.member_id).where(journal.c.status == SENT)
    old -= {number for query in (kept_back, under_way) for number in connection.execute(query).scalars()}
    parts = parts_of(connection, set(person_of(connection, old).values()))
    whole = set(parts.values()) - {person for member, person in parts.items() if member not in old}
    return sorted(member for member, person in parts.items() if person in whole)


def _old_artefacts(before: str, kept: Held) -> Any:
    artefacts, runs = core(Artefact), core(Run)
    query = select(artefacts.c.id).join(runs, runs.c.id == artefacts.c.run_id)
    return query.where(runs.c.as_of < before, runs.c.finished != "", runs.c.id.not_in(kept.runs))


def _quarantine(connection: Connection, before: str, kept: Held, gone: Gone) -> None:
    """Of what no younger run met again, nor one under hold; a record that stays keeps the frame it stood in."""
    records, met, settled, frames = core(Quarantined), core(QuarantinedIn), core(Settled), core(StoredFrame)
    connection.execute(delete(met).where(met.c.artefact_id.in_(_old_artefacts(before, kept))))
    over = records.c.id.not_in(select(met.c.quarantine_id))
    connection.execute(delete(settled).where(settled.c.quarantine_id.in_(select(records.c.id).where(over))))
    _take(connection, Quarantined, over, "quarantined", gone)
    old = frames.c.artefact_id.in_(_old_artefacts(before, kept))
    _take(connection, StoredFrame, old & frames.c.artefact_id.not_in(select(records.c.artefact_id)), "frames", gone)


def _findings(connection: Connection, before: str, kept: Held, gone: Gone) -> None:
    """Of what a later run has read again; a run that is retracted may yet stand again, and keeps its own.

    Who has no losses any more cannot lend them: a run of which any went is no example for the next of the same inputs.
    """
    artefacts, runs = core(Artefact), core(Run)
    query = select(artefacts.c.id, artefacts.c.run_id, artefacts.c.losses_of)
    old = _old_artefacts(before, kept).where(run_stands(runs), artefacts.c.id.not_in(latest_inputs(None)))
    over = set(connection.execute(old).scalars())
    every = connection.execute(query).all()
    over -= {row.losses_of for row in every if row.id not in over}
    for some in slices(sorted(over)):
        for name, model in (("findings", StoredFinding), ("losses", StoredLoss)):
            _take(connection, model, core(model).c.artefact_id.in_(some), name, gone)
    examples = sorted({row.run_id for row in every if row.id in over or row.losses_of in over})
    for some in slices(examples):
        connection.execute(update(runs).where(runs.c.id.in_(some)).values(inputs=""))


def _take(connection: Connection, model: Any, which: Any, name: str, gone: Gone) -> None:
    """Delete rows that hang on artefacts, counted by run too."""
    table, artefacts = core(model), core(Artefact)
    by_run = select(artefacts.c.run_id, func.count()).join(table, table.c.artefact_id == artefacts.c.id)
    for run, count in connection.execute(by_run.where(which).group_by(artefacts.c.run_id)):
        gone.runs[run] += count
    gone.counts[name] += connection.execute(delete(table).where(which)).rowcount


def _journal(connection: Connection, before: str, kept: Held, gone: Gone) -> None:
    table = core(JournalEntry)
    over = (table.c.done_at != "", table.c.done_at < before, table.c.status.not_in(STAYS))
    rows = connection.execute(select(table.c.id, table.c.member_id).where(*over))
    goes = [row.id for row in rows if row.member_id not in kept.members]
    gone.counts["journal"] += _delete(connection, table, table.c.id, goes)


def _disclosures(connection: Connection, before: str, kept: Held, gone: Gone) -> None:
    table = core(StoredDisclosure)
    rows = connection.execute(select(table.c.id, table.c.pseudonym).where(table.c.intended_at < before))
    goes = [row.id for row in rows if row.pseudonym not in kept.pseudonyms]
    gone.counts["disclosures"] += _delete(connection, table, table.c.id, goes)
    strangers = core(Stranger)
    told = select(table.c.pseudonym).where(table.c.pseudonym == strangers.c.pseudonym).exists()
    nobody = set(connection.execute(select(strangers.c.pseudonym).where(~told)).scalars()) - kept.pseudonyms
    gone.counts["strangers"] += _delete(connection, strangers, strangers.c.pseudonym, sorted(nobody))


def _orphans(connection: Connection, gone: Gone) -> None:
    """What nothing refers to any more."""
    answers, parts, seen = core(StoredAnswer), core(SayingPart), core(Sighting)
    sayings, needed = core(Saying), (select(seen.c.saying_id), select(core(SplitSighting).c.saying_id))
    connection.execute(delete(parts).where(*(parts.c.saying_id.not_in(query) for query in needed)))
    connection.execute(delete(sayings).where(*(sayings.c.id.not_in(query) for query in needed)))
    received, origins, patterns = core(ReceivedValue), core(StoredOrigin), core(Pattern)
    values = delete(received).where(received.c.id.not_in(select(answers.c.received_id)))
    gone.counts["received"] += connection.execute(values).rowcount
    used = (select(answers.c.origin_id), select(parts.c.origin_id))
    connection.execute(delete(origins).where(*(origins.c.id.not_in(query) for query in used)))
    waits, decided = core(StoredCase), core(StoredDecision)
    unused = patterns.c.id.not_in(select(waits.c.pattern_id))
    connection.execute(delete(patterns).where(unused, patterns.c.id.not_in(select(decided.c.pattern_id))))
    left = select(decided.c.pattern_id).join(core(Settlement), core(Settlement).c.decision_id == decided.c.id)
    nobody = connection.execute(select(patterns.c.id).where(unused, patterns.c.id.not_in(left))).scalars().all()
    for number in nobody:  # the decision stays, without what it chose from
        blank = {"sides": encode(()), "digest": f"purged {number}"}
        connection.execute(update(patterns).where(patterns.c.id == number).values(**blank))
        theirs = select(decided.c.id).where(decided.c.pattern_id == number)
        rows = update(core(DecidedRow)).where(core(DecidedRow).c.decision_id.in_(theirs))
        connection.execute(rows.values(source_code="", target_code=""))
