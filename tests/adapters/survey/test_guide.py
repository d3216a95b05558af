"""The guide: headings of the field, overlays, and a clear error for a broken sheet."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.adapters.survey.guide import Box, Guide, Known, guide_from, plain
from fhir_equity.errors import TableError
from fhir_equity.tables import Tables

BUILT_IN = guide_from({})


@pytest.mark.parametrize(
    ("heading", "role"),
    [
        ("member_id", "member_id"),
        ("Member ID", "member_id"),
        ("memberId", "member_id"),
        (" MEMBER-ID ", "member_id"),
        ("Número de miembro", "member_id"),
        ("mrn", "mrn"),
        ("Patient_ID", "patient_id"),
        ("PATIENT_NUM", "patient_id"),
        ("Patient_DOB", "birth_date"),
        ("BIRTH_DATE", "birth_date"),
        ("FIRST", "given_name"),
        ("Patient_last_name", "family_name"),
        ("race_ethnicity", "race_ethnicity"),
        ("Race/Ethnicity", "race_ethnicity"),
        ("race and ethnicity", "race_ethnicity"),
        ("RACE_CD", "race"),
        ("What is your race?", "race"),
        ("LANGUAGE_CD", "language_spoken"),
        ("patient_preferred_language", "language_spoken"),
        ("Written language", "language_written"),
        ("Interpreter needed?", "interpreter_needed"),
        ("Sexual orientation", "sexual_orientation"),
        ("Identidad de género", "gender_identity"),
        ("What are your pronouns?", "pronouns"),
        ("Sex assigned at birth", "birth_sex"),
        ("SEX_CD", "sex"),
        ("patient_gender", "sex"),
        ("Patient_tribal_affiliation", "tribal_affiliation"),
        ("survey date", "collected_on"),
        ("Answered by", "answered_by"),
        ("ZIP", "postal_code"),
    ],
)
def test_headings_of_the_field(heading: str, role: str) -> None:
    assert BUILT_IN.known(heading) == Known(role)


def test_numbered_headings_and_boxes() -> None:
    assert BUILT_IN.known("race_2") == Known("race", 2)
    assert BUILT_IN.known("Patient race 10") == Known("race", 10)
    assert BUILT_IN.known("RACE1_CODE") == Known("race", 1)
    assert BUILT_IN.known("Patient_street_2") == Known("address_line", 2)
    assert BUILT_IN.known("birth_date_2") is None
    assert BUILT_IN.known("race_asian") == Known(box=Box(topic="race", wording="Asian"))
    assert BUILT_IN.known("some other race, specify") == Known(box=Box(topic="race"))
    assert BUILT_IN.known("Some other heading") is None
    assert BUILT_IN.known("") is None


def test_plain_headings() -> None:
    assert plain(" Raza / Etnicidad (¿más?) ") == "razaetnicidadmas"


def document(**changes: Any) -> Guide:
    return guide_from(Tables().document("guides/survey.toml") | changes)


def test_an_overlay_adds_and_removes_single_headings() -> None:
    columns = Tables().document("guides/survey.toml")["columns"]
    guide = document(columns={**columns, "Q7": "race_ethnicity", "mrn": "", "Member ID": "patient_id"})
    assert guide.known("q7") == Known("race_ethnicity")
    assert guide.known("mrn") is None
    assert guide.known("member_id") == Known("patient_id")


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": {"x": "no_such_role"}},
        {"write_ins": {"x": "no_such_topic"}},
        {"boxes": {"x": {"topic": "no_such_topic"}}},
        {"boxes": {"x": {"topic": "race", "words": "typo"}}},
        {"separators": {"race": [","]}},
        {"keys": [["no_such_role"]]},
        {"keys": [[]]},
        {"answered_by": {"x": "telepathy"}},
        {"no_such_key": 1},
    ],
)
def test_a_broken_guide_is_a_table_error(changes: dict[str, Any]) -> None:
    with pytest.raises(TableError, match=r"^guides/survey\.toml: "):
        document(**changes)


def test_every_wording_is_reachable() -> None:
    assert len({plain(h) for h in BUILT_IN.columns}) == len(BUILT_IN.columns)
    headings = [plain(h) for h in (*BUILT_IN.columns, *BUILT_IN.write_ins, *BUILT_IN.boxes)]
    assert len(set(headings)) == len(headings)
