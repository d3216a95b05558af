"""The extensions of a Patient that carry answers: their URLs, their parts, and how one is read."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from fhir_equity.adapters.fhir.shape import Json, Problem, Problems, compact, loaded, object_at, objects_at
from fhir_equity.adapters.fhir.values import ABSENT_URL, Value, absent_reason, united, value_of
from fhir_equity.model import Received, Severity

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
CORE = "http://hl7.org/fhir/StructureDefinition/"
_ARGONAUT = "http://fhir.org/guides/argonaut/StructureDefinition/"
_ECR = "http://hl7.org/fhir/us/ecr/StructureDefinition/"
# A security label of one element (FHIR Data Segmentation for Privacy).
INLINE_LABEL = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
_OMB = ("ombCategory", "detailed", "text")
_TRIBES = ("tribalAffiliation", "TribeName")
# Parts that are part of the definition and kept in `raw` only.
_BESIDE = (
    *("isEnrolled", "EnrolledTribeMember", "period", "comment", "type", "effectivePeriod", "acquisitionDate"),
    *("source", "sourceDocument", "sourceField", "jurisdiction", "genderElementQualifier", INLINE_LABEL),
)


class Kind(Struct, frozen=True):
    """One extension: what it answers, the parts of a complex one, and how often it may occur."""

    url: str
    topic: str
    element: str
    parts: tuple[str, ...] = ("value",)
    code_system: str = ""
    old: bool = False
    many: bool = False


_RACE = "fhir.us-core-race"
_ETHNICITY = "fhir.us-core-ethnicity"
# US Core 3.1.1 to 9.0.0, R4 core, Gender Harmony (hl7.fhir.uv.extensions.r4), eCR, and the URLs that
# DSTU2, STU3 and Argonaut used before.
KINDS = (
    Kind(US_CORE + "us-core-race", "race", _RACE, _OMB),
    Kind(CORE + "us-core-race", "race", _RACE, _OMB, old=True),
    Kind("http://hl7.org/fhir/Profile/us-core#race", "race", _RACE, _OMB, old=True),
    Kind(_ARGONAUT + "argo-race", "race", _RACE, _OMB, old=True),
    Kind(US_CORE + "us-core-ethnicity", "ethnicity", _ETHNICITY, _OMB),
    Kind(CORE + "us-core-ethnicity", "ethnicity", _ETHNICITY, _OMB, old=True),
    Kind("http://hl7.org/fhir/Profile/us-core#ethnicity", "ethnicity", _ETHNICITY, _OMB, old=True),
    Kind(_ARGONAUT + "argo-ethnicity", "ethnicity", _ETHNICITY, _OMB, old=True),
    Kind(US_CORE + "us-core-birthsex", "birth_sex", "fhir.us-core-birthsex", code_system="us-core-birthsex"),
    Kind(_ARGONAUT + "argo-birthsex", "birth_sex", "fhir.us-core-birthsex", code_system="us-core-birthsex", old=True),
    Kind(US_CORE + "us-core-sex", "recorded_sex", "fhir.us-core-sex", code_system="us-core-sex"),
    Kind(US_CORE + "us-core-individual-sex", "recorded_sex", "fhir.us-core-individual-sex", code_system="us-core-sex"),
    Kind(
        CORE + "individual-recordedSexOrGender",
        "recorded_sex",
        "fhir.individual-recordedSexOrGender",
        code_system="snomed",
        many=True,
    ),
    Kind(US_CORE + "us-core-genderIdentity", "gender_identity", "fhir.us-core-genderIdentity", many=True),
    Kind(CORE + "individual-genderIdentity", "gender_identity", "fhir.individual-genderIdentity", many=True),
    Kind(CORE + "patient-genderIdentity", "gender_identity", "fhir.patient-genderIdentity", many=True),
    Kind(_ECR + "us-ph-genderidentity-extension", "gender_identity", "fhir.us-ph-genderidentity", many=True),
    Kind(CORE + "individual-pronouns", "pronouns", "fhir.individual-pronouns", many=True),
    Kind(US_CORE + "us-core-interpreter-needed", "interpreter_needed", "fhir.us-core-interpreter-needed"),
    Kind(CORE + "patient-interpreterRequired", "interpreter_needed", "fhir.patient-interpreterRequired"),
    Kind(
        US_CORE + "us-core-tribal-affiliation",
        "tribal_affiliation",
        "fhir.us-core-tribal-affiliation",
        _TRIBES,
        many=True,
    ),
    Kind(
        _ECR + "us-ph-tribal-affiliation-extension",
        "tribal_affiliation",
        "fhir.us-ph-tribal-affiliation",
        _TRIBES,
        many=True,
    ),
)
_BY_URL = {kind.url: kind for kind in KINDS}


class Extension(Struct, frozen=True):
    """An extension of a Patient, understood: what it answers, if anything, its labels and what is wrong with it."""

    received: Received | None = None
    many: bool = False
    labels: tuple[Json, ...] = ()
    problems: tuple[Problem, ...] = ()


class Reading(Struct, frozen=True):
    """What one element said, ready to be interned: equal JSON gives the same Reading."""

    received: Received
    problems: tuple[Problem, ...] = ()


def kind_of(extension: Json) -> Kind | None:
    """Which answer an extension carries, by its URL (with or without a version); None for all others."""
    url = extension.get("url")
    if not isinstance(url, str):
        return None
    return _BY_URL.get(url) or _BY_URL.get(url.partition("|")[0])


def reading_of(kind: Kind, extension: Json, raw: str) -> Reading:
    """Read one extension. Paths of problems are below the extension."""
    problems = Problems()
    name = f"fhir.{kind.topic}"
    if kind.old:
        problems.note(f"{name}.old_url", Severity.INFO, "the URL is the one of an older version of the extension")
    value = _value(kind, extension, problems)
    if "text" in kind.parts and not value.text.strip():
        problems.note(f"{name}.no_text", Severity.WARNING, "the text part is required (US Core, 1..1) and missing")
    elif value == Value() and not problems:
        problems.note(f"{name}.empty", Severity.WARNING, "there is no value in it")
    return Reading(Received(kind.topic, kind.element, value.codings, value.text, raw), tuple(problems))


def _value(kind: Kind, extension: Json, problems: Problems) -> Value:
    direct = value_of(extension, "", kind.code_system, problems)
    if "extension" not in extension:
        if "text" in kind.parts and direct != Value():
            problems.note(f"fhir.{kind.topic}.old_shape", Severity.INFO, "a value stands where US Core has parts")
        return direct
    parts: dict[str, list[Value]] = {name: [] for name in kind.parts}
    reasons = []
    for number, part in objects_at(extension, "extension", "", problems):
        path = f".extension[{number}]"
        url = part.get("url")
        if url == ABSENT_URL:
            reasons.append(Value(absent_reason(part, path, problems)))
        elif isinstance(url, str) and url in parts:
            parts[url].append(value_of(part, path, kind.code_system, problems))
        elif url not in _BESIDE:
            problems.note(f"fhir.{kind.topic}.part_not_used", Severity.INFO, "a part that is not read", path)
    texts = parts.pop("text", [])
    coded = [direct, *(value for values in parts.values() for value in values)]
    # The wording of a concept speaks only where the text part does not.
    if any(value.text for value in texts):
        coded = [Value(value.codings) for value in coded]
    return united([*coded, *texts, *reasons])


def united_received(several: Sequence[Received]) -> Received:
    """Several extensions about one topic as one; the element is that of the first."""
    value = united([Value(received.codings, received.text) for received in several])
    raw = "[" + ",".join(received.raw for received in several) + "]"
    return Received(several[0].topic, several[0].element, value.codings, value.text, raw)


def raw_of(extension: Json) -> str:
    """The extension as compact JSON, which is both what was received and the key of its Reading."""
    return compact(extension).decode("utf-8")


def extension_from(raw: bytes) -> Extension:
    """Understand one extension from its JSON. Paths of problems are below it."""
    problems = Problems()
    extension = loaded(raw)
    if not isinstance(extension, dict):
        problems.malformed("")
        return Extension(problems=tuple(problems))
    kind = kind_of(extension)
    if kind is None:
        if not isinstance(extension.get("url"), str):
            problems.malformed(".url")
        return Extension(problems=tuple(problems))
    reading = reading_of(kind, extension, raw_of(extension))
    return Extension(reading.received, kind.many, _labels(extension), reading.problems)


def _labels(extension: Json) -> tuple[Json, ...]:
    """The security labels that an extension carries itself."""
    parts = objects_at(extension, "extension", "", Problems())
    found = [object_at(part, "valueCoding", "", Problems()) for _, part in parts if part.get("url") == INLINE_LABEL]
    return tuple(found)
