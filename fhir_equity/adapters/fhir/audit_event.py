"""FHIR R4 AuditEvents of an audit trail, shaped after IHE Basic Audit Log Patterns (BALP).

https://profiles.ihe.net/ITI/BALP/ : who acted, with which software, for which recipient. What is ours (the number,
the digests that chain entries, counts and versions) is in the details of the entity. No patient is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from msgspec import Struct

Resource = dict[str, Any]

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_OUTCOMES = {"begun": "0", "done": "0", "failed": "8"}  # http://hl7.org/fhir/R4/valueset-audit-event-outcome.html
_SENT_TO = ("recipient", "hie")  # what an entry names its recipient by


class Deed(Struct, frozen=True):
    """An entry of a trail as it is told; `details` are (name, text) in order."""

    id: str
    at: str
    who: str
    action: str
    outcome: str
    software: str
    about: Mapping[str, str]
    details: Sequence[tuple[str, str]]


def audit_event(deed: Deed, kind: Mapping[str, str]) -> Resource:
    """The AuditEvent of a deed; `kind` is its row of ``guides/audit_event.csv``."""
    event: Resource = {
        "resourceType": "AuditEvent",
        "id": deed.id,
        "type": {"system": _DICOM, "code": kind["type"], "display": kind["type_display"]},
        "subtype": [{"system": f"{_TERMINOLOGY}iso-21089-lifecycle", "code": kind["subtype"]}],
        "action": kind["operation"],
        "recorded": deed.at,
        "outcome": _OUTCOMES[deed.outcome],
        "outcomeDesc": f"{deed.action}: {deed.outcome}",
        "agent": list(_agents(deed)),
        "source": {
            "observer": {"display": deed.software},
            "type": [{"system": f"{_TERMINOLOGY}security-source-type", "code": "4", "display": "Application Server"}],
        },
    }
    name = ", ".join(f"{what} {value}" for what, value in deed.about.items())
    detail = [{"type": what, "valueString": value} for what, value in deed.details if value]
    object_ = {"system": f"{_TERMINOLOGY}audit-entity-type", "code": "2", "display": "System Object"}
    return event | {"entity": [{"type": object_, "name": name or deed.action, "detail": detail}]}


def _agents(deed: Deed) -> Iterator[Resource]:
    user = {"system": f"{_TERMINOLOGY}extra-security-role-type", "code": "humanuser", "display": "human user"}
    yield {"type": {"coding": [user]}, "who": {"display": deed.who}, "name": deed.who, "requestor": True}
    yield _agent("110153", "Source Role ID", deed.software)
    to = next((deed.about[name] for name in _SENT_TO if deed.about.get(name)), "")
    if to:
        yield _agent("110152", "Destination Role ID", to)


def _agent(code: str, display: str, who: str) -> Resource:
    role = {"system": _DICOM, "code": code, "display": display}
    return {"type": {"coding": [role]}, "who": {"display": who}, "name": who, "requestor": False}


def as_ndjson(events: Iterable[Resource]) -> Iterator[bytes]:
    """One a line."""
    for event in events:
        yield orjson.dumps(event) + b"\n"


def as_bundle(events: Iterable[Resource]) -> Iterator[bytes]:
    """A collection, in pieces."""
    yield b'{"resourceType":"Bundle","type":"collection","entry":['
    for number, event in enumerate(events):
        entry = {"fullUrl": f"urn:fhir-equity:{event['id']}", "resource": event}
        yield (b"," if number else b"") + orjson.dumps(entry)
    yield b"]}\n"
