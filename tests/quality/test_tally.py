"""Counts: exact for a few people, mergeable for any, and every column adds up."""

from __future__ import annotations

from collections import Counter
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_equity.model import Coding, Event, Origin, Received, Resolution
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.document import body
from fhir_equity.quality.tally import RACE, Counting, Tally

Person = dict[str, Resolution]


@cache
def workspace() -> Workspace:
    return Workspace(as_of="2026-01-01")


def received(topic: str, *codes: str, text: str = "") -> Received:
    system = "bcp47" if topic.startswith("language") else "cdcrec"
    return Received(topic, "test", tuple(Coding(system, code) for code in codes), text, "|".join(codes) or text)


def person(*said: Received, method: str = "self", standard: str = "", collector: str = "plan", on: str = "") -> Person:
    topics = workspace().vocabulary().codes.topics
    matters: dict[str, list[Received]] = {}
    for each in said:
        matters.setdefault(topics[each.topic].matter, []).append(each)
    origin = Origin("plan", "a", collector, method, standard, collected_on=on)
    return workspace().resolutions("", [Event(tuple(each), origin, "2026-01-01") for each in matters.values()])


def tally(people: list[tuple[Person, int]]) -> Tally:
    counting, counted = Counting(workspace().vocabulary(), "2026-01-01"), Tally()
    for each, count in people:
        counting.add(counted, each, lambda _: workspace().vocabulary().meaning, count)
    return counted


def race_views(counted: Tally) -> dict[tuple[str, ...], int]:
    return {key: n for key, n in counted.items() if key[0].startswith("omb")}


def test_nobody_and_somebody_of_whom_nothing_is_known() -> None:
    assert tally([]) == Counter()
    assert tally([({}, 3)]) == {("population",): 3}


def test_one_person_with_one_race() -> None:
    assert tally([(person(received("race_ethnicity", "2034-7"), standard="omb2024"), 2)]) == {
        ("population",): 2,
        ("state", RACE, "answered"): 2,
        ("source", RACE, "plan/self", "answered"): 2,
        ("question", RACE, ""): 2,
        ("method", RACE, "self"): 2,
        ("age", RACE, "0"): 2,
        ("undated", RACE): 2,
        ("detailed", RACE): 2,
        ("group", "2034-7"): 2,
        ("omb2024", "answered"): 2,
        ("omb2024", "any", "Asian"): 2,
        ("omb2024", "alone", "Asian"): 2,
        ("omb1997", "race", "Asian"): 2,
        ("omb1997", "alone", "Asian"): 2,
        ("omb1997", "ethnicity", "Not Hispanic or Latino"): 2,
        ("omb1997", "bridged"): 2,
    }


def test_two_categories_are_multiracial_and_neither_is_alone() -> None:
    views = race_views(tally([(person(received("race_ethnicity", "2054-5", "2135-2")), 1)]))
    assert views == {
        ("omb2024", "answered"): 1,
        ("omb2024", "any", "Black or African American"): 1,
        ("omb2024", "any", "Hispanic or Latino"): 1,
        ("omb2024", "multiracial_or_multiethnic"): 1,
        ("omb2024", "combination", "Black or African American", "Hispanic or Latino"): 1,
        ("omb1997", "alone", "Black or African American"): 1,
        ("omb1997", "race", "Black or African American"): 1,
        ("omb1997", "ethnicity", "Hispanic or Latino"): 1,
    }


def test_an_answer_without_a_category_and_one_that_cannot_be_bridged() -> None:
    views = race_views(tally([(person(received("race_ethnicity", text="Purple Martian")), 1)]))
    assert views == {
        ("omb2024", "answered"): 1,
        ("omb2024", "without_category"): 1,
        ("omb1997", "cannot_be_bridged"): 1,
    }


def test_a_refusal_has_a_method_and_no_view() -> None:
    assert tally([(person(received("race_ethnicity", text="Prefer not to answer"), method="unstated"), 1)]) == {
        ("population",): 1,
        ("state", RACE, "declined"): 1,
        ("source", RACE, "plan/unstated", "declined"): 1,
        ("method", RACE, "unstated"): 1,
        ("question", RACE, ""): 1,
    }


def test_an_unknown_has_a_source_and_no_method() -> None:
    assert tally([(person(received("race_ethnicity", text="Unknown"), collector="hie"), 1)]) == {
        ("population",): 1,
        ("state", RACE, "unknown"): 1,
        ("source", RACE, "hie/self", "unknown"): 1,
    }


