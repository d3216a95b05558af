"""Answers as Observations of their own beside their Patient, so that they can be withheld whole."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_equity.adapters.fhir.express import concept_of
from fhir_equity.adapters.fhir.observation import LOINC, topics_of
from fhir_equity.adapters.fhir.person import is_date
from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.fhir.values import ABSENT_SYSTEM
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Expressed, labels_in

CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
URIS = "urn:ietf:rfc:3986"  # the naming system of identifiers that are URIs (R4, identifier registry)
_LABELS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_INTEGRITY = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"


def is_observed(topic: str, context: Context) -> bool:
    """Whether the version to be written has an answer to a topic as an Observation (guides/us_core.csv)."""
    place = context.guide.get("places", {}).get(topic, {}).get("place")
    return place in ("observation", "both") and topic in topics_of(context)


def observation_of(expressed: Expressed, context: Context) -> Json:
    """One answer as an Observation that is not yet about anybody: see `named`.

    http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-sexual-orientation
    """
    topic = topics_of(context)[expressed.topic]
    resource: Json = {
        "resourceType": "Observation",
        "meta": _meta(expressed, context),
        "status": "final",
        "category": [{"coding": [{"system": CATEGORIES, "code": context.guide["observation"]["category"]}]}],
        "code": {"coding": [{"system": LOINC, "code": topic["code"], "display": topic["display"]}]},
        "effectiveDateTime": expressed.origin.collected_on if is_date(expressed.origin.collected_on) else "",
        **_value(expressed, context),
    }
    return {element: value for element, value in resource.items() if value}


def named(observation: Json, name: str, subject: str) -> Json:
    """An Observation with an id, about the Patient to whom `subject` refers.

    The id is also, as a URN, an identifier that stays where a server gives ids of its own.
    """
    identifier = [{"system": URIS, "value": f"urn:uuid:{name}"}]
    return {**observation, "id": name, "identifier": identifier, "subject": {"reference": subject}}


def sensitivity_of(topic: str, context: Context) -> list[Json]:
    """The labels of an Observation, and of whatever speaks of it: on the Patient they would tell that it exists.

    Topics that are never an Observation have none.
    """
    row = topics_of(context).get(topic)
    if row is None:
        return []
    labels = ((_LABELS, row["label"]), (_CONFIDENTIALITY, context.guide["observation"]["confidentiality"]))
    return [{"system": system, "code": code} for system, code in labels if code]


def restricted_of(expressed: Iterable[Expressed], context: Context) -> list[Json]:
    """The labels with which answers came from who sent them: they go with them (42 CFR 2.32)."""
    known: dict[str, str] = context.guide.get("reading", {}).get("restricted", {})
    systems = {name: label.rpartition("|")[0] for label, name in known.items()}
    labels = sorted({name for each in expressed for name in labels_in(each.origin)})
    return [{"system": systems[name], "code": name} for name in labels if name in systems]


def secured(resource: Json, labels: Iterable[Json]) -> Json:
    """A resource that carries labels beside those that it has."""
    meta = resource.get("meta", {})
    held = meta.get("security", [])
    new = [label for label in labels if label not in held]
    return {**resource, "meta": {**meta, "security": [*held, *new]}} if new else resource


def _meta(expressed: Expressed, context: Context) -> Json:
    """Profile where the version has one, sensitivity, and who said it (v3-ObservationValue PATRPT and its siblings)."""
    place = context.guide.get("places", {}).get(expressed.topic, {})
    security = [*sensitivity_of(expressed.topic, context), *restricted_of([expressed], context)]
    methods = context.guide.get("provenance", {}).get("methods", {})
    if label := methods.get(expressed.origin.method, {}).get("label"):
        security.append({"system": _INTEGRITY, "code": label})
    profile = [place["url"]] if place.get("place") == "observation" and place["url"] else []
    return {name: value for name, value in (("profile", profile), ("security", security)) if value}


def _value(expressed: Expressed, context: Context) -> Json:
    """The value, or why there is none: a data-absent-reason has an element of its own (R4, Observation)."""
    said = concept_of(expressed, context)
    absent = [each for each in said.get("coding", []) if each["system"] == ABSENT_SYSTEM]
    return {"dataAbsentReason": said} if absent else {"valueCodeableConcept": said}
