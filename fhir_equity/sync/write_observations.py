"""Write our Observations on one matter of one member: made once, changed under their versions, read back."""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.adapters.fhir import validate
from fhir_equity.errors import RemoteError
from fhir_equity.store.hie import SENT, Known, Planned, There
from fhir_equity.sync.client import Conflict, OutcomeUnknownError, Versioned
from fhir_equity.sync.deciding import is_accepted
from fhir_equity.sync.exchange import Exchange, Ours, Resource, id_of, is_active
from fhir_equity.sync.leaks import leaks
from fhir_equity.sync.observations import (
    Existing,
    about,
    condition_of,
    etags_of,
    find,
    is_same,
    tags_of,
    updated,
    withdrawn,
)
from fhir_equity.sync.observations import is_active as is_said
from fhir_equity.sync.patients import Patients
from fhir_equity.sync.write_patient import refused

Observed = dict[tuple[str, int], There]


class Ready(Struct, frozen=True):
    """What our Observations on a matter are to be, and what they are."""

    matter: str
    wanted: tuple[Resource, ...]
    existing: Existing


def prepare(exchange: Exchange, change: Planned, ours: Ours, known: Known, patients: Patients) -> Ready | str:
    """What is to be written, or why nothing is."""
    (matter,) = change.matters
    subject = _subject(exchange, ours, known, patients)
    if not subject:
        return "moved"
    wanted = about(subject, ours.observed.get(matter, ()))
    for each in wanted:
        if validate(each, "Observation"):
            return "invalid"
        if leaks(exchange, ours, each, None, change.matters):
            return "forbidden"
    existing = find(exchange, known, matter, wanted)
    if tags_of(existing) != (change.etag or tags_of({})) and not (
        change.status == SENT and _untouched(exchange, change, wanted, existing)
    ):
        return "moved"
    return Ready(matter, wanted, existing)


def _subject(exchange: Exchange, ours: Ours, known: Known, patients: Patients) -> str:
    """The id of the Patient who is our member, looked at once more; empty where there is none."""
    there = patients.read(known.link[0]) if known.link else None
    if there is None or not is_active(there.resource):
        return ""
    theirs = exchange.theirs(there.resource).member
    return id_of(there.resource) if is_accepted(exchange, ours, there.resource, theirs) else ""


def _untouched(exchange: Exchange, change: Planned, wanted: tuple[Resource, ...], existing: Existing) -> bool:
    """Whether nobody but an interrupted write of ours changed what there is."""
    planned = etags_of(change.etag)
    return all(
        each.etag == planned.get(n) or (n <= len(wanted) and is_same(exchange, each.resource, wanted[n - 1]))
        for n, each in existing.items()
    )


def send(exchange: Exchange, ready: Ready) -> str:
    """Send what differs, one after the other; empty, or why it stopped."""
    steps: list[tuple[Resource | None, Versioned | None]] = []
    for number in sorted({*ready.existing, *range(1, len(ready.wanted) + 1)}):
        wanted = ready.wanted[number - 1] if number <= len(ready.wanted) else None
        steps.append((wanted, ready.existing.get(number)))
    for wanted, there in steps:
        if problem := _one(exchange, wanted, there):
            return problem
    return ""


def _one(exchange: Exchange, wanted: Resource | None, there: Versioned | None) -> str:
    try:
        if there is None and wanted is not None:
            exchange.create(wanted, condition_of(wanted))
        elif there is not None and wanted is not None and not is_same(exchange, there.resource, wanted):
            exchange.client.update(updated(there.resource, wanted), there.etag)
        elif there is not None and wanted is None and is_said(there.resource):
            exchange.client.update(withdrawn(there.resource), there.etag)
    except (Conflict, OutcomeUnknownError):
        return ""  # what stands there decides, when it is read back
    except RemoteError as error:
        return refused(error, lambda: exchange.client.capability())
    return ""


def read_back(exchange: Exchange, change: Planned, ready: Ready, known: Known) -> tuple[dict[str, str], Observed]:
    """What stands there of what was planned (matter -> fingerprint), and where."""
    existing = find(exchange, known, ready.matter, ready.wanted)
    active = {n: each for n, each in existing.items() if is_said(each.resource)}
    as_wanted = set(active) == set(range(1, len(ready.wanted) + 1)) and all(
        is_same(exchange, each.resource, ready.wanted[n - 1]) for n, each in active.items()
    )
    held = {ready.matter: change.said[ready.matter]} if as_wanted else {}
    return held, {(ready.matter, n): (id_of(each.resource), each.etag) for n, each in existing.items()}