def test_values_of_a_language_and_one_that_no_code_has() -> None:
    counted = tally(
        [
            (person(received("language_spoken", "es")), 4),
            (person(received("language_spoken", "en")), 1),
            (person(received("language_spoken", text="Atlantean of old")), 2),
        ]
    )
    assert {key: n for key, n in counted.items() if key[0] in ("value", "unmapped")} == {
        ("value", "language_spoken", "es"): 4,
        ("value", "language_spoken", "en"): 1,
        ("unmapped", "language_spoken"): 2,
    }


def test_a_provisional_answer_is_counted_as_such() -> None:
    events = [
        Event((received("race", code),), Origin("plan", collector="plan"), "2026-01-01")
        for code in ("2106-3", "2054-5")
    ]
    counted = tally([(workspace().resolutions("", events), 5)])
    assert counted[("provisional", RACE)] == 5


def test_keys_are_plain_words() -> None:
    counted = tally([(person(received("race", "2106-3")), 1)])
    assert {type(word) for key in counted for word in key} == {str}


CODES = ("2106-3", "2054-5", "2028-9", "2034-7", "1002-5", "2076-8", "2118-8", "2135-2", "2148-5", "2186-5", "2131-1")
TEXTS = ("Prefer not to answer", "Unknown", "Purple Martian", "Don't know", "%%%")
RACES = st.builds(
    lambda topic, codes: received(topic, *codes),
    st.sampled_from(["race_ethnicity", "race", "ethnicity"]),
    st.lists(st.sampled_from(CODES), min_size=1, max_size=3, unique=True),
)
WORDS = st.builds(
    lambda topic, text: received(topic, text=text),
    st.sampled_from(["race_ethnicity", "race", "language_spoken", "gender_identity", "sex"]),
    st.sampled_from(TEXTS),
)
LANGUAGES = st.builds(
    lambda topic, code: received(topic, code),
    st.sampled_from(["language_spoken", "language_written"]),
    st.sampled_from(["en", "es", "zh-Hant", "ase"]),
)
PEOPLE = st.lists(
    st.tuples(
        st.builds(
            lambda said, method, standard: person(*said, method=method, standard=standard),
            st.lists(RACES | WORDS | LANGUAGES, max_size=4, unique=True),
            st.sampled_from(["self", "unstated", "observed"]),
            st.sampled_from(["", "omb1997", "omb2024"]),
        ),
        st.integers(1, 9),
    ),
    max_size=6,
)


@settings(deadline=None)
@given(PEOPLE, PEOPLE)
def test_tallies_merge(some: list[tuple[Person, int]], others: list[tuple[Person, int]]) -> None:
    assert tally(some) + tally(others) == tally(some + others)


@settings(deadline=None)
@given(PEOPLE)
def test_counting_several_people_at_once_is_counting_them_one_by_one(people: list[tuple[Person, int]]) -> None:
    assert tally([(each, 1) for each, count in people for _ in range(count)]) == tally(people)


@settings(deadline=None)
@given(PEOPLE)
def test_every_column_adds_up(people: list[tuple[Person, int]]) -> None:
    counted = tally(people)
    matters = dict.fromkeys(topic.matter for topic in workspace().vocabulary().codes.topics.values())
    document = body(counted, matters)
    assert document["population"] == sum(count for _, count in people)
    for topic in document["topics"].values():
        assert sum(topic["states"].values()) == document["population"]
        known = document["population"] - topic["states"].get("unknown", 0)
        assert sum(topic["methods"].values()) == known
        assert sum(source["population"] for source in topic["sources"]) <= document["population"]
    new, old = document["views"]["omb2024"], document["views"]["omb1997"]
    race = document["topics"][RACE]
    assert new["answered"] == race["states"].get("answered", 0)
    alone = sum(category["alone"] for category in new["categories"].values())
    assert alone + new["multiracial_or_multiethnic"] + new["without_category"] == new["answered"]
    assert all(category["alone"] <= category["any"] <= new["answered"] for category in new["categories"].values())
    assert race["detailed"] <= new["answered"]
    assert sum(old["ethnicity"].values()) <= new["answered"]
    assert max(old["bridged"], old["cannot_be_bridged"], old["lost_multiracial"]) <= new["answered"]
