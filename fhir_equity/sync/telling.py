"""Who told what we sent: one Provenance for each member and matter, made once by a tag that stays, and kept up to date.

R4 gives a Provenance no identifier (https://hl7.org/fhir/R4/provenance.html), so ours is known by a tag (``_tag``).
It is about our Observations, or by their ids about the elements of a Patient that we wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from fhir_equity.adapters.fhir import ids_of, objects_in, validate
from fhir_equity.errors import RemoteError
from fhir_equity.store.hie import QUARANTINED, UNVERIFIED, VERIFIED, Known, Planned, Settled
from fhir_equity.sync.client import Conflict, OutcomeUnknownError, Versioned
from fhir_equity.sync.deciding import is_accepted
from fhir_equity.sync.exchange import Exchange, Ours, Resource, id_of, is_active
from fhir_equity.sync.leaks import leaks
from fhir_equity.sync.search import query, token
from fhir_equity.sync.write_patient import refused

TELL = "tell"
_MARK = "provenance:"
MADE = 201


class Ready(Struct, frozen=True):
    """A Provenance that may be sent, and what is there of it."""

    body: Resource
    there: Versioned | None


def marked(matter: str) -> str:
    """Under what it is remembered who told a matter."""
    return f"{_MARK}{matter}"


def matter_of(mark: str) -> str:
    """The matter whose Provenance is remembered so; what is none stays as it is."""
    return mark.removeprefix(_MARK)


def is_mark(matter: str) -> bool:
    """Whether it is remembered of a Provenance."""
    return matter.startswith(_MARK)


def to_tell(exchange: Exchange, ours: Ours, matter: str) -> str:
    """The fingerprint of what is to be told about a matter; empty where there is nothing, or it is not to be told."""
    origin = exchange.told_by(ours, matter)
    if origin is None:
        return ""
    parts = (origin.method, origin.collector, origin.collected_on, ours.said.get(matter, ""))
    return sha256(msgspec.json.encode(parts)).hexdigest()


def untold(
    exchange: Exchange, ours: Ours, known: Known, matter: str, there: tuple[Resource, dict[str, str]] | None
) -> str:
    """The fingerprint of what is to be told about a matter and is not yet; empty where there is nothing.

    `there` is the Patient and what it says, and None where we are about to write the matter.
    """
    said = to_tell(exchange, ours, matter)
    if not said or known.written.get(marked(matter)) == said:
        return ""
    if there is None:
        return said
    patient, theirs = there
    written = known.written.get(matter) == ours.said[matter]
    named = matter in ours.observed or (
        theirs.get(matter) == ours.said[matter] and ids_of(patient, exchange.topics_of([matter]))
    )
    return said if written and named else ""


def prepare(exchange: Exchange, change: Planned, ours: Ours, known: Known, patient: Resource | None) -> Ready | str:
    """What is to be written, or why nothing is; `patient` is who is there now."""
    (matter,) = change.matters
    origin = exchange.told_by(ours, matter)
    if origin is None or known.link is None or patient is None:
        return "stale"
    if not _is_ours(exchange, ours, known, matter, patient):
        return "moved"
    targets = _targets(exchange, ours, known, matter, patient)
    if not targets:
        return "moved"  # what it would be about is not there, or the server keeps no ids of elements
    subject = f"Patient/{known.link[0]}"
    body = exchange.writer(ours.person.member.partner).provenance(ours.person.member, origin, matter, targets, subject)
    if validate(body, "Provenance"):
        return "invalid"
    if leaks(exchange, ours, body, None, change.matters):
        return "forbidden"
    remembered = known.observed.get((marked(matter), 1))
    there = exchange.client.read("Provenance", remembered[0]) if remembered else None
    if there is None and exchange.profile.conditional_create is not True:
        there = _found(exchange, body)  # one of an interrupted run; the server might make a second
    return Ready(body, there)


def _is_ours(exchange: Exchange, ours: Ours, known: Known, matter: str, patient: Resource) -> bool:
    """Whether a Patient is our member still and what stands there is our word: of another's we know not who told it."""
    theirs = exchange.theirs(patient)
    if not is_active(patient) or not is_accepted(exchange, ours, patient, theirs.member):
        return False
    return (known.written if matter in ours.observed else theirs.said).get(matter) == ours.said[matter]


def _targets(exchange: Exchange, ours: Ours, known: Known, matter: str, patient: Resource) -> list[Resource]:
    if matter in ours.observed:
        numbers = range(1, len(ours.observed[matter]) + 1)
        found = [known.observed.get((matter, number), ("", ""))[0] for number in numbers]
        return [{"reference": f"Observation/{key}"} for key in found] if all(found) else []
    names = ids_of(patient, exchange.topics_of([matter]))
    return exchange.writer(ours.person.member.partner).elements(f"Patient/{id_of(patient)}", names)


