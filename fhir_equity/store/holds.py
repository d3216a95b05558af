"""Legal holds: what is held by member or by run is not purged, whatever its age."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, and_, select, update

from fhir_equity.errors import UsageError
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.merged import ever_merged
from fhir_equity.store.rows import among, insert_all, insert_one, now
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

    def bring(self, author: str, reason: str, at: str, members: Sequence[int]) -> int:
        """Hold members as another store did, on the trail, but for those who were so before, also where that was
        released. Returns how many are held.
        """
        table, who = core(StoredHold), core(StoredMember)
        with writing(self._engine) as connection:
            query = select(who.c.pseudonym, table.c.id).outerjoin(
                table,
                and_(
                    table.c.pseudonym == who.c.pseudonym,
                    table.c.author == author,
                    table.c.reason == reason,
                    table.c.at == at,
                ),
            )
            new = [name for name, known in among(connection, query, who.c.id, members) if known is None]
            said = {"run_id": 0, "author": author, "reason": reason, "at": at, "released_at": "", "released_by": ""}
            first = insert_all(connection, StoredHold, [{"pseudonym": name, **said} for name in new])
            if new:
                about: dict[str, str | int] = {"hold": first, "reason": reason}
                self._trail.record("hold", connection=connection, about=about, counts={"members": len(new)})
        return len(new)

    def release(self, hold: int, author: str) -> None:
        """Let what was held go with the next purge, on the trail. Raises UsageError where no such hold holds."""
        table = core(StoredHold)
        released = {"released_at": now(), "released_by": author}
        with writing(self._engine) as connection:
            found = update(table).where(table.c.id == hold, table.c.released_at == "").values(**released)
            if connection.execute(found).rowcount != 1:
                raise UsageError(f"there is no hold {hold} that holds")
            self._trail.record("hold release", connection=connection, about={"hold": hold})


def held_by(connection: Connection) -> dict[int, list[dict[str, Any]]]:
    """Member -> the holds that hold them; whom anybody ever said they are is held with them."""
    table, members, seen = core(StoredHold), core(StoredMember), core(Sighting)
    found: dict[int, list[dict[str, Any]]] = {}
    for hold in connection.execute(select(table).where(table.c.released_at == "").order_by(table.c.id)).all():
        named = select(members.c.id).where(members.c.pseudonym == hold.pseudonym)
        met = select(seen.c.member_id).where(seen.c.run_id == hold.run_id)
        those = connection.execute(met if hold.run_id else named).scalars()
        said = {"hold": hold.id, "author": hold.author, "reason": hold.reason, "at": hold.at}
        for member in ever_merged(connection, set(those)):
            found.setdefault(member, []).append(said)
    return found


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
