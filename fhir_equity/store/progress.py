"""How far a run has come: which one to go on with, and what of its artefacts is in the store."""

from __future__ import annotations

from collections.abc import Container, Mapping

from msgspec import Struct
from sqlalchemy import Connection, and_, func, select, update

from fhir_equity.errors import StoreError, StoreLockedError
from fhir_equity.store.rows import insert_one
from fhir_equity.store.schema import Artefact, Run, core
from fhir_equity.store.withdrawn import run_stands


class Progress(Struct):
    """How many items of an artefact are in the store, and how many of them this writer has come by.

    `same`: its losses are those of an earlier artefact and not written again.
    """

    stored: int = 0
    passed: int = 0
    same: bool = False

    def has(self, many: int) -> bool:
        """Whether the next `many` items are in the store. Raises StoreError where only some of them are."""
        ahead = self.stored - self.passed
        if 0 < ahead < many:
            raise StoreError("an interrupted run of these files was cut otherwise; ingest with another --as-of")
        return many <= ahead

    def moved(self, many: int) -> None:
        """The next `many` items are in the store, written just now or before."""
        self.passed += many
        self.stored = max(self.stored, self.passed)


def unfinished(connection: Connection, who: Mapping[str, str]) -> int:
    """The latest run of the same partner, date, program and inputs that was interrupted; 0 for none."""
    if not who["inputs"]:
        return 0
    table = core(Run)
    query = select(table.c.id).where(
        run_stands(table), table.c.finished == "", *(table.c[name] == said for name, said in who.items())
    )
    return int(connection.execute(query.order_by(table.c.id.desc()).limit(1)).scalar() or 0)


def take_up(connection: Connection, what: Mapping[str, str | int], taken: Container[int]) -> tuple[int, Progress]:
    """The first artefact of a run and a name that nobody has taken up again, else a new one."""
    table = core(Artefact)
    query = select(table.c.id, table.c.position, table.c.losses_of).order_by(table.c.id)
    rows = connection.execute(query.where(*(table.c[name] == said for name, said in what.items()))).all()
    for number, position, losses_of in rows:
        if number not in taken:
            return number, Progress(position, same=losses_of is not None)
    losses_of = _same(connection, what, len(rows))
    return insert_one(connection, Artefact, **what, losses_of=losses_of), Progress(same=losses_of is not None)


def _same(connection: Connection, what: Mapping[str, str | int], place: int) -> int | None:
    """The artefact that has the losses of the next one of this name: the same inputs lose the same."""
    runs, table = core(Run), core(Artefact)
    mine, earlier = runs.alias(), runs.alias()
    alike = and_(*(mine.c[name] == earlier.c[name] for name in ("partner", "software", "inputs")))
    query = select(func.max(earlier.c.id)).select_from(mine.join(earlier, alike))
    query = query.where(mine.c.id == what["run_id"], mine.c.inputs != "", earlier.c.finished != "")
    named = (table.c.name == what["name"], table.c.format == what["format"])
    there = select(func.coalesce(table.c.losses_of, table.c.id)).order_by(table.c.id).offset(place).limit(1)
    return connection.execute(there.where(table.c.run_id == query.scalar_subquery(), *named)).scalar()


def move_on(connection: Connection, artefact: int, progress: Progress, many: int) -> None:
    """Write that `many` more items of an artefact are in the store. Raises StoreLockedError.

    Another process that goes on with the same run has moved the position: only one of them may.
    """
    table = core(Artefact)
    here = (table.c.id == artefact) & (table.c.position == progress.stored)
    moved = connection.execute(update(table).where(here).values(position=progress.stored + many)).rowcount
    if moved != 1:
        raise StoreLockedError("another process ingests the same files into this store; try again when it is done")
