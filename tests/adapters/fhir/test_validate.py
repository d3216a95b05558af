"""Validation tells where and what kind, never a value."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.adapters.fhir import validate


def test_a_valid_patient() -> None:
    patient = {"resourceType": "Patient", "gender": "female", "name": [{"family": "Ruiz"}]}
    assert validate(patient) == []
    assert patient == {"resourceType": "Patient", "gender": "female", "name": [{"family": "Ruiz"}]}


@pytest.mark.parametrize(
    ("elements", "errors"),
    [
        ({"gender": 3}, ["Patient.gender: string_type"]),
        ({"name": "Ruiz"}, ["Patient.name: list_type"]),
        ({"birthDate": "1980-13-45"}, ["Patient.birthDate: value_error"]),
        ({"communication": [{"preferred": True}]}, ["Patient.communication[0].language: missing"]),
        ({"nickname": "Ruiz"}, ["Patient.nickname: extra_forbidden"]),
        ({"Ana Ruiz": 1}, ["Patient.?: extra_forbidden"]),
        ({"gender": 3, "active": "Ruiz"}, ["Patient.active: bool_parsing", "Patient.gender: string_type"]),
        ({"resourceType": "Ruiz"}, ["Patient.resource_type: fhir-validation-wrong-resource-type"]),
    ],
)
def test_errors_have_a_path_and_a_kind(elements: dict[str, Any], errors: list[str]) -> None:
    found = validate({"resourceType": "Patient", **elements})
    assert found == errors
    assert "Ruiz" not in str(found)


def test_another_kind_of_resource() -> None:
    codes = {"resourceType": "CodeSystem", "status": "active", "content": "complete"}
    assert validate(codes, "CodeSystem") == []
    assert validate({**codes, "concept": [{"display": "Ruiz"}]}, "CodeSystem") == [
        "CodeSystem.concept[0].code: model_field_validation.missing"
    ]
    assert validate(codes) != []
