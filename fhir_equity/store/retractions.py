"""Withdraw what a run said: marked, not deleted, resolved again, and undone as easily."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select, update

from fhir_equity.errors import UsageError
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.resolutions import Judge, Resolutions
from fhir_equity.store.rows import insert_one, now
from fhir_equity.store.schema import Artefact, Retraction, Run, core
from fhir_equity.store.standing import Changed, met_in, restate
from fhir_equity.store.trail import Trail


class Ran(Struct, frozen=True):
    """A run: whose, when, how much it read; `retracted_at` is empty while it stands."""

    id: int
    partner: str
    as_of: str
    started: str
    finished: str
    inputs: int
    members: int
    retracted_at: str


class Retractions:
    """The runs of a store, and their retraction. Every method raises StoreError, StoreUnavailableError."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self._engine = engine
        self._trail = trail

    def runs(self, run: int = 0) -> list[Ran]:
        """Every run, or one, oldest first."""
        runs, artefacts, retracted = core(Run), core(Artefact), core(Retraction)
        names = ("id", "partner", "as_of", "started", "finished")
        read = (func.count(artefacts.c.id), func.coalesce(func.sum(artefacts.c.members), 0))
        at = select(retracted.c.at).where(retracted.c.run_id == runs.c.id, retracted.c.undone_at == "")
        query: Any = select(*(runs.c[name] for name in names), *read, func.coalesce(at.scalar_subquery(), ""))
        query = query.outerjoin(artefacts, artefacts.c.run_id == runs.c.id).group_by(runs.c.id).order_by(runs.c.id)
        with reading(self._engine) as connection:
            return [Ran(*row) for row in connection.execute(query.where(runs.c.id == run) if run else query)]

    def retract(self, run: int, judge: Judge, reason: str) -> Changed:
        """Withdraw a run, in one transaction. Raises UsageError where it is retracted already."""
        with writing(self._engine) as connection:
            if _open(connection, run):
                raise UsageError(f"run {run} is retracted already")
            insert_one(connection, Retraction, run_id=run, at=now(), reason=reason)
            return self._restate(connection, run, judge, "retract", reason)

    def undo(self, run: int, judge: Judge) -> Changed:
        """Let a retracted run stand again, in one transaction. Raises UsageError where it is not retracted."""
        table = core(Retraction)
        with writing(self._engine) as connection:
            found = _open(connection, run)
            if not found:
                raise UsageError(f"run {run} is not retracted")
            connection.execute(update(table).where(table.c.id == found).values(undone_at=now()))
            return self._restate(connection, run, judge, "retract undo", "")

    def _restate(self, connection: Connection, run: int, judge: Judge, action: str, reason: str) -> Changed:
        done = restate(connection, Resolutions(judge), met_in(connection, run))
        counts = {"members": done.members, "withdrawn": done.withdrawn, "restored": done.restored}
        about: dict[str, str | int] = {"run": run, "reason": reason} if reason else {"run": run}
        self._trail.record(action, connection=connection, about=about, counts=counts, versions={"policy": judge.policy})
        return done


def _open(connection: Connection, run: int) -> int:
    """The retraction of a run that holds; 0 for none."""
    table = core(Retraction)
    query = select(table.c.id).where(table.c.run_id == run, table.c.undone_at == "")
    return int(connection.execute(query).scalar() or 0)
