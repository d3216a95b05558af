"""Who a Patient is: the key, identifiers, the name and address in use, birth dates."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fhir_equity.adapters.fhir import answers_of
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Address, Identifier, Locator, Member, Name


def member(context: Context | None = None, **elements: Any) -> Member:
    given_id = {"id": "a"} if "id" not in elements else {}
    resource = {"resourceType": "Patient", **given_id, **elements}
    before = copy.deepcopy(resource)
    found = answers_of(resource, "x", context or Context())
    assert resource == before
    return found


def codes(found: Member) -> list[tuple[str, str]]:
    return [(each.code, each.locator.path) for each in found.findings]


def identifier(system: str, value: str, kind: str = "", use: str = "") -> dict[str, Any]:
    words: dict[str, Any] = {"system": system, "value": value}
    if kind:
        words["type"] = {"coding": [{"code": kind}]}
    return {**words, "use": use} if use else words


SSN = identifier("http://hl7.org/fhir/sid/us-ssn", "000-00-0001")
MR, MB = identifier("urn:h", "1", "MR"), identifier("urn:p", "2", "MB")


@pytest.mark.parametrize(
    ("identifiers", "guide", "key", "rule"),
    [
        ([SSN, MR, MB], {}, "urn:p|2", "fhir.identifier.type"),
        ([MR, MB], {"key_types": ["MR"]}, "urn:h|1", "fhir.identifier.type"),
        ([MR, MB], {"key_systems": ["urn:x", "urn:h"]}, "urn:h|1", "fhir.identifier.system"),
        ([SSN], {"key_systems": ["http://hl7.org/fhir/sid/us-ssn"]}, "Patient/a", "fhir.id"),
        ([SSN, identifier("urn:d", "3", "DL")], {}, "urn:d|3", "fhir.identifier.first"),
        ([identifier("urn:old", "0", "MB", "old"), MB], {}, "urn:p|2", "fhir.identifier.type"),
        ([identifier("urn:e", " ", "MB"), MR], {}, "urn:h|1", "fhir.identifier.type"),
        ([], {}, "Patient/a", "fhir.id"),
    ],
)
def test_the_key(identifiers: list[dict[str, Any]], guide: dict[str, Any], key: str, rule: str) -> None:
    found = member(Context(guide=guide), identifier=identifiers)
    assert (found.key, found.key_rule) == (key, rule)


def test_nobody_to_be_told_apart_by() -> None:
    found = answers_of({"resourceType": "Patient"}, "file.json", Context(), 7)
    assert (found.key, found.key_rule) == ("file.json#7", "fhir.position")
    assert codes(found) == [("fhir.patient.no_identity", "Patient")]
    assert found.findings[0].locator == Locator("file.json", "resource", 7, -1, "Patient")


@pytest.mark.parametrize(
    "ssn",
    [
        SSN,
        identifier("urn:oid:2.16.840.1.113883.4.1", "1"),
        identifier("urn:x", "1", "SS"),
        {"value": "1", "type": {"text": "Social Security Number"}},
    ],
)
def test_a_social_security_number_is_marked(ssn: dict[str, Any]) -> None:
    assert [each.use for each in member(identifier=[ssn, MB]).identifiers] == ["ssn", ""]


def test_identifiers_keep_kind_and_use() -> None:
    words = {"value": "9", "type": {"text": "Card"}, "use": "usual"}
    assert member(identifier=[MR, words]).identifiers == (
        Identifier("urn:h", "1", "MR"),
        Identifier("", "9", "Card", "usual"),
    )


def test_the_name_in_use() -> None:
    official = {"use": "official", "family": "Ruiz", "given": ["Ana", None, "B"], "prefix": ["Dr."], "suffix": ["II"]}
    usual = {"use": "usual", "family": "R"}
    old = {"use": "old", "family": "Gil"}
    ended = {"use": "official", "family": "E", "period": {"end": "2001"}}
    plain = {"family": "P"}
    assert member(name=[old, usual, official]).name == Name("Ruiz", ("Ana", "B"), "Dr.", "II")
    assert member(name=[ended, plain, usual]).name.family == "R"
    assert member(name=[ended, old, plain]).name.family == "P"
    assert member(name=[old]).name.family == "Gil"
    assert member(name=[{"family": ["De", "Vries"]}]).name.family == "De Vries"
    assert codes(member(name=[{"text": "Ana Ruiz"}])) == [("fhir.name.text_only", "Patient.name[0]")]


def test_the_address_in_use() -> None:
    home = {"use": "home", "line": ["1 A St", "2"], "city": "C", "district": "D", "state": "S", "postalCode": "0"}
    old = {"use": "old", "city": "Old"}
    expected = Address(("1 A St", "2"), "C", "S", "0", "US", "D")
    assert member(address=[old, {"city": "W", "use": "work"}, {**home, "country": "US"}]).address == expected
    assert member(address=[{"city": "E", "period": {"end": "1"}}, {"city": "W"}]).address.city == "W"


@pytest.mark.parametrize("value", ["1980", "1980-02", "1980-02-29"])
def test_birth_dates(value: str) -> None:
    assert (member(birthDate=value).birth_date, member(birthDate=value).findings) == (value, ())


def test_what_stands_in_the_place_of_a_value_is_told() -> None:
    masked = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/rendered-value", "valueString": "xx-1"}]}
    found = member(_birthDate=masked, identifier=[{"system": "urn:x", "_value": masked}, MB])
    assert (found.birth_date, found.identifiers) == ("", (Identifier("urn:p", "2", "MB"),))
    assert codes(found) == [
        ("fhir.identifier.no_value", "Patient.identifier[0]"),
        ("fhir.birth_date.absent", "Patient._birthDate"),
    ]
    assert codes(member(birthDate="1980", _birthDate=masked)) == []


@pytest.mark.parametrize("value", ["1980-02-30", "19800229", "80", "1980-13", "1980-02-29T00:00:00Z"])
def test_a_birth_date_that_is_none_is_kept_with_a_finding(value: str) -> None:
    found = member(birthDate=value)
    assert found.birth_date == value
    assert codes(found) == [("fhir.birth_date.invalid", "Patient.birthDate")]
    assert value not in repr(found.findings)
