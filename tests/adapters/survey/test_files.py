"""Files: what is rejected and where, what is said about columns, and what cannot be read at all."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_equity.adapters.protocol import Context, Read
from fhir_equity.adapters.source import Source
from fhir_equity.adapters.survey import ADAPTER
from fhir_equity.errors import UnreadableError
from fhir_equity.model import (
    Coding,
    Finding,
    Locator,
    Member,
    Rejected,
    Severity,
)

Reader = Callable[..., list[Read]]
BLANK = (Coding("survey", "blank"),)


def members(found: list[Read]) -> list[Member]:
    return [each for each in found if isinstance(each, Member)]


def words(member: Member) -> dict[str, list[str]]:
    return {answer.topic: [coding.code for coding in answer.received.codings] for answer in member.answers}


@pytest.mark.parametrize("header", ["race,first_name", "subscriber_id,race", "race;city", "race,race,member_idx"])
def test_no_key_column(read: Reader, header: str) -> None:
    with pytest.raises(UnreadableError, match=r"^s\.csv has no column for the member key; it needs one of: ") as caught:
        read(f"{header}\n1,2\n")
    assert "member_id/" in str(caught.value)
    assert "subscriber_no/subscriber_key together with dependent_number/" in str(caught.value)
    assert "idx" not in str(caught.value)


def test_an_empty_key_is_rejected(read: Reader) -> None:
    found = read("member_id,race\r\n ,White\r\n2,Asian\r\n")
    message = "the member key is empty"
    finding = Finding("survey.key.empty", Severity.ERROR, Locator("s.csv", "row", 2, 16, "column 1"), message)
    assert found[0] == Rejected(b" ,White\r\n", finding)
    assert [member.key for member in members(found)] == ["2"]
    half = read("subscriber_id,dependent_no,race\nS1,,White\n")
    assert isinstance(half[0], Rejected)
    assert half[0].finding.locator.path == "columns 1, 2"


@pytest.mark.parametrize("row", [b"1\n", b"1,White,x\n", b'1,"White\nmore",x\n'])
def test_ragged_rows_are_rejected(read: Reader, row: bytes) -> None:
    found = read(b"member_id,race\n" + row + b"2,Asian\n")
    message = "the row has more or fewer cells than the header"
    finding = Finding("survey.row.cells", Severity.ERROR, Locator("s.csv", "row", 2, 15), message)
    assert found[0] == Rejected(row, finding)
    assert [(member.key, member.answers[0].number) for member in members(found)] == [("2", 3)]


def test_rows_that_cannot_be_cut_are_rejected(read: Reader) -> None:
    found = read(b'member_id,race\n1,"Whi\n2,As\0ian\n3,White\n')
    assert [(each.raw, each.finding.code, each.finding.locator) for each in found if isinstance(each, Rejected)] == [
        (b'1,"Whi\n', "survey.row.binary", Locator("s.csv", "row", 2, 15)),
        (b"2,As\0ian\n", "survey.row.binary", Locator("s.csv", "row", 3, 22)),
    ]
    assert [member.key for member in members(found)] == ["3"]


def test_blank_rows_are_counted_and_skipped(read: Reader) -> None:
    found = read("\n\nmember_id,race\n\n1,White\n,\n\n  ,\n2,Asian\n\n\n")
    assert [(member.key, member.answers[0].number, member.answers[0].offset) for member in members(found)] == [
        ("1", 5, 18),
        ("2", 9, 33),
    ]
    assert len(found) == 2


def test_headings_without_a_role_are_named_by_number(read: Reader) -> None:
    found = read("member_id,Favourite colour,race,\n1,red,White,\n")
    assert [each for each in found if isinstance(each, Finding)] == [
        Finding(
            "survey.column.not_used",
            Severity.INFO,
            Locator("s.csv", "row", 1, 0, f"column {number}"),
            "no role for this heading",
        )
        for number in (2, 4)
    ]


def test_the_first_of_two_columns_with_one_role_wins(read: Reader) -> None:
    found = read("member_id,language,preferred language,race_asian,Race Asian,race_1,race1,dob,dob\n1,a,b,x,,c,d,,\n")
    assert words(members(found)[0]) == {"language_spoken": ["a"], "race": ["c", "Asian"]}
    repeated = [each for each in found if isinstance(each, Finding)]
    assert {(each.code, each.severity) for each in repeated} == {("survey.column.repeated", Severity.WARNING)}
    assert [each.locator.path for each in repeated] == ["column 3", "column 5", "column 7", "column 9"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiters_and_encodings(read: Reader, delimiter: str, encoding: str) -> None:
    text = "race,Member Id,given name\n“Peña”,1,Zoë\n".replace(",", delimiter)
    found = read(text.encode(encoding))
    member = members(found)[0]
    assert (words(member), member.name.given) == ({"race": ["“Peña”"]}, ("Zoë",))
    findings = [each for each in found if isinstance(each, Finding)]
    assert [(each.code, str(each.locator)) for each in findings] == (
        [("survey.encoding.not_utf8", "s.csv, row 2, byte 26")] if encoding == "cp1252" else []
    )


def test_the_delimiter_that_shows_most_known_headings_wins(read: Reader) -> None:
    found = members(read("what; why; when; where,member_id,race\nx,1,White\n"))
    assert [(member.key, words(member)) for member in found] == [("1", {"race": ["White"]})]


def test_a_header_that_cannot_be_cut_is_not_passed_over(read: Reader) -> None:
    with pytest.raises(UnreadableError, match=r"^s\.csv has no header row that can be read as text$"):
        read('"x\nmember_id,race\n1,White\n')


def test_an_empty_file_says_so(read: Reader) -> None:
    with pytest.raises(UnreadableError, match=r"^s\.csv is empty$"):
        read(" \r\n")


def test_not_utf8_is_said_once(read: Reader) -> None:
    found = read(b"member_id,race\n1,\xf1\n2,\xf1\n")
    assert [type(each) for each in found] == [Finding, Member, Member]


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf", b"\0\0\0", b'"member_id,race\n1,2\n', b",,\n"])
def test_nothing_that_can_be_read(read: Reader, content: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"^s\.csv "):
        read(content)


HEADER = (
    "member_id,first_name,dob,race,race_asian,race_other,language,gender_identity,survey_date,answered_by,"
    "relationship,zz\n"
)


@given(st.lists(st.sampled_from(["CANARY", '"CANARY', "CANARY\0", "\n", ",", "", '"', "x;CANARY"]), max_size=40))
@example([",".join(["CANARY"] * 12), "\n", ","])
def test_no_value_in_any_finding(cells: list[str]) -> None:
    data = (HEADER + ",".join(cells)).encode()
    source = Source("s.csv", lambda: io.BytesIO(data))
    for each in ADAPTER.read(source, ADAPTER.split(source, 1)[0], Context()):
        findings = each.findings if isinstance(each, Member) else (getattr(each, "finding", each),)
        assert "CANARY" not in repr(findings)


@given(st.one_of(st.binary(), st.binary().map(HEADER.encode().__add__), st.text().map(str.encode)))
def test_any_bytes_are_read_or_unreadable(read: Reader, data: bytes) -> None:
    ADAPTER.recognises(data, "x.csv")
    found: list[Read] = []
    with suppress(UnreadableError):
        found = read(data)
    assert all(each.raw and each.raw in data for each in found if isinstance(each, Rejected))


def test_real_tables(shared: Path, read: Reader) -> None:
    counts = {}
    for file in sorted((shared / "data" / "real" / "tabular").rglob("*.csv")):
        if ADAPTER.recognises(file.read_bytes()[:65536], file.name):
            try:
                found = read(file.read_bytes())
            except UnreadableError:
                continue
            assert not [each for each in found if isinstance(each, Rejected)]
            counts[file.name] = [len(members(found)), sum(bool(m.answers) for m in members(found))]
    assert counts == {
        "ReportStream-StandardCSV-ExampleData-20220509.csv": [5, 5],
        "SR-UPLOAD.csv": [5, 5],
        "patient_dimension.csv": [2, 2],
        "patient_seed.csv": [2, 2],
        "raw_data__eligibility.csv": [0, 0],
        "simple_report_example.csv": [14, 14],
        "simplereport.csv": [50, 50],
    }
