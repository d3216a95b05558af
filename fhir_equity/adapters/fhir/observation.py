"""Answers as Observations of their own beside their Patient: written, and recognised when they are read."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from fhir_equity.adapters.fhir.express import concept_of
from fhir_equity.adapters.fhir.person import is_date
from fhir_equity.adapters.fhir.shape import Json, Problems, object_at, objects_at
from fhir_equity.adapters.fhir.values import ABSENT_SYSTEM, Value, concept, united, value_of
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Expressed, Member

LOINC = "http://loinc.org"
CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
LABELS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_WITHDRAWN = ("entered-in-error", "cancelled")  # R4, observation-status
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def topics_of(context: Context) -> dict[str, dict[str, str]]:
    """What is an Observation: by topic its LOINC code, display and label (``[observation.topics]`` of the guide)."""
    topics: dict[str, dict[str, str]] = context.guide.get("observation", {}).get("topics", {})
    return topics


class Statement(NamedTuple):
    """One answer in an Observation: its topic, the element that has the value, and its path below Observation."""

    topic: str
    holder: Json
    path: str = ""


def statements(observation: Json, context: Context) -> list[Statement]:
    """What an Observation or its components answer (``[reading.observations]`` of the guide); nothing if withdrawn."""
    if observation.get("status") in _WITHDRAWN:
        return []
    known: dict[str, str] = context.guide.get("reading", {}).get("observations", {})
    problems = Problems()
    parts = [("", observation)]
    if "component" in observation:
        parts += [(f".component[{n}]", each) for n, each in objects_at(observation, "component", "", problems)]
    found = [Statement(_topic(holder, known, problems), holder, path) for path, holder in parts]
    return [each for each in found if each.topic]


def _topic(holder: Json, known: dict[str, str], problems: Problems) -> str:
    codings = concept(object_at(holder, "code", "", problems), "", problems).codings
    return next(filter(None, (known.get(f"{each.system}|{each.code}") for each in codings)), "")


def is_about(observation: Json, patient: Json) -> bool:
    """Whether the subject of an Observation is this Patient, by a relative or an absolute reference or a URN."""
    subject = observation.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    name = patient.get("id")
    if not isinstance(reference, str) or not isinstance(name, str):
        return False
    return reference == f"urn:uuid:{name}" or f"/{reference}".endswith(f"/Patient/{name}")


def value_in(statement: Statement, problems: Problems) -> Value:
    """What a statement says, or why it does not. Paths of problems are below Observation."""
    holder, path = statement.holder, statement.path
    reason = object_at(holder, "dataAbsentReason", path, problems)
    return united([value_of(holder, path, "", problems), concept(reason, f"{path}.dataAbsentReason", problems)])


def patient_id(patient: Json, member: Member) -> str:
    """The id of a Patient that we write: the same for the same first identifier, whatever else is said."""
    first: Json = next(iter(patient.get("identifier", [])), {})
    name = f"{first.get('system', member.partner)}|{first.get('value', member.key)}"
    return str(uuid5(NAMESPACE_URL, name))


def observations_of(expressed: list[Expressed], subject: str, context: Context) -> list[dict[str, Any]]:
    """One Observation for each answer, about the Patient with the id `subject`.

    The id says the topic and which of several answers it is, and nothing of what was answered: ids end
    up in logs. http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-sexual-orientation
    """
    seen: Counter[str] = Counter()
    found = []
    for each in expressed:
        seen[each.topic] += 1
        name = str(uuid5(NAMESPACE_URL, f"{subject}|{each.topic}|{seen[each.topic]}"))
        found.append(_observation(each, name, subject, context))
    return found


def _observation(expressed: Expressed, name: str, subject: str, context: Context) -> Json:
    topic = topics_of(context)[expressed.topic]
    resource = {
        "resourceType": "Observation",
        "id": name,
        "meta": _meta(expressed.topic, context),
        "status": "final",
        "category": [{"coding": [{"system": CATEGORIES, "code": context.guide["observation"]["category"]}]}],
        "code": {"coding": [{"system": LOINC, "code": topic["code"], "display": topic["display"]}]},
        "subject": {"reference": f"Patient/{subject}"},
        "effectiveDateTime": expressed.collected_on if is_date(expressed.collected_on) else "",
        **_value(expressed, context),
    }
    return {element: value for element, value in resource.items() if value}


def _meta(topic: str, context: Context) -> Json:
    """Profile where the version has one, and the labels: on the Observation, since on the Patient they would tell."""
    place = context.guide.get("places", {}).get(topic, {})
    security = [
        {"system": system, "code": code}
        for system, code in (
            (LABELS, topics_of(context)[topic]["label"]),
            (CONFIDENTIALITY, context.guide["observation"]["confidentiality"]),
        )
        if code
    ]
    profile = [place["url"]] if place.get("place") == "observation" else []
    return {name: value for name, value in (("profile", profile), ("security", security)) if value}


def _value(expressed: Expressed, context: Context) -> Json:
    """The value, or why there is none: a data-absent-reason has an element of its own (R4, Observation)."""
    said = concept_of(expressed, context)
    absent = [each for each in said.get("coding", []) if each["system"] == ABSENT_SYSTEM]
    return {"dataAbsentReason": said} if absent else {"valueCodeableConcept": said}
