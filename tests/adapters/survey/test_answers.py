"""Answers: wordings selected, boxes ticked, write-ins and blanks, as the form had them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_equity.adapters.protocol import Context, Read
from fhir_equity.adapters.survey import read as module
from fhir_equity.model import (
    Coding,
    Member,
    Name,
    Received,
)
from fhir_equity.tables import Tables

Reader = Callable[..., list[Read]]
BLANK = (Coding("survey", "blank"),)


def members(found: list[Read]) -> list[Member]:
    return [each for each in found if isinstance(each, Member)]


def words(member: Member) -> dict[str, list[str]]:
    return {answer.topic: [coding.code for coding in answer.received.codings] for answer in member.answers}


def one(read: Reader, header: str, row: str, **context: Any) -> Member:
    """The only member of a file with this header (a key column is put before it) and this row."""
    found = members(read(f"member_id,{header}\nM1,{row}\n", Context(partner="p", **context)))
    assert len(found) == 1
    return found[0]


def overlay(**changes: Any) -> dict[str, Any]:
    return Tables().document("guides/survey.toml") | changes


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("White", ["White"]),
        ("  White ", ["White"]),
        ("2106-3", ["2106-3"]),
        ('"Black, African American"', ["Black, African American"]),
        ("Asian;White", ["Asian", "White"]),
        ("Asian ; White|Asian;", ["Asian", "White"]),
        ('"Asian\nWhite"', ["Asian", "White"]),
        ("", ["blank"]),
        ("  ", ["blank"]),
        (";", ["blank"]),
    ],
)
def test_selected_wordings(read: Reader, cell: str, expected: list[str]) -> None:
    member = one(read, "race_ethnicity,city", f"{cell},Reno")
    assert words(member) == {"race_ethnicity": expected}
    assert member.answers[0].received.raw == cell.strip('"')
    assert {c.system for c in member.answers[0].received.codings} == {"survey" if expected == ["blank"] else "wording"}


def test_a_partner_may_separate_by_commas(read: Reader) -> None:
    guide = overlay(separators={"default": [";"], "race": [","]})
    member = one(read, "race,ethnicity", '"Asian, White","Cuban, Other;Mexican"', guide=guide)
    assert words(member) == {"race": ["Asian", "White"], "ethnicity": ["Cuban, Other", "Mexican"]}


@pytest.mark.parametrize(
    ("header", "topic"),
    [
        ("race", "race"),
        ("Ethnicity", "ethnicity"),
        ("race/ethnicity", "race_ethnicity"),
        ("preferred language", "language_spoken"),
        ("written language", "language_written"),
        ("interpreter needed", "interpreter_needed"),
        ("sexual orientation", "sexual_orientation"),
        ("gender identity", "gender_identity"),
        ("pronouns", "pronouns"),
        ("sex assigned at birth", "birth_sex"),
        ("tribal affiliation", "tribal_affiliation"),
    ],
)
def test_every_topic_is_offered_where_its_column_exists(read: Reader, header: str, topic: str) -> None:
    filled, empty = members(read(f"member_id,{header},city\n1,Some words,\n2,,\n"))
    assert filled.answers[0].received == Received(
        topic, f"survey.{topic}", (Coding("wording", "Some words"),), "", "Some words"
    )
    assert [answer.received for answer in empty.answers] == [Received(topic, f"survey.{topic}", BLANK)]


def test_columns_that_are_no_question_are_silent_when_empty(read: Reader) -> None:
    assert one(read, "sex,first_name,city", ",,").answers == ()
    assert one(read, "first_name,city", "Ana,Reno").answers == ()


def test_numbered_columns_are_one_answer(read: Reader) -> None:
    found = read("member_id,Race 1,Race 2,Race 3\n1,White,,Asian\n2,,,\n")
    first, second = members(found)
    assert words(first) == {"race": ["White", "Asian"]}
    assert first.answers[0].received.raw == "Race 1=White\nRace 2=\nRace 3=Asian"
    assert first.answers[0].path == "columns 2, 3, 4"
    assert second.answers[0].received == Received("race", "survey.race", BLANK, "", "Race 1=\nRace 2=\nRace 3=")
    assert len(found) == 2


@pytest.mark.parametrize("tick", ["yes", "Y", "X", "1", "TRUE", "checked", "Sí", "si", "marcado", "✓", "asian"])
def test_ticked_boxes(read: Reader, tick: str) -> None:
    member = one(read, "race_asian,race_white", f"{tick},0")
    assert words(member) == {"race": ["asian" if tick == "asian" else "Asian"]}
    assert member.answers[0].received.raw == f"race_asian={tick}\nrace_white=0"


@pytest.mark.parametrize("tick", ["", "no", "N", "0", "False", "unchecked", "no marcado"])
def test_boxes_that_are_not_ticked(read: Reader, tick: str) -> None:
    assert words(one(read, "race_asian,race_white", f"{tick},x")) == {"race": ["White"]}
    assert words(one(read, "race_asian,race_white", f"{tick},")) == {"race": ["blank"]}


def test_other_words_in_a_box_speak_for_themselves(read: Reader) -> None:
    assert words(one(read, "race_asian,race_other", "Prefer not to say,Garifuna")) == {
        "race": ["Prefer not to say", "Garifuna"]
    }
    assert words(one(read, "race_asian,race_other", ",x")) == {"race": ["Some other race"]}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("yes", "Hispanic or Latino"), ("No", "Not Hispanic or Latino"), ("Don't know", "Don't know"), ("", "blank")],
)
def test_a_yes_no_question(read: Reader, cell: str, expected: str) -> None:
    member = one(read, "race_asian,hispanic", f"x,{cell}")
    assert words(member) == {"race": ["Asian"], "ethnicity": [expected]}


def test_a_box_for_hispanic_makes_the_combined_question(read: Reader) -> None:
    member = one(read, "race_asian,race_hispanic,ethnicity_cuban", "1,1,1")
    assert words(member) == {"race_ethnicity": ["Asian", "Hispanic or Latino", "Cuban"]}
    both = one(read, "race_ethnicity,race_asian,hispanic,race", "White,1,no,Asian")
    assert words(both) == {
        "race_ethnicity": ["White", "Asian"],
        "race": ["Asian"],
        "ethnicity": ["Not Hispanic or Latino"],
    }


def test_write_ins_add_one_more_wording(read: Reader) -> None:
    header = '"Some other race, specify",race,race_ethnicity_write_in'
    member = one(read, header, "a; b,White,")
    assert words(member) == {"race_ethnicity": ["a; b"], "race": ["White"]}
    member = one(read, "race,race_write_in", "Other,Garifuna; Carib")
    assert words(member) == {"race": ["Other", "Garifuna; Carib"]}
    assert member.answers[0].received.raw == "race=Other\nrace_write_in=Garifuna; Carib"
    assert words(one(read, "race_ethnicity,race_write_in", "Other,no")) == {"race_ethnicity": ["Other", "no"]}


def test_equal_answers_and_origins_are_one_object(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "member_id,race,survey_date\n1,White,2026-01-01\n2,White,2026-01-01\n3,Asian,2026-01-02\n4,White,2026-01-01\n"
    )
    a, b, c, d = (member.answers[0] for member in members(read(text)))
    assert a.received is b.received is d.received
    assert a.origin is b.origin is d.origin
    assert (c.received.raw, c.origin.collected_on) == ("Asian", "2026-01-02")
    monkeypatch.setattr(module, "_KEPT", 1)
    first, second, third, fourth = (member.answers[0].received for member in members(read(text)))
    assert [each.raw for each in (first, second, third, fourth)] == ["White", "White", "Asian", "White"]
    assert first is second
    assert first is not fourth


def test_neutralised_cells(read: Reader) -> None:
    member = one(read, "race,first_name,last_name", "'=x,'-Ann,'Roe")
    assert (words(member)["race"], member.name) == (["=x"], Name("'Roe", ("-Ann",)))
    assert member.answers[0].received.raw == "'=x"
    kept = one(read, "race", "'=x", guide=overlay(neutralised=False))
    assert words(kept) == {"race": ["'=x"]}
