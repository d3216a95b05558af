"""What people say: words in any question, languages, orientation, gender and sex."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_equity.model import Meaning, Relationship, Severity, State

Understand = Callable[..., Meaning]


def codes(meaning: Meaning) -> list[str]:
    return [concept.coding.code for concept in meaning.concepts]


def problems(meaning: Meaning) -> list[str]:
    return [name for name, _ in meaning.problems]


# Words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Caucasian", ["2106-3"]),
        ("Not Black", []),
        ("White and Asian", ["2106-3", "2028-9"]),
        ("Middle Eastern or North African", ["2118-8"]),
        ("Medio Oriente o Norte de Africa", ["2118-8"]),
        ("Black/African American", ["2054-5"]),
        ("  black / african american ", ["2054-5"]),
        ("Navajo Nation", ["1382-1"]),
        ("Mexican American", ["2149-3"]),
        ("Nome Eskimo Community", ["1873-9"]),
        ("Ghanaian", []),
        ("Yemeni", []),
        ("Kurdish", []),
        ("Asian-looking", []),
        ("White House staff", []),
        ("Caucasian?", ["2106-3"]),
    ],
)
@pytest.mark.parametrize("topic", ["race", "race_ethnicity"])
def test_words_match_exactly_or_not_at_all(understand: Understand, topic: str, words: str, expected: list[str]) -> None:
    for meaning in (understand(topic, f"wording|{words}"), understand(topic, text=words)):
        assert meaning.state is State.ANSWERED
        assert codes(meaning) == expected
        assert meaning.text == ("" if expected else words)
        assert ("not_mapped" in problems(meaning)) is not bool(expected)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("Declined", State.DECLINED),
        ("Prefer not to say", State.DECLINED),
        ("PREFIERO NO CONTESTAR", State.DECLINED),
        ("Don't know", State.DONT_KNOW),
        ("Asked but unknown", State.DONT_KNOW),
        ("Unknown", State.UNKNOWN),
        ("N/A", State.UNKNOWN),
        ("Not applicable", State.UNKNOWN),
        ("Not asked", State.NOT_ASKED),
        ("Left blank", State.BLANK),
        ("Unable to answer", State.UNABLE),
    ],
)
@pytest.mark.parametrize("topic", ["race", "ethnicity", "language_spoken", "gender_identity", "sex"])
def test_words_that_say_why_there_is_no_answer(understand: Understand, topic: str, words: str, state: State) -> None:
    meaning = understand(topic, f"wording|{words}")
    assert (meaning.state, meaning.concepts, meaning.text) == (state, (), "")


def test_one_unmapped_word_does_not_drag_the_next_one_along(understand: Understand) -> None:
    assert understand("race", "wording|Multiracial", "wording|White").text == "Multiracial"
    mixed = understand("sexual_orientation", "wording|Gay", "wording|Declined")
    assert (mixed.text, mixed.state) == ("Gay", State.ANSWERED)
    assert problems(mixed) == ["answer_and_absence"]


def test_yes_answers_the_hispanic_question_only(understand: Understand) -> None:
    assert codes(understand("ethnicity", "wording|Yes")) == ["2135-2"]
    assert codes(understand("ethnicity", "wording|No")) == ["2186-5"]
    assert codes(understand("race", "wording|Yes")) == []


def test_dominican_depends_on_the_question(understand: Understand) -> None:
    assert codes(understand("ethnicity", "wording|Dominican")) == ["2184-0"]
    assert codes(understand("race_ethnicity", "wording|Dominican")) == ["2184-0"]
    assert codes(understand("race", "wording|Dominican")) == ["2069-3"]
    assert codes(understand("race", "wording|Dominicana")) == ["2069-3"]


# Language --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "tag"),
    [
        ("bcp47|tl", "tl"),
        ("LD|tgl", "tl"),
        ("wording|Tagalog", "tl"),
        ("wording|Filipino", "fil"),
        ("LE|iw", "he"),
        ("bcp47|iw", "he"),
        ("bcp47|iw-IL", "he-IL"),
        ("bcp47|IW", "he"),
        ("LD|SPA", "es"),
        ("bcp47|en-US", "en-US"),
        ("LD|chi", "zh"),
        ("LD|zho", "zh"),
        ("bcp47|ase", "ase"),
        ("wording|American Sign Language", "ase"),
        ("wording|ASL", "ase"),
        ("wording|Mandarin", "cmn"),
        ("wording|Cantonese", "yue"),
        ("wording|Chinese", "zh"),
        ("wording|SPA", "es"),
        ("wording|es-MX", "es-MX"),
        ("wording|Español", "es"),
    ],
)
def test_languages(understand: Understand, coding: str, tag: str) -> None:
    meaning = understand("language_spoken", coding)
    assert (meaning.state, codes(meaning), meaning.problems) == (State.ANSWERED, [tag], ())


def test_a_withdrawn_code_names_the_row_that_replaced_it(understand: Understand) -> None:
    for coding in ("bcp47|iw", "bcp47|iw-IL"):
        (concept,) = understand("language_spoken", coding).concepts
        assert concept.rule == "wordings_to_languages:iw"


@pytest.mark.parametrize("word", ["No", "Yes", "Si", "Mon", "Her"])
def test_a_capitalised_word_is_no_language_code(understand: Understand, word: str) -> None:
    meaning = understand("language_spoken", f"wording|{word}")
    assert (codes(meaning), meaning.text) == ([], word)


@pytest.mark.parametrize(("coding", "state"), [("bcp47|und", State.UNKNOWN), ("LD|zxx", State.NOT_APPLICABLE)])
def test_languages_that_are_none(understand: Understand, coding: str, state: State) -> None:
    assert understand("language_spoken", coding).state is state


def test_a_language_that_does_not_exist_is_invalid(understand: Understand) -> None:
    meaning = understand("language_spoken", "LD|xx")
    assert (meaning.state, meaning.problems) == (State.INVALID, (("not_in_code_list", Severity.ERROR),))


# Orientation, gender, sex ----------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["gender_identity", "sexual_orientation", "pronouns"])
@pytest.mark.parametrize("word", ["Demigirl", "Agender", "Queer", "ze/zir"])
def test_a_person_s_own_word_is_never_forced_onto_a_code(understand: Understand, topic: str, word: str) -> None:
    for meaning in (understand(topic, f"wording|{word}"), understand(topic, text=word)):
        assert (meaning.state, meaning.concepts, meaning.text) == (State.ANSWERED, (), word)


@pytest.mark.parametrize("word", ["Gay", "Lesbian"])
def test_a_wider_code_keeps_the_word(understand: Understand, word: str) -> None:
    meaning = understand("sexual_orientation", f"wording|{word}")
    assert (codes(meaning), meaning.text) == (["38628009"], word)
    assert meaning.concepts[0].relationship is Relationship.WIDER


def test_an_exact_code_needs_no_word(understand: Understand) -> None:
    meaning = understand("gender_identity", "wording|Non-binary")
    assert (codes(meaning), meaning.text) == (["33791000087105"], "")


def test_dmg03_unknown_is_not_an_answer(understand: Understand) -> None:
    assert understand("sex", "1068|U").state is State.UNKNOWN
    assert codes(understand("sex", "1068|F")) == ["female"]
    assert understand("sex", "administrative-gender|unknown").state is State.UNKNOWN
    assert codes(understand("sex", "administrative-gender|other")) == ["other"]


def test_interpreter_need_has_two_answers(understand: Understand) -> None:
    assert codes(understand("interpreter_needed", "snomed|373066001")) == ["true"]
    assert codes(understand("interpreter_needed", "boolean|false")) == ["false"]
    assert codes(understand("interpreter_needed", "wording|Sí")) == ["true"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        *[(f"wording|{word}", "1") for word in ("Yes", "Y", "TRUE", "1", "Sí", "Certified AI/AN", "certified")],
        *[(f"wording|{word}", "0") for word in ("No", "n", "False", "0", "Not certified")],
        *[(f"tmsis-aian|{code}", code) for code in ("0", "1", "2")],
        ("wording|2", "2"),
        ("wording|Certified American Indian or Alaska Native", "1"),
        ("wording|Not a certified American Indian or Alaska Native", "0"),
    ],
)
def test_who_is_certified(understand: Understand, said: str, code: str) -> None:
    assert codes(understand("aian_certified", said)) == [code]


def test_who_is_certified_is_not_what_somebody_calls_themselves(understand: Understand) -> None:
    assert understand("aian_certified", "wording|Unknown").state is State.UNKNOWN
    assert understand("aian_certified", "wording|Declined").state is State.DECLINED
    assert understand("aian_certified", "tmsis-aian|9").state is State.INVALID
    said = understand("aian_certified", "wording|Navajo")
    assert (said.state, codes(said), said.text) == (State.ANSWERED, [], "Navajo")
    assert codes(understand("race", "wording|Certified American Indian or Alaska Native")) == []
