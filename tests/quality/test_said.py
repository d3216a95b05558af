"""What a decided answer says to race and to ethnicity, asked apart or together, and what it does not say."""

from __future__ import annotations

import pytest

from fhir_equity.model import Coding, Event, Meaning, Origin, Received, Resolution, State
from fhir_equity.quality.said import NOTHING, Reading, Said
from fhir_equity.survivorship import policy_from, resolve
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

TABLES = Tables()
VOCABULARY = Vocabulary(TABLES)
POLICY = policy_from(TABLES.document("policies/survivorship.toml"), VOCABULARY.codes)


def meaning(received: Received) -> Meaning:
    return VOCABULARY.meaning(received)


def decided(topic: str, *codes: str, standard: str = "", more: tuple[Received, ...] = ()) -> dict[str, Resolution]:
    """One event whose value has these codes (CDCREC, or a language or null flavour)."""
    system = "bcp47" if topic.startswith("language") else "cdcrec"
    codings = tuple(Coding("null-flavor" if code.isupper() else system, code) for code in codes)
    values = ((Received(topic, "x", codings),) if codes else ()) + more
    event = Event(
        values, Origin("plan", "a", method="self", standard=standard, collected_on="2026-01-01"), "2026-02-01"
    )
    matter = VOCABULARY.codes.topic(topic).matter
    return {matter: resolve(matter, [event], meaning, POLICY, VOCABULARY.detail)}


Told = tuple[str, tuple[str, ...], str]


def told(said: Said) -> Told:
    return said.state.value, said.categories, "b" * said.bridged + "c" * said.cannot_be_bridged


def read(question: str, resolutions: dict[str, Resolution], standard: str = "omb1997", other: str = "unknown") -> Said:
    return Reading(VOCABULARY, standard, other).said(question, resolutions)


WHITE, BLACK, ASIAN, CHINESE, KOREAN, LEBANESE = "2106-3", "2054-5", "2028-9", "2034-7", "2040-4", "2123-8"
HISPANIC, MEXICAN, NOT_HISPANIC, OTHER = "2135-2", "2148-5", "2186-5", "2131-1"


@pytest.mark.parametrize(
    ("codes", "standard", "race", "ethnicity"),
    [
        ((WHITE,), "", ("answered", ("White",), ""), ("unknown", (), "c")),
        ((WHITE,), "omb2024", ("answered", ("White",), ""), ("answered", ("Not Hispanic or Latino",), "b")),
        ((WHITE, NOT_HISPANIC), "", ("answered", ("White",), ""), ("answered", ("Not Hispanic or Latino",), "")),
        ((HISPANIC,), "omb2024", ("unknown", (), "c"), ("answered", ("Hispanic or Latino",), "")),
        ((NOT_HISPANIC,), "", ("unknown", (), "c"), ("answered", ("Not Hispanic or Latino",), "")),
        ((MEXICAN, WHITE), "", ("answered", ("White",), ""), ("answered", ("Hispanic or Latino",), "")),
        ((LEBANESE,), "", ("answered", ("White",), "b"), ("unknown", (), "c")),
        ((CHINESE, KOREAN), "", ("answered", ("Asian",), ""), ("unknown", (), "c")),
        ((ASIAN, WHITE), "", ("answered", ("Asian", "White"), ""), ("unknown", (), "c")),
        ((OTHER,), "", ("answered", ("Other Race",), ""), ("unknown", (), "c")),
        (("UNK",), "", ("unknown", (), ""), ("unknown", (), "")),
    ],
)  # fmt: skip
def test_one_combined_question(codes: tuple[str, ...], standard: str, race: Told, ethnicity: Told) -> None:
    resolutions = decided("race_ethnicity", *codes, standard=standard)
    assert told(read("race", resolutions)) == race
    assert told(read("ethnicity", resolutions)) == ethnicity


def test_hispanic_alone_may_be_another_race() -> None:
    resolutions = decided("race_ethnicity", HISPANIC)
    assert told(read("race", resolutions, other="other")) == ("answered", ("Other Race",), "b")
    assert told(read("race", resolutions, "tmsis", "other")) == ("answered", ("018",), "b")
    assert told(read("race", decided("race_ethnicity", NOT_HISPANIC), other="other"))[0] == "answered"


def test_words_without_a_code_are_an_answer_without_a_category() -> None:
    resolutions = decided("race_ethnicity", more=(Received("race_ethnicity", "x", (), "Quite something else"),))
    assert told(read("race", resolutions)) == ("answered", (), "")
    assert told(read("ethnicity", resolutions)) == ("unknown", (), "c")
    assert told(read("race_ethnicity", resolutions, "omb2024")) == ("answered", (), "")


