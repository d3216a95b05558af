"""Read the quarantine: which records could not be read, where they stood, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, Select, func, select

from fhir_equity.store.connection import reading
from fhir_equity.store.rows import slices
from fhir_equity.store.schema import Artefact, Quarantined, Run, Settled, StoredFrame, core

PAGE = 500  # records looked up at a time


class Held(Struct, frozen=True):
    """A quarantined record without its bytes: where it first stood, why it was kept, who read it since.

    `size` is in bytes; `settled_run` is 0 and `settled_at` empty while it waits.
    """

    id: int
    run: int
    as_of: str
    partner: str
    artefact_id: int
    artefact: str
    format: str
    code: str
    unit: str
    number: int
    offset: int
    path: str
    size: int
    settled_run: int = 0
    settled_at: str = ""


class Selection(Struct, frozen=True):
    """Which records: of a partner, with a code, with one of these ids; empty means any."""

    partner: str = ""
    code: str = ""
    ids: tuple[int, ...] = ()


class Quarantine:
    """The records of a store that could not be read as a member."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def held(self, selection: Selection, *, waiting: bool = False) -> Iterator[Held]:
        """The selected records in the order of their ids; `waiting` leaves out those that were settled."""
        for some in slices(sorted(set(selection.ids))) if selection.ids else ((),):
            after = 0
            while page := self._page(selection, some, after, waiting=waiting):
                yield from page
                after = page[-1].id

    def content(self, record: Held) -> tuple[bytes, bytes] | None:
        """The verbatim bytes of a record, and of the frame it stood in (empty where there is none).

        None where it was purged since it was looked up, even if another one has its id now.
        """
        records, frames = core(Quarantined), core(StoredFrame)
        before = (frames.c.artefact_id == record.artefact_id, frames.c.offset <= record.offset)
        frame = select(frames.c.raw).where(*before).order_by(frames.c.id.desc()).limit(1)
        this = [records.c[name] == getattr(record, name) for name in ("id", "artefact_id", "code", "offset")]
        with reading(self._engine) as connection:
            raw = connection.execute(select(records.c.raw).where(*this)).scalar()
            return None if raw is None else (bytes(raw), bytes(connection.execute(frame).scalar() or b""))

    def _page(self, selection: Selection, ids: Sequence[int], after: int, *, waiting: bool) -> list[Held]:
        records, settled = core(Quarantined), core(Settled)
        query = _every().where(records.c.id > after).order_by(records.c.id).limit(PAGE)
        if selection.partner:
            query = query.where(records.c.partner == selection.partner)
        if selection.code:
            query = query.where(records.c.code == selection.code)
        if ids:
            query = query.where(records.c.id.in_(ids))
        if waiting:
            query = query.where(settled.c.run_id.is_(None))
        with reading(self._engine) as connection:
            return [Held(*row) for row in connection.execute(query)]


def _every() -> Select[Any]:
    records, artefacts, runs, settled = core(Quarantined), core(Artefact), core(Run), core(Settled)
    joined = records.join(artefacts, artefacts.c.id == records.c.artefact_id)
    joined = joined.join(runs, runs.c.id == artefacts.c.run_id)
    joined = joined.outerjoin(settled, settled.c.quarantine_id == records.c.id)
    place = (records.c.unit, records.c.number, records.c.offset, records.c.path)
    origin = (runs.c.id, runs.c.as_of, records.c.partner, artefacts.c.id, artefacts.c.name, artefacts.c.format)
    end = (func.coalesce(settled.c.run_id, 0), func.coalesce(settled.c.at, ""))
    query = select(records.c.id, *origin, records.c.code, *place, func.length(records.c.raw), *end)
    return query.select_from(joined)
