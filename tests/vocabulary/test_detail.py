"""Which of two answers says the same, and more. Race and ethnicity as a policy meets them: tests/survivorship."""

from __future__ import annotations

import pytest

from fhir_equity.model import Coding, Concept, Meaning, Relationship, State
from fhir_equity.vocabulary import Vocabulary

DETAIL = Vocabulary().detail
WHITE, EUROPEAN, GERMAN, LEBANESE, ASIAN, CHINESE = "2106-3", "2108-9", "2111-3", "2123-8", "2028-9", "2034-7"


def said(topic: str, *codes: str, text: str = "", system: str = "cdcrec", state: State = State.ANSWERED) -> Meaning:
    concepts = tuple(Concept(Coding(system, code), Relationship.EQUIVALENT, code) for code in codes)
    return Meaning(topic, state, concepts, text)


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ((GERMAN,), (EUROPEAN,)),
        ((GERMAN,), (WHITE,)),
        ((CHINESE, GERMAN), (ASIAN, WHITE)),
        ((CHINESE, WHITE), (ASIAN, WHITE)),
        ((ASIAN, CHINESE), (ASIAN,)),
        ((LEBANESE,), (WHITE,)),
    ],
)
def test_a_code_below_another_says_more(more: tuple[str, ...], less: tuple[str, ...]) -> None:
    one, other = [said("race", *more)], [said("race", *less)]
    assert DETAIL.says_more(one, other, "omb1997")
    assert not DETAIL.says_more(other, one, "omb1997")
    assert DETAIL.says_more(one, other, "omb2024") == (LEBANESE not in more)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((ASIAN,), (ASIAN,)),
        ((CHINESE,), (WHITE,)),
        ((CHINESE, WHITE), (ASIAN,)),  # something else beside it
        ((CHINESE,), (ASIAN, WHITE)),  # something less
        ((CHINESE,), ()),
    ],
)
def test_what_says_the_same_or_something_else_says_no_more(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert not DETAIL.says_more([said("race", *one)], [said("race", *other)], "")
    assert not DETAIL.says_more([said("race", *other)], [said("race", *one)], "")


def test_two_answers_that_mean_the_same_in_other_codes_are_no_circle() -> None:
    one, other = [said("race", WHITE, EUROPEAN, GERMAN)], [said("race", WHITE, GERMAN)]
    assert not DETAIL.says_more(one, other, "")
    assert not DETAIL.says_more(other, one, "")


def test_a_question_that_was_left_out_is_held_against_nobody() -> None:
    both = [said("race", WHITE), said("ethnicity", "2186-5")]
    assert DETAIL.says_more(both, [said("race", WHITE)], "")
    assert DETAIL.says_more(both, [said("race", WHITE), said("ethnicity", state=State.DECLINED)], "")
    assert not DETAIL.says_more([said("race", WHITE)], both, "")
    assert not DETAIL.says_more(both, [said("race", ASIAN)], "")
    assert not DETAIL.says_more(both, [said("race_ethnicity", WHITE)], "")


def test_words_are_compared_as_they_are_and_a_bare_answer_never() -> None:
    coded = [said("race", CHINESE, text="Hakka")]
    assert DETAIL.says_more(coded, [said("race", ASIAN, text="HAKKA")], "")
    assert not DETAIL.says_more(coded, [said("race", ASIAN, text="Min")], "")
    assert not DETAIL.says_more(coded, [said("race", ASIAN)], "")
    assert not DETAIL.says_more([said("race", CHINESE)], [said("race")], "")
    assert not DETAIL.says_more([said("race", CHINESE), said("ethnicity")], [said("race", ASIAN)], "")


def test_a_region_or_script_is_a_detail_of_a_language() -> None:
    def spoken(code: str) -> list[Meaning]:
        return [said("language_spoken", code, system="bcp47")]

    assert DETAIL.says_more(spoken("es-MX"), spoken("es"), "")
    assert DETAIL.says_more(spoken("zh-Hant-TW"), spoken("zh-Hant"), "")
    assert not DETAIL.says_more(spoken("es"), spoken("es-MX"), "")
    assert not DETAIL.says_more(spoken("est"), spoken("es"), "")
    assert not DETAIL.says_more([said("gender", "a-b", system="snomed")], [said("gender", "a", system="snomed")], "")


def test_the_combined_question_is_asked_with_one_topic_and_the_pair_with_two() -> None:
    pair = [said("race", WHITE), said("ethnicity", "2186-5")]
    assert DETAIL.says_as_combined([said("race_ethnicity", WHITE)], pair)
    assert DETAIL.says_as_combined([said("race_ethnicity", LEBANESE)], pair)
    assert not DETAIL.says_as_combined([said("race", WHITE)], pair)
    assert not DETAIL.says_as_combined([said("race_ethnicity", WHITE)], [said("race_ethnicity", WHITE)])
    assert not DETAIL.says_as_combined([said("race_ethnicity", WHITE)], [said("race", state=State.DECLINED)])
    assert not DETAIL.says_as_combined([said("race_ethnicity", state=State.DECLINED)], pair)
