"""The programs of an audit in tables."""

from __future__ import annotations

from typing import Any

from fhir_equity.reports import programs

Document = dict[str, Any]
DASH = "\N{EN DASH}"

POPULATION = {"enrolled": "year", "from": "2026-01-01", "to": "2026-12-31", "counted": 4, "assumed": 1}
RDM: Document = {
    "title": "RDM-style",
    "sure": "inferred",
    "source": "somewhere",
    "note": "not certified",
    "population": {**POPULATION, "left_out": {"not_enrolled": 2, "without_enrollment": 1}},
    "rows": [
        {
            "measure": "race", "title": "Race direct", "topic": "race", "line": line, "numerator": 1, "denominator": 8,
            "rate": 0.125, "threshold": 0.2, "at_least": 0.2, "at_most": None, "met": False, "more": 1,
            "sure": "assumption", "source": "a page", "note": "",
        }
        for line in ("Medicaid", "")
    ],
    "tables": [
        {
            "table": "race", "title": "Race by source", "line": "Medicaid", "population": 4,
            "columns": ["direct", "unknown"],
            "rows": [
                {"row": "White", "counts": {"direct": 3, "unknown": 0}},
                {"row": "?", "counts": {"direct": 0, "unknown": 1}},
            ],
            "sure": "inferred", "source": "a page", "note": "a note",
        }
    ],
}  # fmt: skip


def shown(*rows: Document) -> tuple[tuple[str, ...], ...]:
    (section,) = programs.rates({"programs": {"p": {"rows": [*rows]}, "empty": {}}})
    assert {len(row) for row in section.rows} == {len(section.columns)}
    return section.rows


def test_rates(document: Document) -> None:
    (section,) = programs.rates(document)
    assert section.title == "Program ncqa-rdm-style"
    assert section.columns == ("Measure", "Result", "Asked for", "Rate")
    assert section.rows == (
        ("Race", "not met", "at least 80%", "75.0% (9,000 of 12,000)"),
        ("Ethnicity", "met", "at least 80%", "91.7% (11,000 of 12,000)"),
        ("Administrative sex", "no threshold", DASH, "no members"),
    )
    assert section.words == 3


def test_lines_and_how_many_more() -> None:
    (section,) = programs.rates({"programs": {"rdm": RDM}})
    assert section.columns == ("Measure", "Product line", "Result", "Asked for", "Rate", "Collect more")
    assert section.rows[0] == ("Race direct", "Medicaid", "not met", "at least 20%", "12.5% (1 of 8)", "1")
    assert section.rows[1][1] == "all"
    assert section.words == 4


def test_where_nothing_is_asked_for() -> None:
    row = {"topic": "race", "numerator": 1, "denominator": 4, "threshold": None, "met": None}
    assert shown(row) == (("Race", "25.0% (1 of 4)"),)


def test_a_range_and_an_index() -> None:
    row = {"topic": "race", "numerator": None, "denominator": 9, "rate": 0.0512, "threshold": 0.0001, "met": True}
    given = {**row, "at_least": 0.0001, "at_most": 0.8, "values": {"001": 9}}
    assert shown(given) == (("Race", "met", "at least 0.01%, at most 80%", "0.0512"),)
    assert shown(given | {"rate": None, "met": None})[0][1:] == ("cannot be told", "at least 0.01%, at most 80%", DASH)
    assert shown(given | {"kind": "not_computed", "met": None})[0][1] == "not computed"
    assert shown(given | {"nobody": "no one has it", "met": None})[0][1] == "no one has it"


def test_a_program_that_cannot_be_judged() -> None:
    row = {"topic": "sex", "numerator": None, "denominator": 9, "threshold": 0.5, "met": None}
    assert shown(row) == (("Administrative sex", "cannot be told", "at least 50%", "suppressed"),)


def test_the_tables() -> None:
    (section,) = programs.tables({"programs": {"rdm": RDM}})
    assert section.title == "rdm: Race by source, Medicaid (4 people)"
    assert section.columns == ("", "Direct", "Unknown")
    assert section.rows == (("White", "3 (75.0%)", "0"), ("?", "0", "1 (25.0%)"))


def test_who_counts() -> None:
    (row,) = programs.populations({"programs": {"rdm": RDM}}).rows
    assert row == (
        *("rdm", "RDM-style", "enrolled at any time from 2026-01-01 to 2026-12-31"),
        *("4", "1", "2 not enrolled, 1 without enrollment"),
    )
    for enrolled, to, words in (
        ("day", "2026-01-01", "enrolled on 2026-01-01"),
        ("anybody", "2026-01-01", "everybody in the data"),
    ):
        other = {**RDM, "population": {**POPULATION, "enrolled": enrolled, "to": to, "left_out": {}}}
        assert programs.populations({"programs": {"x": other}}).rows[0][2:] == (words, "4", "1", "0")


def test_every_row_says_what_it_rests_on_once() -> None:
    section = programs.bases({"programs": {"rdm": RDM}})
    assert section.rows == (
        ("rdm", "RDM-style", "inferred", "somewhere", "not certified"),
        ("rdm", "Race direct", "assumption", "a page", ""),
        ("rdm", "Race by source", "inferred", "a page", "a note"),
    )


def test_nothing_to_show(bare: Document) -> None:
    assert programs.populations(bare).rows == programs.bases(bare).rows == ()
    assert programs.rates(bare) == programs.tables(bare) == []
