"""What stands apart from its Patient in a file: found in a first look, and waiting until the Patient comes.

An Observation right after its Patient needs no waiting and takes no memory; only so many others do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from fhir_equity.adapters.fhir.bundle import Found
from fhir_equity.adapters.fhir.observation import is_about
from fhir_equity.adapters.fhir.provenance import subject_of
from fhir_equity.adapters.fhir.respondent import RESPONSE
from fhir_equity.adapters.fhir.shape import Json, compact, loaded
from fhir_equity.model import Finding, Locator, Severity

# How many may wait: some 50 MB of Observations.
MOST = 50_000
_LOCAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$")


class Waiting:
    """What waits, by the Patient it names; `wanted` says which resources may have something to say."""

    def __init__(self, artefact: str, wanted: Callable[[Json], bool]) -> None:
        self._artefact = artefact
        self._wanted = wanted
        self._by_name: dict[str, list[tuple[bytes, Locator]]] = {}
        self._places: set[Locator] = set()
        self._left = 0
        self._over = 0

    def __bool__(self) -> bool:
        return self._left > 0

    def holds(self, place: Locator) -> bool:
        """Whether the response at a place waits, or has waited, for its Patient."""
        return place in self._places

    def look(self, found: Iterable[Found]) -> None:
        """The first look: take what does not stand right after its Patient."""
        before: Json = {}
        for each in found:
            if each.resource["resourceType"] == "Patient":
                before = each.resource
            elif self._wanted(each.resource) and not is_about({"subject": subject_of(each.resource)}, before):
                self._take(each)

    def of(self, patient: Json, full_url: str) -> Iterator[Found]:
        """What waited for this Patient, in the order of the file; it waits no longer."""
        for name in _names(patient, full_url) if self._by_name else ():
            for raw, place in self._by_name.pop(name, ()):
                self._left -= 1
                yield Found(loaded(raw), place)

    def alone(self) -> Iterator[Found]:
        """The responses that waited in vain: their subjects say whom they are about, without a Patient."""
        for raw, place in [each for waiting in self._by_name.values() for each in waiting]:
            if _is_response(raw):
                yield Found(loaded(raw), place)

    def findings(self) -> Iterator[Finding]:
        """What else waited in vain, and what could not even wait."""
        for waiting in self._by_name.values():
            for _, place in (each for each in waiting if not _is_response(each[0])):
                at = Locator(place.artefact, place.unit, place.number, place.offset, place.path)
                message = "about a Patient who is not in this file"
                yield Finding("fhir.observation.no_patient", Severity.WARNING, at, message)
        if self._over:
            message = f"too far from their Patients, with {MOST} others waiting: {self._over}"
            yield Finding("fhir.observation.too_many", Severity.ERROR, Locator(self._artefact), message)

    def _take(self, each: Found) -> None:
        if self._left >= MOST:
            self._over += each.resource["resourceType"] != RESPONSE  # which can do without a Patient
            return
        self._left += 1
        if each.resource["resourceType"] == RESPONSE:
            self._places.add(each.place)
        self._by_name.setdefault(_subject(each.resource), []).append((compact(each.resource), each.place))


def _is_response(raw: bytes) -> bool:
    return bool(loaded(raw)["resourceType"] == RESPONSE)


def _subject(resource: Json) -> str:
    """The Patient that a resource names: ``Patient/id`` of any server, a URN, or ``system|value``; empty for none."""
    subject = subject_of(resource)
    if not isinstance(subject, dict):
        return ""
    reference = subject.get("reference")
    if isinstance(reference, str):
        return _local(reference)
    identifier = subject.get("identifier")
    return _identified(identifier) if isinstance(identifier, dict) else ""


def _local(reference: str) -> str:
    match = _LOCAL.search(reference)
    return match[1] if match else reference


def _identified(identifier: Json) -> str:
    return f"{identifier.get('system', '')}|{identifier.get('value', '')}"


def _names(patient: Json, full_url: str) -> list[str]:
    """Everything that a resource may name this Patient by."""
    found = [_local(full_url)] if full_url else []
    if isinstance(patient.get("id"), str):
        found += [f"Patient/{patient['id']}", f"urn:uuid:{patient['id']}"]
    identifiers = patient.get("identifier", [])
    for each in identifiers if isinstance(identifiers, list) else []:
        if isinstance(each, dict) and each.get("value"):
            found.append(_identified(each))
    return list(dict.fromkeys(found))
