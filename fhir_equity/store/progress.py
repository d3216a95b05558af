"""How far a run has come: which one to go on with, and what of its artefacts is in the store."""

from __future__ import annotations

from collections.abc import Container, Mapping

from msgspec import Struct
from sqlalchemy import Connection, select, update

from fhir_equity.errors import StoreError, StoreLockedError
from fhir_equity.store.schema import Artefact, Run, core


class Progress(Struct):
    """How many items of an artefact are in the store, and how many of them this writer has come by."""

    stored: int = 0
    passed: int = 0

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
    query = select(table.c.id).where(table.c.finished == "", *(table.c[name] == said for name, said in who.items()))
    return int(connection.execute(query.order_by(table.c.id.desc()).limit(1)).scalar() or 0)


def begun(connection: Connection, what: Mapping[str, str | int], taken: Container[int]) -> tuple[int, int] | None:
    """The first artefact of a run and a name that nobody has taken up again, and its position; None for none."""
    table = core(Artefact)
    query = select(table.c.id, table.c.position).where(*(table.c[name] == said for name, said in what.items()))
    rows = connection.execute(query.order_by(table.c.id)).all()
    return next(((number, position) for number, position in rows if number not in taken), None)


def move_on(connection: Connection, artefact: int, progress: Progress, many: int) -> None:
    """Write that `many` more items of an artefact are in the store. Raises StoreLockedError.

    Another process that goes on with the same run has moved the position: only one of them may.
    """
    table = core(Artefact)
    here = (table.c.id == artefact) & (table.c.position == progress.stored)
    moved = connection.execute(update(table).where(here).values(position=progress.stored + many)).rowcount
    if moved != 1:
        raise StoreLockedError("another process ingests the same files into this store; try again when it is done")
