"""What counts under a measure: states, methods, dates, categories, ages; each by one person."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.model import Coding, Concept, Event, Meaning, Origin, Relationship, Resolution, State
from fhir_equity.quality.measures import ALL, Measuring
from fhir_equity.quality.programs import program_from
from fhir_equity.quality.tally import Tally
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

AS_OF = "2026-06-15"
VOCABULARY = Vocabulary(Tables())
HEAD: dict[str, Any] = {"title": "t", "edition": "1", "source": "s", "sure": "verified", "standard": "omb2024"}
MEASURE: dict[str, Any] = {"title": "t", "topic": "race_ethnicity", "source": "s", "sure": "verified"}
WHITE, ASIAN, CHINESE, MENA = "2106-3", "2028-9", "2034-7", "2118-8"


def person(
    *codes: str,
    state: str = "answered",
    method: str = "self",
    collected_on: str = "",
    topic: str = "race_ethnicity",
    text: str = "",
) -> dict[str, Resolution]:
    system = "cdcrec" if topic == "race_ethnicity" else "bcp47"
    concepts = tuple(Concept(Coding(system, code), Relationship.EQUIVALENT, "") for code in codes)
    event = Event((), Origin(method=method, collected_on=collected_on))
    return {topic: Resolution(topic, State(state), (Meaning(topic, State(state), concepts, text),), event)}


def counted(measure: dict[str, Any], decided: dict[str, Resolution], age: str = "") -> str:
    """``n`` for a person in the numerator, ``d`` for the denominator alone, why they are excluded, or nothing."""
    measuring = Measuring(program_from(HEAD | {"measure": {"m": MEASURE | measure}}, "p"), VOCABULARY, AS_OF)
    tally = Tally()
    measuring.add(tally, [(age,)[: measuring.standing.size]], decided, 1)
    if tally["p", ALL, "numerator", "m"]:
        assert tally["p", ALL, "denominator", "m"] == 1
        return "n"
    if tally["p", ALL, "denominator", "m"]:
        return "d"
    return "".join(key[-1] for key in tally if key[2] == "excluded")


@pytest.mark.parametrize(
    ("measure", "decided", "found"),
    [
        ({}, person(WHITE), "n"),
        ({}, person(state="declined"), "d"),
        ({}, {}, "d"),
        ({"states": ["answered", "declined"]}, person(state="declined"), "n"),
        ({"states": ["unknown"]}, {}, "n"),
        ({"methods": ["self", "proxy"]}, person(WHITE, method="proxy"), "n"),
        ({"methods": ["self", "proxy"]}, person(WHITE, method="unstated"), "d"),
        ({"methods": ["self"], "states": ["unknown"]}, {}, "d"),
        ({"excluded": ["declined"]}, person(state="declined"), "declined"),
        ({"excluded": ["declined"]}, person(state="blank"), "d"),
        ({"categories": ["White"]}, person(WHITE, ASIAN), "n"),
        ({"categories": ["White"]}, person(ASIAN), "d"),
        ({"except_categories": ["White"]}, person(WHITE), "d"),
        ({"except_categories": ["White"]}, person(WHITE, ASIAN), "n"),
        ({"except_categories": ["White"]}, person(), "d"),
        ({"without_categories": ["White"]}, person(ASIAN), "n"),
        ({"without_categories": ["White"]}, person(WHITE), "d"),
        ({"without_categories": ["White"]}, person(WHITE, ASIAN), "d"),
        ({"without_categories": ["Asian", "White"]}, person(WHITE), "d"),
        ({"without_categories": ["White"]}, person(), "n"),
        ({"without_categories": ["White"]}, {}, "d"),
        ({"without_categories": ["White"], "states": ["answered", "unknown"]}, {}, "n"),
        ({"several": True}, person(WHITE, ASIAN), "n"),
        ({"several": True}, person(ASIAN, CHINESE), "d"),
        ({"detailed": True}, person(CHINESE), "n"),
        ({"detailed": True}, person(MENA), "d"),
        ({"undated": True}, person(WHITE), "n"),
        ({"undated": True}, person(WHITE, collected_on="2026-01-01"), "d"),
        ({"wordless": True}, person(WHITE), "n"),
        ({"wordless": True}, person(WHITE, text="Quiltfolk"), "d"),
        ({"wordless": True}, person(text="Quiltfolk"), "d"),
        ({"wordless": True}, person(state="declined"), "d"),
        ({"wordless": True, "states": ["declined"]}, person(state="declined"), "n"),
        ({}, person(text="Quiltfolk"), "n"),
        ({"within_days": 365}, person(WHITE, collected_on="2025-06-15"), "n"),
        ({"within_days": 365}, person(WHITE, collected_on="2025-06-14"), "d"),
        ({"within_days": 365}, person(WHITE), "d"),
        ({"within_days": 365}, person(WHITE, collected_on=AS_OF), "n"),
        ({"within_days": 365}, person(WHITE, collected_on="2026-06-16"), "d"),
        ({"among": {"topic": "race_ethnicity"}}, person(state="declined"), ""),
        ({"among": {"topic": "language_spoken"}}, person(WHITE), ""),
        ({"among": {"topic": "language_spoken"}}, person(WHITE) | person("en", topic="language_spoken"), "n"),
        ({"kind": "not_computed", "note": "why"}, person(WHITE), ""),
    ],
)
def test_one_person(measure: dict[str, Any], decided: dict[str, Resolution], found: str) -> None:
    assert counted(measure, decided) == found


@pytest.mark.parametrize(
    ("ages", "band", "found"),
    [
        ((12, None), "000", "age"),
        ((12, None), "001", "n"),
        ((12, None), "", "n"),  # nobody knows how old: counts
        ((0, 17), "000", "n"),
        ((0, 17), "001", "age"),
        ((12, 17), "000", "age"),
        ((12, 17), "001", "n"),
        ((12, 17), "002", "age"),
        ((0, 0), "000", "n"),
        ((0, 0), "001", "age"),
    ],
)
def test_ages(ages: tuple[int, int | None], band: str, found: str) -> None:
    assert counted({"age_from": ages[0], "age_to": ages[1]}, person(WHITE), band) == found


def test_values_are_counted_where_a_measure_is_of_them() -> None:
    measure = MEASURE | {"kind": "frequency"}
    measuring = Measuring(program_from(HEAD | {"measure": {"m": measure}}, "p"), VOCABULARY, AS_OF)
    tally = Tally()
    for decided, count in ((person(WHITE, ASIAN), 2), (person(ASIAN), 3), (person(state="declined"), 4)):
        measuring.add(tally, [()], decided, count)
    assert tally["p", ALL, "denominator", "m"] == 9
    assert {key[-1]: n for key, n in tally.items() if key[2] == "value"} == {"White": 2, "Asian": 5}


def test_what_is_remembered_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_equity.quality.measures.MOST", 1)
    measuring = Measuring(program_from(HEAD | {"measure": {"m": MEASURE}}, "p"), VOCABULARY, AS_OF)
    tally = Tally()
    for decided in (person(WHITE), person(state="declined"), person(WHITE), {}):
        measuring.add(tally, [()], decided, 1)
    assert (tally["p", ALL, "numerator", "m"], tally["p", ALL, "denominator", "m"]) == (2, 4)


@pytest.mark.parametrize(("collected_on", "stale"), [("2025-06-14", 1), ("2025-06-15", 0), ("2026-06-16", 0), ("", 0)])
def test_only_what_was_collected_before_is_called_old(collected_on: str, stale: int) -> None:
    """Nobody collects after the day of the run: such a date says neither that an answer is new nor that it is old."""
    measuring = Measuring(
        program_from(HEAD | {"measure": {"m": MEASURE | {"within_days": 365}}}, "p"), VOCABULARY, AS_OF
    )
    tally = Tally()
    measuring.add(tally, [()], person(WHITE, collected_on=collected_on), 1)
    assert tally["p", ALL, "stale", "m"] == stale
