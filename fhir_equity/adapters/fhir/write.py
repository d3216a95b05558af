"""Write Members as US Core Patients, telling what a Patient has no place for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any
from urllib.parse import quote

import msgspec

from fhir_equity.adapters.fhir.express import OMB_URLS, communication_of, extensions_of, omb_extension
from fhir_equity.adapters.fhir.languages import SPOKEN, WRITTEN
from fhir_equity.adapters.fhir.observation import observations_of, patient_id, topics_of
from fhir_equity.adapters.fhir.person import KEY_TYPES, is_date
from fhir_equity.adapters.fhir.shape import Json, compact
from fhir_equity.adapters.fhir.values import ABSENT_URL
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import (
    Address,
    Enrollment,
    Expressed,
    Identifier,
    Loss,
    Member,
    Name,
    Outgoing,
    Relationship,
)

PROFILE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
# Required bindings of R4: Patient.gender and Identifier.use.
GENDERS = ("male", "female", "other", "unknown")
IDENTIFIER_USES = ("usual", "official", "temp", "secondary", "old")


def write(records: Iterable[Outgoing], out: IO[bytes], context: Context) -> Iterator[Loss]:
    """Write one resource per line (application/fhir+ndjson), yielding what was lost on the way."""
    for outgoing in records:
        resources, losses = resources_from(outgoing, context)
        for resource in resources:
            out.write(compact(resource) + b"\n")
        yield from losses


def resources_from(outgoing: Outgoing, context: Context) -> tuple[list[dict[str, Any]], list[Loss]]:
    """A Patient with an id, then the Observations about them, and the losses.

    The guide's ``observation`` says which topics are Observations. The Patient has its id whether or
    not there is an Observation, so that it does not tell.
    """
    observed = topics_of(context)
    kept = [each for each in outgoing.expressed if each.topic not in observed or _on_patient(each.topic, context)]
    patient, losses = patient_from(msgspec.structs.replace(outgoing, expressed=tuple(kept)), context)
    subject = patient_id(patient, outgoing.member)
    apart = [each for each in outgoing.expressed if each.topic in observed]
    named = {"resourceType": "Patient", "id": subject, **patient}
    return [named, *observations_of(apart, subject, context)], losses


def _on_patient(topic: str, context: Context) -> bool:
    """Whether the version has an extension of its Patient for a topic."""
    places: dict[str, dict[str, str]] = context.guide.get("places", {})
    return places.get(topic, {}).get("place") == "extension"


def patient_from(outgoing: Outgoing, context: Context) -> tuple[dict[str, Any], list[Loss]]:
    """A US Core Patient for a member with what may be written about them, and the losses.

    The context's ``systems`` turns keys of code systems into URIs, its guide's ``identifier_systems``
    gives identifiers without a system one, and the guide's ``places`` says by topic what the version
    to be written has an extension for (the rows of guides/us_core.csv); without it that is race and
    ethnicity alone. https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-patient.html
    """
    member = outgoing.member
    expressed = {each.topic: each for each in outgoing.expressed}
    losses: list[Loss] = []
    places = context.guide.get("places", {})
    extensions = [omb_extension(expressed[topic], context, losses) for topic in OMB_URLS if topic in expressed]
    others = [topic for topic in expressed if topic not in OMB_URLS and _on_patient(topic, context)]
    extensions += extensions_of((each for each in outgoing.expressed if each.topic in others), context, losses)
    patient = {
        "resourceType": "Patient",
        "meta": {"profile": [PROFILE]},
        "extension": [each for each in extensions if each],
        "identifier": _identifiers(member, context, losses),
        "name": [_name(member.name)],
        "gender": _gender(expressed.get("sex"), losses, required=places.get("sex", {}).get("least") != "0"),
        "birthDate": _birth_date(member.birth_date, losses),
        "address": [each for each in (_address(member.address),) if each],
        "communication": communication_of(expressed, context, losses),
    }
    placed = (*OMB_URLS, "sex", SPOKEN, WRITTEN, *others)
    losses += [Loss("fhir.no_place", Relationship.UNMATCHED, topic) for topic in expressed if topic not in placed]
    if member.enrollment != Enrollment():
        losses.append(Loss("fhir.patient.no_enrollment", Relationship.UNMATCHED))
    return {name: value for name, value in patient.items() if value}, losses


def _identifiers(member: Member, context: Context, losses: list[Loss]) -> list[Json]:
    sent = [each for each in member.identifiers if each.use != "ssn" and each.value.strip()]
    if any(each.use == "ssn" for each in member.identifiers):
        losses.append(Loss("fhir.identifier.ssn_withheld", Relationship.UNMATCHED))
    if not sent:
        losses.append(Loss("fhir.identifier.missing", Relationship.UNMATCHED))
    written: dict[tuple[str, str], Json] = {}
    for each in sent:  # one number may have come under two names, in an 834 and in a survey
        found = _identifier(each, member.partner, context)
        written.setdefault((found["system"], found["value"]), found)
    return list(written.values())


def _identifier(identifier: Identifier, partner: str, context: Context) -> Json:
    kind = identifier.kind.strip()
    # Only types known to be of table 0203 are called so; other words of the sender stay words.
    typed = {"coding": [{"system": IDENTIFIER_TYPES, "code": kind}]} if kind in KEY_TYPES else {"text": kind}
    system = identifier.system or context.guide.get("identifier_systems", {}).get(identifier.kind)
    words = {
        "use": identifier.use if identifier.use in IDENTIFIER_USES else "",
        "type": typed if kind else None,
        "system": quote(system, safe=_URI) if system else f"urn:fhir-equity:{_part(partner)}:{_part(kind)}",
        "value": identifier.value,
    }
    return {name: value for name, value in words.items() if value}


# Everything RFC 3986 lets stand in a URI; only what may not (a space) is encoded.
_URI = ":/?#[]@!$&'()*+,;=%"


def _part(word: str) -> str:
    return quote(word, safe="") or "-"


def _name(name: Name) -> Json:
    words: Json = {}
    if name.family.strip():
        words["family"] = name.family
    if given := [each for each in name.given if each.strip()]:
        words["given"] = given
    if not words:
        # us-core-6: given or family, else a data-absent-reason.
        words["extension"] = [{"url": ABSENT_URL, "valueCode": "unknown"}]
    for part, value in (("prefix", name.prefix), ("suffix", name.suffix)):
        if value.strip():
            words[part] = [value]
    return words


def _gender(sex: Expressed | None, losses: list[Loss], *, required: bool) -> str:
    """Patient.gender from its required value set; US Core wants one (1..1) before 8.0.0."""
    codings = (*sex.details, *sex.categories) if sex else ()
    if not codings:
        losses += [Loss("fhir.gender.required", Relationship.NARROWER, "sex")] * required
        return "unknown" if required else ""
    if codings[0].code not in GENDERS:
        losses.append(Loss("fhir.gender.no_code", Relationship.WIDER, "sex"))
        return "unknown"
    return codings[0].code


def _birth_date(value: str, losses: list[Loss]) -> str:
    if value and not is_date(value):
        losses.append(Loss("fhir.birth_date.invalid", Relationship.UNMATCHED))
        return ""
    return value


def _address(address: Address) -> Json:
    words = {
        "line": [line for line in address.lines if line.strip()],
        "city": address.city.strip(),
        "district": address.county.strip(),
        "state": address.state.strip(),
        "postalCode": address.postal_code.strip(),
        "country": address.country.strip(),
    }
    return {name: value for name, value in words.items() if value}
