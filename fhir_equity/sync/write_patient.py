"""Write one Patient: built, looked at once more, sent under a condition; a lost answer is settled by looking."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from fhir_equity.adapters.fhir import give_ids, merge, validate
from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.store.hie import SENT, UNVERIFIED, Planned
from fhir_equity.sync.client import Conflict, OutcomeUnknownError, Versioned
from fhir_equity.sync.deciding import is_accepted, is_removed
from fhir_equity.sync.exchange import Exchange, Ours, Resource, id_of, is_as_sent
from fhir_equity.sync.leaks import leaks
from fhir_equity.sync.making import is_still_as_made
from fhir_equity.sync.patients import Patients
from fhir_equity.sync.replies import is_same_version
from fhir_equity.sync.search import query, token
from fhir_equity.sync.transport import UnavailableError


class Ready(Struct, frozen=True):
    """A resource that may be sent, and what it rests on: a version, or the condition that there is none yet.

    `before` is what that version is.
    """

    body: Resource
    etag: str = ""
    condition: str = ""
    before: Resource = {}


def prepare(exchange: Exchange, change: Planned, ours: Ours, patients: Patients) -> Ready | Versioned | str:
    """What to send, the Patient that an interrupted write of ours left, or why nothing is sent.

    `patients` has looked up who is there now; what is written is written under a condition all the same.
    """
    return (_new if change.action == "create" else _merged)(exchange, change, ours, patients)


def send(exchange: Exchange, change: Planned, ready: Ready) -> Versioned | str:
    """Send what is ready: the Patient as the server has it now, or why it has not."""
    return (_create if ready.condition else _update)(exchange, change, ready)


def looked_for(exchange: Exchange, change: Planned, ready: Ready) -> Versioned | str:
    """What stands there after a write whose answer got lost: it decides."""
    if not ready.condition:
        there = exchange.client.read("Patient", change.resource_id)
        return there if there is not None and says(exchange, there, change) else UNVERIFIED
    found = Patients(exchange.client).known_as(exchange.tokens(ready.body))
    return _made_before(exchange, found, ready.body) if found else UNVERIFIED


def _new(exchange: Exchange, change: Planned, ours: Ours, patients: Patients) -> Ready | Versioned | str:
    patient = exchange.patient(ours, change.matters)
    tokens = exchange.tokens(patient)
    if not tokens:
        return "stale"
    if validate(patient):
        return "invalid"
    if leaks(exchange, ours, patient, None, change.matters):
        return "forbidden"
    if found := patients.known_as(tokens):  # also by those of our identifiers that the condition below leaves out
        before = change.status == SENT and len(found) == 1 and is_still_as_made(exchange, found[0], change, ours)
        return _whole(exchange, found[0]) if before else "moved"
    return Ready(patient, condition=query({"identifier": token(*tokens[0])}))


def _create(exchange: Exchange, change: Planned, ready: Ready) -> Versioned | str:
    patient, anew = ready.body, Patients(exchange.client)
    try:
        made = exchange.create(patient, ready.condition)
    except Conflict as conflict:
        return looked_for(exchange, change, ready) if conflict.repeated else "moved"
    except OutcomeUnknownError:
        return looked_for(exchange, change, ready)
    except RemoteError as error:
        return refused(error, lambda: anew.known_as(exchange.tokens(patient)))
    # Status 200 is a Patient that was there: ours if an earlier attempt of this very request made it.
    return made if made.status == 201 or is_as_sent(made.resource, patient) else "moved"


def _made_before(exchange: Exchange, found: list[Resource], patient: Resource) -> Versioned | str:
    """The Patient that an interrupted create of ours made, if that is what was found."""
    mine = len(found) == 1 and is_as_sent(found[0], patient)
    return _whole(exchange, found[0]) if mine else "moved"


def _whole(exchange: Exchange, found: Resource) -> Versioned | str:
    """A Patient of a search as it is; ``moved`` where it cannot be read."""
    return (exchange.client.read("Patient", id_of(found)) if id_of(found) else None) or "moved"


def _merged(exchange: Exchange, change: Planned, ours: Ours, patients: Patients) -> Ready | Versioned | str:
    now = patients.read(change.resource_id)
    if now is None:
        return "moved"
    if not is_same_version(now.etag, change.etag):
        return now if change.status == SENT and says(exchange, now, change) else "moved"
    if exchange.settings.mode == "contributor" and not exchange.memory.is_made_by_us(change.resource_id):
        return "stale"
    return merged(exchange, change, ours, now)


def merged(exchange: Exchange, change: Planned, ours: Ours, now: Versioned) -> Ready | str:
    """The Patient with our answers in it, or why it is not sent.

    It is another person by now, would be invalid, or would not be read as planned.
    """
    try:
        body, _ = merge(
            now.resource,
            exchange.only(ours, change.matters),
            exchange.contexts(ours.person.member.partner),
            exchange.topics_of(change.matters) if is_removed(ours, change.matters) else (),
        )
    except RecursionError:  # somebody nested it deeper than can be copied
        return "invalid"
    theirs = exchange.theirs(body)  # who it is about is untouched
    if not is_accepted(exchange, ours, body, theirs.member):
        return "stale"
    if exchange.tells:
        give_ids(body, exchange.topics_of([m for m in change.matters if exchange.told_by(ours, m)]))
    as_planned = all(theirs.said.get(matter) == planned for matter, planned in change.said.items())
    if not as_planned or set(validate(body)) - set(validate(now.resource)):
        return "invalid"
    if leaks(exchange, ours, body, now.resource, change.matters):
        return "forbidden"
    return Ready(body, etag=now.etag, before=now.resource)


def _update(exchange: Exchange, change: Planned, ready: Ready) -> Versioned | str:
    client, key = exchange.client, id_of(ready.body)
    try:
        if exchange.profile.may_patch:
            return client.patch("Patient", key, operations(ready.before, ready.body), ready.etag)
        return client.update(ready.body, ready.etag)
    except Conflict as conflict:
        return looked_for(exchange, change, ready) if conflict.repeated else "moved"
    except OutcomeUnknownError:
        return looked_for(exchange, change, ready)
    except RemoteError as error:
        return refused(error, lambda: exchange.client.read("Patient", change.resource_id))


def operations(before: Resource, after: Resource) -> list[Resource]:
    """The JSON Patch (RFC 6902) from one resource to another: each element that differs, whole, and tested before.

    Whole, because what is nested is where servers fail; tested, because then nothing is changed that was not read.
    """
    found: list[Resource] = []
    for name in sorted(before.keys() | after.keys()):
        path = f"/{name}"
        if name not in before:
            found.append({"op": "add", "path": path, "value": after[name]})
        elif before[name] != after.get(name):
            found.append({"op": "test", "path": path, "value": before[name]})
            change = {"op": "replace", "path": path, "value": after[name]} if name in after else None
            found.append(change or {"op": "remove", "path": path})
    return found


def says(exchange: Exchange, there: Versioned, change: Planned) -> bool:
    """Whether a Patient says what a change wants said."""
    said = exchange.theirs(there.resource).said
    return all(said.get(matter) == planned for matter, planned in change.said.items())


def refused(error: RemoteError, look: Callable[[], object]) -> str:
    """One resource that the server does not take must not stop the others; anything else must.

    Raises the error again when the server is unavailable, and another when it refuses to be read too.
    """
    if isinstance(error, UnavailableError | RemoteContentError):
        raise error
    look()
    return "refused"