@pytest.mark.parametrize(
    ("topic", "question", "expected"),
    [
        ("race_ethnicity", "race", ("answered", ("018",), "")),
        ("race_ethnicity", "ethnicity", ("unknown", (), "c")),
        ("race", "race", ("answered", ("018",), "")),
        ("race", "ethnicity", ("unknown", (), "")),
        ("ethnicity", "ethnicity", ("invalid", (), "")),
        ("ethnicity", "race", ("unknown", (), "")),
        ("language_spoken", "language_spoken", ("invalid", (), "")),
    ],
)
def test_words_in_tmsis_are_another_race_and_else_missing(topic: str, question: str, expected: Told) -> None:
    """018 is the code that words go with; ethnicity and language have none such, and no code is a missing one."""
    resolutions = decided(topic, more=(Received(topic, "x", (), "Quite something else"),))
    assert told(read(question, resolutions, "tmsis")) == expected


def test_hispanic_said_to_a_question_of_race_is_another_race_in_tmsis() -> None:
    assert told(read("race", decided("race", HISPANIC), "tmsis")) == ("answered", ("018",), "")


@pytest.mark.parametrize(
    ("topic", "text", "more", "written"),
    [
        ("race", "Quiltfolk", (), {"race", "race_ethnicity"}),
        ("ethnicity", "Quiltfolk", (), {"ethnicity", "race_ethnicity"}),
        ("race_ethnicity", "Quiltfolk", (), {"race", "ethnicity", "race_ethnicity"}),
        ("race_ethnicity", "Quiltfolk", (HISPANIC,), {"race", "ethnicity", "race_ethnicity"}),
        ("race", "White", (WHITE,), set()),
        ("race", "White", (), set()),
        ("race", "Prefer not to answer", (), set()),
        ("race", "", (WHITE,), set()),
    ],
)
def test_whose_own_words_answer_which_question(topic: str, text: str, more: tuple[str, ...], written: set[str]) -> None:
    codings = tuple(Coding("cdcrec", code) for code in more)
    resolutions = decided(topic, more=(Received(topic, "x", codings, text),))
    questions = ("race", "ethnicity", "race_ethnicity")
    assert {question for question in questions if read(question, resolutions, "tmsis").written} == written
    assert not read("language_spoken", resolutions).written


def test_two_questions_are_answered_apart() -> None:
    declined = Received("race", "x", (), "Prefer not to answer")
    resolutions = decided("ethnicity", HISPANIC, more=(declined,))
    assert told(read("race", resolutions)) == ("declined", (), "")
    assert told(read("ethnicity", resolutions)) == ("answered", ("Hispanic or Latino",), "")
    assert told(read("race_ethnicity", resolutions, "omb2024")) == ("answered", ("Hispanic or Latino",), "b")
    only = decided("race", WHITE)
    assert told(read("ethnicity", only)) == ("unknown", (), "")
    assert told(read("race", only)) == ("answered", ("White",), "")


@pytest.mark.parametrize(
    ("codes", "standard", "race", "ethnicity"),
    [
        ((CHINESE, KOREAN), "", ("005", "008"), ()),
        ((ASIAN, CHINESE), "", ("005",), ()),
        ((ASIAN,), "", ("011",), ()),
        ((LEBANESE, WHITE), "", ("001",), ()),
        ((MEXICAN, HISPANIC), "", (), ("1",)),
        ((WHITE, HISPANIC), "", ("001",), ("5",)),
        ((WHITE,), "omb2024", ("001",), ("0",)),
        ((OTHER, NOT_HISPANIC), "", ("018",), ("0",)),
    ],
)
def test_codes_of_tmsis(
    codes: tuple[str, ...], standard: str, race: tuple[str, ...], ethnicity: tuple[str, ...]
) -> None:
    resolutions = decided("race_ethnicity", *codes, standard=standard)
    assert read("race", resolutions, "tmsis").categories == race
    assert read("ethnicity", resolutions, "tmsis").categories == ethnicity


def test_languages_without_their_regions() -> None:
    said = read("language_spoken", decided("language_spoken", "en-US"))
    assert (said.state, said.categories, said.method, said.collected_on) == (
        *(State.ANSWERED, ("en",), "self", "2026-01-01"),
    )
    assert read("language_written", decided("language_spoken", "en")) == NOTHING


def test_detail() -> None:
    assert read("race_ethnicity", decided("race_ethnicity", CHINESE), "omb2024").detailed
    assert not read("race_ethnicity", decided("race_ethnicity", ASIAN), "omb2024").detailed
    assert read("race", decided("race", CHINESE)).detailed


def test_it_does_not_matter_how_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_equity.quality.said.MOST", 1)
    reading = Reading(VOCABULARY, "omb1997", "unknown")
    people = [decided("race", code) for code in (WHITE, BLACK, WHITE)]
    for _ in range(2):
        found = [reading.said("race", each).categories for each in people]
        assert found == [("White",), ("Black or African American",), ("White",)]


def test_of_several_absences_the_one_that_tells_most() -> None:
    values = (Received("race", "x", (Coding("survey", "blank"),)), Received("race", "x", (), "Prefer not to answer"))
    assert read("race", decided("race", more=values)).state is State.DECLINED
