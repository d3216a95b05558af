"""The value of an extension in any of the shapes met: coding, concept, code, string, boolean, absent."""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.adapters.fhir.shape import Json, Problems, object_at, objects_at, text_at
from fhir_equity.model import Coding

ABSENT_URL = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
ABSENT_SYSTEM = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
# The types that carry an answer; any other value[x] is noted as malformed.
VALUES = ("valueCoding", "valueCodeableConcept", "valueCode", "valueString", "valueBoolean")


class Value(Struct, frozen=True, gc=False):
    """What a value said: codings, and the wording that came beside them."""

    codings: tuple[Coding, ...] = ()
    text: str = ""


def united(values: list[Value]) -> Value:
    """Several values as one: distinct codings and distinct wordings, in order."""
    if len(values) == 1:
        return values[0]
    codings = dict.fromkeys(coding for value in values for coding in value.codings)
    texts = dict.fromkeys(value.text for value in values if value.text)
    return Value(tuple(codings), "; ".join(texts))


def value_of(extension: Json, path: str, code_system: str, problems: Problems) -> Value:
    """The value[x] of an extension, whichever type it has, and the reason it is absent for.

    `code_system` is the system of a bare code, which FHIR leaves to the binding.
    """
    found = []
    reasons = []
    for name in extension:
        if name in VALUES:
            found.append(_typed(extension, name, path, code_system, problems))
        elif name.startswith("value"):
            problems.malformed(f"{path}.value[x]")
        elif name.startswith("_") and name[1:] in VALUES:
            reasons.append(Value(_absent(object_at(extension, name, path, problems), f"{path}.{name}", problems)))
    return united(found + reasons) if found or reasons else Value()


def _typed(extension: Json, name: str, path: str, code_system: str, problems: Problems) -> Value:
    if name == "valueCoding":
        return Value(coding(object_at(extension, name, path, problems), f"{path}.{name}", problems))
    if name == "valueCodeableConcept":
        return concept(object_at(extension, name, path, problems), f"{path}.{name}", problems)
    if name == "valueBoolean":
        if isinstance(extension[name], bool):
            return Value((Coding("boolean", "true" if extension[name] else "false"),))
        problems.malformed(f"{path}.{name}")
        return Value()
    word = text_at(extension, name, path, problems)
    if name == "valueString":
        return Value(text=word)
    return Value((Coding(code_system, word),) if word else ())


def concept(holder: Json, path: str, problems: Problems) -> Value:
    """A CodeableConcept: all its codings and its text."""
    found: list[Coding] = []
    if "coding" in holder:
        for number, item in objects_at(holder, "coding", path, problems):
            found += coding(item, f"{path}.coding[{number}]", problems)
    if "extension" in holder:
        found += _absent(holder, path, problems)
    return Value(tuple(found), text_at(holder, "text", path, problems))


def coding(holder: Json, path: str, problems: Problems) -> tuple[Coding, ...]:
    """A Coding as received, and the reason it is absent for; nothing when it is empty."""
    system = text_at(holder, "system", path, problems)
    code = text_at(holder, "code", path, problems)
    display = text_at(holder, "display", path, problems)
    found: tuple[Coding, ...] = (Coding(system, code, display),) if code or display else ()
    if "extension" in holder:
        found += _absent(holder, path, problems)
    if "_code" in holder:
        found += _absent(object_at(holder, "_code", path, problems), f"{path}._code", problems)
    return found


def absent(holder: Json, name: str, path: str, problems: Problems) -> tuple[Coding, ...]:
    """Why a primitive element has no value: the data-absent-reason of its ``_name``."""
    return _absent(object_at(holder, f"_{name}", path, problems), f"{path}._{name}", problems)


def _absent(holder: Json, path: str, problems: Problems) -> tuple[Coding, ...]:
    found: list[Coding] = []
    for number, item in objects_at(holder, "extension", path, problems):
        if item.get("url") == ABSENT_URL:
            found += absent_reason(item, f"{path}.extension[{number}]", problems)
    return tuple(found)


def absent_reason(extension: Json, path: str, problems: Problems) -> tuple[Coding, ...]:
    """The data-absent-reason extension as a coding of its own system."""
    code = text_at(extension, "valueCode", path, problems)
    return (Coding(ABSENT_SYSTEM, code),) if code else ()
