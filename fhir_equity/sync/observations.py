"""Our Observations at an HIE: found by an identifier that stays, made once, changed where nobody else did.

An Observation is a statement of its own. Ours stands beside what others say; theirs is never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from fhir_equity.adapters.fhir import secured
from fhir_equity.errors import RemoteContentError
from fhir_equity.store.hie import Known
from fhir_equity.sync.arrivals import subject_of
from fhir_equity.sync.client import Versioned
from fhir_equity.sync.exchange import Exchange, Resource, id_of
from fhir_equity.sync.search import query, token

WITHDRAWN = "entered-in-error"  # R4, observation-status
Existing = dict[int, Versioned]  # by number, counted from 1

_etags = msgspec.json.Decoder(dict[int, str]).decode


class Looked(Struct, frozen=True):
    """What was found of our Observations on one matter: ``agreed``, ``add``, ``replace``, or why it is a conflict."""

    verdict: str
    existing: Existing
    said: str


def look(exchange: Exchange, known: Known, matter: str, wanted: Sequence[Resource]) -> Looked:
    """Compare what is there with what is wanted and with what we left there. Raises RemoteError."""
    existing = find(exchange, known, matter, wanted)
    active = {number: each for number, each in existing.items() if is_active(each.resource)}
    _, said = exchange.observations_say(each.resource for each in active.values())
    left = {number: etag for (of, number), (_, etag) in known.observed.items() if of == matter}
    for change in known.sent:
        if change.action == "observe" and matter in change.said:
            left |= etags_of(change.etag)
    same = {n for n, each in active.items() if n <= len(wanted) and is_same(exchange, each.resource, wanted[n - 1])}
    if same == set(active) == set(range(1, len(wanted) + 1)):
        verdict = "agreed"
    elif not active:
        verdict = "withdrawn_there" if matter in known.written else "add"
    elif said == known.written.get(matter) or all(n in same or e.etag == left.get(n) for n, e in active.items()):
        verdict = "add" if same == set(active) and len(active) < len(wanted) else "replace"
    else:
        verdict = "changed_there"
    return Looked(verdict, existing, said)


def find(exchange: Exchange, known: Known, matter: str, wanted: Sequence[Resource]) -> Existing:
    """Our Observations on one matter, by number: those that we remember, and those with an identifier of ours."""
    client = exchange.client
    remembered = {number: key for (of, number), (key, _) in known.observed.items() if of == matter}
    found = {number: client.read("Observation", key) for number, key in remembered.items()}
    missing = {identifier_of(each): n for n, each in enumerate(wanted, start=1) if found.get(n) is None}
    for each in _search(exchange, missing):
        number = next((missing[pair] for pair in _identifiers(each) if pair in missing), 0)
        key = id_of(each)
        if number and key:
            if found.get(number) is not None:
                raise RemoteContentError("an identifier of ours stands for several Observations there")
            found[number] = client.read("Observation", key)
    return {number: each for number, each in found.items() if each is not None and each.etag}


def _search(exchange: Exchange, identifiers: Iterable[tuple[str, str]]) -> list[Resource]:
    tokens = ",".join(token(system, value) for system, value in identifiers)
    if not tokens:
        return []
    found = exchange.client.search("Observation", {"identifier": tokens})
    return [each for each in found if each.get("resourceType") == "Observation"]


def identifier_of(observation: Resource) -> tuple[str, str]:
    """(system, value) of the identifier by which an Observation of ours is known everywhere."""
    first = observation["identifier"][0]
    return first["system"], first["value"]


def _identifiers(observation: Resource) -> list[tuple[object, object]]:
    held = observation.get("identifier")
    pairs = held if isinstance(held, list) else []
    return [(each.get("system"), each.get("value")) for each in pairs if isinstance(each, dict)]


def condition_of(observation: Resource) -> str:
    """What If-None-Exist says so that an Observation is made once, however often it is sent."""
    return query({"identifier": token(*identifier_of(observation))})


def is_active(observation: Resource) -> bool:
    """Whether an Observation still says something."""
    return observation.get("status") != WITHDRAWN


def about(patient: str, observations: Iterable[Resource]) -> tuple[Resource, ...]:
    """Observations about the Patient with this id."""
    return tuple({**each, "subject": {"reference": f"Patient/{patient}"}} for each in observations)


def is_same(exchange: Exchange, there: Resource, wanted: Resource) -> bool:
    """Whether an Observation says what is wanted, of the same day and, where that is wanted, of the same Patient."""
    if "subject" in wanted and subject_of(there) != subject_of(wanted):
        return False
    days = [str(each.get("effectiveDateTime", ""))[: len("YYYY-MM-DD")] for each in (there, wanted)]
    said = [exchange.observations_say([each])[1] for each in (there, wanted)]
    return is_active(there) and days[0] == days[1] and said[0] == said[1] != ""


def withdrawn(observation: Resource) -> Resource:
    """An Observation that says nothing any more: in error, without its value (R4, observation-status)."""
    gone = ("value", "dataAbsentReason", "component", "note", "interpretation", "text", "contained", "extension")
    kept = {name: value for name, value in observation.items() if not name.lstrip("_").startswith(gone)}
    return {**kept, "status": WITHDRAWN}


def updated(there: Resource, wanted: Resource) -> Resource:
    """What replaces an Observation of ours: the new one, with the id, tags and labels that the server's copy has.

    It is about whom the new one is about: the server may have parted two whom it had taken for one.
    """
    meta = {k: v for k, v in there.get("meta", {}).items() if k in ("tag", "source")}
    new = {**wanted, "id": there["id"], "meta": {**meta, **wanted.get("meta", {})}}
    return secured(new, there.get("meta", {}).get("security", ()))


def tags_of(existing: Mapping[int, Versioned]) -> str:
    """The versions that were looked at, as the journal keeps them."""
    return msgspec.json.encode({str(n): each.etag for n, each in sorted(existing.items())}).decode()


def etags_of(tags: str) -> dict[int, str]:
    """The versions that a journal entry was planned on, by number."""
    return _etags(tags) if tags else {}
