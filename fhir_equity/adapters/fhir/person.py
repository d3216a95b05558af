"""Who a Patient is: identifiers, the key made from them, name, address, birth date."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from fhir_equity.adapters.fhir.elements import NOTHING, HumanName, Patient, PostalAddress
from fhir_equity.adapters.fhir.shape import Problem, Problems, below, loaded
from fhir_equity.adapters.fhir.values import concept
from fhir_equity.model import Address, Identifier, Name, Severity

SSN_SYSTEMS = ("http://hl7.org/fhir/sid/us-ssn", "urn:oid:2.16.840.1.113883.4.1")
SSN_TYPES = ("ss", "ssn", "social security number")
# HL7 v2 table 0203, best first for telling people apart; the guide's `key_types` replaces it.
KEY_TYPES = ("MB", "MR", "PI", "PT", "PN")
# The R4 names for a name in use, best first (Patient.name.use).
_NAME_USES = ("official", "usual")
_PAST_USES = ("old", "maiden", "anonymous")
_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-\d\d)?)?")


def identifiers_of(patient: Patient, problems: Problems) -> tuple[Identifier, ...]:
    """Every identifier that has a value; `kind` is its type code, else its type's text."""
    found = []
    for number, each in enumerate(patient.identifier):
        kind, ssn, noted = _kind(each.system, bytes(each.type))
        if noted:
            problems += below(noted, f".identifier[{number}].type")
        if each.value.strip():
            found.append(Identifier(each.system, each.value, kind, "ssn" if ssn else each.use))
        else:  # masked, or of an assigner who is known and a value that is not
            problems.note("fhir.identifier.no_value", Severity.INFO, "not used", f".identifier[{number}]")
    return tuple(found)


@lru_cache(maxsize=1024)
def _kind(system: str, raw: bytes) -> tuple[str, bool, tuple[Problem, ...]]:
    """What an identifier's type calls it, whether it is a social security number, and what is wrong with the type."""
    problems = Problems()
    ssn = system.strip() in SSN_SYSTEMS
    value = loaded(raw) if raw else {}
    if not isinstance(value, dict):
        problems.malformed("")
        return "", ssn, tuple(problems)
    said = concept(value, "", problems)
    words = [word for word in (*(each.code.strip() for each in said.codings), said.text) if word]
    ssn = ssn or any(word.casefold() in SSN_TYPES for word in words)
    return next(iter(words), ""), ssn, tuple(problems)


def key_of(identifiers: Sequence[Identifier], resource_id: str, guide: Mapping[str, Any]) -> tuple[str, str]:
    """The member key and the recipe that made it; empty where the record has nothing to make one from.

    The guide's `key_systems`, then the types of `key_types`, then any identifier that is no social
    security number, then the resource id. One that is no longer in use (`use` old) comes last.
    """
    usable = [each for each in identifiers if each.use != "ssn"]
    if "old" in [each.use for each in usable]:
        usable.sort(key=lambda each: each.use == "old")
    for system in guide.get("key_systems", ()):
        for each in usable:
            if each.system == system:
                return f"{each.system}|{each.value}", "fhir.identifier.system"
    for kind in guide.get("key_types", KEY_TYPES):
        for each in usable:
            if each.kind == kind:
                return f"{each.system}|{each.value}", "fhir.identifier.type"
    if usable:
        return f"{usable[0].system}|{usable[0].value}", "fhir.identifier.first"
    return (f"Patient/{resource_id}", "fhir.id") if resource_id else ("", "")


def name_of(patient: Patient, problems: Problems) -> Name:
    """The name in use: official, then usual, then another that has not ended."""
    if not patient.name:
        return Name()
    chosen = patient.name[0] if len(patient.name) == 1 else min(patient.name, key=_name_rank)
    family = chosen.family if isinstance(chosen.family, str) else " ".join(chosen.family)
    if not family and not chosen.given and chosen.text:
        path = f".name[{patient.name.index(chosen)}]"
        problems.note("fhir.name.text_only", Severity.WARNING, "the name has no family or given part", path)
    return Name(family, chosen.given, " ".join(chosen.prefix), " ".join(chosen.suffix))


def _name_rank(name: HumanName) -> int:
    if name.use in _PAST_USES or name.period.end:
        return len(_NAME_USES) + 1
    return _NAME_USES.index(name.use) if name.use in _NAME_USES else len(_NAME_USES)


def address_of(patient: Patient) -> Address:
    """The address in use: home, then another that has not ended. The county is `district`."""
    if not patient.address:
        return Address()
    chosen = patient.address[0] if len(patient.address) == 1 else min(patient.address, key=_address_rank)
    return Address(chosen.line, chosen.city, chosen.state, chosen.postal_code, chosen.country, chosen.district)


def _address_rank(address: PostalAddress) -> int:
    if address.use == "old" or address.period.end:
        return 2
    return 0 if address.use == "home" else 1


def birth_date_of(patient: Patient, problems: Problems) -> str:
    """Patient.birthDate as sent; a finding where it is no FHIR date."""
    if patient.birth_date and not is_date(patient.birth_date):
        problems.note("fhir.birth_date.invalid", Severity.WARNING, "not a FHIR date", ".birthDate")
    elif not patient.birth_date and patient.beside_birth_date is not NOTHING:
        problems.note("fhir.birth_date.absent", Severity.INFO, "extensions stand in its place", "._birthDate")
    return patient.birth_date


def is_date(value: str) -> bool:
    """Whether a text is a FHIR date: YYYY, YYYY-MM or an existing YYYY-MM-DD (R4, datatypes, date)."""
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat((value + "-01-01")[:10] if len(value) < len("YYYY-MM-DD") else value)
    except ValueError:
        return False
    return True
