"""Answers as Observations of their own beside their Patient: written, and recognised when they are read."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_equity.adapters.fhir.express import concept_of
from fhir_equity.adapters.fhir.person import is_date
from fhir_equity.adapters.fhir.shape import Json, Problems, object_at
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


def topic_of(observation: Json, context: Context) -> str:
    """Which topic an Observation answers, by its LOINC code; empty for all others and for what was withdrawn."""
    if observation.get("status") in _WITHDRAWN:
        return ""
    codings = concept(object_at(observation, "code", "", Problems()), "", Problems()).codings
    codes = {coding.code for coding in codings if coding.system == LOINC}
    return next((topic for topic, row in topics_of(context).items() if row["code"] in codes), "")


def is_about(observation: Json, patient: Json) -> bool:
    """Whether the subject of an Observation is this Patient, by a relative or an absolute reference or a URN."""
    subject = observation.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    name = patient.get("id")
    if not isinstance(reference, str) or not isinstance(name, str):
        return False
    return reference == f"urn:uuid:{name}" or f"/{reference}".endswith(f"/Patient/{name}")


def value_in(observation: Json, problems: Problems) -> Value:
    """What an Observation says, or why it does not. Paths of problems are below Observation."""
    reason = concept(object_at(observation, "dataAbsentReason", "", problems), ".dataAbsentReason", problems)
    return united([value_of(observation, "", "", problems), reason])


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
