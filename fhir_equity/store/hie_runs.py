"""The last run of each verb at one HIE: when, how it ended, what it counted; never about whom."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from sqlalchemy import Engine, select

from fhir_equity.store.connection import reading, writing
from fhir_equity.store.rows import upsert
from fhir_equity.store.schema import SyncRun, core

RUNNING, DONE = "running", "done"

_counts = msgspec.json.Decoder(dict[str, int]).decode


class Run(Struct, frozen=True):
    """One run of a verb (``plan``, ``apply``, ``pull``, ``recall``), with its moments in ISO, UTC.

    `outcome` is ``running`` (or killed), ``done``, or the name of the error that ended it.
    """

    verb: str
    began: str
    ended: str = ""
    outcome: str = RUNNING
    counts: Mapping[str, int] = {}


class Runs:
    """The runs at one HIE. Every method raises StoreError, StoreLockedError."""

    def __init__(self, engine: Engine, hie: str) -> None:
        self._engine, self._hie = engine, hie

    def note(self, run: Run) -> None:
        """Keep how a run stands; the last one of its verb is forgotten."""
        row = {"hie": self._hie, **msgspec.structs.asdict(run), "counts": msgspec.json.encode(run.counts).decode()}
        with writing(self._engine) as connection:
            upsert(connection, SyncRun, ("hie", "verb"), [row])

    def all(self) -> list[Run]:
        """The last run of each verb, in the order in which they began."""
        table = core(SyncRun)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._hie).order_by(table.c.began)).all()
        return [Run(row.verb, row.began, row.ended, row.outcome, _counts(row.counts)) for row in rows]
