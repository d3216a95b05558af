"""Which inputs count: of every name and partner those of the latest run that read it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, select

from fhir_equity.store.schema import Artefact, Run, core
from fhir_equity.store.withdrawn import run_stands


def latest_inputs(partners: Sequence[str] | None, elsewhere: str = "") -> Select[int]:
    """The artefacts of the latest run that read their name: two files of one run may share a name.

    Where the column `elsewhere` names another artefact, that one.
    """
    table, runs = core(Artefact), core(Run)
    newest = select(table.c.name, func.max(runs.c.id).label("run")).join(runs, runs.c.id == table.c.run_id)
    newest = newest.where(run_stands(runs))
    if partners is not None:
        newest = newest.where(runs.c.partner.in_(partners))
    found = newest.group_by(table.c.name, runs.c.partner).subquery()
    wanted = func.coalesce(table.c[elsewhere], table.c.id) if elsewhere else table.c.id
    return select(wanted).join(found, (found.c.name == table.c.name) & (found.c.run == table.c.run_id))
