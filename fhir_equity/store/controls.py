"""Control numbers across artefacts: a sender never gives one twice, but to the same file sent again."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from fhir_equity.model import Finding, Locator, Severity
from fhir_equity.store.rows import slices
from fhir_equity.store.schema import Artefact, Run, StoredFrame, core


def seen_before(connection: Connection, partner: str, artefact: int) -> list[Finding]:
    """The frames of an artefact whose control number came first in another file of the partner.

    A file is what has the same digest. One that was not read to its end has none and counts for nothing.
    """
    frames, artefacts = core(StoredFrame), core(Artefact)
    columns = (frames.c.control, frames.c.unit, frames.c.number, frames.c.offset, frames.c.path)
    query = select(*columns).where(frames.c.artefact_id == artefact, frames.c.control != "").order_by(frames.c.id)
    mine = connection.execute(query).all()
    digest = connection.execute(select(artefacts.c.sha256).where(artefacts.c.id == artefact)).scalar_one()
    first = _first(connection, partner, sorted({row[0] for row in mine})) if digest else {}
    return [
        Finding("x12.isa13.seen_before", Severity.WARNING, Locator("", *place))
        for control, *place in mine
        if first.get(control, digest) != digest
    ]


def _first(connection: Connection, partner: str, controls: list[str]) -> dict[str, str]:
    """The digest of the first file of a partner that had a control number."""
    frames, artefacts, runs = core(StoredFrame), core(Artefact), core(Run)
    seen = artefacts.join(runs, runs.c.id == artefacts.c.run_id).join(frames, frames.c.artefact_id == artefacts.c.id)
    earliest = select(frames.c.control, func.min(artefacts.c.id).label("id")).select_from(seen)
    earliest = earliest.where(runs.c.partner == partner, artefacts.c.sha256 != "").group_by(frames.c.control)
    found: dict[str, str] = {}
    for some in slices(controls):
        first = earliest.where(frames.c.control.in_(some)).subquery()
        query = select(first.c.control, artefacts.c.sha256).join(artefacts, artefacts.c.id == first.c.id)
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found
