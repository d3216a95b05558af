"""Wrong JSON types anywhere are findings, and the rest of the Patient is still read."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.fhir import answers_of, merge, validate
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Expressed, Member, Outgoing, State

US = "http://hl7.org/fhir/us/core/StructureDefinition/"
CORE = "http://hl7.org/fhir/StructureDefinition/"
CDCREC = "urn:oid:2.16.840.1.113883.6.238"
NULL = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
ABSENT = CORE + "data-absent-reason"
ABSENT_SYSTEM = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
WHITE = {"system": CDCREC, "code": "2106-3", "display": "White"}
IRISH = {"system": CDCREC, "code": "2113-9", "display": "Irish"}


def part(url: str, **value: Any) -> dict[str, Any]:
    return {"url": url, **value}


def race(*parts: dict[str, Any], url: str = US + "us-core-race") -> dict[str, Any]:
    return {"url": url, "extension": list(parts)}


def member(context: Context | None = None, **elements: Any) -> Member:
    given_id = {"id": "a"} if "id" not in elements else {}
    resource = {"resourceType": "Patient", **given_id, **elements}
    before = copy.deepcopy(resource)
    found = answers_of(resource, "x", context or Context())
    assert resource == before
    return found


def codes(found: Member) -> list[tuple[str, str]]:
    return [(each.code, each.locator.path) for each in found.findings]


MB = {"system": "urn:p", "value": "2", "type": {"coding": [{"code": "MB"}]}}
SSN = {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "000-00-0001"}
SNOMED = {"system": "http://snomed.info/sct", "code": "446151000124109"}


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ({"extension": {}}, "Patient.extension"),
        ({"extension": [None]}, "Patient.extension[0]"),
        ({"extension": [{}]}, "Patient.extension[0].url"),
        ({"extension": [race(), {"url": 5}]}, "Patient.extension[1].url"),
        ({"identifier": "x"}, "Patient.identifier"),
        ({"identifier": [{"value": 5}]}, "Patient.identifier[0].value"),
        ({"identifier": [{"type": {"coding": [{"code": 5}]}}]}, "Patient.identifier[0].type.coding[0].code"),
        ({"name": {"family": "x"}}, "Patient.name"),
        ({"name": [{"given": "x"}]}, "Patient.name[0].given"),
        ({"name": [{"given": [5]}]}, "Patient.name[0].given[0]"),
        ({"address": [{"line": [{}]}]}, "Patient.address[0].line[0]"),
        ({"birthDate": None}, "Patient.birthDate"),
        ({"gender": None}, "Patient.gender"),
        ({"gender": "male", "_gender": []}, "Patient._gender"),
        ({"id": 5}, "Patient.id"),
        ({"communication": "x"}, "Patient.communication"),
        ({"communication": [{"language": "en"}]}, "Patient.communication[0].language"),
        ({"communication": [{"language": {"text": "x"}, "preferred": "true"}]}, "Patient.communication[0].preferred"),
        ({"communication": [{"preferred": True}]}, "Patient.communication[0].language"),
        (
            {"extension": [{"url": US + "us-core-birthsex", "valueQuantity": {}}]},
            "Patient.extension[0].value[x]",
        ),
        (
            {"extension": [{"url": CORE + "patient-interpreterRequired", "valueBoolean": "true"}]},
            "Patient.extension[0].valueBoolean",
        ),
        (
            {"extension": [race(part("ombCategory", valueCoding=[WHITE]))]},
            "Patient.extension[0].extension[0].valueCoding",
        ),
    ],
)
def test_a_wrong_type_is_a_finding_and_the_rest_is_read(elements: dict[str, Any], path: str) -> None:
    elements = {"identifier": [MB], "gender": "male", **elements}
    found = member(**elements)
    assert [each for each in codes(found) if each[0] == "fhir.patient.malformed"] == [("fhir.patient.malformed", path)]
    if "gender" not in path and "identifier" not in path:
        assert found.key == "urn:p|2"
        assert "sex" in [each.topic for each in found.answers]


FULL: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{**MB, "use": "usual"}, SSN],
    "name": [{"use": "official", "family": "Ruiz", "given": ["Ana"], "prefix": ["Dr."], "period": {"start": "2001"}}],
    "gender": "female",
    "_gender": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]},
    "birthDate": "1980-01-02",
    "address": [{"use": "home", "line": ["1 A St"], "district": "D", "period": {"end": "2002"}}],
    "extension": [
        race(
            part("ombCategory", valueCoding=WHITE), part("detailed", valueCoding=IRISH), part("text", valueString="x")
        ),
        race({"url": ABSENT, "valueCode": "unknown"}, url=US + "us-core-ethnicity"),
        {"url": US + "us-core-birthsex", "valueCode": "F"},
        {"url": US + "us-core-genderIdentity", "valueCodeableConcept": {"coding": [SNOMED], "text": "t"}},
        {"url": CORE + "individual-pronouns", "extension": [part("value", valueCoding=SNOMED)]},
        {"url": CORE + "patient-interpreterRequired", "valueBoolean": True},
    ],
    "communication": [
        {
            "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]},
            "preferred": True,
            "_preferred": {"extension": [{"url": CORE + "patient-preferenceType", "valueCoding": {"code": "verbal"}}]},
        },
    ],
}
KEYS = st.sampled_from(["url", "extension", "code", "value", "valueCode", "period"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


NEW = (
    Expressed("race", State.ANSWERED, (Coding(CDCREC, "2028-9"),), (), "Asian"),
    Expressed("ethnicity", State.ANSWERED, (), (), "x"),
    Expressed("language_spoken", State.ANSWERED, (), (Coding("urn:ietf:bcp:47", "en"),), ""),
    Expressed("language_written", State.ANSWERED, (), (), "Ewe"),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    steps = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [place for step, inner in steps for place in [(value, step), *places(inner)]]


@settings(deadline=None)
@given(st.data())
def test_no_patient_however_malformed_stops_the_reading(data: st.DataObject) -> None:
    resource = copy.deepcopy(FULL)
    for _ in range(data.draw(st.integers(1, 4))):
        holder, step = data.draw(st.sampled_from(places(resource)))
        holder[step] = data.draw(JSON)
    found = answers_of(resource, "x", Context())
    assert found.key
    merged, _ = merge(resource, Outgoing(found, NEW), Context())
    assert set(merged) | {"extension", "communication"} == set(resource) | {"extension", "communication"}
    assert all(isinstance(each, str) for each in validate(resource))
    assert all(each.locator.path.startswith("Patient") for each in found.findings)
    assert all(each.path.startswith("Patient") for each in found.answers)


def test_the_patient_that_is_mutated_is_read_without_findings() -> None:
    found = answers_of(FULL, "x", Context())
    assert [each.code for each in found.findings] == ["fhir.ethnicity.no_text"]
    assert [each.topic for each in found.answers] == [
        "race",
        "ethnicity",
        "birth_sex",
        "gender_identity",
        "pronouns",
        "interpreter_needed",
        "sex",
        "language_spoken",
    ]
