"""Names and orders come from the tables; what they do not know stays as it is."""

from __future__ import annotations

from fhir_equity.reports import labels


def test_topics_by_name() -> None:
    assert labels.topic("race_ethnicity") == "Race and ethnicity"
    assert labels.topic("shoe_size") == "shoe_size"


def test_topics_in_the_order_of_the_table_then_the_unknown() -> None:
    met = ["zebra", "sex", "ant", "language_spoken", "race_ethnicity"]
    assert labels.topics(met) == ["race_ethnicity", "language_spoken", "sex", "ant", "zebra"]


def test_languages() -> None:
    assert labels.is_language("language_written")
    assert not labels.is_language("race_ethnicity")
    assert not labels.is_language("shoe_size")
    assert labels.language({"languages": {"es": "Spanish"}}, "es") == "Spanish (es)"
    assert labels.language({"languages": {"es": "Spanish"}}, "en") == "en"
    assert labels.language({}, "en") == "en"


def test_the_seven_categories_of_2024_even_when_nobody_has_them() -> None:
    assert labels.omb2024(["Zeta", "White"]) == [
        "American Indian or Alaska Native",
        "Asian",
        "Black or African American",
        "Hispanic or Latino",
        "Middle Eastern or North African",
        "Native Hawaiian or Pacific Islander",
        "White",
        "Zeta",
    ]


def test_the_two_questions_of_1997() -> None:
    assert labels.omb1997("ethnicity", []) == ["Hispanic or Latino", "Not Hispanic or Latino"]
    assert labels.omb1997("race", ["Zeta"])[-2:] == ["Other Race", "Zeta"]
