"""A tally as the audit document lays it out."""

from __future__ import annotations

from fhir_equity.quality.document import SCHEMA, body
from fhir_equity.quality.tally import RACE, Tally

EMPTY_VIEWS = {
    "omb2024": {
        "answered": 0,
        "categories": {},
        "combinations": [],
        "multiracial_or_multiethnic": 0,
        "without_category": 0,
    },
    "omb1997": {
        "race": {},
        "alone": {},
        "more_than_one_race": 0,
        "ethnicity": {},
        "bridged": 0,
        "cannot_be_bridged": 0,
        "lost_multiracial": 0,
        "other_race": 0,
    },
    "detailed": {},
}
LANGUAGE = {
    "states": {}, "methods": {}, "values": {}, "unmapped": 0, "ages": {}, "undated": 0, "provisional": 0, "sources": [],
    "questions": {}, "settled": {},
}  # fmt: skip
MATTERS = (RACE, "language_spoken", "language_written", "gender_identity", "sex")


def test_the_schema_has_a_name() -> None:
    assert SCHEMA == "fhir-equity/audit/1"


def test_nobody() -> None:
    assert body(Tally(), MATTERS) == {
        "population": 0,
        "topics": {
            RACE: {
                "states": {}, "methods": {}, "detailed": 0, "ages": {}, "undated": 0, "provisional": 0, "sources": [],
                "questions": {}, "settled": {},
            },
            "language_spoken": LANGUAGE,
            "language_written": LANGUAGE,
        },
        "views": EMPTY_VIEWS,
    }  # fmt: skip


def test_people_of_whom_nothing_was_said_are_unknown() -> None:
    counted = Tally({("population",): 5, ("state", RACE, "answered"): 2, ("state", RACE, "unknown"): 1})
    topics = body(counted, MATTERS)["topics"]
    assert topics[RACE]["states"] == {"answered": 2, "unknown": 3}
    assert topics["language_spoken"]["states"] == {"unknown": 5}


def test_other_topics_are_shown_when_something_is_known_of_them() -> None:
    counted = Tally({("population",): 2, ("state", "gender_identity", "unknown"): 2, ("state", "sex", "declined"): 1})
    topics = body(counted, MATTERS)["topics"]
    assert list(topics) == [RACE, "language_spoken", "language_written", "sex"]
    assert topics["sex"]["states"] == {"declined": 1, "unknown": 1}


def test_a_whole_topic() -> None:
    counted = Tally(
        {
            ("population",): 9,
            ("state", "language_spoken", "answered"): 7,
            ("state", "language_spoken", "blank"): 2,
            ("method", "language_spoken", "unstated"): 4,
            ("method", "language_spoken", "self"): 5,
            ("value", "language_spoken", "es"): 1,
            ("value", "language_spoken", "zh"): 3,
            ("value", "language_spoken", "en"): 3,
            ("value", "language_written", "fr"): 1,
            ("unmapped", "language_spoken"): 1,
            ("age", "language_spoken", "5+"): 3,
            ("age", "language_spoken", "1"): 4,
            ("undated", "language_spoken"): 6,
            ("provisional", "language_spoken"): 2,
            ("question", "language_spoken", "form 7 v2"): 5,
            ("question", "language_spoken", ""): 4,
            ("settled", "language_spoken", "method"): 2,
            ("source", "language_spoken", "plan/self", "answered"): 5,
            ("source", "language_spoken", "hie/unstated", "answered"): 2,
            ("source", "language_spoken", "hie/unstated", "blank"): 2,
        }
    )
    topic = body(counted, MATTERS)["topics"]["language_spoken"]
    assert topic == {
        "states": {"answered": 7, "blank": 2},
        "methods": {"self": 5, "unstated": 4},
        "values": {"en": 3, "zh": 3, "es": 1},
        "unmapped": 1,
        "ages": {"1": 4, "5+": 3},
        "undated": 6,
        "provisional": 2,
        "sources": [
            {"source": "hie/unstated", "population": 4, "states": {"answered": 2, "blank": 2}},
            {"source": "plan/self", "population": 5, "states": {"answered": 5}},
        ],
        "questions": {"form 7 v2": 5, "": 4},
        "settled": {"method": 2},
    }
    assert list(topic["values"]) == ["en", "zh", "es"]  # most first


def test_the_views() -> None:
    counted = Tally(
        {
            ("population",): 5,
            ("detailed", RACE): 2,
            ("omb2024", "answered"): 5,
            ("omb2024", "any", "Asian"): 2,
            ("omb2024", "any", "White"): 3,
            ("omb2024", "alone", "White"): 2,
            ("omb2024", "multiracial_or_multiethnic"): 6,
            ("omb2024", "combination", "Asian", "White"): 1,
            ("omb2024", "combination", "Asian", "Black or African American"): 1,
            ("omb2024", "combination", "Hispanic or Latino", "White"): 4,
            ("group", "2034-7"): 1,
            ("group", "2029-7"): 2,
            ("omb1997", "alone", "Asian"): 2,
            ("omb1997", "more_than_one_race"): 1,
            ("omb2024", "without_category"): 2,
            ("omb1997", "race", "Asian"): 2,
            ("omb1997", "ethnicity", "Hispanic or Latino"): 3,
            ("omb1997", "bridged"): 4,
            ("omb1997", "cannot_be_bridged"): 1,
            ("omb1997", "lost_multiracial"): 1,
        }
    )
    document = body(counted, MATTERS)
    assert document["topics"][RACE]["detailed"] == 2
    assert document["views"] == {
        "omb2024": {
            "answered": 5,
            "categories": {"White": {"any": 3, "alone": 2}, "Asian": {"any": 2, "alone": 0}},
            "combinations": [
                {"categories": ["Hispanic or Latino", "White"], "count": 4},
                {"categories": ["Asian", "Black or African American"], "count": 1},
                {"categories": ["Asian", "White"], "count": 1},
            ],
            "multiracial_or_multiethnic": 6,
            "without_category": 2,
        },
        "omb1997": {
            "race": {"Asian": 2},
            "alone": {"Asian": 2},
            "more_than_one_race": 1,
            "ethnicity": {"Hispanic or Latino": 3},
            "bridged": 4,
            "cannot_be_bridged": 1,
            "lost_multiracial": 1,
            "other_race": 0,
        },
        "detailed": {"2029-7": 2, "2034-7": 1},
    }
