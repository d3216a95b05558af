"""Received -> meaning: what codes, words, absences and garbage mean, and what they never mean."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_equity.errors import TableError
from fhir_equity.model import Coding, Concept, Meaning, Received, Relationship, Severity, State
from fhir_equity.vocabulary import Vocabulary

Understand = Callable[..., Meaning]


def codes(meaning: Meaning) -> list[str]:
    return [concept.coding.code for concept in meaning.concepts]


def problems(meaning: Meaning) -> list[str]:
    return [name for name, _ in meaning.problems]


def test_an_unknown_topic_is_a_table_error(understand: Understand) -> None:
    with pytest.raises(TableError, match="no topic"):
        understand("shoe_size", "cdcrec|2106-3")


def test_a_value_is_understood_once(vocabulary: Vocabulary) -> None:
    received = Received("race", "test", (Coding("cdcrec", "2106-3"),))
    assert vocabulary.meaning(received) is vocabulary.meaning(Received("race", "test", (Coding("cdcrec", "2106-3"),)))


def test_a_code_of_the_system_itself(understand: Understand) -> None:
    white = Coding("cdcrec", "2106-3", "White")
    assert understand("race", "cdcrec|2106-3", text="White") == Meaning(
        "race", State.ANSWERED, (Concept(white, Relationship.EQUIVALENT, "cdcrec:2106-3"),), wording="White"
    )


def test_the_same_code_twice_is_one_concept(understand: Understand) -> None:
    assert codes(understand("race", "cdcrec|2106-3", "RET|R5", "cdcrec|2106-3")) == ["2106-3"]


def test_a_repaired_system_is_a_warning(understand: Understand) -> None:
    meaning = understand("race", "http://terminology.hl7.org/CodeSystem/v3-Race|2106-3")
    assert codes(meaning) == ["2106-3"]
    assert meaning.problems == (("system_repaired", Severity.WARNING),)


def test_a_missing_system_is_guessed_aloud(understand: Understand) -> None:
    meaning = understand("race", "|2106-3")
    assert codes(meaning) == ["2106-3"]
    assert meaning.problems == (("system_missing", Severity.WARNING),)
    assert understand("race", "|ASKU").state is State.DONT_KNOW
    assert codes(understand("race", "|White")) == ["2106-3"]
    assert understand("race", "|OTH", text="Kurdish").problems == (("system_missing", Severity.WARNING),)
    assert understand("race", "|2106-4").state is State.INVALID


def test_a_code_of_another_topic_s_system_is_no_answer(understand: Understand) -> None:
    assert understand("race", "bcp47|2106-3").state is State.INVALID
    assert understand("language_spoken", "cdcrec|en").state is State.INVALID


def test_a_display_alone_is_matched_as_words(understand: Understand) -> None:
    meaning = understand("race", Coding("", "", "White"))
    assert (meaning.state, codes(meaning)) == (State.ANSWERED, ["2106-3"])


@pytest.mark.parametrize("code", ["2106-4", "2118-0"])
def test_a_bad_check_digit_is_a_finding(understand: Understand, code: str) -> None:
    meaning = understand("race", f"cdcrec|{code}")
    assert meaning.state is State.INVALID
    assert meaning.problems == (("check_digit_wrong", Severity.ERROR), ("not_in_code_list", Severity.ERROR))


def test_a_good_check_digit_of_no_concept_is_only_not_in_the_list(understand: Understand) -> None:
    meaning = understand("race", "cdcrec|9999-4")
    assert (meaning.state, problems(meaning)) == (State.INVALID, ["not_in_code_list"])


def test_an_illegal_code_with_a_display_keeps_the_words(understand: Understand) -> None:
    meaning = understand("race", Coding("cdcrec", "9999-4", "Kurdish"))
    assert (meaning.state, meaning.text, codes(meaning)) == (State.ANSWERED, "Kurdish", [])
    assert meaning.problems == (("not_in_code_list", Severity.ERROR),)


def test_codes_are_compared_and_never_displays(understand: Understand) -> None:
    assert codes(understand("race", Coding("cdcrec", "2106-3", "Black"))) == ["2106-3"]
    assert codes(understand("race", Coding("cdcrec", "9999-4", "White"))) == []


def test_an_illegal_code_and_a_text_that_says_it(understand: Understand) -> None:
    assert codes(understand("race", "cdcrec|2106-4", text="White")) == ["2106-3"]
    meaning = understand("race", "cdcrec|2106-4", text="Kurdish")
    assert (meaning.state, meaning.text) == (State.ANSWERED, "Kurdish")


@pytest.mark.parametrize("system", ["cdcrec", "urn:local", "data-absent-reason", "null-flavor"])
def test_a_refusal_in_a_display_is_no_answer(understand: Understand, system: str) -> None:
    meaning = understand("race", Coding(system, "999", "Patient Refused"))
    assert (meaning.state, meaning.text) == (State.DECLINED, "")


def test_an_illegal_absent_reason_is_never_an_answer(understand: Understand) -> None:
    assert understand("race", Coding("null-flavor", "XXX", "Something")).state is State.INVALID


def test_a_local_code_is_matched_by_its_display_or_kept(understand: Understand) -> None:
    matched = understand("race", Coding("urn:local", "17", "White"))
    kept = understand("race", Coding("urn:local", "18", "Purple"))
    bare = understand("race", "urn:local|C")
    assert (codes(matched), matched.text) == (["2106-3"], "")
    assert (codes(kept), kept.text, kept.state) == ([], "Purple", State.ANSWERED)
    assert (codes(bare), bare.text, bare.state) == ([], "C", State.ANSWERED)
    assert matched.problems == kept.problems == bare.problems == (("system_unknown", Severity.WARNING),)


def test_a_code_of_a_large_terminology_that_we_do_not_hold_stays(understand: Understand) -> None:
    meaning = understand("gender_identity", Coding("snomed", "1", "Some identity"))
    assert meaning.state is State.ANSWERED
    assert meaning.concepts == (Concept(Coding("snomed", "1", "Some identity"), Relationship.UNMATCHED, "not_mapped"),)
    assert meaning.problems == (("not_mapped", Severity.INFO),)


def test_garbage_is_invalid(understand: Understand) -> None:
    meaning = understand("race", "wording|???")
    assert (meaning.state, meaning.text) == (State.INVALID, "")
    assert meaning.problems == (("not_a_wording", Severity.ERROR),)
    assert understand("race", "cdcrec|").state is State.INVALID
    assert understand("race").state is State.INVALID
    assert understand("race", "null-flavor|UNK", "wording|???").state is State.INVALID


# X12 1109 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["A", "F"])
def test_asian_or_pacific_islander_is_never_one_of_the_two(understand: Understand, letter: str) -> None:
    meaning = understand("race_ethnicity", f"1109|{letter}")
    (concept,) = meaning.concepts
    assert meaning.state is State.ANSWERED
    assert (concept.coding.system, concept.coding.code) == ("x12-1109", letter)
    assert concept.relationship is Relationship.UNMATCHED


@pytest.mark.parametrize("words", ["Asian or Pacific Islander", "API", "AAPI"])
def test_nor_in_words(understand: Understand, words: str) -> None:
    meaning = understand("race_ethnicity", f"wording|{words}")
    assert (meaning.state, codes(meaning), meaning.text) == (State.ANSWERED, [], words)


@pytest.mark.parametrize(("letter", "race"), [("N", "2054-5"), ("O", "2106-3")])
def test_two_facts_in_one_letter(understand: Understand, letter: str, race: str) -> None:
    assert codes(understand("race_ethnicity", f"1109|{letter}")) == [race, "2186-5"]


def test_a_letter_and_a_cdc_code_are_two_facts(understand: Understand) -> None:
    assert codes(understand("race_ethnicity", "1109|C", "RET|2186-5")) == ["2106-3", "2186-5"]


def test_white_non_hispanic_may_hide_others(understand: Understand) -> None:
    meaning = understand("race_ethnicity", "1109|O")
    relationships = {c.coding.code: c.relationship for c in meaning.concepts}
    assert relationships == {"2106-3": Relationship.INEXACT, "2186-5": Relationship.EQUIVALENT}


@pytest.mark.parametrize(("letter", "state"), [("7", State.BLANK), ("8", State.UNKNOWN), ("Z", State.UNKNOWN)])
def test_letters_that_are_no_answer(understand: Understand, letter: str, state: State) -> None:
    meaning = understand("race_ethnicity", f"1109|{letter}")
    assert (meaning.state, meaning.concepts, meaning.problems) == (state, (), ())


def test_other_race_keeps_its_code(understand: Understand) -> None:
    assert codes(understand("race_ethnicity", "1109|E")) == ["2131-1"]
    words = understand("race_ethnicity", "1109|E", text="Kurdish")
    assert (codes(words), words.text) == (["2131-1"], "Kurdish")


def test_a_letter_the_guide_does_not_allow_is_understood_with_a_warning(understand: Understand) -> None:
    meaning = understand("race_ethnicity", "1109|S")
    assert (codes(meaning), meaning.problems) == (["2106-3"], (("not_allowed_in_guide", Severity.WARNING),))


def test_a_lower_case_letter_is_understood_with_an_error(understand: Understand) -> None:
    meaning = understand("race_ethnicity", "1109|c")
    assert (codes(meaning), meaning.problems) == (["2106-3"], (("not_in_code_list", Severity.ERROR),))


def test_a_cdc_code_in_the_place_of_a_letter(understand: Understand) -> None:
    meaning = understand("race_ethnicity", "1109|2106-3")
    assert (codes(meaning), meaning.problems) == (["2106-3"], (("not_in_code_list", Severity.ERROR),))


def test_a_letter_of_no_list_is_invalid(understand: Understand) -> None:
    meaning = understand("race_ethnicity", "1109|X")
    assert (meaning.state, meaning.problems) == (State.INVALID, (("not_in_code_list", Severity.ERROR),))


# Absence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "state"),
    [
        ("null-flavor|UNK", State.UNKNOWN),
        ("null-flavor|ASKU", State.DONT_KNOW),
        ("null-flavor|NASK", State.NOT_ASKED),
        ("null-flavor|NA", State.UNKNOWN),
        ("null-flavor|OTH", State.ANSWERED),
        ("data-absent-reason|asked-declined", State.DECLINED),
        ("data-absent-reason|not-applicable", State.UNKNOWN),
        ("survey|blank", State.BLANK),
    ],
)
def test_absent_reasons_of_race(understand: Understand, coding: str, state: State) -> None:
    meaning = understand("race", coding)
    assert (meaning.state, meaning.concepts) == (state, ())


@pytest.mark.parametrize("topic", ["race", "ethnicity", "race_ethnicity"])
def test_race_is_never_not_applicable(vocabulary: Vocabulary, understand: Understand, topic: str) -> None:
    """No race state may shrink a denominator."""
    for row in vocabulary.tables.rows("codes/absent_reasons.csv"):
        assert understand(topic, f"{row['system']}|{row['code']}").state is not State.NOT_APPLICABLE
    for letter in vocabulary.codes.x12_1109:
        assert understand(topic, f"1109|{letter}").state is not State.NOT_APPLICABLE


def test_the_most_telling_absence_counts(understand: Understand) -> None:
    assert understand("race", "null-flavor|UNK", "data-absent-reason|asked-declined").state is State.DECLINED
    assert understand("race", "null-flavor|UNK", "null-flavor|ASKU").state is State.DONT_KNOW
    assert understand("race", "null-flavor|UNK", "cdcrec|2106-4").state is State.INVALID


def test_declined_beside_asked_but_unknown_says_more(understand: Understand) -> None:
    assert understand("race", "null-flavor|ASKU", text="Declined to answer").state is State.DECLINED
    assert understand("race", "null-flavor|ASKU").state is State.DONT_KNOW  # declined is never invented


def test_other_words_beside_an_absence_decide_nothing(understand: Understand) -> None:
    meaning = understand("race", "null-flavor|UNK", text="see chart")
    assert (meaning.state, meaning.text) == (State.UNKNOWN, "")
    assert meaning.problems == (("text_beside_absence", Severity.INFO),)


def test_a_text_that_repeats_the_display_says_nothing_new(understand: Understand) -> None:
    meaning = understand("race", Coding("null-flavor", "UNK", "nothing on file here"), text="Nothing on file here")
    assert (meaning.state, meaning.problems) == (State.UNKNOWN, ())


def test_an_answer_beside_an_absence_stays_with_a_warning(understand: Understand) -> None:
    meaning = understand("race", "cdcrec|2106-3", "null-flavor|UNK")
    assert (meaning.state, codes(meaning)) == (State.ANSWERED, ["2106-3"])
    assert meaning.problems == (("answer_and_absence", Severity.WARNING),)


def test_an_illegal_code_beside_an_answer_is_no_absence(understand: Understand) -> None:
    assert problems(understand("race", "cdcrec|2106-3", "1109|X")) == ["not_in_code_list"]


# Text beside codes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("White", ""),
        ("white; ASIAN", ""),
        ("Asian, White", ""),
        ("White; Asian; Kurdish", "Kurdish"),
        ("White; Asian; Kurdish; Yemeni", "Kurdish; Yemeni"),
        ("White, Asian and Kurdish", "White, Asian and Kurdish"),
        ("White;", ""),
        ("   ", ""),
    ],
)
def test_text_beside_codes_is_kept_where_it_says_more(understand: Understand, text: str, kept: str) -> None:
    meaning = understand("race", "cdcrec|2106-3", "cdcrec|2028-9", text=text)
    assert (codes(meaning), meaning.text, meaning.wording) == (["2106-3", "2028-9"], kept, text.strip())


def test_the_words_of_other_are_the_answer(understand: Understand) -> None:
    meaning = understand("race", "null-flavor|OTH", text="Kurdish")
    assert (meaning.state, meaning.text) == (State.ANSWERED, "Kurdish")


@pytest.mark.parametrize(
    ("codings", "told"),
    [
        ((("1109", "H"), ("RET", "2186-5")), True),
        ((("1109", "H"), ("1109", "N")), True),
        ((("RET", "2148-5"), ("RET", "2186-5")), True),
        ((("1109", "H"), ("RET", "2135-2")), False),
        ((("1109", "C"), ("RET", "2186-5")), False),
        ((("1109", "A"), ("1109", "P")), False),
    ],
)
def test_hispanic_and_not_hispanic_in_one_value(codings: tuple[tuple[str, str], ...], told: bool) -> None:
    value = Received("race_ethnicity", "x12.dmg05", tuple(Coding(*coding) for coding in codings))
    meaning = Vocabulary().meaning(value)
    assert (("contradiction", Severity.WARNING) in meaning.problems) is told
    assert meaning.state is State.ANSWERED
    assert len(meaning.concepts) >= 1 + told
