"""Answers as Observations of their own beside their Patient: which they are, and recognised when they are read."""

from __future__ import annotations

from typing import NamedTuple

from fhir_equity.adapters.fhir.shape import Json, Problems, object_at, objects_at
from fhir_equity.adapters.fhir.values import Value, concept, united, value_of
from fhir_equity.adapters.protocol import Context

LOINC = "http://loinc.org"
_WITHDRAWN = ("entered-in-error", "cancelled")  # R4, observation-status


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
