"""A Patient in hand becomes a Member: identity, extensions in every shape met, wrong types survived."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from fhir_equity.adapters.fhir import answers_of
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Answer, Coding, Locator, Member, Origin, Severity

US = "http://hl7.org/fhir/us/core/StructureDefinition/"
CORE = "http://hl7.org/fhir/StructureDefinition/"
CDCREC = "urn:oid:2.16.840.1.113883.6.238"
NULL = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
ABSENT = CORE + "data-absent-reason"
ABSENT_SYSTEM = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
WHITE = {"system": CDCREC, "code": "2106-3", "display": "White"}
DECLINED = {"url": ABSENT, "valueCode": "asked-declined"}
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


def answer(*extensions: dict[str, Any]) -> Answer:
    (only,) = member(extension=list(extensions)).answers
    return only


def codes(found: Member) -> list[tuple[str, str]]:
    return [(each.code, each.locator.path) for each in found.findings]


def test_race_as_us_core_has_it() -> None:
    extension = race(
        part("detailed", valueCoding=IRISH), part("ombCategory", valueCoding=WHITE), part("text", valueString="Irish")
    )
    found = member(extension=[{"url": "http://example.org/other"}, extension])
    (only,) = found.answers
    assert found.findings == ()
    assert only.received.topic == "race"
    assert only.received.element == "fhir.us-core-race"
    assert only.received.codings == (Coding(CDCREC, "2106-3", "White"), Coding(CDCREC, "2113-9", "Irish"))
    assert only.received.text == "Irish"
    assert json.loads(only.received.raw) == extension
    assert ": " not in only.received.raw
    assert only.locator == Locator("x", "resource", 0, -1, "Patient.extension[1]")


@pytest.mark.parametrize("code", ["UNK", "ASKU"])
def test_null_flavours_are_codings_like_others(code: str) -> None:
    unknown = {"system": NULL, "code": code}
    found = answer(race(part("ombCategory", valueCoding=unknown), part("text", valueString="Unknown")))
    assert found.received.codings == (Coding(NULL, code),)


def test_ethnicity_detailed_only_and_text_only() -> None:
    mexican = {"system": CDCREC, "code": "2148-5"}
    url = US + "us-core-ethnicity"
    detailed = answer(race(part("detailed", valueCoding=mexican), part("text", valueString="Mexican"), url=url))
    assert (detailed.topic, detailed.received.element) == ("ethnicity", "fhir.us-core-ethnicity")
    assert detailed.received.codings == (Coding(CDCREC, "2148-5"),)
    text = answer(race(part("text", valueString="Chicana"), url=url))
    assert (text.received.codings, text.received.text) == ((), "Chicana")


@pytest.mark.parametrize(
    "url",
    [
        "http://hl7.org/fhir/StructureDefinition/us-core-race",
        "http://hl7.org/fhir/Profile/us-core#race",
        "http://fhir.org/guides/argonaut/StructureDefinition/argo-race",
    ],
)
def test_old_urls_are_read_with_a_finding(url: str) -> None:
    found = member(extension=[{"url": url, "valueCodeableConcept": {"coding": [WHITE], "text": "W"}}])
    assert found.answers[0].received.codings == (Coding(CDCREC, "2106-3", "White"),)
    assert found.answers[0].received.text == "W"
    assert codes(found) == [
        ("fhir.race.old_url", "Patient.extension[0]"),
        ("fhir.race.old_shape", "Patient.extension[0]"),
    ]
    assert {each.severity for each in found.findings} == {Severity.INFO}


def test_a_url_with_a_version_is_the_same_extension() -> None:
    assert answer(race(part("text", valueString="x"), url=US + "us-core-race|6.1.0")).topic == "race"


@pytest.mark.parametrize(
    ("value", "codings", "text"),
    [
        ({"valueCoding": WHITE}, (Coding(CDCREC, "2106-3", "White"),), ""),
        ({"valueString": "kept"}, (), "kept"),
        ({"valueCode": "2106-3"}, (Coding("", "2106-3"),), ""),
    ],
)
def test_direct_values(value: dict[str, Any], codings: tuple[Coding, ...], text: str) -> None:
    found = answer({"url": US + "us-core-race", **value})
    assert (found.received.codings, found.received.text) == (codings, text)


def test_a_concept_for_a_category_lends_its_text_only_where_there_is_none() -> None:
    concept = part("ombCategory", valueCodeableConcept={"coding": [{"code": "2106-3"}], "text": "Concept"})
    assert answer(race(concept)).received.text == "Concept"
    assert answer(race(concept)).received.codings == (Coding("", "2106-3"),)
    assert answer(race(concept, part("text", valueString="Own"))).received.text == "Own"


def test_missing_text_is_a_warning() -> None:
    found = member(extension=[race(part("ombCategory", valueCoding=WHITE))])
    assert [(each.code, each.severity) for each in found.findings] == [("fhir.race.no_text", Severity.WARNING)]
    ethnicity = race(part("text", valueString=" "), url=US + "us-core-ethnicity")
    assert codes(member(extension=[ethnicity])) == [("fhir.ethnicity.no_text", "Patient.extension[0]")]


def test_repeated_extensions_are_one_answer() -> None:
    one = race(part("ombCategory", valueCoding=WHITE), part("text", valueString="White"))
    two = race(
        part("ombCategory", valueCoding=WHITE), part("detailed", valueCoding=IRISH), part("text", valueString="Irish")
    )
    found = member(extension=[one, {"url": "u"}, two])
    (only,) = found.answers
    assert only.received.codings == (Coding(CDCREC, "2106-3", "White"), Coding(CDCREC, "2113-9", "Irish"))
    assert only.received.text == "White; Irish"
    assert json.loads(only.received.raw) == [one, two]
    assert codes(found) == [("fhir.race.repeated", "Patient.extension[0]")]


@pytest.mark.parametrize(
    "extension",
    [
        race(DECLINED),
        race(part("ombCategory", valueCoding={"extension": [DECLINED]})),
        race(part("ombCategory", valueCoding={"_code": {"extension": [DECLINED]}})),
        race(part("text", _valueString={"extension": [DECLINED]})),
    ],
)
def test_data_absent_reason_is_a_coding(extension: dict[str, Any]) -> None:
    assert answer(extension).received.codings == (Coding(ABSENT_SYSTEM, "asked-declined"),)


def test_a_part_that_is_not_known_is_told() -> None:
    extension = race(part("text", valueString="x"), part("percentage", valueDecimal=5))
    assert codes(member(extension=[extension])) == [
        ("fhir.race.part_not_used", "Patient.extension[0].extension[1]"),
    ]


SNOMED = {"system": "http://snomed.info/sct", "code": "446151000124109"}
SNOMED_CODING = Coding("http://snomed.info/sct", "446151000124109")


@pytest.mark.parametrize(
    ("extension", "topic", "element", "codings"),
    [
        (
            {"url": US + "us-core-birthsex", "valueCode": "F"},
            "birth_sex",
            "fhir.us-core-birthsex",
            (Coding("us-core-birthsex", "F"),),
        ),
        (
            {"url": US + "us-core-birthsex", "extension": [part("value", valueCodeableConcept={"coding": [SNOMED]})]},
            "birth_sex",
            "fhir.us-core-birthsex",
            (SNOMED_CODING,),
        ),
        (
            {"url": US + "us-core-sex", "valueCode": "248152002"},
            "recorded_sex",
            "fhir.us-core-sex",
            (Coding("us-core-sex", "248152002"),),
        ),
        ({"url": US + "us-core-sex", "valueCoding": SNOMED}, "recorded_sex", "fhir.us-core-sex", (SNOMED_CODING,)),
        (
            {"url": US + "us-core-individual-sex", "valueCoding": SNOMED},
            "recorded_sex",
            "fhir.us-core-individual-sex",
            (SNOMED_CODING,),
        ),
        (
            {"url": US + "us-core-genderIdentity", "valueCodeableConcept": {"coding": [SNOMED]}},
            "gender_identity",
            "fhir.us-core-genderIdentity",
            (SNOMED_CODING,),
        ),
        (
            {
                "url": CORE + "individual-genderIdentity",
                "extension": [part("value", valueCodeableConcept={"coding": [SNOMED]}), part("period", valuePeriod={})],
            },
            "gender_identity",
            "fhir.individual-genderIdentity",
            (SNOMED_CODING,),
        ),
        (
            {"url": CORE + "patient-genderIdentity", "valueCodeableConcept": {"coding": [SNOMED]}},
            "gender_identity",
            "fhir.patient-genderIdentity",
            (SNOMED_CODING,),
        ),
        (
            {"url": CORE + "individual-pronouns", "extension": [part("value", valueCoding=SNOMED)]},
            "pronouns",
            "fhir.individual-pronouns",
            (SNOMED_CODING,),
        ),
        (
            {"url": US + "us-core-interpreter-needed", "valueCoding": SNOMED},
            "interpreter_needed",
            "fhir.us-core-interpreter-needed",
            (SNOMED_CODING,),
        ),
        (
            {"url": CORE + "patient-interpreterRequired", "valueBoolean": False},
            "interpreter_needed",
            "fhir.patient-interpreterRequired",
            (Coding("boolean", "false"),),
        ),
        (
            {
                "url": US + "us-core-tribal-affiliation",
                "extension": [
                    part("tribalAffiliation", valueCodeableConcept={"coding": [SNOMED]}),
                    part("isEnrolled", valueBoolean=True),
                ],
            },
            "tribal_affiliation",
            "fhir.us-core-tribal-affiliation",
            (SNOMED_CODING,),
        ),
    ],
)
def test_other_topics(extension: dict[str, Any], topic: str, element: str, codings: tuple[Coding, ...]) -> None:
    found = member(extension=[extension])
    (only,) = found.answers
    assert (only.topic, only.received.element, only.received.codings) == (topic, element, codings)
    assert found.findings == ()


def test_several_gender_identities_are_one_answer_without_a_finding() -> None:
    both = [{"url": US + "us-core-genderIdentity", "valueCodeableConcept": {"text": text}} for text in ("a", "b")]
    found = member(extension=both)
    assert (len(found.answers), found.answers[0].received.text, found.findings) == (1, "a; b", ())
    assert codes(member(extension=[{"url": US + "us-core-birthsex", "valueCode": code} for code in "MF"])) == [
        ("fhir.birth_sex.repeated", "Patient.extension[0]")
    ]


def test_an_extension_without_a_value_is_told() -> None:
    found = member(extension=[{"url": US + "us-core-birthsex"}])
    assert (found.answers[0].topic, found.answers[0].received.codings) == ("birth_sex", ())
    assert codes(found) == [("fhir.birth_sex.empty", "Patient.extension[0]")]


def test_gender_and_the_reason_it_is_absent() -> None:
    (sex,) = member(gender="other").answers
    assert (sex.topic, sex.received.element, sex.received.raw, sex.path) == (
        "sex",
        "fhir.gender",
        "other",
        "Patient.gender",
    )
    assert sex.received.codings == (Coding("administrative-gender", "other"),)
    (absent,) = member(_gender={"extension": [{"url": ABSENT, "valueCode": "masked"}]}).answers
    assert absent.received.codings == (Coding(ABSENT_SYSTEM, "masked"),)
    assert member().answers == ()


def test_the_origin_is_the_partners_word() -> None:
    attestation = {"collector": "plan", "method": "self", "standard": "omb2024", "question": "q1"}
    found = member(Context(partner="acme", attestation=attestation), gender="male")
    assert found.answers[0].origin == Origin("acme", "x", "plan", "self", "omb2024", "q1", "")
    assert member(gender="male").answers[0].origin == Origin("", "x", "other", "unstated", "", "", "")
