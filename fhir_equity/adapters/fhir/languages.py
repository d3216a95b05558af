"""Patient.communication: which languages answer which question, preferred ones first."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from fhir_equity.adapters.fhir.shape import Json, Problem, Problems, compact, object_at, objects_at
from fhir_equity.adapters.fhir.values import Value, concept, united
from fhir_equity.model import Received, Severity

PREFERENCE_TYPE = "http://hl7.org/fhir/StructureDefinition/patient-preferenceType"
PROFICIENCY = "http://hl7.org/fhir/StructureDefinition/patient-proficiency"
SPOKEN, WRITTEN = "language_spoken", "language_written"
ELEMENT = "fhir.communication"
# HL7 v3 LanguageAbilityMode: expressed and received, spoken and written.
_MODES = ((SPOKEN, {"ESP", "RSP"}), (WRITTEN, {"EWR", "RWR"}))


class Entry(Struct, frozen=True):
    """One entry of Patient.communication: its place, its language and what it is preferred for."""

    number: int
    value: Value
    preferred: bool
    topics: tuple[str, ...]
    source: Json


class Languages(Struct, frozen=True):
    """What Patient.communication said: (received, position) per topic, positions passed over, problems."""

    received: tuple[tuple[Received, int], ...]
    passed: tuple[tuple[str, int], ...]
    problems: tuple[Problem, ...]


def languages_of(patient: Json) -> Languages:
    """Read Patient.communication. Paths of problems are below Patient."""
    problems = Problems()
    entries = entries_of(patient, problems)
    received, passed = [], []
    for topic in (SPOKEN, WRITTEN):
        chosen = concerned(entries, topic)
        if not chosen:
            continue
        value = united([entry.value for entry in chosen])
        sources = [entry.source for entry in chosen]
        raw = compact(sources[0] if len(sources) == 1 else sources).decode("utf-8")
        received.append((Received(topic, ELEMENT, value.codings, value.text, raw), chosen[0].number))
        if chosen[0].preferred:
            passed += [(topic, each.number) for each in entries if topic in each.topics and not each.preferred]
    return Languages(tuple(received), tuple(passed), tuple(problems))


def concerned(entries: list[Entry], topic: str) -> list[Entry]:
    """The entries that answer a topic: the preferred ones if there is any, else all of it.

    Preference is looked at per topic: a preferred written language says nothing about speech.
    """
    about = [entry for entry in entries if topic in entry.topics]
    return [entry for entry in about if entry.preferred] or about


def entries_of(patient: Json, problems: Problems) -> list[Entry]:
    """The readable entries of Patient.communication."""
    return [_entry(number, item, problems) for number, item in objects_at(patient, "communication", "", problems)]


def _entry(number: int, item: Json, problems: Problems) -> Entry:
    path = f".communication[{number}]"
    before = len(problems)
    if "language" not in item:
        problems.malformed(f"{path}.language")
    value = concept(object_at(item, "language", path, problems), f"{path}.language", problems)
    if value == Value() and len(problems) == before:
        problems.note("fhir.communication.empty", Severity.WARNING, "there is no language in it", path)
    preferred = item.get("preferred", False)
    if not isinstance(preferred, bool):
        problems.malformed(f"{path}.preferred")
    return Entry(number, value, preferred is True, _topics(item, path, problems), item)


def _topics(item: Json, path: str, problems: Problems) -> tuple[str, ...]:
    """What the entry is for: patient-preferenceType, else patient-proficiency; speech where nothing is said."""
    codes = _preference_types(item, path, problems)
    if "_preferred" in item:
        holder = object_at(item, "_preferred", path, problems)
        codes += _preference_types(holder, f"{path}._preferred", problems)
    topics = tuple(topic for code, topic in (("verbal", SPOKEN), ("written", WRITTEN)) if code in codes)
    if not codes:
        modes = set(_proficient(item, path, problems))
        topics = tuple(topic for topic, known in _MODES if modes & known)
    elif not topics:
        problems.note("fhir.communication.preference_type", Severity.WARNING, "neither verbal nor written", path)
    return topics or (SPOKEN,)


def _proficient(item: Json, path: str, problems: Problems) -> Iterator[str]:
    """The modes of patient-proficiency. How good somebody is at it stays in the record."""
    for number, extension in objects_at(item, "extension", path, problems):
        if extension.get("url") == PROFICIENCY:
            for _, part in objects_at(extension, "extension", f"{path}.extension[{number}]", problems):
                if part.get("url") == "type":
                    yield str(object_at(part, "valueCoding", path, problems).get("code"))


def _preference_types(holder: Json, path: str, problems: Problems) -> list[str]:
    codes = []
    for number, extension in objects_at(holder, "extension", path, problems):
        if is_preference_type(extension):
            where = f"{path}.extension[{number}].valueCoding"
            found = object_at(extension, "valueCoding", f"{path}.extension[{number}]", problems).get("code")
            if isinstance(found, str):
                codes.append(found)
            else:
                problems.malformed(where)
    return codes


def is_preference_type(extension: Json) -> bool:
    """Whether an extension says what a language is preferred for (R4 core, patient-preferenceType)."""
    return extension.get("url") == PREFERENCE_TYPE