def send(exchange: Exchange, change: Planned, ready: Ready) -> tuple[str, Settled | None]:
    """Send what differs and read it back: how it ended. A lost answer is settled by looking."""
    client, there = exchange.client, ready.there
    try:
        if there is None:
            there = exchange.create(ready.body, condition_of(ready.body))
            if there.status != MADE and not is_tagged(there.resource, tag_of(ready.body)):
                return QUARANTINED, Settled(change, QUARANTINED)  # a server that finds others by our tag
        if not is_same(there.resource, ready.body):
            there = client.update({**ready.body, "id": id_of(there.resource)}, there.etag)
    except (Conflict, OutcomeUnknownError):
        there = _found(exchange, ready.body)
    except RemoteError as error:
        status = refused(error, client.capability)
        return status, Settled(change, status)
    back = client.read("Provenance", id_of(there.resource)) if there is not None else None
    if back is None:
        return UNVERIFIED, None
    (mark,) = change.said
    status = VERIFIED if is_same(back.resource, ready.body) else QUARANTINED
    held = dict(change.said) if status == VERIFIED else {}
    return status, Settled(change, status, held, None, {(mark, 1): (id_of(back.resource), back.etag)})


def withdraw(exchange: Exchange, mark: str, known: Known, ours: Ours | None) -> str:
    """Delete ours and look whether it is gone; a Provenance cannot say that it says nothing.

    What is not remembered, because its answer got lost, is found by its tag.
    """
    keys = {known.observed.get((mark, 1), ("", ""))[0]} - {""}
    if ours is not None:
        member = ours.person.member
        tag = exchange.writer(member.partner).told_as(member, matter_of(mark))
        keys |= {id_of(each) for each in _tagged(exchange, tag)}
    became = [_deleted(exchange, key) for key in sorted(keys)]
    return next((status for status in became if status != VERIFIED), VERIFIED)


def _deleted(exchange: Exchange, key: str) -> str:
    there = exchange.client.read("Provenance", key)
    if there is None:
        return VERIFIED
    try:
        exchange.client.delete("Provenance", key, there.etag)
    except RemoteError as error:
        if not isinstance(error, Conflict | OutcomeUnknownError):  # after these, what stands there decides
            return refused(error, exchange.client.capability)
    return VERIFIED if exchange.client.read("Provenance", key) is None else UNVERIFIED


def _found(exchange: Exchange, body: Resource) -> Versioned | None:
    first = next(_tagged(exchange, tag_of(body)), None)
    return exchange.client.read("Provenance", id_of(first)) if first is not None else None


def _tagged(exchange: Exchange, tag: Resource) -> Iterator[Resource]:
    """The Provenances with a tag of ours."""
    for each in exchange.client.search("Provenance", {"_tag": token(tag["system"], tag["code"])}):
        if each.get("resourceType") == "Provenance" and id_of(each) and is_tagged(each, tag):
            yield each


def tag_of(body: Resource) -> Resource:
    """The tag by which a Provenance of ours is known."""
    found: Resource = body["meta"]["tag"][0]
    return found


def condition_of(body: Resource) -> str:
    """What If-None-Exist says so that a Provenance is made once, however often it is sent."""
    tag = tag_of(body)
    return query({"_tag": token(tag["system"], tag["code"])})


def is_tagged(there: Resource, tag: Resource) -> bool:
    """Whether a Provenance has the tag of ours; a server that does not know the search finds anybody's by it."""
    held = [(each.get("system"), each.get("code")) for each in objects_in(_object(there, "meta").get("tag"))]
    return (tag["system"], tag["code"]) in held


def is_same(there: Resource, wanted: Resource) -> bool:
    """Whether a Provenance tells what is wanted, of the same things; when it was recorded does not matter."""
    return _told(there) == _told(wanted)


def _told(provenance: Resource) -> tuple[Any, ...]:
    targets = sorted(_target(each) for each in objects_in(provenance.get("target")))
    agents = [
        (_codes(each), _tail(_object(each, "who")), _object(each, "who").get("display"))
        for each in objects_in(provenance.get("agent"))
    ]
    return targets, agents, str(provenance.get("occurredDateTime", ""))[: len("YYYY-MM-DD")]


def _target(target: Resource) -> tuple[str, list[str]]:
    return _tail(target), sorted(str(each.get("valueUri", "")) for each in objects_in(target.get("extension")))


def _tail(reference: Resource) -> str:
    """Type and id, however a server writes its own address before them."""
    return "/".join(str(reference.get("reference", "")).split("/")[-2:])


def _codes(agent: Resource) -> list[str]:
    return sorted(str(each.get("code", "")) for each in objects_in(_object(agent, "type").get("coding")))


def _object(thing: Resource, name: str) -> Resource:
    held = thing.get(name)
    return held if isinstance(held, dict) else {}
