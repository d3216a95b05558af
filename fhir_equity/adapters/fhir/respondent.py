"""People of a QuestionnaireResponse: whom it is about, who answered, and where in a Bundle they are."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fhir_equity.adapters.fhir.elements import patient_at
from fhir_equity.adapters.fhir.observation import is_about
from fhir_equity.adapters.fhir.person import identifiers_of
from fhir_equity.adapters.fhir.shape import Json, Problems, object_at, objects_at, text_at
from fhir_equity.model import Identifier, Member

RESPONSE, PATIENT = "QuestionnaireResponse", "Patient"
_PEOPLE = ("subject", "source", "author")


class Subject(Struct, frozen=True):
    """Whom a response is about: identifiers, and the id of the Patient that it refers to."""

    identifiers: tuple[Identifier, ...]
    id: str


def subject_of(response: Json, problems: Problems) -> Subject:
    """Whom a response says it is about: an identifier, a reference to a Patient, or a contained one."""
    holder = object_at(response, "subject", "", problems)
    reference = text_at(holder, "reference", ".subject", problems)
    if reference.startswith("#"):
        contained = (each for _, each in objects_at(response, "contained", "", problems))
        inside: Json = next((each for each in contained if each.get("id") == reference[1:]), {})
        return Subject(_identifiers({"identifier": inside.get("identifier", [])}, ".contained", problems), "")
    said = {"identifier": [holder["identifier"]]} if "identifier" in holder else {}
    _, found, rest = f"/{reference}".rpartition(f"/{PATIENT}/")
    return Subject(_identifiers(said, ".subject", problems), rest.partition("/")[0] if found else "")


def _identifiers(holder: Json, path: str, problems: Problems) -> tuple[Identifier, ...]:
    below = Problems()
    found = identifiers_of(patient_at(holder, below), below)
    problems += [replace(each, path=path + each.path) for each in below]
    return found


def is_held(held: Member, subject: Subject, key: str, response: Json) -> bool:
    """Whether a response is about the Member in hand: by identifier, by the key made of it, or by reference."""
    known = {(each.system, each.value) for each in held.identifiers}
    same = any((each.system, each.value) in known for each in subject.identifiers)
    return same or held.key == key or is_about(response, held.resource or {})


def kind_at(response: Json, name: str, problems: Problems) -> str:
    """The type of resource that `source` or `author` names; a Patient other than the subject speaks for them."""
    holder = object_at(response, name, "", problems)
    reference = text_at(holder, "reference", f".{name}", problems)
    kind = text_at(holder, "type", f".{name}", problems) or reference.rpartition("/")[0].rpartition("/")[2]
    about = _reference(response, "subject")
    if kind == PATIENT and reference and about and reference.rpartition("/")[2] != about.rpartition("/")[2]:
        return "RelatedPerson"
    return kind


def named(entries: list[tuple[Any, str]]) -> list[Any]:
    """The resources of a Bundle, given each with its `fullUrl`: whom a response names by it is named by type and id.

    https://hl7.org/fhir/R4/bundle.html#references
    """
    people = {url: value for value, url in entries if url and isinstance(value, dict)}
    return [_naming_all(value, people) if _is_a(value, RESPONSE) else value for value, _ in entries]


def _naming_all(response: Json, people: dict[str, Json]) -> Json:
    return response | {name: _naming(people[r]) for name in _PEOPLE if (r := _reference(response, name)) in people}


def _naming(resource: Json) -> Json:
    kind, name = str(resource.get("resourceType")), resource.get("id")
    said: Json = {"type": kind, **({"reference": f"{kind}/{name}"} if isinstance(name, str) else {})}
    identifiers = objects_at(resource, "identifier", "", Problems())
    return said | ({"identifier": identifiers[0][1]} if identifiers else {})


def _is_a(resource: object, kind: str) -> bool:
    return isinstance(resource, dict) and resource.get("resourceType") == kind


def _reference(response: Json, name: str) -> str:
    holder = response.get(name)
    found = holder.get("reference") if isinstance(holder, dict) else None
    return found if isinstance(found, str) else ""
