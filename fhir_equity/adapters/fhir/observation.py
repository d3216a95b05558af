"""Answers as Observations of their own beside their Patient: which they are, and recognised when they are read."""

from __future__ import annotations

from fhir_equity.adapters.fhir.shape import Json, Problems, object_at
from fhir_equity.adapters.fhir.values import Value, concept, united, value_of
from fhir_equity.adapters.protocol import Context

LOINC = "http://loinc.org"
_WITHDRAWN = ("entered-in-error", "cancelled")  # R4, observation-status


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
