"""Who a member is at an HIE: by link, by identifiers in order, by ``$match`` only where that is certain.

Nothing but identifiers, name and birth date is ever asked with: never race, ethnicity, language, orientation
or gender. Who was found is not yet accepted: name and birth date must agree (`exchange.same_person`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from msgspec import Struct

from fhir_equity.sync.client import Client, Versioned

Resource = dict[str, Any]

SEVERAL = "several_matches"
NOT_CERTAIN = "match_not_certain"
NO_ID = "no_id"
NO_MATCH = "no_match"
HOPS = 5  # from one merged Patient to the next
ASKED_WITH = ("identifier", "name", "birthDate")
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_KEY = re.compile(r"Patient/([A-Za-z0-9\-.]{1,64})")


class Uncertain(Struct, frozen=True):
    """Why nobody can be taken, and the Patients who may be meant."""

    reason: str
    candidates: tuple[Resource, ...] = ()

    def __repr__(self) -> str:
        return f"Uncertain({self.reason}, {len(self.candidates)})"


class There(Protocol):
    """The Patients of a server, however they are asked for."""

    def read(self, key: str) -> Versioned | None:
        """A Patient; None where there is none. Raises RemoteError."""

    def known_as(self, tokens: Iterable[tuple[str, str]]) -> list[Resource]:
        """The Patients with one of these identifiers, by the first of them that finds anybody. Raises RemoteError."""


def linked_patient(there: There, key: str) -> Versioned | None:
    """The Patient that a link leads to: itself, else the one that replaced it; None where it is gone.

    Raises RemoteError.
    """
    found = there.read(key)
    seen = {key}
    while found is not None and not is_in_use(found.resource):
        after = next((each for each in replaced_by(found.resource) if each not in seen), "")
        if not after or len(seen) > HOPS:
            return found
        seen.add(after)
        found = there.read(after) or found
    return found


def carries(patient: Resource, tokens: Iterable[tuple[str, str]]) -> bool:
    """Whether a Patient has one of these identifiers."""
    held = patient.get("identifier")
    pairs = (
        {(e.get("system"), e.get("value")) for e in held if isinstance(e, dict)} if isinstance(held, list) else set()
    )
    return not pairs.isdisjoint(tokens)


def is_in_use(patient: Resource) -> bool:
    """Whether a Patient is neither inactive nor replaced by another."""
    return patient.get("active") is not False and not any(kind == "replaced-by" for kind, _ in _links(patient))


def replaced_by(patient: Resource) -> list[str]:
    """The ids of the Patients of this server that took a merged one's place."""
    return [key for kind, key in _links(patient) if kind == "replaced-by" and key]


def replaces(patient: Resource) -> list[str]:
    """The ids of the Patients of this server whose place a Patient took."""
    return [key for kind, key in _links(patient) if kind == "replaces" and key]


def _links(patient: Resource) -> list[tuple[str, str]]:
    held = patient.get("link")
    found = []
    for each in held if isinstance(held, list) else ():
        if isinstance(each, dict):
            other = each.get("other")
            words = other.get("reference") if isinstance(other, dict) else None
            key = _KEY.search(words) if isinstance(words, str) else None
            found.append((str(each.get("type", "")), key[1] if key else ""))
    return found


def by_match(client: Client, patient: Resource, tokens: Iterable[tuple[str, str]]) -> Versioned | Uncertain | None:
    """The one Patient that ``$match`` is certain about, why there is none to take, or None for nobody.

    https://hl7.org/fhir/R4/patient-operation-match.html. Raises RemoteError.
    """
    wanted = set(tokens)
    asked = {name: patient[name] for name in ASKED_WITH if name in patient}
    asked["identifier"] = [e for e in asked.get("identifier", []) if (e.get("system"), e.get("value")) in wanted]
    if not asked["identifier"]:
        del asked["identifier"]
    if not {"name", "birthDate"} <= set(asked):
        return None
    parameters = [
        {"name": "resource", "resource": {"resourceType": "Patient", **asked}},
        {"name": "onlyCertainMatches", "valueBoolean": True},
        {"name": "count", "valueInteger": 5},
    ]
    bundle = client.operation("Patient", "$match", {"resourceType": "Parameters", "parameter": parameters})
    entries = bundle.get("entry")
    found = [each for each in entries if _is_patient(each)] if isinstance(entries, list) else []
    if len(found) != 1:
        return Uncertain(SEVERAL, _resources(found)) if found else None
    if not _is_certain(found[0]):
        return Uncertain(NOT_CERTAIN, _resources(found))
    key = str(found[0]["resource"].get("id", ""))
    return client.read("Patient", key) if _KEY.fullmatch(f"Patient/{key}") else Uncertain(NO_ID)


def _resources(entries: Iterable[Resource]) -> tuple[Resource, ...]:
    return tuple(each["resource"] for each in entries)


def _is_patient(entry: object) -> bool:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return isinstance(resource, dict) and resource.get("resourceType") == "Patient"


def _is_certain(entry: Resource) -> bool:
    search = entry.get("search")
    held = search.get("extension") if isinstance(search, dict) else None
    grades = (
        [e.get("valueCode") for e in held if isinstance(e, dict) and e.get("url") == GRADE]
        if isinstance(held, list)
        else []
    )
    return grades == ["certain"]


def matched(
    client: Client, there: There, patient: Resource, tokens: list[tuple[str, str]], link: str, *, match: bool
) -> Versioned | Uncertain | None:
    """The Patient there who is a member, why none can be taken, or None where there is none.

    `patient` is our own, `link` the id of the one they were before (else empty), `match` lets ``$match`` be
    asked. Links move with merged Patients, and back. Raises RemoteError.
    """
    linked = linked_patient(there, link) if link else None
    if linked is not None and is_in_use(linked.resource) and (not tokens or carries(linked.resource, tokens)):
        return linked
    found = there.known_as(tokens)
    if len(found) > 1:
        return Uncertain(SEVERAL, tuple(found))
    if found:
        key = str(found[0].get("id", ""))
        if linked is not None and is_in_use(linked.resource) and not is_in_use(found[0]):
            return linked  # ours was merged into it
        return there.read(key) if _KEY.fullmatch(f"Patient/{key}") else Uncertain(NO_ID)
    if linked is not None or not match:
        return linked
    return by_match(client, patient, tokens)
