"""Responses to a questionnaire become Answers: what, in which words, by whom, when, to which edition."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.adapters.fhir import ADAPTER, validate
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import TableError
from fhir_equity.model import Answer, Coding, Finding, Identifier, Member, Origin, Rejected, State
from fhir_equity.pipeline.questionnaire import questionnaire
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.vocabulary import Vocabulary

Json = dict[str, Any]
VOCABULARY = Vocabulary()
GUIDE = VOCABULARY.tables.document("guides/fhir.toml")
with Workspace() as workspace:
    FORM = questionnaire(workspace, "/dev/null").resource
URL = FORM["url"]
TOPICS = GUIDE["response"][URL]["topics"]
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
DECLINED = {"system": ABSENT, "code": "asked-declined"}
CDCREC, SNOMED = "urn:oid:2.16.840.1.113883.6.238", "http://snomed.info/sct"
YES, NO = {"system": SNOMED, "code": "373066001"}, {"system": SNOMED, "code": "373067005"}
PATIENT = {"resourceType": "Patient", "id": "a", "identifier": [{"system": "urn:x", "value": "1"}]}
MENA = {"system": CDCREC, "code": "2118-8"}


def read(*resources: Json, guide: Json | None = None) -> list[Read]:
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in resources)
    context = Context(partner="acme", guide=GUIDE if guide is None else guide)
    return list(ADAPTER.read(Source("x.ndjson", lambda: io.BytesIO(lines)), Range(), context))


def members(found: list[Read]) -> list[Member]:
    return [each for each in found if isinstance(each, Member)]


def only(found: list[Read]) -> Member:
    (member,) = members(found)
    assert len(found) == 1
    return member


def item(link: str, *values: object, items: list[Json] | None = None) -> Json:
    answers = [{("valueString" if isinstance(value, str) else "valueCoding"): value} for value in values]
    return {"linkId": link, **({"answer": answers} if answers else {}), **({"item": items} if items else {})}


def response(*items: Json, **changes: Any) -> Json:
    said = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{URL}|2026-11-22-en",
        "status": "in-progress",
        "subject": {"reference": "Patient/a"},
        "authored": "2026-03-04T23:59:59-05:00",
        "item": list(items),
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def bundle(*resources: Json, urls: tuple[str, ...] = ()) -> Json:
    entries = [{"resource": each} for each in resources]
    for entry, url in zip(entries, urls, strict=False):
        entry["fullUrl"] = url  # type: ignore[assignment]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def said_by(member: Member) -> dict[str, Answer]:
    found = {answer.topic: answer for answer in member.answers if answer.received.element == "fhir.response"}
    assert len(found) == sum(answer.received.element == "fhir.response" for answer in member.answers)
    return found


def codes_in(answer: Answer) -> list[str]:
    return [coding.code for coding in answer.received.codings]


def codes(member: Member, topic: str) -> list[str]:
    return codes_in(said_by(member)[topic])


def findings(member: Member) -> list[str]:
    return [each.code for each in member.findings]


# What was answered -----------------------------------------------------------------------------


def test_a_response_in_full() -> None:
    race = item(
        "race-ethnicity",
        items=[item("race-category", MENA | {"display": "Middle Eastern"}), item("race-mena", "Moroccan; Amazigh")],
    )
    member = only(read(response(race, item("answered-by", {"code": "PATRPT"}), id="secret")))
    assert (member.partner, member.key, member.key_rule) == ("acme", "Patient/a", "fhir.id")
    assert (member.unit, member.number, member.offset) == ("resource", 1, -1)
    (answer,) = member.answers
    assert answer.received.codings == (Coding(CDCREC, "2118-8", "Middle Eastern"),)
    assert answer.received.text == "Moroccan; Amazigh"
    assert json.loads(answer.received.raw) == [
        {"linkId": "race-category", "answer": [{"valueCoding": MENA | {"display": "Middle Eastern"}}]},
        {"linkId": "race-mena", "answer": [{"valueString": "Moroccan; Amazigh"}]},
    ]
    assert answer.origin == Origin(
        partner="acme",
        artefact="x.ndjson",
        method="self",
        standard="omb2024",
        question=f"{URL}|2026-11-22-en",
        collected_on="2026-03-04",
    )
    assert answer.path == "QuestionnaireResponse.item[0].item[0]"
    assert member.findings == ()


def test_a_write_in_stays_a_word_beside_its_category() -> None:
    """Dominican under Black is no Hispanic origin: a word is not taken for more than was said."""
    race = item("race-ethnicity", items=[item("race-category", {"system": CDCREC, "code": "2054-5"})])
    race["item"].append(item("race-black", "Dominican"))
    meaning = VOCABULARY.meaning(said_by(only(read(response(race))))["race_ethnicity"].received)
    assert [concept.coding.code for concept in meaning.concepts] == ["2054-5"]
    assert (meaning.state, meaning.text) == (State.ANSWERED, "Dominican")


@pytest.mark.parametrize(
    "value",
    [
        {"valueString": "agender"},
        {"valueCoding": {"display": "agender"}},
        {"valueCoding": {"system": "u", "display": "agender"}},
    ],
)
def test_own_words_in_any_shape_are_words(value: Json) -> None:
    sent = {"linkId": "gender-identity", "answer": [value]}
    received = said_by(only(read(response(sent))))["gender_identity"].received
    assert (received.codings, received.text) == ((), "agender")


def test_answers_below_answers_belong_to_the_same_topic() -> None:
    nested = item("race-category", MENA)
    nested["answer"][0]["item"] = [item("of-somebody-s-own", {"system": CDCREC, "code": "2123-8"})]
    member = only(read(response(item("race-ethnicity", items=[nested]))))
    assert codes(member, "race_ethnicity") == ["2118-8", "2123-8"]
    assert member.findings == ()


def test_an_item_without_a_topic_is_told_and_not_its_answer() -> None:
    member = only(read(response(item("shoe-size", "CANARY"), item("interpreter", YES))))
    (finding,) = member.findings
    assert finding.code == "fhir.response.item_not_used"
    assert finding.locator.path == "QuestionnaireResponse.item[0]"
    assert "CANARY" not in repr(finding)
    assert list(said_by(member)) == ["interpreter_needed"]


def test_what_has_another_type_than_fhir_has_is_told_with_its_place() -> None:
    dated = {"linkId": "interpreter", "answer": [{"valueDate": "1903-11-04"}]}
    subject = {"reference": "Patient/a", "identifier": {"value": 7}}
    member = only(read(response(dated, {"linkId": 7}, subject=subject, status="completed")))
    malformed = [each for each in member.findings if each.code == "fhir.patient.malformed"]
    assert [each.locator.path for each in malformed] == [
        "QuestionnaireResponse.subject.identifier[0].value",
        "QuestionnaireResponse.item[0].answer[0].value[x]",
        "QuestionnaireResponse.item[1].linkId",
    ]
    assert said_by(member)["interpreter_needed"].received.codings == (Coding("survey", "blank"),)


# What was not answered -------------------------------------------------------------------------


def test_of_a_whole_response_silence_is_a_blank_and_of_another_it_is_nothing() -> None:
    answered = item("interpreter", NO)
    for status in ("in-progress", "stopped"):
        assert list(said_by(only(read(response(answered, status=status))))) == ["interpreter_needed"]
    for status in ("completed", "amended"):
        found = said_by(only(read(response(answered, status=status))))
        blank = {t for t, each in found.items() if each.received.codings == (Coding("survey", "blank"),)}
        assert blank == {"race_ethnicity", "language_spoken", "language_written"}
        assert {VOCABULARY.meaning(found[topic].received).state for topic in blank} == {State.BLANK}


def test_from_twelve_years_on_the_sensitive_questions_were_put() -> None:
    older = said_by(only(read(response(item("age-12", YES), status="completed"))))
    assert {"sexual_orientation", "gender_identity", "pronouns"} < set(older)
    younger = said_by(only(read(response(item("age-12", NO), status="completed"))))
    assert {"sexual_orientation", "gender_identity", "pronouns"}.isdisjoint(younger)


def test_what_a_child_was_not_to_be_asked_is_not_kept() -> None:
    identity = item("sogi", items=[item("gender-identity", DECLINED)])
    member = only(read(response(item("age-12", NO), identity)))
    assert member.answers == ()
    (finding,) = member.findings
    assert (finding.code, finding.locator.path) == (
        "fhir.response.not_asked",
        "QuestionnaireResponse.item[1].item[0]",
    )
    unsaid = only(read(response(identity)))  # a form without the question of age
    assert codes(unsaid, "gender_identity") == ["asked-declined"]


def test_a_response_that_was_withdrawn_or_is_to_another_questionnaire_is_not_read() -> None:
    others = [
        response(item("interpreter", YES), status="entered-in-error"),
        response(item("interpreter", YES), questionnaire="https://plan.example/Questionnaire/other"),
        response(item("interpreter", YES), questionnaire=None),
        response(item("interpreter", YES), questionnaire=7),
    ]
    found = read(*others)
    assert [each.code for each in found if isinstance(each, Finding)] == ["fhir.resource.not_used", "fhir.patient.none"]
    assert "QuestionnaireResponse is not read: 4" in repr(found[0])
    assert len(found) == 2
    assert len(read(response(item("interpreter", YES)), guide={})) == 2


# Who answered ----------------------------------------------------------------------------------

MOTHER, STAFF = {"reference": "RelatedPerson/m"}, {"reference": "https://ehr.example/fhir/Practitioner/p"}
ASKED = {code: item("answered-by", {"code": code}) for code in ("PATRPT", "SDMRPT", "PRORPT")}


@pytest.mark.parametrize(
    ("sent", "method"),
    [
        (response(ASKED["PATRPT"]), "self"),
        (response(ASKED["SDMRPT"]), "proxy"),
        (response(ASKED["PRORPT"]), "observed"),
        (response(source={"reference": "Patient/a"}), "self"),
        (response(source={"type": "Patient", "identifier": {"value": "1"}}), "self"),
        (response(source={"reference": "Patient/b"}), "proxy"),
        (response(source=MOTHER), "proxy"),
        (response(source=STAFF), "observed"),
        (response(source={"reference": "Patient/a"}, author=STAFF), "self"),
        (response(source=MOTHER, author={"reference": "Patient/a"}), "proxy"),
        (response(author=STAFF), "observed"),
        (response(author={"reference": "Device/1"}), "unstated"),
        (response(), "unstated"),
    ],
)
def test_who_answered(sent: Json, method: str) -> None:
    sent["item"].append(item("interpreter", YES))
    member = only(read(sent))
    assert said_by(member)["interpreter_needed"].origin.method == method
    assert member.findings == ()


def test_the_word_of_the_form_wins_over_its_source_and_that_is_told() -> None:
    member = only(read(response(ASKED["SDMRPT"], item("interpreter", YES), source={"reference": "Patient/a"})))
    assert said_by(member)["interpreter_needed"].origin.method == "proxy"
    assert findings(member) == ["fhir.response.answerer_differs"]


@pytest.mark.parametrize("authored", [None, "yesterday", "2026-02-30T00:00:00Z", ""])
def test_a_response_without_a_date_is_told(authored: str | None) -> None:
    member = only(read(response(item("interpreter", YES), authored=authored)))
    assert said_by(member)["interpreter_needed"].origin.collected_on == ""
    assert findings(member) == ["fhir.response.no_date"]


# Whom it is about ------------------------------------------------------------------------------

ANSWERED = item("interpreter", YES)


@pytest.mark.parametrize(
    ("subject", "key", "identifiers"),
    [
        ({"reference": "Patient/a"}, "Patient/a", 0),
        ({"reference": "https://ehr.example/fhir/Patient/a/_history/3"}, "Patient/a", 0),
        ({"identifier": {"system": "urn:x", "value": "1"}}, "urn:x|1", 1),
        ({"identifier": {"system": "urn:x", "value": "1"}, "reference": "Patient/a"}, "urn:x|1", 1),
        ({"reference": "#p"}, "urn:x|1", 1),
    ],
)
def test_a_response_that_stands_alone_is_a_member(subject: Json, key: str, identifiers: int) -> None:
    member = only(read(response(ANSWERED, subject=subject, contained=[PATIENT | {"id": "p"}])))
    assert (member.key, len(member.identifiers)) == (key, identifiers)
    assert member.resource is None


@pytest.mark.parametrize(
    "subject",
    [
        None,
        {},
        {"display": "CANARY"},
        {"reference": "Group/1"},
        {"reference": "urn:uuid:7"},
        {"reference": "#other"},
        {"identifier": {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "999887766"}},
        {"identifier": 7},
    ],
)
def test_a_response_about_nobody_is_kept_for_a_person_to_look_at(subject: Json | None) -> None:
    sent = response(ANSWERED, subject=subject, contained=[PATIENT])
    (rejected,) = read(sent)
    assert isinstance(rejected, Rejected)
    assert json.loads(rejected.raw) == sent
    assert rejected.finding.code == "fhir.response.no_subject"
    assert "CANARY" not in repr(rejected.finding)
    (again,) = ADAPTER.again(rejected, b"", Context(guide=GUIDE))
    assert again == rejected


def test_after_its_patient_it_is_theirs() -> None:
    by_id = response(ANSWERED)
    by_identifier = response(ANSWERED, subject={"identifier": PATIENT["identifier"][0]})
    for sent in (by_id, by_identifier):
        member = only(read(PATIENT | {"gender": "female"}, sent))
        assert (member.key, member.resource) == ("urn:x|1", PATIENT | {"gender": "female"})
        assert [each.topic for each in member.answers] == ["sex", "interpreter_needed"]


def test_of_somebody_else_it_is_somebody_else_s() -> None:
    found = members(read(PATIENT, response(ANSWERED, subject={"reference": "Patient/b"}), response(ANSWERED)))
    assert [(each.key, len(each.answers)) for each in found] == [("urn:x|1", 1), ("Patient/b", 1)]


def test_two_responses_of_one_person_are_two_occasions() -> None:
    later = response(item("interpreter", NO), authored="2026-05-06")
    member = only(read(response(ANSWERED), later))
    assert [each.origin.collected_on for each in member.answers] == ["2026-03-04", "2026-05-06"]


def test_what_the_patient_says_and_what_they_answered_stay_two_answers() -> None:
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-interpreter-needed"
    member = only(read(PATIENT | {"extension": [{"url": url, "valueCoding": NO}]}, response(ANSWERED)))
    assert [(each.topic, each.received.element) for each in member.answers] == [
        ("interpreter_needed", "fhir.us-core-interpreter-needed"),
        ("interpreter_needed", "fhir.response"),
    ]


def test_wherever_in_the_lines_its_patient_is() -> None:
    other = PATIENT | {"id": "b", "identifier": [{"system": "urn:x", "value": "2"}]}
    by_identifier = response(ANSWERED, subject={"identifier": {"system": "urn:x", "value": "2"}})
    found = members(read(response(ANSWERED), PATIENT, other, by_identifier, by_identifier))
    assert [(each.key, len(each.answers)) for each in found] == [("urn:x|1", 1), ("urn:x|2", 2)]


def test_an_observation_after_it_is_another_statement() -> None:
    code = {"coding": [{"system": "http://loinc.org", "code": "76691-5"}]}
    observation = {"resourceType": "Observation", "code": code, "subject": {"reference": "Patient/a"}}
    stated = observation | {"valueCodeableConcept": {"coding": [{"system": SNOMED, "code": "446141000124107"}]}}
    member = only(read(PATIENT, response(item("gender-identity", DECLINED)), stated))
    assert [(each.received.element, codes_in(each)) for each in member.answers] == [
        ("fhir.response", ["asked-declined"]),
        ("fhir.observation", ["446141000124107"]),
    ]


def test_in_a_bundle_it_finds_its_patient_wherever_they_are() -> None:
    nameless = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "2"}]}
    first = response(ANSWERED, subject={"reference": "urn:uuid:2"}, source={"reference": "urn:uuid:2"})
    second = response(ANSWERED, source={"reference": "urn:uuid:3"})
    mother = {"resourceType": "RelatedPerson", "id": "m"}
    whole = bundle(first, second, PATIENT, nameless, mother, urls=("", "", "urn:uuid:1", "urn:uuid:2", "urn:uuid:3"))
    found = members(read(whole))
    assert [(each.key, each.answers[0].origin.method) for each in found] == [("urn:x|1", "proxy"), ("urn:x|2", "self")]
    assert [each.answers[0].path for each in found] == ["QuestionnaireResponse.item[0]"] * 2
    assert [each.identifiers for each in found] == [(Identifier("urn:x", "1"),), (Identifier("urn:x", "2"),)]


def test_a_bundle_that_is_in_order_keeps_it() -> None:
    observation = {"resourceType": "Observation", "code": {}, "subject": {"reference": "Patient/a"}}
    found = members(read(bundle(PATIENT, observation, response(ANSWERED), PATIENT | {"id": "b"})))
    assert [(each.number, len(each.answers)) for each in found] == [(1, 1), (4, 0)]
    broken = bundle(response(ANSWERED))
    broken["entry"] += [7, {"resource": "x"}, {"resource": {"resourceType": "Patient", "id": 7}}]
    assert len(members(read(broken))) == 2


# Anything at all -------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("a1/#|", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["item", "answer", "linkId", "valueCoding", "valueString", "code", "display", "reference", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
PARTS = ("item", "subject", "source", "author", "authored", "status", "contained", "questionnaire")


@given(changes=st.dictionaries(st.sampled_from(PARTS), JSON, max_size=4), in_bundle=st.booleans())
def test_no_shape_breaks_the_reader(changes: Json, in_bundle: bool) -> None:
    sent = response(ANSWERED) | changes
    found = read(bundle(sent, PATIENT) if in_bundle else sent)
    people = members(found)
    if "item" in changes and "questionnaire" not in changes and changes.get("status") != "entered-in-error":
        broken = not isinstance(changes["item"], list) or any(not isinstance(i, dict) for i in changes["item"])
        told = [code for each in people for code in findings(each)] + [
            e.finding.code for e in found if isinstance(e, Rejected)
        ]
        assert not broken or told


def test_no_depth_breaks_the_reader() -> None:
    nested: Json = item("race-mena", "deep")
    for _ in range(400):
        nested = item("x", items=[nested])
    assert codes(only(read(response(item("race-ethnicity", items=[nested])))), "race_ethnicity") == []


def test_a_guide_that_cannot_be_used_is_an_error() -> None:
    with pytest.raises(TableError, match=r"guides/fhir.toml, response: .*topics"):
        read(PATIENT, guide={"response": {URL: {"topics": 7}}})
    with pytest.raises(TableError, match="unknown field `topic`"):
        read(PATIENT, guide={"response": {URL: {"topics": {}, "topic": {}}}})


# Round trip ------------------------------------------------------------------------------------

WORDS = st.text(st.characters(categories=["L", "N", "Zs", "P"]), min_size=1, max_size=12).filter(str.strip)
Said = dict[str, tuple[list[tuple[str, str]], list[str]]]


@st.composite
def filled_in(draw: st.DrawFn) -> tuple[Json, Said, bool]:
    """A response as a renderer makes it of the questionnaire itself, what it says by topic, and whether 12 or over."""
    said: Said = {topic: ([], []) for topic in TOPICS.values()}
    chosen: dict[str, list[str]] = {}

    def answered(asked: Json, topic: str) -> Iterator[Json]:
        for question in asked.get("item", ()):
            below = TOPICS.get(question["linkId"], topic)
            if any(w["answerCoding"]["code"] not in chosen[w["question"]] for w in question.get("enableWhen", ())):
                continue
            values: list[object] = []
            if options := [option["valueCoding"] for option in question.get("answerOption", ())]:
                most = len(options) if question.get("repeats") else 1
                indices = draw(st.lists(st.integers(0, len(options) - 1), unique=True, max_size=most))
                values = [options[index] for index in indices]
            picked = [(value["system"], value["code"]) for value in values]  # type: ignore[index]
            chosen[question["linkId"]] = [code for _, code in picked]
            written = question["type"] in ("open-choice", "string") and (question.get("repeats") or not values)
            words = [draw(WORDS)] if written and draw(st.booleans()) else []
            if below:
                said[below][0].extend(picked)
                said[below][1].extend(words)
            inner = list(answered(question, below))
            if values or words or inner:
                yield item(question["linkId"], *values, *words, items=inner)

    items = list(answered(FORM, ""))
    return (
        response(*items, status=draw(st.sampled_from(["completed", "in-progress"]))),
        said,
        "373066001" in chosen["age-12"],
    )


@given(filled_in())
def test_what_was_filled_in_is_what_is_read(given: tuple[Json, Said, bool]) -> None:
    sent, said, older = given
    assert validate(sent, "QuestionnaireResponse") == []
    member = only(read(sent))
    found = said_by(member)
    sensitive = set(GUIDE["response"][URL]["only_if"])
    for topic, (picked, words) in said.items():
        if picked or words:
            received = found.pop(topic).received
            assert [(coding.system, coding.code) for coding in received.codings] == picked
            assert received.text == "; ".join(dict.fromkeys(words))
            meaning = VOCABULARY.meaning(received)
            if any(system != ABSENT for system, _ in picked):
                assert meaning.state is State.ANSWERED
                assert len(meaning.concepts) >= sum(system != ABSENT for system, _ in picked)
            elif picked and not words:
                declined = (ABSENT, "asked-declined") in picked
                assert meaning.state is (State.DECLINED if declined else State.DONT_KNOW)
        elif sent["status"] == "completed" and (older or topic not in sensitive):
            assert found.pop(topic).received.codings == (Coding("survey", "blank"),)
    assert found == {}
    assert member.findings == ()
