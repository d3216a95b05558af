"""What a resource says of itself becomes the origin of its answers; what a machine asserted is no answer."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.adapters.fhir import ADAPTER, answers_of
from fhir_equity.adapters.fhir.shape import compact
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import Source
from fhir_equity.model import Answer, Finding, Member
from fhir_equity.tables import Tables
from tests.adapters.fhir.test_layout import source as source_of

US = "http://hl7.org/fhir/us/core/StructureDefinition/"
INTEGRITY = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
GUIDE = Tables().document("guides/fhir.toml")
ATTESTED = {"collector": "provider", "method": "unstated"}
BIRTH_SEX = {"url": US + "us-core-birthsex", "valueCode": "F"}
PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "a", "gender": "female", "extension": [BIRTH_SEX]}


def label(code: str, system: str = INTEGRITY) -> dict[str, Any]:
    return {"system": system, "code": code}


def context(**reading: Any) -> Context:
    return Context("acme", {**GUIDE, "reading": {**GUIDE["reading"], **reading}}, ATTESTED)


def member(patient: dict[str, Any], given: Context | None = None) -> Member:
    """As it is read from a document; from a line it is the same."""
    given = given or context()
    found = answers_of(patient, "x", given)
    (line,) = (
        each
        for each in ADAPTER.read(source_of(compact(patient) + b"\n" + compact(patient)), Range(), given)
        if isinstance(each, Member) and each.number == 1
    )
    assert [a.received for a in line.answers] == [a.received for a in found.answers]
    assert [a.origin.method for a in line.answers] == [a.origin.method for a in found.answers]
    assert [f.code for f in line.findings] == [f.code for f in found.findings]
    return found


@pytest.mark.parametrize(
    ("code", "method"), [("PATRPT", "self"), ("SDMRPT", "proxy"), ("CLINRPT", "observed"), ("PAYAST", "relayed")]
)
def test_a_label_says_how_the_answers_came_about(code: str, method: str) -> None:
    found = member({**PATIENT, "meta": {"security": [label("R", "x"), label(code)]}})
    assert [(a.topic, a.origin.method, a.origin.collector) for a in found.answers] == [
        ("birth_sex", method, "provider"),
        ("sex", method, "provider"),
    ]
    other = member({**PATIENT, "meta": {"security": [label(code, "http://example.org/codes")]}})
    assert {a.origin.method for a in other.answers} == {"unstated"}


@pytest.mark.parametrize("code", ["DEVAST", "AIAST"])
def test_what_a_machine_asserted_is_told_and_not_taken(code: str) -> None:
    found = member({**PATIENT, "meta": {"security": [label(code)]}})
    assert (found.answers, [(f.code, f.locator.path) for f in found.findings]) == (
        (),
        [("fhir.patient.imputed", "Patient.meta.security")],
    )
    part = {"url": INLINE, "valueCoding": label(code)}
    found = member({**PATIENT, "extension": [{**BIRTH_SEX, "extension": [part]}]})
    assert [a.topic for a in found.answers] == ["sex"]
    assert [(f.code, f.locator.path) for f in found.findings] == [("fhir.birth_sex.imputed", "Patient.extension[0]")]


def test_a_label_on_one_element_is_of_that_element_only() -> None:
    part = {"url": INLINE, "valueCoding": label("PATRPT")}
    found = member({**PATIENT, "extension": [{**BIRTH_SEX, "extension": [part]}]})
    assert [(a.topic, a.origin.method) for a in found.answers] == [("birth_sex", "self"), ("sex", "unstated")]
    assert found.findings == ()


def test_a_source_that_the_guide_knows() -> None:
    sources = {"https://plan.example/": {"collector": "plan", "method": "self"}, "https://plan.example/old/": {}}
    known = context(sources=sources)
    found = member({**PATIENT, "meta": {"source": "https://plan.example/api#7"}}, known)
    assert {(a.origin.collector, a.origin.method) for a in found.answers} == {("plan", "self")}
    for source in ("https://plan.example/old/1", "https://other.example/"):
        found = member({**PATIENT, "meta": {"source": source}}, known)
        assert {(a.origin.collector, a.origin.method) for a in found.answers} == {("provider", "unstated")}


def observation(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "76691-5"}]},
        "subject": {"reference": "Patient/a"},
        "valueCodeableConcept": {"text": "my own"},
        **elements,
    }


def observed(**elements: Any) -> tuple[list[Answer], list[str]]:
    """The answers on gender identity, and the codes of everything found."""
    bundle = {"resourceType": "Bundle", "entry": [{"resource": PATIENT}, {"resource": observation(**elements)}]}
    source: Source = source_of(compact(bundle))
    found = list(ADAPTER.read(source, Range(), context()))
    (person,) = (each for each in found if isinstance(each, Member))
    codes = [each.code for each in (*person.findings, *(f for f in found if isinstance(f, Finding)))]
    return [each for each in person.answers if each.topic == "gender_identity"], codes


@pytest.mark.parametrize(
    ("elements", "method", "on"),
    [
        ({}, "unstated", ""),
        ({"performer": [{"reference": "Patient/a"}]}, "self", ""),
        ({"performer": [{"reference": "https://h.example/RelatedPerson/b"}]}, "proxy", ""),
        ({"performer": [{"type": "Patient", "display": "x"}]}, "self", ""),
        ({"performer": [{"reference": "Practitioner/c"}]}, "unstated", ""),
        ({"performer": [{"reference": "Patient/a"}], "meta": {"security": [label("CLINRPT")]}}, "observed", ""),
        ({"effectiveDateTime": "2025-03-04T05:06:07Z"}, "unstated", "2025-03-04"),
        ({"effectiveInstant": "2025-03-04T05:06:07Z"}, "unstated", "2025-03-04"),
        ({"effectivePeriod": {"start": "2025-03"}}, "unstated", "2025-03"),
        ({"effectiveDateTime": "yesterday"}, "unstated", ""),
    ],
)
def test_who_performed_an_observation_and_when(elements: dict[str, Any], method: str, on: str) -> None:
    (answer,), codes = observed(**elements)
    assert (answer.origin.method, answer.origin.collected_on, codes) == (method, on, [])


def test_an_observation_that_is_no_answer() -> None:
    assert observed(meta={"security": [label("AIAST")]}) == ([], ["fhir.gender_identity.imputed"])
    assert observed(modifierExtension=[{"url": "http://example.org/not"}]) == ([], ["fhir.gender_identity.modified"])


def test_what_may_change_or_add_to_a_patient_is_told() -> None:
    found = member(
        {
            **PATIENT,
            "modifierExtension": [{"url": "http://example.org/not"}],
            "contained": [{"resourceType": "Organization", "id": "o"}],
            "animal": {"species": {"text": "dog"}},
        }
    )
    assert [(f.code, f.locator.path) for f in found.findings] == [
        ("fhir.patient.modified", "Patient.modifierExtension"),
        ("fhir.patient.contained", "Patient.contained"),
        ("fhir.patient.animal", "Patient.animal"),
    ]
    assert len(found.answers) == 2
