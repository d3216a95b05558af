"""Expressed answers as elements of a Patient: extensions and communication entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable

from fhir_equity.adapters.fhir.extensions import US_CORE
from fhir_equity.adapters.fhir.languages import PREFERENCE_TYPE, SPOKEN, WRITTEN
from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Expressed, Loss, Relationship

PREFERENCE_SYSTEM = "http://hl7.org/fhir/language-preference-type"
# Topic -> URL, in the order in which US Core lists them.
OMB_URLS = {"race": US_CORE + "us-core-race", "ethnicity": US_CORE + "us-core-ethnicity"}
MODES = ((SPOKEN, "verbal"), (WRITTEN, "written"))


def coding_of(coding: Coding, context: Context) -> Json:
    """A Coding with its system as a URI: a key of the guide's ``systems``, else as it is."""
    system = uri_of(coding.system, context)
    words = {"system": system, "code": coding.code, "display": coding.display}
    return {name: value for name, value in words.items() if value.strip()}


def uri_of(system: str, context: Context) -> str:
    """The URI of a code system given by its key; whatever is no key stays as it is."""
    return context.systems.get(system, system)


def text_of(expressed: Expressed) -> str:
    """The wording of an answer; where it has none, that of its codings (US Core wants text 1..1)."""
    codings = (*expressed.categories, *expressed.details)
    return expressed.text or ", ".join(coding.display or coding.code for coding in codings)


def omb_extension(expressed: Expressed, context: Context, losses: list[Loss]) -> Json | None:
    """us-core-race or us-core-ethnicity; None for an answer that says nothing.

    http://hl7.org/fhir/us/core/StructureDefinition/us-core-race: ombCategory, detailed, text 1..1.
    """
    parts = omb_parts(expressed, context)
    if not parts:
        return None
    if not expressed.text:
        losses.append(Loss("fhir.text.required", Relationship.INEXACT, expressed.topic))
    return {"url": OMB_URLS[expressed.topic], "extension": parts}


def omb_parts(expressed: Expressed, context: Context) -> list[Json]:
    """The sub-extensions of an OMB extension, categories first; none for an answer that says nothing."""
    parts: list[Json] = []
    for url, codings in (("ombCategory", expressed.categories), ("detailed", expressed.details)):
        parts += [{"url": url, "valueCoding": coding_of(coding, context)} for coding in codings]
    text = text_of(expressed)
    return [*parts, {"url": "text", "valueString": text}] if text.strip() else parts


def concept_of(expressed: Expressed, context: Context) -> Json:
    """An answer as a CodeableConcept: its codes and its words."""
    codings = [coding_of(coding, context) for coding in (*expressed.categories, *expressed.details)]
    words = {"coding": codings, "text": expressed.text}
    return {name: value for name, value in words.items() if value}


def is_extension(topic: str, context: Context) -> bool:
    """Whether the version to be written has an extension of its Patient for a topic (guides/us_core.csv)."""
    return context.guide.get("places", {}).get(topic, {}).get("place") in ("extension", "both")


def extensions_of(expressed: Iterable[Expressed], context: Context, losses: list[Loss]) -> list[Json]:
    """Answers as extensions with one value, of the type and as often as their row in guides/us_core.csv says."""
    places = context.guide.get("places", {})
    written: Counter[str] = Counter()
    found: list[Json] = []
    for each in expressed:
        place = places[each.topic]
        values = [value for value in _values(each, place["value"], context) if value is not None]
        if not values:
            losses.append(Loss("fhir.extension.no_code", Relationship.UNMATCHED, each.topic))
        for value in values:
            if written[each.topic] and place["most"] == "1":
                losses.append(Loss("fhir.extension.one_only", Relationship.UNMATCHED, each.topic))
            else:
                written[each.topic] += 1
                found.append(_extension(place["url"], place["value"], value))
    return found


def _extension(url: str, kind: str, value: object) -> Json:
    """A simple extension, or for a kind like ``value.valueCodeableConcept`` one with a part of that URL."""
    part, _, type_ = kind.rpartition(".")
    return {"url": url, "extension": [{"url": part, type_: value}]} if part else {"url": url, type_: value}


def _values(expressed: Expressed, kind: str, context: Context) -> list[object]:
    if kind.endswith("valueCodeableConcept"):
        return [concept_of(expressed, context) or None]
    codings = (*expressed.categories, *expressed.details)
    if kind == "valueCoding":
        return [coding_of(coding, context) for coding in codings]
    return [coding.code == "true" if kind == "valueBoolean" else coding.code for coding in codings]


def marked(topic: str, expressed: Container[str]) -> bool:
    """Whether entries about a topic must say so: writing always, speech where writing is there too.

    Also when the language is the same: an entry that says nothing is about speech.
    """
    return topic == WRITTEN or WRITTEN in expressed


def entries_for(expressed: Expressed, context: Context, losses: list[Loss], *, marked: bool) -> list[Json]:
    """The communication entries of one question: one preferred entry per language.

    R4, Patient.communication: several modes need several entries.
    The text goes with a single language; several languages have no place for a common text.
    """
    codings = [coding_of(coding, context) for coding in (*expressed.categories, *expressed.details)]
    text = expressed.text.strip()
    if len(codings) > 1 and text:
        losses.append(Loss("fhir.communication.text", Relationship.WIDER, expressed.topic))
    languages: list[Json] = [{"coding": [coding]} for coding in codings]
    if text and len(languages) < 2:
        languages = [{**(languages[0] if languages else {}), "text": expressed.text}]
    mode = dict(MODES)[expressed.topic]
    return [_entry(language, mode if marked else "") for language in languages]


def _entry(language: Json, mode: str) -> Json:
    entry: Json = {"language": language, "preferred": True}
    if mode:
        value = {"system": PREFERENCE_SYSTEM, "code": mode}
        entry["_preferred"] = {"extension": [{"url": PREFERENCE_TYPE, "valueCoding": value}]}
    return entry
