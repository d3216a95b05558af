"""Put answers into the extensions of an existing Patient that hold one value each, or take them out."""

from __future__ import annotations

from fhir_equity.adapters.fhir.express import extensions_of, text_of, uri_of
from fhir_equity.adapters.fhir.extensions import kind_of, raw_of, reading_of
from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.fhir.values import Value, united
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Expressed, Loss, Relationship

Said = tuple[frozenset[tuple[str, str]], str]


def merge_extension(patient: Json, answers: list[Expressed], context: Context, losses: list[Loss]) -> None:
    """Change `patient` so that the extension of its version says the answers to one topic.

    An extension that says one of them already stays as it is. Of the others, those at the URL that we write are
    replaced in their place and keep their id; another URL, and what has parts that we do not write (a document, a
    jurisdiction, an enrollment in the tribe), is somebody else's statement and stays too.
    """
    topic = answers[0].topic
    extensions = patient.get("extension", [])
    if not isinstance(extensions, list):
        losses.append(Loss("fhir.merge.malformed", Relationship.UNMATCHED, topic))
        return
    wanted = extensions_of(answers, context, losses)
    there = [each for each in extensions if is_about(each, topic)]
    if not wanted or says(there, answers, context):
        return
    known, kept = ([_said(each) for each in found] for found in (there, wanted))
    missing = [each for each in wanted if _said(each) not in known]
    stale = [each for each in there if _said(each) not in kept and _is_ours(each, wanted[0])]
    places = [at for at, each in enumerate(extensions) if any(each is old for old in stale)]
    for at, new in zip(places, missing, strict=False):
        extensions[at] = {"id": extensions[at]["id"], **new} if "id" in extensions[at] else new
    for at in reversed(places[len(missing) :]):
        del extensions[at]
    if added := missing[len(places) :]:
        patient["extension"] = [*extensions, *added]


def remove_extension(patient: Json, topic: str) -> None:
    """Take out every extension about a topic, whoever wrote it."""
    extensions = patient.get("extension")
    if isinstance(extensions, list):
        kept = [each for each in extensions if not is_about(each, topic)]
        if kept:
            patient["extension"] = kept
        else:
            del patient["extension"]


def is_about(extension: object, topic: str) -> bool:
    """Whether an extension answers a topic, by its URL."""
    kind = kind_of(extension) if isinstance(extension, dict) else None
    return kind is not None and kind.topic == topic


def says(extensions: list[Json], answers: list[Expressed], context: Context) -> bool:
    """Whether extensions say answers already: the same codes and, where there are words, the same words."""
    kinds = [kind_of(each) for each in extensions]
    read = [reading_of(kind, each, raw_of(each)).received for kind, each in zip(kinds, extensions, strict=True) if kind]
    value = united([Value(each.codings, each.text) for each in read])
    there = {(uri_of(coding.system, context), coding.code) for coding in value.codings}
    codings = [coding for each in answers for coding in (*each.categories, *each.details)]
    words = "; ".join(dict.fromkeys(text_of(each) for each in answers if each.text))
    wanted = {(uri_of(coding.system, context), coding.code) for coding in codings}
    return bool(read) and there == wanted and (not words or words == value.text)


def _is_ours(there: Json, wanted: Json) -> bool:
    """Whether it has the URL that we write, and no part that we do not write."""
    return there["url"] == wanted["url"] and _parts(there) <= _parts(wanted)


def _parts(extension: Json) -> set[object]:
    parts = extension.get("extension", [])
    return {part.get("url") for part in parts if isinstance(part, dict)} if isinstance(parts, list) else {None}


def _said(extension: Json) -> Said:
    """Its codes, and the words that are more than the display of a code."""
    kind = kind_of(extension)
    if kind is None:  # of a partner's own URL, which nobody reads
        return frozenset(), raw_of(extension)
    received = reading_of(kind, extension, raw_of(extension)).received
    words = "" if received.text in [coding.display for coding in received.codings] else received.text
    return frozenset((coding.system, coding.code) for coding in received.codings), words
