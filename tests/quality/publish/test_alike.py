"""What is sensitive and says one thing of everybody, and that its absence does not say so."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.quality.publish.alike import reason
from fhir_equity.reports.totals import totals
from tests.quality.publish.audits import RULE, document, program, public, row, stratum, topic

WHY = reason(RULE.sensitive_floor)


def test_of_sogi_no_value_is_told_where_all_answers_are_one() -> None:
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 300}, unmapped=0)
    rows = [row("orientation", 300, 500, "gender_identity"), row("known", 300, 500)]
    given = document(500, {"gender_identity": sogi, "race_ethnicity": topic({"answered": 300, "unknown": 200})})
    told = public(given | {"programs": {"base": program(rows, [], 500)}})
    assert "values" not in told["topics"]["gender_identity"]
    assert "unmapped" not in told["topics"]["gender_identity"]
    assert [each["measure"] for each in told["programs"]["base"]["rows"]] == ["known"]
    assert told["release"]["left_out"][:2] == [
        f"gender_identity, its values: {WHY}",
        f"program base, orientation: {WHY}",
    ]


@pytest.mark.parametrize("values", [{"b": 300}, {"a": 281, "b": 19}, {"a": 5, "b": 290, "c": 5}])
def test_what_is_left_out_does_not_tell_that_all_answers_are_one(values: dict[str, int]) -> None:
    def told(values: dict[str, int]) -> dict[str, Any]:
        sogi = topic({"answered": 300, "unknown": 200}, values=values, unmapped=0)
        rows = [row("orientation", 250, 500, "gender_identity")]
        return public(document(500, {"gender_identity": sogi}, programs={"base": program(rows, [], 500)}))

    assert told(values) == told({"a": 300})
    assert told({"a": 280, "b": 20}) != told({"a": 300})


@pytest.mark.parametrize(
    "states", [{"answered": 500}, {"answered": 481, "declined": 19}, {"declined": 490, "unknown": 10}]
)
def test_nor_that_everybody_answered(states: dict[str, int]) -> None:
    told = public(document(500, {"gender_identity": topic(states, values={}, unmapped=0)}))
    assert told == public(document(500, {"gender_identity": topic({"declined": 500}, values={}, unmapped=0)}))
    assert told["topics"] == {}


@pytest.mark.parametrize("numerator", [0, 1, 19, 41, 59, 60])
def test_nor_that_everybody_is_in_a_rate(numerator: int) -> None:
    def told(numerator: int) -> dict[str, Any]:
        sogi = topic({"answered": 300, "unknown": 200}, values={"a": 200, "b": 100}, unmapped=0)
        rows = [row("some", numerator, 60, "gender_identity"), row("other", 30, 60, "gender_identity")]
        return public(document(500, {"gender_identity": sogi}, programs={"base": program(rows, [], 60)}))

    assert told(numerator) == told(60)
    assert told(40) != told(60)


def test_nor_do_other_strata_and_the_whole() -> None:
    """All 40 of an age answered: 300 less 260, and of the 200 who did not, 200 are of the other age."""
    strata = [
        stratum({"age": "1"}, 40, {"gender_identity": topic({"answered": 40})}),
        stratum({"age": "2"}, 460, {"gender_identity": topic({"answered": 260, "unknown": 200})}),
    ]
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 200, "b": 100}, unmapped=0)
    told = public(document(500, {"gender_identity": sogi}, strata=strata))
    one, other = told["strata"]
    assert one["topics"] == {}
    assert told["release"]["left_out"][0] == f"gender_identity of age=1: {WHY}"
    states = other["topics"]["gender_identity"]["states"]
    all_states = told["topics"]["gender_identity"]["states"]
    assert None in (all_states["unknown"], states["unknown"])
    assert None in (all_states["answered"], states["answered"], one["population"])


def test_nor_do_other_product_lines_and_all_of_them() -> None:
    rows = [row("some", n, of, "gender_identity") | {"line": line} for n, of, line in ((60, 60, "A"), (70, 140, "B"))]
    rows.append(row("some", 130, 200, "gender_identity"))
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 200, "b": 100}, unmapped=0)
    told = public(document(500, {"gender_identity": sogi}, programs={"base": program(rows, [], 200)}))
    assert [each["line"] for each in told["programs"]["base"]["rows"]] == [""]
    assert told["release"]["left_out"][:2] == [f"program base, some of {line}: {WHY}" for line in "AB"]


def test_of_whom_a_rate_is_among_may_not_be_everybody() -> None:
    """All 60 in the program gave one answer: that is how many the rate is among."""
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 200, "b": 100}, unmapped=0)
    rows = [row("white_among_a", 30, 60, among="gender_identity"), row("white", 30, 60)]
    told = public(document(500, {"gender_identity": sogi}, programs={"base": program(rows, [], 60)}))
    assert [each["measure"] for each in told["programs"]["base"]["rows"]] == ["white"]


def test_a_rate_among_people_of_a_sensitive_answer_tells_of_that_answer() -> None:
    """Fifteen are more than ten and fewer than twenty."""
    rows = [row("asian", 120, 400), row("asian_among_some", 200, 215, among="gender_identity"), row("few", 0, 15)]
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 215, "b": 85}, unmapped=0)
    whole = {"gender_identity": sogi, "race_ethnicity": topic({"answered": 300, "unknown": 200})}
    told = public(document(500, whole, programs={"base": program(rows, [], 500)}))
    plain, few = told["programs"]["base"]["rows"]  # the difference is 15
    assert (plain["numerator"], few["denominator"]) == (120, 15)


def test_no_rate_is_among_people_of_a_sensitive_answer_of_whom_nothing_is_told() -> None:
    rows = [row("among_all_alike", 100, 300, among="gender_identity"), row("known", 300, 500)]
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 300}, unmapped=0)
    whole = {"gender_identity": sogi, "race_ethnicity": topic({"answered": 300, "unknown": 200})}
    told = public(document(500, whole, programs={"base": program(rows, [], 500)}))
    assert [each["measure"] for each in told["programs"]["base"]["rows"]] == ["known"]


@pytest.mark.parametrize(("count", "told_of"), [(40, False), (0, False), (20, True)])
def test_of_a_program_s_people_none_are_told_to_be_all_alike(count: int, told_of: bool) -> None:
    """All 40 in the program, of 300, are said to be one thing by the row, by its values or by the table."""
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 200, "b": 100}, unmapped=0)
    values = row("values", 0, 40, "gender_identity") | {"numerator": None, "values": {"a": count, "b": 40 - count}}
    table = {"table": "t", "topic": "gender_identity", "line": "", "population": 40, "columns": ["self", "other"]}
    table["rows"] = [
        {"row": "a", "counts": {"self": count, "other": 0}},
        {"row": "b", "counts": {"self": 0, "other": 40 - count}},
    ]
    rows = [row("some", count, 40, "gender_identity"), row("known", 40, 40)]
    given = document(500, {"gender_identity": sogi, "race_ethnicity": topic({"answered": 300, "unknown": 200})})
    whole = public(given | {"programs": {"base": program([*rows, values], [table], 500)}})
    told, left_out = whole["programs"]["base"], whole["release"]["left_out"]
    names = {each["measure"] for each in told["rows"]}
    assert "known" in names
    assert ("some" in names) == told_of
    assert ("values" in names) == ("t" in {each["table"] for each in told["tables"]}) == (count == 20)
    assert (f"program base, t: {WHY}" in left_out) == (count != 20)


@pytest.mark.parametrize("met", [True, False])
def test_whether_a_program_is_met_does_not_tell_it_of_a_row_that_is_left_out(met: bool) -> None:
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 200, "b": 100}, unmapped=0)
    known = row("known", 300, 500) | {"at_least": 0.2, "at_most": None}
    rows = [known, row("some", 60, 60, "gender_identity") | {"met": met}]
    whole = {"gender_identity": sogi, "race_ethnicity": topic({"answered": 300, "unknown": 200})}
    told = public(document(500, whole, programs={"base": program(rows, [], 500) | {"met": met}}))
    assert [each["measure"] for each in told["programs"]["base"]["rows"]] == ["known"]
    assert told["programs"]["base"]["met"] is None
    assert [*totals(told)] == []
