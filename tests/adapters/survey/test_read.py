"""Reading a row: the person, where the answers come from, and findings with exact positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_equity.adapters.protocol import Context, Read
from fhir_equity.adapters.survey.guide import guide_from
from fhir_equity.errors import TableError
from fhir_equity.model import (
    Address,
    Answer,
    Coding,
    Enrollment,
    Finding,
    Identifier,
    Locator,
    Member,
    Name,
    Origin,
    Received,
    Severity,
)
from fhir_equity.tables import Tables

Reader = Callable[..., list[Read]]
BLANK = (Coding("survey", "blank"),)


def members(found: list[Read]) -> list[Member]:
    return [each for each in found if isinstance(each, Member)]


def one(read: Reader, header: str, row: str, **context: Any) -> Member:
    """The only member of a file with this header (a key column is put before it) and this row."""
    found = members(read(f"member_id,{header}\nM1,{row}\n", Context(partner="p", **context)))
    assert len(found) == 1
    return found[0]


def overlay(**changes: Any) -> dict[str, Any]:
    return Tables().document("guides/survey.toml") | changes


def test_a_whole_row(read: Reader) -> None:
    header = (
        "Race,MEMBER ID,First Name,Middle Initial,Last Name,Suffix,DOB,Gender,Address 1,Address 2,City,State,Zip,"
        "County,Country,Subscriber ID,Relationship,Survey Date,Answered by"
    )
    row = "Asian;White, A1 ,Ana,B.,Roe,Jr,2/3/1980,F,1 Elm St,Apt 2,Reno,NV,89501,Washoe,US,S9,Child,2026-04-05,Parent"
    attested = {"collector": "plan", "method": "self", "standard": "omb2024", "question": "q v1"}
    found = read(f"{header}\r\n{row}\r\n", Context(partner="p", attestation=attested))
    origin = Origin("p", "s.csv", "plan", "proxy", "omb2024", "q v1", "2026-04-05")
    race = Received("race", "survey.race", (Coding("wording", "Asian"), Coding("wording", "White")), "", "Asian;White")
    sex = Received("sex", "survey.sex", (Coding("wording", "F"),), "", "F")
    at = len(header) + 2
    assert found == [
        Member(
            partner="p",
            key="A1",
            key_rule="survey.member_key",
            identifiers=(Identifier("", "A1", "member_id"), Identifier("", "S9", "subscriber_id")),
            name=Name("Roe", ("Ana", "B."), "", "Jr"),
            birth_date="1980-02-03",
            address=Address(("1 Elm St", "Apt 2"), "Reno", "NV", "89501", "US", "Washoe"),
            enrollment=Enrollment(subscriber=False, relationship="19", subscriber_key="S9"),
            answers=(
                Answer(race, origin, "row", 2, at, "column 1"),
                Answer(sex, origin, "row", 2, at, "column 8"),
            ),
            unit="row",
            number=2,
            offset=at,
        )
    ]


def test_defaults_without_an_attestation(read: Reader) -> None:
    member = one(read, "race", "White")
    assert member.answers[0].origin == Origin("p", "s.csv", "other", "unstated")
    assert member.enrollment == Enrollment()
    assert (member.name, member.birth_date, member.address) == (Name(), "", Address())


@pytest.mark.parametrize("attested", [{"collector": "aunt"}, {"method": "telepathy"}])
def test_an_attestation_in_unknown_words(read: Reader, attested: dict[str, str]) -> None:
    with pytest.raises(TableError, match="no such collector or method"):
        read("member_id,race\n1,White\n", Context(attestation=attested))


@pytest.mark.parametrize(
    ("cell", "method"),
    [
        ("self", "self"),
        ("Member", "self"),
        ("PARENT", "proxy"),
        ("legal guardian", "proxy"),
        ("staff", "observed"),
        ("observed", "observed"),
        ("relayed", "relayed"),
        ("", "relayed"),
    ],
)
def test_who_answered(read: Reader, cell: str, method: str) -> None:
    member = one(read, "race,answered_by", f"White,{cell}", attestation={"method": "relayed"})
    assert type(member.answers[0].origin.method) is str
    assert member.answers[0].origin.method == method
    assert member.findings == ()


def test_who_answered_in_unknown_words(read: Reader) -> None:
    member = one(read, "race,answered_by", "White,my canary", attestation={"method": "self"})
    assert member.answers[0].origin.method == "unstated"
    assert member.findings == (
        Finding(
            "survey.answered_by.unknown",
            Severity.WARNING,
            Locator("s.csv", "row", 2, 27, "column 3"),
            "the guide does not know this wording",
        ),
    )


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2026-01-31", "2026-01-31"),
        ("1/31/2026", "2026-01-31"),
        ("01/31/2026", "2026-01-31"),
        ("20260131", "2026-01-31"),
        ("2026-01-31T10:11:12", "2026-01-31"),
        ("1982-10-16 12:00:00.000", "1982-10-16"),
        ("12/20/2021 9:00", "2021-12-20"),
        ("", ""),
    ],
)
def test_dates(read: Reader, cell: str, day: str) -> None:
    member = one(read, "race,survey_date,dob", f"White,{cell},{cell}")
    assert (member.answers[0].origin.collected_on, member.birth_date, member.findings) == (day, day, ())


@pytest.mark.parametrize("cell", ["31/1/2026", "2026-02-30", "1/31/26", "45321", "2026111", "soon", "²0260131"])
def test_dates_that_are_none(read: Reader, cell: str) -> None:
    member = one(read, "race,survey_date,dob", f"White,{cell},{cell}")
    assert (member.answers[0].origin.collected_on, member.birth_date) == ("", "")
    assert [(finding.code, finding.severity, str(finding.locator)) for finding in member.findings] == [
        ("survey.birth_date.invalid", "warning", "s.csv, row 2, byte 31, column 4"),
        ("survey.collected_on.invalid", "warning", "s.csv, row 2, byte 31, column 3"),
    ]


def test_a_relationship_nobody_knows(read: Reader) -> None:
    member = one(read, "race,relationship", "White,stranger")
    assert member.enrollment == Enrollment()
    assert [finding.code for finding in member.findings] == ["survey.relationship.unknown"]
    assert one(read, "race,relationship", "White,Self").enrollment == Enrollment(relationship="18")


def test_the_key_of_a_subscriber_and_a_dependent_number(read: Reader) -> None:
    found = members(read("subscriber_id,dependent_no,race,mrn\nS1,01,White,7\nS1,02,Asian,\n"))
    assert [member.key for member in found] == ["S1-01", "S1-02"]
    assert found[0].identifiers == (Identifier("", "S1", "subscriber_id"), Identifier("", "7", "mrn"))
    assert found[0].enrollment.subscriber_key == "S1"


def test_the_best_key_wins_and_systems_come_from_the_guide(read: Reader) -> None:
    guide = overlay(identifier_systems={"mrn": "urn:x"})
    member = members(read("mrn,member_id,race\n7,M1,White\n", Context(guide=guide)))[0]
    assert member.key == "M1"
    assert member.identifiers == (Identifier("", "M1", "member_id"), Identifier("urn:x", "7", "mrn"))


def test_the_demo_attestation() -> None:
    sheet = Tables("demo-plan").document("attestation.toml")
    assert sheet == {
        "edi834": {"collector": "plan"},
        "survey": {
            "collector": "plan",
            "method": "self",
            "standard": "omb2024",
            "question": "member-survey-2026 v1",
        },
        "fhir": {"collector": "hie"},
    }


def test_the_guide_is_read_from_the_context() -> None:
    assert guide_from({}) == guide_from(Tables().document("guides/survey.toml"))


@pytest.mark.parametrize(
    ("row", "coverage", "spans"),
    [
        ("2026-01-01,,Medicaid", "Medicaid", (("2026-01-01", ""),)),
        ("1/2/2026,12/31/2026,", "", (("2026-01-02", "2026-12-31"),)),
        (",2026-06-30,", "", (("", "2026-06-30"),)),
        (",,", "", ()),
    ],
)
def test_when_somebody_is_enrolled(read: Reader, row: str, coverage: str, spans: tuple[tuple[str, str], ...]) -> None:
    enrollment = one(read, "Enrolled from,Coverage end date,Line of business", row).enrollment
    assert enrollment == Enrollment(coverage=coverage, spans=spans)


def test_an_enrollment_date_that_is_none(read: Reader) -> None:
    member = one(read, "enrolled_from", "soon")
    assert member.enrollment == Enrollment()
    assert [finding.code for finding in member.findings] == ["survey.enrolled_from.invalid"]
