"""Put new answers into an existing Patient and leave everything else as it is."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from typing import Any

from fhir_equity.adapters.fhir.express import OMB_URLS, is_extension, omb_parts
from fhir_equity.adapters.fhir.languages import SPOKEN, WRITTEN
from fhir_equity.adapters.fhir.merge_extensions import is_about, merge_extension, remove_extension, says
from fhir_equity.adapters.fhir.merge_languages import merge_languages, remove_language
from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.fhir.values import ABSENT_URL
from fhir_equity.adapters.fhir.write_observations import restricted_of, secured
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Expressed, Loss, Outgoing, Relationship

_PARTS = ("ombCategory", "detailed", "text", ABSENT_URL)


def merge(
    existing: dict[str, Any], outgoing: Outgoing, context: Context, removed: Collection[str] = ()
) -> tuple[dict[str, Any], list[Loss]]:
    """A copy of a Patient in which the expressed answers are the new ones.

    These are race, ethnicity, languages and what the guide's ``places`` has an extension for. Replaced extensions
    keep their position, their element ids and any part that is not ours; a language that was preferred before stays,
    no longer preferred. An answer that is there already, or that says nothing, changes nothing. Every other topic is
    left as it is, with a loss where that makes a difference. Nothing is taken away but the topics named in `removed`,
    of which everything goes, whoever wrote it.
    """
    merged = deepcopy(existing)
    losses: list[Loss] = []
    for topic in removed:
        if topic in (SPOKEN, WRITTEN):
            remove_language(merged, topic)
        else:
            remove_extension(merged, topic)
    expressed = {each.topic: each for each in outgoing.expressed}
    for topic, answer in expressed.items():
        if topic in OMB_URLS:
            _merge_omb(merged, answer, context, losses)
        elif is_extension(topic, context):
            answers = [each for each in outgoing.expressed if each.topic == topic]
            merge_extension(merged, answers, context, losses)
        elif topic not in (SPOKEN, WRITTEN) and not _is_gender(merged, answer):
            losses.append(Loss("fhir.merge.not_merged", Relationship.UNMATCHED, topic))
    merge_languages(merged, expressed, context, losses)
    return secured(merged, restricted_of(outgoing.expressed, context)), losses


def _is_gender(patient: Json, answer: Expressed) -> bool:
    codes = [coding.code for coding in (*answer.details, *answer.categories)]
    return answer.topic == "sex" and codes[:1] == [patient.get("gender")]


def _merge_omb(patient: Json, answer: Expressed, context: Context, losses: list[Loss]) -> None:
    parts = omb_parts(answer, context)
    extensions = patient.get("extension", [])
    if not isinstance(extensions, list):
        losses.append(Loss("fhir.merge.malformed", Relationship.UNMATCHED, answer.topic))
        return
    places = [at for at, each in enumerate(extensions) if is_about(each, answer.topic)]
    if not parts or says([extensions[at] for at in places], [answer], context):
        return
    if not answer.text:
        losses.append(Loss("fhir.text.required", Relationship.INEXACT, answer.topic))
    if places:
        extensions[places[0]] = _replaced(extensions[places[0]], OMB_URLS[answer.topic], parts)
        for at in reversed(places[1:]):
            del extensions[at]
    else:
        patient["extension"] = [*extensions, {"url": OMB_URLS[answer.topic], "extension": parts}]


def _replaced(old: Json, url: str, parts: list[Json]) -> Json:
    """The old extension with new parts; its id, and parts that are none of US Core's, stay."""
    inner = old.get("extension", [])
    inner = inner if isinstance(inner, list) else []
    before = [part for part in inner if isinstance(part, dict)]
    foreign = [part for part in inner if not isinstance(part, dict) or part.get("url") not in _PARTS]
    new = {name: value for name, value in old.items() if not name.startswith(("value", "_value"))}
    new["url"] = url
    new["extension"] = [*(_carried(part, before) for part in parts), *foreign]
    return new


def _carried(part: Json, before: list[Json]) -> Json:
    """The part as it was there before if it says the same; a new text keeps the id of the old."""
    for old in before:
        if old.get("url") != part["url"]:
            continue
        if part["url"] == "text":
            return {"id": old["id"], **part} if "id" in old else part
        if _code(old) == _code(part):
            return old
    return part


def _code(part: Json) -> tuple[object, object] | None:
    value = part.get("valueCoding")
    return (value.get("system"), value.get("code")) if isinstance(value, dict) else None
