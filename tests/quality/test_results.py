"""What was counted under a program, as the audit document lays it out: exact limits, tables that add up."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.errors import FatalError
from fhir_equity.model import Coding, Concept, Event, Meaning, Method, Origin, Relationship, Resolution, State
from fhir_equity.quality.measures import ALL, Measuring
from fhir_equity.quality.programs import program_from, programs_from
from fhir_equity.quality.results import dissimilarity, result
from fhir_equity.quality.tally import Tally
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

AS_OF = "2026-06-15"
HEAD: dict[str, Any] = {"title": "t", "edition": "1", "source": "s", "sure": "verified"}
MEASURE: dict[str, Any] = {"title": "t", "topic": "race", "source": "s", "sure": "verified"}
VOCABULARY = Vocabulary(Tables())


def row(numerator: int, denominator: int, **measure: Any) -> dict[str, Any]:
    program = program_from(HEAD | {"measure": {"m": MEASURE | measure}}, "p")
    counts = {("p", ALL, "denominator", "m"): denominator, ("p", ALL, "numerator", "m"): numerator}
    (found,) = result(program, Tally(counts), AS_OF)["rows"]
    return dict(found)


@pytest.mark.parametrize(
    ("numerator", "denominator", "at_least", "met", "more"),
    [
        (1, 5, 0.2, True, 0),
        (1, 6, 0.2, False, 1),
        (199, 1000, 0.2, False, 1),
        (200, 1000, 0.2, True, 0),
        (7, 10, 0.7, True, 0),
        (0, 3, 0.8, False, 3),
        (0, 0, 0.8, None, 0),
        (29, 100, 0.29, True, 0),
    ],
)
def test_limits_are_exact(numerator: int, denominator: int, at_least: float, met: bool | None, more: int) -> None:
    found = row(numerator, denominator, at_least=at_least)
    assert (found["met"], found["more"], found["threshold"]) == (met, more, at_least)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 100))
def test_so_many_more_and_not_one_less_reach_the_limit(known: int, others: int, percent: int) -> None:
    people, limit = known + others, percent / 100
    more = row(known, people, at_least=limit)["more"]
    assert people == 0 or row(known + more, people, at_least=limit)["met"]
    assert more == 0 or not row(known + more - 1, people, at_least=limit)["met"]


def test_a_range() -> None:
    limits = {"at_least": 0.01, "at_most": 0.9, "compliance_at_most": 0.5}
    assert [row(n, 100, **limits)["met"] for n in (0, 1, 90, 91)] == [False, True, True, False]
    assert [row(n, 100, **limits)["compliant"] for n in (50, 51)] == [True, False]
    assert row(5, 100, at_most=0.1)["threshold"] == 0.1
    assert row(5, 100, at_most=0.1)["more"] is None
    assert row(5, 100, **limits, categories=["White"])["more"] is None  # nobody is asked to be White


def test_of_nobody_nothing_is_decided_where_the_program_says_what_that_means() -> None:
    measure = {"at_most": 0.1, "nobody": "no one has it"}
    told = [row(n, of, **measure) for n, of in ((0, 0), (0, 1), (1, 1))]
    assert [(each["nobody"], each["decides"], each["met"]) for each in told] == [
        ("no one has it", False, None),
        ("", True, True),
        ("", True, False),
    ]
    assert [row(0, 0, at_most=0.1)[name] for name in ("nobody", "decides", "met")] == ["", True, None]
    assert row(0, 3, at_least=0.5, without_categories=["White"])["more"] is None
    other = {"title": "t", "topic": "ethnicity", "source": "s", "sure": "verified", "at_most": 0.5}
    program = program_from(HEAD | {"measure": {"m": MEASURE | measure, "o": other}}, "p")
    counts: dict[tuple[str, ...], int] = {("p", ALL, "denominator", "o"): 4, ("p", ALL, "numerator", "o"): 2}
    assert result(program, Tally(counts), AS_OF)["met"] is True
    assert result(program, Tally({**counts, ("p", ALL, "numerator", "o"): 3}), AS_OF)["met"] is False
    assert result(program, Tally({("p", ALL, "denominator", "m"): 1, **counts}), AS_OF)["met"] is True


def test_nothing_is_asked_for_before_its_day() -> None:
    found = row(1, 10, at_least=0.8, since="2026-06-16")
    assert (found["met"], found["threshold"], found["decides"], found["more"]) == (None, None, False, None)
    assert row(1, 10, at_least=0.8, since="2026-06-15", until="2026-06-15")["met"] is False


def test_nothing_is_asked_for_by_a_program_that_is_over() -> None:
    document = HEAD | {"until": "2026-06-14", "measure": {"m": MEASURE | {"at_least": 0.5}}}
    counts = Tally({("p", ALL, "denominator", "m"): 2})
    found = result(program_from(document, "p"), counts, AS_OF)
    assert (found["in_effect"], found["met"], found["rows"][0]["met"]) == (False, None, None)
    assert result(program_from(document, "p"), counts, "2026-06-14")["met"] is False


@pytest.mark.parametrize(
    ("rows", "met"),
    [
        ({"a": (9, True)}, True),
        ({"a": (9, True), "b": (1, True)}, False),
        ({"a": (9, True), "b": (1, False)}, True),
        ({"a": (9, False)}, None),
        ({"a": (None, True), "b": (9, True)}, None),
        ({"a": (None, True), "b": (1, True)}, False),
        ({}, None),
    ],
)
def test_met_is_what_decides(rows: dict[str, tuple[int | None, bool]], met: bool | None) -> None:
    measures = {name: MEASURE | {"at_least": 0.5, "decides": decides} for name, (_, decides) in rows.items()}
    counts = Tally()
    for name, (numerator, _) in rows.items():
        if numerator is not None:
            counts |= Tally({("p", ALL, "numerator", name): numerator, ("p", ALL, "denominator", name): 10})
    assert result(program_from(HEAD | {"measure": measures}, "p"), counts, AS_OF)["met"] is met


def test_the_index_of_dissimilarity() -> None:
    assert dissimilarity({"a": 5, "b": 5}, {"a": 0.5, "b": 0.5}) == 0
    assert dissimilarity({"a": 5}, {"b": 1.0}) == 1
    assert dissimilarity({"a": 6, "b": 4}, {"a": 0.5, "b": 0.5}) == Fraction(1, 10)
    assert dissimilarity({"a": 3}, {"a": 50, "b": 50}) == Fraction(1, 2)


def test_an_index_needs_a_reference() -> None:
    measure = MEASURE | {"kind": "dissimilarity", "at_most": 0.05}
    counts = Tally({("p", ALL, "denominator", "m"): 10, ("p", ALL, "value", "m", "001"): 9})
    counts[("p", ALL, "value", "m", "002")] = 1
    without = program_from(HEAD | {"measure": {"m": measure}}, "p")
    (found,) = result(without, counts, AS_OF)["rows"]
    assert (found["rate"], found["met"], found["numerator"]) == (None, None, None)
    assert found["values"] == {"001": 9, "002": 1}
    given = program_from(HEAD | {"measure": {"m": measure}, "reference": {"race": {"001": 0.85, "002": 0.15}}}, "p")
    (found,) = result(given, counts, AS_OF)["rows"]
    assert (found["rate"], found["met"]) == (0.05, True)


def test_a_table_that_does_not_add_up_stops_the_audit() -> None:
    columns = {"stated": sorted(set(Method) - {Method.UNSTATED}), "unstated": ["unstated"]}
    program = program_from(HEAD | {"columns": columns, "table": {"t": MEASURE}}, "p")
    counts = Tally({("p", ALL, "population"): 3, ("p", ALL, "table", "t", "White", "stated"): 2})
    with pytest.raises(FatalError, match=r"^program p: the table t does not add up to its population$"):
        result(program, counts, AS_OF)
    counts[("p", ALL, "table", "t", "declined", "unknown")] = 1
    (table,) = result(program, counts, AS_OF)["tables"]
    assert (table["population"], table["columns"]) == (3, ["stated", "unstated", "unknown"])


CODES = ["2106-3", "2054-5", "2034-7", "2135-2", "2186-5", "2118-8", "2131-1", "2080-0", "1002-5"]
MEANINGS = st.builds(
    lambda topic, state, codes: Meaning(
        topic,
        State.ANSWERED if codes else state,
        tuple(Concept(Coding("cdcrec", code), Relationship.EQUIVALENT, "") for code in codes),
    ),
    st.sampled_from(["race_ethnicity", "race", "ethnicity"]),
    st.sampled_from(list(State)),
    st.lists(st.sampled_from(CODES), max_size=3, unique=True),
)


@st.composite
def resolutions(draw: st.DrawFn) -> dict[str, Resolution]:
    meanings = tuple(draw(st.lists(MEANINGS, max_size=3)))
    if not meanings:
        return {}
    states = [meaning.state for meaning in meanings]
    origin = Origin(
        method=draw(st.sampled_from(list(Method))).value,
        standard=draw(st.sampled_from(["", "omb1997", "omb2024"])),
        collected_on=draw(st.sampled_from(["", "2026-01-01"])),
    )
    state = State.ANSWERED if State.ANSWERED in states else states[0]
    return {"race_ethnicity": Resolution("race_ethnicity", state, meanings, Event((), origin))}


PROGRAMS = programs_from(Tables(), ("base", "rdm-style", "ldm-style", "tmsis", "covered-california", "masshealth"))


@given(st.lists(st.tuples(resolutions(), st.integers(1, 9)), max_size=8), st.integers(0, 8))
def test_columns_add_up_and_tallies_merge(people: list[tuple[dict[str, Resolution], int]], cut: int) -> None:
    for program in PROGRAMS:
        measuring, whole, first, second = Measuring(program, VOCABULARY, AS_OF), Tally(), Tally(), Tally()
        words = [("+plan", "001")[: measuring.standing.size]]
        for number, (decided, count) in enumerate(people):
            measuring.add(whole, words, decided, count)
            measuring.add(first if number < cut else second, words, decided, count)
        assert first + second == whole
        found = result(program, whole, AS_OF)
        population = sum(count for _, count in people)
        assert found["population"]["counted"] == population
        for table in found["tables"]:
            cells = [count for each in table["rows"] for count in each["counts"].values()]
            assert sum(cells) == table["population"] == population
            direct = [each["counts"].get("direct", 0) for each in table["rows"]]
            assert sum(direct) <= sum(count for decided, count in people if _direct(decided))
        for each in found["rows"]:
            assert each["numerator"] is None or 0 <= each["numerator"] <= each["denominator"] <= population


def _direct(decided: dict[str, Resolution]) -> bool:
    winners = [each.winner.origin.method for each in decided.values() if each.winner]
    return any(method in ("self", "proxy", "relayed") for method in winners)


def test_lines_decide_and_everybody_together_does_not() -> None:
    document = HEAD | {"population": {"line": "partner"}, "measure": {"m": MEASURE | {"at_least": 0.5}}}
    program = program_from(document, "p")
    counts = Tally()
    for line in ("north", "south", ALL):
        counts |= Tally({("p", line, "population"): 2, ("p", line, "denominator", "m"): 2})
    rows = result(program, counts, AS_OF)["rows"]
    assert [(each["line"], each["decides"]) for each in rows] == [("north", True), ("south", True), ("", False)]
    counts = Tally({key: count for key, count in counts.items() if key[1] != "south"})
    assert [each["line"] for each in result(program, counts, AS_OF)["rows"]] == ["north"]
    assert result(program, Tally(), AS_OF)["rows"][0]["decides"] is True  # nobody: it cannot be told
