"""Who a Patient is: identifiers, the key made from them, name, address, birth date."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from fhir_equity.adapters.fhir.shape import Json, Problems, object_at, objects_at, text_at, texts_at
from fhir_equity.model import Address, Identifier, Name, Severity

SSN_SYSTEMS = ("http://hl7.org/fhir/sid/us-ssn", "urn:oid:2.16.840.1.113883.4.1")
SSN_TYPES = ("ss", "ssn", "social security number")
# HL7 v2 table 0203, best first for telling people apart; the guide's `key_types` replaces it.
KEY_TYPES = ("MB", "MR", "PI", "PT", "PN")
# The R4 names for a name in use, best first (Patient.name.use).
_NAME_USES = ("official", "usual")
_PAST_USES = ("old", "maiden", "anonymous")
_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-\d\d)?)?")


def identifiers_of(patient: Json, problems: Problems) -> tuple[Identifier, ...]:
    """Every identifier that has a value; `kind` is its type code, else its type's text."""
    found = []
    for number, item in objects_at(patient, "identifier", "", problems):
        path = f".identifier[{number}]"
        value = text_at(item, "value", path, problems)
        system = text_at(item, "system", path, problems)
        use = text_at(item, "use", path, problems)
        kinds = _kinds(item, path, problems) if "type" in item else []
        if system.strip() in SSN_SYSTEMS or any(kind.casefold() in SSN_TYPES for kind in kinds):
            use = "ssn"
        if value.strip():
            found.append(Identifier(system, value, kinds[0] if kinds else "", use))
    return tuple(found)


def _kinds(item: Json, path: str, problems: Problems) -> list[str]:
    holder = object_at(item, "type", path, problems)
    path += ".type"
    words = []
    for number, each in objects_at(holder, "coding", path, problems):
        if word := text_at(each, "code", f"{path}.coding[{number}]", problems).strip():
            words.append(word)
    if word := text_at(holder, "text", path, problems):
        words.append(word)
    return words


def key_of(identifiers: Sequence[Identifier], resource_id: str, guide: Mapping[str, Any]) -> tuple[str, str]:
    """The member key and the recipe that made it; empty where the record has nothing to make one from.

    The guide's `key_systems`, then the types of `key_types`, then any identifier that is no social
    security number, then the resource id. One that is no longer in use (`use` old) comes last.
    """
    usable = sorted((each for each in identifiers if each.use != "ssn"), key=lambda each: each.use == "old")
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


def name_of(patient: Json, problems: Problems) -> Name:
    """The name in use: official, then usual, then another that has not ended."""
    names = objects_at(patient, "name", "", problems)
    if not names:
        return Name()
    number, item = min(names, key=lambda each: _name_rank(each[1]))
    path = f".name[{number}]"
    # DSTU2 has a list of family names.
    several = isinstance(item.get("family"), list)
    name = Name(
        " ".join(texts_at(item, "family", path, problems)) if several else text_at(item, "family", path, problems),
        texts_at(item, "given", path, problems),
        " ".join(texts_at(item, "prefix", path, problems)),
        " ".join(texts_at(item, "suffix", path, problems)),
    )
    if not name.family and not name.given and item.get("text"):
        problems.note("fhir.name.text_only", Severity.WARNING, "the name has no family or given part", path)
    return name


def _name_rank(item: Json) -> int:
    use = item.get("use")
    if use in _PAST_USES or _ended(item):
        return len(_NAME_USES) + 1
    return _NAME_USES.index(use) if use in _NAME_USES else len(_NAME_USES)


def address_of(patient: Json, problems: Problems) -> Address:
    """The address in use: home, then another that has not ended. The county is `district`."""
    addresses = objects_at(patient, "address", "", problems)
    if not addresses:
        return Address()
    number, item = min(addresses, key=lambda each: _address_rank(each[1]))
    path = f".address[{number}]"
    words = (text_at(item, name, path, problems) for name in ("city", "state", "postalCode", "country", "district"))
    return Address(texts_at(item, "line", path, problems), *words)


def _address_rank(item: Json) -> int:
    if item.get("use") == "old" or _ended(item):
        return 2
    return 0 if item.get("use") == "home" else 1


def _ended(item: Json) -> bool:
    period = item.get("period")
    return isinstance(period, dict) and "end" in period


def birth_date_of(patient: Json, problems: Problems) -> str:
    """Patient.birthDate as sent; a finding where it is no FHIR date."""
    value = text_at(patient, "birthDate", "", problems)
    if value and not is_date(value):
        problems.note("fhir.birth_date.invalid", Severity.WARNING, "not a FHIR date", ".birthDate")
    return value


def is_date(value: str) -> bool:
    """Whether a text is a FHIR date: YYYY, YYYY-MM or an existing YYYY-MM-DD (R4, datatypes, date)."""
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat((value + "-01-01")[:10] if len(value) < len("YYYY-MM-DD") else value)
    except ValueError:
        return False
    return True
