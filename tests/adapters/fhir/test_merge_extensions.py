"""Answers go into the extension of their version in an existing Patient, and leave it only by name."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fhir_equity.adapters.fhir import merge, validate
from fhir_equity.model import Coding, Member, Outgoing, Received
from tests.adapters.fhir.versions import context, expressed

US = "http://hl7.org/fhir/us/core/StructureDefinition/"
CORE = "http://hl7.org/fhir/StructureDefinition/"
SCT = "http://snomed.info/sct"
FOREIGN = {"url": "http://vendor.example/x", "valueString": "kept", "id": "v"}


def put(
    patient: dict[str, Any], *received: Received, version: str = "6.1.0", removed: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[str]]:
    patient = {"resourceType": "Patient", "id": "a", **patient}
    before = copy.deepcopy(patient)
    outgoing = Outgoing(Member("p", "k"), expressed(version, *received)[0])
    merged, losses = merge(patient, outgoing, context(version), removed)
    assert patient == before
    assert validate(merged) == []
    assert merge(merged, outgoing, context(version), removed)[0] == merged
    return merged, [loss.rule for loss in losses]


def born(code: str) -> Received:
    return Received("birth_sex", "x", (Coding("us-core-birthsex", code),))


def identity(*codes: str, text: str = "") -> Received:
    return Received("gender_identity", "x", tuple(Coding("snomed", code) for code in codes), text)


def test_a_value_is_replaced_in_its_place_and_keeps_its_id() -> None:
    old = {"id": "b", "url": f"{US}us-core-birthsex", "valueCode": "M"}
    merged, losses = put({"extension": [FOREIGN, old, FOREIGN]}, born("F"))
    assert merged["extension"] == [FOREIGN, old | {"valueCode": "F"}, FOREIGN]
    assert losses == []


def test_a_value_that_is_missing_is_added_at_the_end() -> None:
    assert put({"extension": [FOREIGN]}, born("F"))[0]["extension"] == [
        FOREIGN,
        {"url": f"{US}us-core-birthsex", "valueCode": "F"},
    ]
    assert len(put({}, born("F"))[0]["extension"]) == 1


@pytest.mark.parametrize(
    "there",
    [
        {"valueCode": "F"},
        {"valueCoding": {"system": "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender", "code": "F"}},
    ],
)
def test_what_says_it_already_stays_in_whatever_form(there: dict[str, Any]) -> None:
    patient = {"extension": [{"url": f"{US}us-core-birthsex", **there}]}
    assert put(patient, born("F"))[0]["extension"] == patient["extension"]


def test_a_version_without_the_extension_leaves_it_and_says_so() -> None:
    patient = {"extension": [{"url": f"{US}us-core-birthsex", "valueCode": "M"}]}
    merged, losses = put(patient, born("F"), version="8.0.1")
    assert (merged["extension"], losses) == (patient["extension"], ["fhir.merge.not_merged"])


def test_of_several_answers_the_same_stay_the_new_take_the_places_of_the_old() -> None:
    def one(code: str, **more: str) -> dict[str, Any]:
        return {"url": f"{US}us-core-genderIdentity", **more, "valueCodeableConcept": {"coding": [coded(code)]}}

    def coded(code: str) -> dict[str, str]:
        return {"system": SCT, "code": code}

    man, woman, nonbinary = "446151000124109", "446141000124107", "33791000087105"
    patient = {"extension": [one(man, id="m"), FOREIGN, one(woman, id="w")]}
    merged, _ = put(patient, identity(woman, nonbinary))
    codes = [e["valueCodeableConcept"]["coding"][0]["code"] for e in merged["extension"] if e != FOREIGN]
    assert codes == [nonbinary, woman]
    assert [each.get("id") for each in merged["extension"]] == ["m", "v", "w"]
    merged, _ = put(patient, identity(woman))
    assert [each.get("id") for each in merged["extension"]] == ["v", "w"]


def test_somebody_elses_statement_stays() -> None:
    """Another URL, and a recorded sex of a passport: our own is put beside them."""
    passport = {
        "url": f"{CORE}individual-recordedSexOrGender",
        "extension": [
            {"url": "value", "valueCodeableConcept": {"coding": [{"system": SCT, "code": "248153007"}]}},
            {"url": "sourceField", "valueString": "SEX"},
        ],
    }
    female = Received("recorded_sex", "x", (Coding("snomed", "248152002"),))
    for version in ("6.1.0", "none"):
        merged, losses = put({"extension": [passport]}, female, version=version)
        assert merged["extension"][0] == passport
        assert len(merged["extension"]) == 2
        assert losses == []


def test_an_extension_that_is_no_list_is_left_alone() -> None:
    outgoing = Outgoing(Member("p", "k"), expressed("6.1.0", born("F"))[0])
    merged, losses = merge({"extension": "x"}, outgoing, context())
    assert merged == {"extension": "x"}
    assert [loss.rule for loss in losses] == ["fhir.merge.malformed"]


def test_what_a_patient_says_goes_only_when_it_is_named() -> None:
    race = {"url": f"{US}us-core-race", "extension": [{"url": "text", "valueString": "White"}]}
    birth = {"url": f"{US}us-core-birthsex", "valueCode": "M"}
    patient = {"extension": [race, FOREIGN, birth], "gender": "male"}
    assert put(patient)[0] == {"resourceType": "Patient", "id": "a", **patient}
    assert put(patient, removed=("race",))[0]["extension"] == [FOREIGN, birth]
    assert put(patient, removed=("race", "birth_sex"))[0]["extension"] == [FOREIGN]
    assert "extension" not in put({"extension": [birth]}, removed=("birth_sex",))[0]
    assert put({}, removed=("birth_sex", "language_spoken"))[0] == {"resourceType": "Patient", "id": "a"}


def test_a_language_goes_from_the_question_that_is_named() -> None:
    def entry(code: str, *modes: str) -> dict[str, Any]:
        types = [{"url": f"{CORE}patient-preferenceType", "valueCoding": {"code": mode}} for mode in modes]
        language = {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}, "preferred": True}
        return language | ({"_preferred": {"extension": types}} if types else {})

    patient = {"communication": [entry("es"), entry("fr", "written"), entry("en", "verbal", "written")]}
    spoken, _ = put(patient, removed=("language_spoken",))
    assert spoken["communication"] == [entry("fr", "written"), entry("en", "written")]
    assert "communication" not in put({"communication": [entry("es")]}, removed=("language_spoken",))[0]
