"""Who told the answers of a Patient, read from a Provenance into their Origin.

Only what a Provenance says of an element of the Patient, or of an Observation that is an answer, is taken: who made the
resource as a whole did not tell somebody's race. https://hl7.org/fhir/us/core/element-level-provenance.html
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fhir_equity.adapters.fhir.extensions import kind_of
from fhir_equity.adapters.fhir.languages import entries_of
from fhir_equity.adapters.fhir.observation import is_about
from fhir_equity.adapters.fhir.person import is_date
from fhir_equity.adapters.fhir.shape import Json, Problems, object_at, objects_at, text_at
from fhir_equity.adapters.fhir.values import concept
from fhir_equity.adapters.fhir.write_provenance import TARGET_ELEMENT
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Member, Origin


def told(member: Member, provenance: Json, observed: Mapping[str, str], context: Context) -> bool:
    """Give the answers that a Provenance is about its origin; False where it is about none of them.

    `observed` has the topics of the Observations of the member by their ids.
    """
    patient = member.resource or {}
    topics = _topics(provenance, patient, observed)
    if not topics:
        return False
    member.answers = tuple(
        msgspec.structs.replace(each, origin=_origin(provenance, patient, each.origin, context))
        if each.topic in topics
        else each
        for each in member.answers
    )
    return True


def subject_of(resource: Json) -> object:
    """The reference to the Patient that a resource is about: of a Provenance, that whose elements somebody told."""
    if resource.get("resourceType") != "Provenance":
        return resource.get("subject")
    targets = (target for _, target in objects_at(resource, "target", "", Problems()))
    return next((target for target in targets if _elements(target)), None)


def _origin(provenance: Json, patient: Json, origin: Origin, context: Context) -> Origin:
    """An origin with what a Provenance says: how the answer came about, who collected it, and when."""
    guide = context.guide.get("provenance", {})
    agents = _agents(provenance, patient)
    collectors = {display: collector for collector, display in guide.get("collectors", {}).items()}
    known = (collectors[display] for _, kind, display in agents if kind == "Organization" and display in collectors)
    on = text_at(provenance, "occurredDateTime", "", Problems())[: len("YYYY-MM-DD")]
    return msgspec.structs.replace(
        origin,
        method=_method({(code, kind) for code, kind, _ in agents}, guide.get("methods", {})) or origin.method,
        collector=next(known, origin.collector),
        collected_on=on if is_date(on) else origin.collected_on,
    )


def _method(agents: set[tuple[str, str]], methods: Mapping[str, Mapping[str, str]]) -> str:
    """The method whose teller is there; of several, one whose organization is there too, else the first."""
    found = [name for name, row in methods.items() if (row["agent"], row["who"]) in agents]
    whole = [name for name in found if (methods[name]["organization"], "Organization") in agents]
    return next(iter((*whole, *found)), "")


def _agents(provenance: Json, patient: Json) -> list[tuple[str, str, str]]:
    """(participant type, kind of resource, display) of everybody who took part."""
    found = []
    problems = Problems()
    for _, agent in objects_at(provenance, "agent", "", problems):
        who = object_at(agent, "who", "", problems)
        types = concept(object_at(agent, "type", "", problems), "", problems).codings
        found += [(each.code, _kind(who, patient), text_at(who, "display", "", problems)) for each in types]
    return found


def _kind(who: Json, patient: Json) -> str:
    """The kind of resource that a reference leads to: ``Patient`` for this one only."""
    if is_about({"subject": who}, patient):
        return "Patient"
    kind = next(iter(text_at(who, "reference", "", Problems()).split("/")[-2:-1]), text_at(who, "type", "", Problems()))
    return "" if kind == "Patient" else kind


def _topics(provenance: Json, patient: Json, observed: Mapping[str, str]) -> set[str]:
    names = _named(patient)
    found: set[str] = set()
    for _, target in objects_at(provenance, "target", "", Problems()):
        reference = text_at(target, "reference", "", Problems())
        if is_about({"subject": target}, patient):
            found.update(names.get(element, "") for element in _elements(target))
        else:
            found.add(observed.get(reference.removeprefix("urn:uuid:").rpartition("/")[2], ""))
    return found - {""}


def _elements(target: Json) -> list[str]:
    """The ids of the elements that a target is about."""
    extensions = objects_at(target, "extension", "", Problems())
    return [text_at(each, "valueUri", "", Problems()) for _, each in extensions if each.get("url") == TARGET_ELEMENT]


def _named(patient: Json) -> dict[str, str]:
    """The topics of the elements of a Patient that have an id."""
    found: dict[str, str] = {}
    problems = Problems()
    for _, extension in objects_at(patient, "extension", "", problems):
        kind = kind_of(extension)
        if kind is not None:
            found[text_at(extension, "id", "", problems)] = kind.topic
    for entry in entries_of(patient, problems):
        for topic in entry.topics:
            found[text_at(entry.source, "id", "", problems)] = topic
    return found
