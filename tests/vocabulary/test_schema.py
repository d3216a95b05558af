"""The OMB 2024 and OMB 1997 views: what rolls up, what is bridged, what is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_equity.model import Meaning
from fhir_equity.vocabulary import View1997, View2024, Vocabulary

Understand = Callable[..., Meaning]

ASIAN, BLACK, WHITE = "Asian", "Black or African American", "White"
HISPANIC, MENA = "Hispanic or Latino", "Middle Eastern or North African"
NHPI_1997 = "Native Hawaiian or Other Pacific Islander"
MENA_CODES = ["2118-8", "2120-4", "2121-2", "2122-0", "2123-8", "2124-6", "2125-3", "2127-9"]


def test_the_seven_categories_in_their_order(vocabulary: Vocabulary) -> None:
    assert vocabulary.schema.categories == (
        "American Indian or Alaska Native",
        ASIAN,
        BLACK,
        HISPANIC,
        MENA,
        "Native Hawaiian or Pacific Islander",
        WHITE,
    )


def test_nothing_is_nothing(vocabulary: Vocabulary) -> None:
    assert vocabulary.schema.omb2024([]) == View2024()
    assert vocabulary.schema.omb1997([]) == View1997()


@pytest.mark.parametrize("code", MENA_CODES)
def test_mena_is_its_own_category_now_and_was_white(vocabulary: Vocabulary, understand: Understand, code: str) -> None:
    meaning = understand("race_ethnicity", f"cdcrec|{code}")
    assert vocabulary.schema.omb2024([meaning]) == View2024((MENA,), detailed=code != "2118-8")
    assert vocabulary.schema.omb1997([meaning]) == View1997(race=(WHITE,), bridged=True)


def test_mena_and_white_become_white_alone_and_that_is_lost(vocabulary: Vocabulary, understand: Understand) -> None:
    meaning = understand("race_ethnicity", "cdcrec|2118-8", "cdcrec|2106-3")
    assert vocabulary.schema.omb2024([meaning]).categories == (MENA, WHITE)
    assert vocabulary.schema.omb1997([meaning]) == View1997(race=(WHITE,), bridged=True, lost_multiracial=True)


@pytest.mark.parametrize("code", ["2126-1", "2119-6", "2129-5"])
def test_rows_under_review_stay_unrolled(vocabulary: Vocabulary, understand: Understand, code: str) -> None:
    view = vocabulary.schema.omb2024([understand("race_ethnicity", f"cdcrec|{code}")])
    assert view == View2024((), detailed=True)


def test_hispanic_alone_is_complete(vocabulary: Vocabulary, understand: Understand) -> None:
    meaning = understand("race_ethnicity", "cdcrec|2135-2")
    assert vocabulary.schema.omb2024([meaning], "omb2024") == View2024((HISPANIC,))
    assert vocabulary.schema.omb1997([meaning], "omb2024") == View1997(ethnicity=HISPANIC, cannot_be_bridged=True)


def test_hispanic_alone_in_the_old_question_leaves_the_race_open(
    vocabulary: Vocabulary, understand: Understand
) -> None:
    meaning = understand("ethnicity", "cdcrec|2135-2")
    assert vocabulary.schema.omb1997([meaning]) == View1997(ethnicity=HISPANIC)


@pytest.mark.parametrize("standard", ["", "omb1997", "omb2024"])
def test_not_hispanic_is_derived_from_a_2024_question_only(
    vocabulary: Vocabulary, understand: Understand, standard: str
) -> None:
    view = vocabulary.schema.omb1997([understand("race_ethnicity", "cdcrec|2106-3")], standard)
    derived = standard == "omb2024"
    assert view == View1997(race=(WHITE,), ethnicity="Not Hispanic or Latino" if derived else "", bridged=derived)


def test_not_hispanic_needs_another_category(vocabulary: Vocabulary, understand: Understand) -> None:
    for meaning in (understand("race_ethnicity", "null-flavor|UNK"), understand("race_ethnicity", text="Kurdish")):
        assert vocabulary.schema.omb1997([meaning], "omb2024").ethnicity == ""


def test_not_hispanic_as_stated_is_not_bridged(vocabulary: Vocabulary, understand: Understand) -> None:
    meaning = understand("race_ethnicity", "1109|N")
    assert vocabulary.schema.omb2024([meaning]).categories == (BLACK,)
    assert vocabulary.schema.omb1997([meaning]) == View1997(race=(BLACK,), ethnicity="Not Hispanic or Latino")


@pytest.mark.parametrize("code", ["2135-2", "2148-5", "2149-3", "2153-5"])
def test_every_hispanic_origin_is_hispanic_under_1997(
    vocabulary: Vocabulary, understand: Understand, code: str
) -> None:
    """Under review or not: the tree of CDCREC is the one of 1997."""
    assert vocabulary.schema.omb1997([understand("ethnicity", f"cdcrec|{code}")]).ethnicity == HISPANIC


def test_hispanic_wins_over_its_denial(vocabulary: Vocabulary, understand: Understand) -> None:
    meaning = understand("ethnicity", "cdcrec|2186-5", "cdcrec|2135-2")
    assert vocabulary.schema.omb1997([meaning]).ethnicity == HISPANIC


def test_chinese_and_korean_is_asian_alone(vocabulary: Vocabulary, understand: Understand) -> None:
    meaning = understand("race_ethnicity", "cdcrec|2034-7", "cdcrec|2040-4")
    assert vocabulary.schema.omb2024([meaning]) == View2024((ASIAN,), detailed=True)


def test_two_minimum_categories_are_two(vocabulary: Vocabulary, understand: Understand) -> None:
    """Multiracial and/or Multiethnic is a bucket of a report: more than one category, never an answer."""
    meaning = understand("race_ethnicity", "cdcrec|2028-9", "cdcrec|2135-2")
    assert vocabulary.schema.omb2024([meaning]) == View2024((ASIAN, HISPANIC))
    words = understand("race_ethnicity", "wording|Multiracial and/or Multiethnic")
    assert vocabulary.schema.omb2024([words]) == View2024()
    assert words.text == "Multiracial and/or Multiethnic"


def test_other_race_counts_under_1997_only(vocabulary: Vocabulary, understand: Understand) -> None:
    meaning = understand("race_ethnicity", "1109|E")
    assert vocabulary.schema.omb2024([meaning]) == View2024()
    assert vocabulary.schema.omb1997([meaning]) == View1997(other_race=True)


@pytest.mark.parametrize("letter", ["A", "F"])
def test_asian_or_pacific_islander_is_in_neither_view(
    vocabulary: Vocabulary, understand: Understand, letter: str
) -> None:
    meaning = understand("race_ethnicity", f"1109|{letter}")
    assert vocabulary.schema.omb2024([meaning]) == View2024()
    assert vocabulary.schema.omb1997([meaning]) == View1997(cannot_be_bridged=True)


def test_pacific_islanders_have_two_labels(vocabulary: Vocabulary, understand: Understand) -> None:
    meaning = understand("race_ethnicity", "cdcrec|2076-8")
    assert vocabulary.schema.omb2024([meaning]).categories == ("Native Hawaiian or Pacific Islander",)
    assert vocabulary.schema.omb1997([meaning]).race == (NHPI_1997,)


def test_a_white_that_only_carries_a_mena_detail_is_dropped(vocabulary: Vocabulary, understand: Understand) -> None:
    """A 1997 race question has no MENA box, so the pair is one answer there and two elsewhere."""
    pair = ("cdcrec|2106-3", "cdcrec|2123-8")
    schema = vocabulary.schema
    assert schema.omb2024([understand("race", *pair, text="Lebanese")]).categories == (MENA,)
    assert schema.omb2024([understand("race", *pair, text="White; Lebanese")]).categories == (MENA, WHITE)
    assert schema.omb2024([understand("race", *pair)], "omb2024").categories == (MENA, WHITE)
    assert schema.omb2024([understand("race_ethnicity", *pair)]).categories == (MENA, WHITE)
    assert schema.omb2024([understand("race", "cdcrec|2106-3", "cdcrec|2034-7")]).categories == (ASIAN, WHITE)


def test_a_1997_event_is_two_questions(vocabulary: Vocabulary, understand: Understand) -> None:
    event = [understand("race", "cdcrec|2034-7"), understand("ethnicity", "cdcrec|2148-5")]
    assert vocabulary.schema.omb2024(event, "omb1997") == View2024((ASIAN, HISPANIC), detailed=True)
    assert vocabulary.schema.omb1997(event, "omb1997") == View1997(race=(ASIAN,), ethnicity=HISPANIC)


def test_details_say_more_than_either_standard(vocabulary: Vocabulary) -> None:
    is_detail = vocabulary.schema.is_detail
    categories = ("2106-3", "2118-8", "2131-1", "2135-2", "2186-5", "2076-8")
    assert not any(is_detail(code) for code in categories)
    assert all(is_detail(code) for code in ("2123-8", "2148-5", "2034-7", "2129-5"))
