"""Members are written as US Core Patients that validate, and read back as what was written."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.fhir import ADAPTER, answers_of, patient_from, validate
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import (
    Address,
    Coding,
    Enrollment,
    Expressed,
    Identifier,
    Loss,
    Member,
    Name,
    Outgoing,
    Relationship,
    State,
)
from tests.adapters.fhir.versions import VERSIONS, context

CDCREC = "urn:oid:2.16.840.1.113883.6.238"
SYSTEMS = {"cdcrec": CDCREC, "bcp47": "urn:ietf:bcp:47"}
CONTEXT = Context(guide={"identifier_systems": {"NM109": "urn:acme:id"}}, systems=SYSTEMS)
PLAIN = Member("acme", "k", identifiers=(Identifier("urn:x", "1"),), name=Name("Ruiz", ("Ana",)))
WHITE, IRISH = Coding("cdcrec", "2106-3", "White"), Coding("cdcrec", "2113-9", "Irish")
ES, EN = Coding("bcp47", "es"), Coding("bcp47", "en", "English")


def says(topic: str, *details: Coding, categories: tuple[Coding, ...] = (), text: str = "") -> Expressed:
    return Expressed(topic, State.ANSWERED, categories, details, text)


FEMALE = says("sex", Coding("administrative-gender", "female"))


def write(*expressed: Expressed, member: Member = PLAIN) -> tuple[dict[str, Any], list[Loss]]:
    patient, losses = patient_from(Outgoing(member, (FEMALE, *expressed)), CONTEXT)
    assert validate(patient) == []
    return patient, losses


def test_a_patient_in_full() -> None:
    member = Member(
        "acme",
        "k",
        identifiers=(
            Identifier("urn:mb", "7", "MB", "official"),
            Identifier("", "8", "NM109"),
            Identifier("", "9", "REF*0F"),
        ),
        name=Name("Ruiz", ("Ana", "B"), "Dr.", "II"),
        birth_date="1980-02-01",
        address=Address(("1 A St",), "C", "WA", "98101", "US", "King"),
    )
    answers = (
        says("race", IRISH, categories=(WHITE,), text="Irish"),
        says("language_spoken", ES, text="Spanish"),
    )
    patient, losses = write(*answers, member=member)
    assert losses == []
    assert patient == {
        "resourceType": "Patient",
        "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},
        "extension": [
            {
                "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
                "extension": [
                    {"url": "ombCategory", "valueCoding": {"system": CDCREC, "code": "2106-3", "display": "White"}},
                    {"url": "detailed", "valueCoding": {"system": CDCREC, "code": "2113-9", "display": "Irish"}},
                    {"url": "text", "valueString": "Irish"},
                ],
            }
        ],
        "identifier": [
            {
                "use": "official",
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MB"}]},
                "system": "urn:mb",
                "value": "7",
            },
            {"type": {"text": "NM109"}, "system": "urn:acme:id", "value": "8"},
            {"type": {"text": "REF*0F"}, "system": "urn:fhir-equity:acme:REF%2A0F", "value": "9"},
        ],
        "name": [{"family": "Ruiz", "given": ["Ana", "B"], "prefix": ["Dr."], "suffix": ["II"]}],
        "gender": "female",
        "birthDate": "1980-02-01",
        "address": [
            {"line": ["1 A St"], "city": "C", "district": "King", "state": "WA", "postalCode": "98101", "country": "US"}
        ],
        "communication": [
            {
                "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}], "text": "Spanish"},
                "preferred": True,
            }
        ],
    }
    assert list(patient) == [
        "resourceType",
        "meta",
        "extension",
        "identifier",
        "name",
        "gender",
        "birthDate",
        "address",
        "communication",
    ]


def test_one_patient_per_line_with_the_losses() -> None:
    out = io.BytesIO()
    records = [Outgoing(PLAIN, (FEMALE,)), Outgoing(PLAIN, ())]
    losses = list(ADAPTER.write(records, out, CONTEXT))
    assert losses == [Loss("fhir.gender.required", Relationship.NARROWER, "sex")]
    lines = out.getvalue().splitlines()
    assert [json.loads(line)["gender"] for line in lines] == ["female", "unknown"]
    assert out.getvalue().endswith(b"}\n")


@pytest.mark.parametrize(
    ("member", "lost"),
    [
        (Member("p", "k", name=PLAIN.name), Loss("fhir.identifier.missing", Relationship.UNMATCHED)),
        (
            Member(
                "p", "k", identifiers=(*PLAIN.identifiers, Identifier("s", "000-00-0001", "SY", "ssn")), name=PLAIN.name
            ),
            Loss("fhir.identifier.ssn_withheld", Relationship.UNMATCHED),
        ),
        (
            Member("p", "k", identifiers=PLAIN.identifiers, name=PLAIN.name, birth_date="19800230"),
            Loss("fhir.birth_date.invalid", Relationship.UNMATCHED),
        ),
        (
            Member("p", "k", identifiers=PLAIN.identifiers, name=PLAIN.name, enrollment=Enrollment(restricted=True)),
            Loss("fhir.patient.no_enrollment", Relationship.UNMATCHED),
        ),
    ],
)
def test_what_a_patient_has_no_place_for(member: Member, lost: Loss) -> None:
    patient, losses = write(member=member)
    assert losses == [lost]
    assert "000-00-0001" not in json.dumps(patient)
    assert "birthDate" not in patient


def test_topics_without_a_place_are_lost() -> None:
    assert write(says("gender_identity", Coding("x", "y")))[1] == [
        Loss("fhir.no_place", Relationship.UNMATCHED, "gender_identity")
    ]


def test_a_name_that_is_missing_says_so() -> None:
    reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    member = Member("p", "k", identifiers=PLAIN.identifiers, name=Name(" ", ("",), "Dr."))
    assert write(member=member)[0]["name"] == [{"extension": [reason], "prefix": ["Dr."]}]


@pytest.mark.parametrize("version", VERSIONS)
def test_one_version_wants_the_patient_to_say_that_too(version: str) -> None:
    """us-core-6 of 5.0.1; where there is a name, it is that or the reason, never both."""
    reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    nameless = Member("p", "k", identifiers=PLAIN.identifiers)
    found = patient_from(Outgoing(nameless, ()), context(version))[0].get("extension", [])
    assert found == [reason] * (version == "5.0.1")
    assert "extension" not in patient_from(Outgoing(PLAIN, ()), context(version))[0]


@pytest.mark.parametrize("code", ["male", "female", "other", "unknown"])
def test_gender(code: str) -> None:
    patient, losses = patient_from(Outgoing(PLAIN, (says("sex", Coding("administrative-gender", code)),)), CONTEXT)
    assert (patient["gender"], losses) == (code, [])


def test_a_gender_outside_the_value_set_is_a_loss() -> None:
    patient, losses = patient_from(Outgoing(PLAIN, (says("sex", Coding("x", "X")),)), CONTEXT)
    assert (patient["gender"], losses) == ("unknown", [Loss("fhir.gender.no_code", Relationship.WIDER, "sex")])


def test_text_is_made_where_us_core_requires_it() -> None:
    patient, losses = write(says("ethnicity", Coding("cdcrec", "2184-0"), categories=(WHITE,)))
    assert patient["extension"][0]["extension"][-1] == {"url": "text", "valueString": "White, 2184-0"}
    assert losses == [Loss("fhir.text.required", Relationship.INEXACT, "ethnicity")]


def test_an_answer_that_says_nothing_writes_nothing() -> None:
    patient, losses = write(says("race"), says("language_spoken"))
    assert "extension" not in patient
    assert "communication" not in patient
    assert losses == []


def test_spoken_and_written_are_told_apart() -> None:
    patient, _ = write(says("language_written", EN), says("language_spoken", ES))
    spoken, written = patient["communication"]
    assert spoken["_preferred"]["extension"][0]["valueCoding"]["code"] == "verbal"
    assert written["_preferred"]["extension"][0] == {
        "url": "http://hl7.org/fhir/StructureDefinition/patient-preferenceType",
        "valueCoding": {"system": "http://hl7.org/fhir/language-preference-type", "code": "written"},
    }
    assert "_preferred" not in write(says("language_spoken", ES))[0]["communication"][0]


def test_a_text_for_several_languages_is_a_loss() -> None:
    patient, losses = write(says("language_spoken", ES, EN, text="Spanish, English"))
    assert [each["language"] for each in patient["communication"]] == [
        {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]},
        {"coding": [{"system": "urn:ietf:bcp:47", "code": "en", "display": "English"}]},
    ]
    assert losses == [Loss("fhir.communication.text", Relationship.WIDER, "language_spoken")]


def test_a_system_that_is_no_uri_is_encoded() -> None:
    member = Member("p q", "k", identifiers=(Identifier("a b", "1"), Identifier("", "2")), name=PLAIN.name)
    systems = [each["system"] for each in write(member=member)[0]["identifier"]]
    assert systems == ["a%20b", "urn:fhir-equity:p%20q:-"]


WORDS = st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=8)
CODINGS = st.lists(
    st.builds(Coding, st.sampled_from(["cdcrec", "bcp47", "null-flavor", "urn:x"]), WORDS, WORDS | st.just("")),
    max_size=3,
    unique_by=lambda coding: (coding.system, coding.code),
).map(tuple)
TEXT = WORDS | st.just("")


@st.composite
def answers(draw: st.DrawFn, topic: str) -> Expressed:
    codings = draw(CODINGS)
    cut = draw(st.integers(0, len(codings))) if topic in ("race", "ethnicity") else 0
    return Expressed(topic, State.ANSWERED, codings[:cut], codings[cut:], draw(TEXT))


TOPICS = ("race", "ethnicity", "language_spoken", "language_written")
MEMBERS = st.builds(
    Member,
    partner=WORDS,
    key=WORDS,
    identifiers=st.lists(
        st.builds(Identifier, st.just("urn:a"), WORDS, st.sampled_from(["MB", "MR", "NM109"]), st.just("usual")),
        min_size=1,
    ).map(tuple),
    name=st.builds(Name, WORDS, st.lists(WORDS).map(tuple), TEXT, TEXT),
    birth_date=st.sampled_from(["", "1980", "1980-05", "2001-12-31"]),
    address=st.builds(Address, st.lists(WORDS).map(tuple), TEXT, TEXT, TEXT, TEXT, TEXT),
)


@settings(deadline=None)
@given(MEMBERS, st.tuples(*map(answers, TOPICS)), st.sets(st.sampled_from(TOPICS)))
def test_what_is_written_reads_back_or_is_a_loss(
    member: Member, all_answers: tuple[Expressed, ...], chosen: set[str]
) -> None:
    sent = tuple(each for each in all_answers if each.topic in chosen)
    patient, losses = patient_from(Outgoing(member, (FEMALE, *sent)), CONTEXT)
    assert validate(patient) == []
    back = answers_of(patient, "x", Context(partner=member.partner))
    assert back.findings == ()
    assert back.losses == ()
    assert (back.name, back.birth_date, back.address) == (member.name, member.birth_date, member.address)
    # One number under two names is written once, under the first.
    first: dict[tuple[str, str], Identifier] = {}
    for each in member.identifiers:
        first.setdefault((each.system, each.value), each)
    assert back.identifiers == tuple(first.values())
    lost = {(loss.rule, loss.topic) for loss in losses}
    received = {answer.topic: answer.received for answer in back.answers}
    for answer in sent:
        codings = tuple(
            Coding(SYSTEMS.get(each.system, each.system), each.code, each.display)
            for each in (*answer.categories, *answer.details)
        )
        if not codings and not answer.text:
            assert answer.topic not in received
            continue
        assert received[answer.topic].codings == codings
        rules = {rule for rule, topic in lost if topic == answer.topic}
        assert rules <= {"fhir.text.required", "fhir.communication.text"}
        assert (received[answer.topic].text == answer.text) == (not rules)
    assert {topic for _, topic in lost} <= chosen
    assert set(received) - {"sex"} <= chosen


# Extensions of a version ---------------------------------------------------------------------------


def placed(value: str, *codings: Coding) -> tuple[list[dict[str, Any]], list[str]]:
    """The extensions of a Patient with one answer that stands in an extension of this type."""
    places = {"birth_sex": {"place": "extension", "url": "urn:birth", "value": value, "most": "1"}}
    context = Context(guide={"places": places}, systems={"snomed": "http://snomed.info/sct"})
    patient, losses = patient_from(Outgoing(PLAIN, (FEMALE, says("birth_sex", *codings))), context)
    assert validate(patient) == []
    return patient.get("extension", []), [loss.rule for loss in losses]


@pytest.mark.parametrize(
    ("value", "coding", "written"),
    [
        ("valueCode", Coding("us-core-birthsex", "F"), "F"),
        ("valueBoolean", Coding("interpreter", "true"), True),
        ("valueBoolean", Coding("interpreter", "false"), False),
        (
            "valueCoding",
            Coding("snomed", "1", "One"),
            {"system": "http://snomed.info/sct", "code": "1", "display": "One"},
        ),
    ],
)
def test_an_extension_has_the_type_of_its_place(value: str, coding: Coding, written: object) -> None:
    assert placed(value, coding) == ([{"url": "urn:birth", value: written}], [])


def test_an_extension_holds_one_code() -> None:
    two = (Coding("us-core-birthsex", "F"), Coding("us-core-birthsex", "M"))
    assert placed("valueCode", *two) == ([{"url": "urn:birth", "valueCode": "F"}], ["fhir.extension.one_only"])
    assert placed("valueCode") == ([], ["fhir.extension.no_code"])


@pytest.mark.parametrize(("least", "gender", "lost"), [("1", "unknown", ["fhir.gender.required"]), ("0", None, [])])
def test_gender_is_written_where_it_is_required(least: str, gender: str | None, lost: list[str]) -> None:
    context = Context(guide={"places": {"sex": {"least": least}}})
    patient, losses = patient_from(Outgoing(PLAIN, ()), context)
    assert (patient.get("gender"), [loss.rule for loss in losses]) == (gender, lost)
