"""Legal holds: what is held by member or by run is not purged, whatever its age."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, Engine, select, update

from fhir_equity.errors import UsageError
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.merged import ever_merged
from fhir_equity.store.rows import among, insert_one, now
from fhir_equity.store.schema import Run, Sighting, StoredHold, StoredMember, core
from fhir_equity.store.trail import Trail


class Hold(Struct, frozen=True):
    """A hold on a member (`pseudonym`) or a `run` (else 0); `released_at` is empty while it holds."""

    id: int
    pseudonym: str
    run: int
    author: str
    reason: str
    at: str
    released_at: str = ""
    released_by: str = ""


class Held(Struct, frozen=True):
    """Everything under hold: people with all their keys (ids and pseudonyms), and runs with all whom they met."""

    members: frozenset[int]
    pseudonyms: frozenset[str]
    runs: frozenset[int]


class Holds:
    """The holds of a store. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self._engine = engine
        self._trail = trail

    def all(self) -> list[Hold]:
        """Every hold, also those that were released, oldest first."""
        with reading(self._engine) as connection:
            return [Hold(*row) for row in connection.execute(select(core(StoredHold)).order_by(core(StoredHold).c.id))]

    def add(self, author: str, reason: str, *, pseudonym: str = "", run: int = 0) -> Hold:
        """Hold a member or a run, on the trail. Raises UsageError for a run that there is not."""
        runs = core(Run)
        with writing(self._engine) as connection:
            if run and connection.execute(select(runs.c.id).where(runs.c.id == run)).first() is None:
                raise UsageError("there is no such run; `fhir-equity retract` alone lists them")
            what = {"pseudonym": pseudonym, "run_id": run, "author": author, "reason": reason, "at": now()}
            number = insert_one(connection, StoredHold, **what, released_at="", released_by="")
            about: dict[str, str | int] = {"hold": number, "reason": reason}
            about |= {"run": run} if run else {}
            self._trail.record("hold", connection=connection, about=about)
            return Hold(number, pseudonym, run, author, reason, str(what["at"]))

    def release(self, hold: int, author: str) -> None:
        """Let what was held go with the next purge, on the trail. Raises UsageError where no such hold holds."""
        table = core(StoredHold)
        released = {"released_at": now(), "released_by": author}
        with writing(self._engine) as connection:
            found = update(table).where(table.c.id == hold, table.c.released_at == "").values(**released)
            if connection.execute(found).rowcount != 1:
                raise UsageError(f"there is no hold {hold} that holds")
            self._trail.record("hold release", connection=connection, about={"hold": hold})


def held(connection: Connection) -> Held:
    """What is under hold now. Whom anybody ever said they are is held with them, also where that was taken back."""
    table, members, seen = core(StoredHold), core(StoredMember), core(Sighting)
    rows = connection.execute(select(table.c.pseudonym, table.c.run_id).where(table.c.released_at == "")).all()
    runs = sorted({row.run_id for row in rows if row.run_id})
    named = sorted({row.pseudonym for row in rows if row.pseudonym})
    found = {number for (number,) in among(connection, select(members.c.id), members.c.pseudonym, named)}
    found |= {number for (number,) in among(connection, select(seen.c.member_id).distinct(), seen.c.run_id, runs)}
    everybody = sorted(ever_merged(connection, found))
    called = {name for (name,) in among(connection, select(members.c.pseudonym), members.c.id, everybody)}
    return Held(frozenset(everybody), frozenset({*called, *named}), frozenset(runs))
