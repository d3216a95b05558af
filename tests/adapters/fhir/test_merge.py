"""New answers go into an existing Patient; everything else survives."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.fhir import answers_of, merge, validate
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Expressed, Loss, Member, Outgoing, Relationship, State

US = "http://hl7.org/fhir/us/core/StructureDefinition/"
TYPE = "http://hl7.org/fhir/StructureDefinition/patient-preferenceType"
CDCREC, BCP47 = "urn:oid:2.16.840.1.113883.6.238", "urn:ietf:bcp:47"
CONTEXT = Context(systems={"cdcrec": CDCREC, "bcp47": BCP47})
WHITE, ASIAN = Coding("cdcrec", "2106-3", "White"), Coding("cdcrec", "2028-9", "Asian")


def says(topic: str, *codings: Coding, text: str = "", categories: tuple[Coding, ...] = ()) -> Expressed:
    return Expressed(topic, State.ANSWERED, categories, codings, text)


def speaks(*tags: str, topic: str = "language_spoken", text: str = "") -> Expressed:
    return says(topic, *(Coding("bcp47", tag) for tag in tags), text=text)


def entry(tag: str, preferred: bool | None = None, modes: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {**more, "language": {"coding": [{"system": BCP47, "code": tag}]}}
    if preferred is not None:
        found["preferred"] = preferred
    if modes:
        found["_preferred"] = {"extension": [{"url": TYPE, "valueCoding": {"code": mode}} for mode in modes]}
    return found


def put(patient: dict[str, Any], *answers: Expressed) -> tuple[dict[str, Any], list[Loss]]:
    patient = {"resourceType": "Patient", "id": "a", **patient}
    before = copy.deepcopy(patient)
    merged, losses = merge(patient, Outgoing(Member("p", "k"), answers), CONTEXT)
    assert patient == before
    assert validate(merged) == []
    again, _ = merge(merged, Outgoing(Member("p", "k"), answers), CONTEXT)
    assert again == merged
    return merged, losses


def languages(patient: dict[str, Any]) -> dict[str, list[str]]:
    found = answers_of(patient, "x", CONTEXT).answers
    return {each.topic: [coding.code for coding in each.received.codings] for each in found}


RACE = {
    "id": "race",
    "url": US + "us-core-race",
    "extension": [
        {"id": "t", "url": "text", "valueString": "White"},
        {"url": "http://example.org/percent", "valueDecimal": 5},
        {"id": "w", "url": "ombCategory", "valueCoding": {"system": CDCREC, "code": "2106-3", "version": "1"}},
    ],
}


def test_a_race_is_replaced_in_place_with_its_ids_and_foreign_parts() -> None:
    first, last = {"url": "http://a", "valueString": "a"}, {"url": "http://b", "valueString": "b"}
    patient = {"meta": {"versionId": "3"}, "extension": [first, RACE, last], "gender": "male"}
    merged, losses = put(patient, says("race", categories=(WHITE, ASIAN), text="White, Asian"))
    assert losses == []
    assert merged["extension"] == [
        first,
        {
            "id": "race",
            "url": US + "us-core-race",
            "extension": [
                {"id": "w", "url": "ombCategory", "valueCoding": {"system": CDCREC, "code": "2106-3", "version": "1"}},
                {"url": "ombCategory", "valueCoding": {"system": CDCREC, "code": "2028-9", "display": "Asian"}},
                {"id": "t", "url": "text", "valueString": "White, Asian"},
                {"url": "http://example.org/percent", "valueDecimal": 5},
            ],
        },
        last,
    ]
    rest = {name: value for name, value in merged.items() if name != "extension"}
    assert rest == {"resourceType": "Patient", "id": "a", "meta": {"versionId": "3"}, "gender": "male"}


@pytest.mark.parametrize("text", ["", "White"])
def test_the_same_answer_changes_nothing(text: str) -> None:
    merged, losses = put({"extension": [RACE]}, says("race", categories=(WHITE,), text=text))
    assert (merged["extension"], losses) == ([RACE], [])


def test_another_text_is_another_answer() -> None:
    merged, _ = put({"extension": [RACE]}, says("race", categories=(WHITE,), text="White, Manx"))
    assert merged["extension"][0]["extension"][1] == {"id": "t", "url": "text", "valueString": "White, Manx"}


def test_an_answer_that_says_nothing_clears_nothing() -> None:
    patient = {"extension": [RACE], "communication": [entry("en", True)]}
    merged, losses = put(patient, says("race"), speaks())
    assert (merged["extension"], merged["communication"], losses) == ([RACE], patient["communication"], [])


def test_a_missing_extension_is_added_at_the_end() -> None:
    merged, _ = put({"extension": [RACE]}, says("ethnicity", text="Chicana"))
    assert merged["extension"] == [
        RACE,
        {"url": US + "us-core-ethnicity", "extension": [{"url": "text", "valueString": "Chicana"}]},
    ]
    assert put({}, says("race", text="x"))[0]["extension"][0]["url"] == US + "us-core-race"


def test_repeated_and_old_extensions_become_one() -> None:
    old = {"id": "o", "url": "http://hl7.org/fhir/StructureDefinition/us-core-race", "valueString": "kept"}
    other = {"url": "http://a", "valueString": "a"}
    merged, losses = put({"extension": [old, other, RACE]}, says("race", ASIAN))
    assert merged["extension"] == [
        {
            "id": "o",
            "url": US + "us-core-race",
            "extension": [
                {"url": "detailed", "valueCoding": {"system": CDCREC, "code": "2028-9", "display": "Asian"}},
                {"url": "text", "valueString": "Asian"},
            ],
        },
        other,
    ]
    assert losses == [Loss("fhir.text.required", Relationship.INEXACT, "race")]


def test_a_reason_for_absence_goes_with_the_answer_it_stood_for() -> None:
    reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    merged, _ = put({"extension": [{"url": US + "us-core-race", "extension": [reason]}]}, says("race", ASIAN, text="A"))
    assert [each["url"] for each in merged["extension"][0]["extension"]] == ["detailed", "text"]


def test_another_language_is_added_and_the_old_one_steps_back() -> None:
    old = entry("es", True, id="c1")
    merged, losses = put({"communication": [entry("fr", False), old]}, speaks("en", text="English"))
    new = {"language": {"coding": [{"system": BCP47, "code": "en"}], "text": "English"}, "preferred": True}
    assert merged["communication"] == [entry("fr", False), entry("es", False, id="c1"), new]
    assert languages(merged) == {"language_spoken": ["en"]}
    assert losses == []


def test_a_language_that_is_there_is_preferred_where_it_stands() -> None:
    merged, _ = put({"communication": [entry("es", id="c1"), entry("en")]}, speaks("en"))
    assert merged["communication"] == [entry("es", id="c1"), entry("en", True)]


@pytest.mark.parametrize(
    "entries",
    [
        [entry("en")],
        [entry("en", True), entry("es")],
        [{"language": {"coding": [{"system": BCP47, "code": "en"}, {"code": "eng"}], "text": "E"}}],
    ],
)
def test_a_language_that_answers_already_changes_nothing(entries: list[dict[str, Any]]) -> None:
    assert put({"communication": entries}, speaks("en", text="English"))[0]["communication"] == entries


def test_a_language_in_words_only() -> None:
    words = [{"language": {"text": "Mixteco"}}]
    assert put({"communication": words}, speaks(text="Mixteco"))[0]["communication"] == words
    merged, _ = put({"communication": words}, speaks(text="Triqui"))
    assert merged["communication"] == [*words, {"language": {"text": "Triqui"}, "preferred": True}]


def test_written_leaves_spoken_alone() -> None:
    merged, _ = put({"communication": [entry("en")]}, speaks("es", topic="language_written"))
    assert languages(merged) == {"language_spoken": ["en"], "language_written": ["es"]}
    assert merged["communication"][0] == entry("en")


def test_an_entry_for_both_questions_is_divided() -> None:
    both = entry("es", True, ("verbal", "written"), id="c1")
    merged, _ = put({"communication": [both]}, speaks("en"))
    assert languages(merged) == {"language_spoken": ["en"], "language_written": ["es"]}
    assert merged["communication"] == [
        entry("es", True, ("written",), id="c1"),
        entry("en", True),
        entry("es", False, ("verbal",)),
    ]


def test_an_entry_for_both_questions_is_not_preferred_for_one() -> None:
    entries = [entry("en", True, ("written",)), entry("es", False, ("verbal", "written"))]
    merged, _ = put({"communication": entries}, speaks("es"), speaks("en", topic="language_written"))
    assert languages(merged) == {"language_spoken": ["es"], "language_written": ["en"]}
    assert merged["communication"][:2] == entries


@pytest.mark.parametrize(
    ("patient", "answer", "lost"),
    [
        ({"extension": {}}, says("race", WHITE, text="W"), "fhir.merge.malformed"),
        ({"communication": {}}, speaks("en"), "fhir.merge.malformed"),
        ({"gender": "male"}, says("sex", Coding("administrative-gender", "female")), "fhir.merge.not_merged"),
        ({"gender": "male"}, says("pronouns", Coding("x", "y")), "fhir.merge.not_merged"),
    ],
)
def test_what_is_not_merged_is_a_loss(patient: dict[str, Any], answer: Expressed, lost: str) -> None:
    merged, losses = merge(patient, Outgoing(Member("p", "k"), (answer,)), CONTEXT)
    assert merged == patient
    assert losses == [Loss(lost, Relationship.UNMATCHED, answer.topic)]


def test_the_same_gender_is_no_loss() -> None:
    assert put({"gender": "male"}, says("sex", Coding("administrative-gender", "male")))[1] == []


TAGS = st.sampled_from(["en", "es", "fr", "zh"])
MODES = st.sampled_from([(), ("verbal",), ("written",), ("verbal", "written")])
ENTRIES = st.lists(st.builds(entry, TAGS, st.sampled_from([None, False, True]), MODES), max_size=5)
WANTED = st.lists(TAGS, min_size=1, max_size=2, unique=True)


@settings(deadline=None)
@given(ENTRIES, WANTED, st.none() | WANTED)
def test_the_new_languages_read_back_and_the_other_question_keeps_its_answer(
    entries: list[dict[str, Any]], spoken: list[str], written: list[str] | None
) -> None:
    patient: dict[str, Any] = {"communication": entries} if entries else {}
    answers = [speaks(*spoken)] + ([speaks(*written, topic="language_written")] if written else [])
    before = languages({"id": "a", **patient})
    merged, losses = put(patient, *answers)
    after = languages(merged)
    assert losses == []
    assert set(after["language_spoken"]) == set(spoken)
    assert set(after.get("language_written", [])) == set(written or before.get("language_written", []))
    assert len(merged["communication"]) >= len(entries)
    told = {each["language"]["coding"][0]["code"] for each in merged["communication"]}
    assert told >= {each["language"]["coding"][0]["code"] for each in entries}
