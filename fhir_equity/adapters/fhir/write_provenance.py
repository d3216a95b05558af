"""Who told what: Provenance beside a Patient and its Observations, by the method of each answer.

https://hl7.org/fhir/us/core/element-level-provenance.html: an element of the Patient has an id, and the
target of the Provenance names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from fhir_equity.adapters.fhir.person import is_date
from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Origin

TARGET_ELEMENT = "http://hl7.org/fhir/StructureDefinition/targetElement"


class Provenances:
    """Writes the Provenances of one run. The guide's ``provenance`` says who told, by method and collector."""

    def __init__(self, context: Context) -> None:
        guide = context.guide.get("provenance", {})
        self._methods: dict[str, Json] = guide.get("methods", {})
        self._collectors: dict[str, str] = guide.get("collectors", {})
        self._systems: dict[str, str] = guide.get("participants", {})
        self._recorded = instant(context.created)

    def tells(self, origin: Origin) -> bool:
        """Whether there is anything to tell: a method that nobody stated has no Provenance."""
        return origin.method in self._methods

    def about(self, origin: Origin, targets: list[Json], name: str, subject: str, security: list[Json]) -> Json:
        """The Provenance of answers of one origin. `subject` refers to the Patient, who may have told them."""
        resource: Json = {"resourceType": "Provenance", "id": name}
        if security:
            resource["meta"] = {"security": security}
        resource["target"] = targets
        if is_date(origin.collected_on):
            resource["occurredDateTime"] = origin.collected_on
        resource["recorded"] = self._recorded
        resource["agent"] = self._agents(origin, subject)
        return resource

    def _agents(self, origin: Origin, subject: str) -> list[Json]:
        """Who told, and the organization that asked or passed it on (provenance-1 of US Core: staff act for one)."""
        method = self._methods[origin.method]
        organization = {"type": "Organization", "display": self._collectors[origin.collector]}
        member = method["who"] == "Patient"
        who = {"reference": subject} if member else {"type": method["who"], "display": method["display"]}
        teller: Json = {"type": self._participant(method["agent"]), "who": who}
        if method["who"] == "Practitioner":
            teller["onBehalfOf"] = organization
        return [teller, {"type": self._participant(method["organization"]), "who": organization}]

    def _participant(self, code: str) -> Json:
        return {"coding": [{"system": self._systems[code], "code": code}]}


def elements(subject: str, names: Iterable[str]) -> list[Json]:
    """Targets: elements of the Patient by their ids."""
    return [{"extension": [{"url": TARGET_ELEMENT, "valueUri": name}], "reference": subject} for name in names]


def instant(created: str) -> str:
    """An ISO date and time as FHIR's instant, which has seconds and a zone; now where none is given."""
    at = datetime.fromisoformat(created) if created else datetime.now(UTC)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat(timespec="seconds")
