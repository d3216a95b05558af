"""The neutral tables of a report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_equity.reports import sections
from fhir_equity.reports.sections import Section

Document = dict[str, Any]

EVERY: list[Callable[[Document], Section]] = [
    sections.inputs,
    sections.completeness,
    sections.sources,
    sections.methods,
    sections.omb2024,
    sections.omb1997,
    sections.strata,
    sections.findings,
    sections.losses,
    sections.editions,
]


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_rows_fit_their_columns(make: Callable[[Document], Section], document: Document) -> None:
    section = make(document)
    assert section.rows
    assert {len(row) for row in section.rows} == {len(section.columns)}
    assert 0 < section.words <= len(section.columns)


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_nothing_given_gives_no_rows(make: Callable[[Document], Section], bare: Document) -> None:
    assert make(bare).rows == ()


def test_inputs_with_their_total(document: Document) -> None:
    assert sections.inputs(document).rows == (
        ("north.834", "edi834", "0123456789ab", "9,000", "3"),
        ("survey.csv", "survey", "fedcba987654", "3,345", "4"),
        ("All 2 inputs", "", "", "12,345", "7"),
    )


def test_one_input_needs_no_total() -> None:
    document = {"run": {"inputs": [{"name": "a"}]}}
    assert sections.inputs(document).rows == (("a", "", "", "0", "0"),)


def test_completeness_shows_used_states_in_order(document: Document) -> None:
    section = sections.completeness(document)
    assert section.columns == (
        *("Topic", "People", "Answered", "Declined", "Does not know", "Unable"),
        *("Left blank", "Not asked", "Unknown", "Invalid"),
    )
    assert section.rows[0] == (
        *("Race and ethnicity", "12,345", "9,876 (80.0%)", "617 (5.0%)", "0", "2 (<0.1%)"),
        *("0", "100 (0.8%)", "1,700 (13.8%)", "50 (0.4%)"),
    )
    assert [row[0] for row in section.rows[1:]] == [
        *("Spoken language", "Written language", "Sexual orientation", "Administrative sex"),
    ]


def test_withheld_and_missing_counts_are_shown_as_such() -> None:
    states = {"sex": {"states": {"answered": 90, "declined": None}}, "pronouns": {"states": {"answered": 60}}}
    section = sections.completeness({"population": 100, "topics": states})
    assert section.columns == ("Topic", "People", "Answered", "Declined", "Not shown")
    assert section.rows == (
        ("Pronouns", "100", "60 (60.0%)", "0", "40 (40.0%)"),
        # The difference would tell the withheld count.
        ("Administrative sex", "100", "90 (90.0%)", "suppressed", "suppressed"),
    )


def test_sources(document: Document) -> None:
    section = sections.sources(document)
    assert section.columns == ("Topic", "Source", "People", "Answered", "Declined", "Unknown")
    assert section.rows == (
        ("Race and ethnicity", "plan/unstated", "9,000", "6,000 (66.7%)", "0", "3,000 (33.3%)"),
        ("Race and ethnicity", "plan/self", "3,345", "3,000 (89.7%)", "345 (10.3%)", "0"),
    )


def test_methods(document: Document) -> None:
    section = sections.methods(document)
    assert section.columns == ("Topic", "Answers", "Self", "Proxy", "Relayed", "Unstated", "Observed")
    assert section.rows == (("Race and ethnicity", "10,493", "400 (3.8%)", "0", "0", "10,093 (96.2%)", "0"),)


def test_methods_with_a_withheld_count_have_no_shares() -> None:
    document = {"topics": {"sex": {"methods": {"self": 5, "proxy": None}}}}
    assert sections.methods(document).rows == (("Administrative sex", "suppressed", "5", "suppressed", "0", "0", "0"),)


def test_omb2024(document: Document) -> None:
    rows = sections.omb2024(document).rows
    assert rows[0] == ("American Indian or Alaska Native", "0", "0")
    assert rows[1] == ("Asian", "1,000 (10.1%)", "900 (9.1%)")
    assert rows[-2:] == (
        ("Multiracial and/or Multiethnic", "\N{EN DASH}", "1,650 (16.7%)"),
        ("Answered without an OMB category", "\N{EN DASH}", "25 (0.3%)"),
    )
    assert len(rows) == 9


def test_omb2024_without_its_whole_has_no_shares(document: Document) -> None:
    view = document["views"]["omb2024"]
    del view["answered"], view["multiracial_or_multiethnic"], view["without_category"]
    assert sections.omb2024(document).rows[-1] == ("White", "5,800", "5,100")


def test_omb1997(document: Document) -> None:
    rows = sections.omb1997(document).rows
    assert rows[0] == ("Ethnicity", "Hispanic or Latino", "3,210")
    assert rows[1] == ("Ethnicity", "Not Hispanic or Latino", "0")
    assert ("Race", "White", "5,803") in rows


def test_languages_most_frequent_first_rare_ones_together(document: Document) -> None:
    entry = document["topics"]["language_spoken"]
    entry["states"] = {"answered": 400}
    entry["values"] = {f"x{number:02}": 20 - number for number in range(17)} | {"es": 100}
    section = sections.languages(document, "language_spoken")
    assert section.title == "Spoken language"
    assert section.rows[:2] == (("Spanish (es)", "100 (25.0%)"), ("x00", "20 (5.0%)"))
    assert section.rows[14:] == (("x13", "7 (1.8%)"), ("Other languages: 3", "15 (3.8%)"))


def test_equally_frequent_languages_by_code() -> None:
    document = {"topics": {"language_spoken": {"states": {"answered": 3}, "values": {"b": 1, "a": 1, "c": None}}}}
    rows = sections.languages(document, "language_spoken").rows
    assert rows == (("a", "1 (33.3%)"), ("b", "1 (33.3%)"), ("c", "suppressed"))


def test_withheld_rare_languages_are_not_summed() -> None:
    values = {f"x{number:02}": 9 for number in range(16)} | {"zz": None}
    document = {"topics": {"language_spoken": {"states": {"answered": 200}, "values": values}}}
    assert sections.languages(document, "language_spoken").rows[-1] == ("Other languages: 2", "suppressed")


def test_strata(document: Document) -> None:
    assert sections.strata(document).rows == (
        ("partner: north", "9,000", "6,876 (76.4%)", "272 (3.0%)", "4,500 (50.0%)"),
        ("county: Inventia, partner: survey", "0", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"),
    )


def test_findings_worst_and_most_frequent_first(document: Document) -> None:
    section = sections.findings(document)
    assert section.columns == ("Finding", "Severity", "What it means", "Count")
    assert section.rows == (
        ("survey.row.too_long", "error", "", "70"),
        ("x12.dmg05.not_in_code_list", "error", "Not a code of list 1109", "50"),
        ("fhir.race.no_text", "warning", "", "2,000"),
        ("x12.lui.blank", "info", "", "1"),
    )


def test_findings_without_messages_or_with_an_unknown_severity() -> None:
    document = {
        "findings": [
            {"code": "b", "severity": "odd", "count": 9},
            {"code": "c", "severity": "info", "count": 1},
            {"code": "a", "severity": "info", "count": 1},
        ]
    }
    section = sections.findings(document)
    assert (section.columns, section.words) == (("Finding", "Severity", "Count"), 2)
    assert section.rows == (("a", "info", "1"), ("c", "info", "1"), ("b", "odd", "9"))


def test_losses_and_editions(document: Document) -> None:
    assert sections.losses(document).rows == (
        ("omb2024-to-omb1997:mena", "wider", "4"),
        ("x12_1109_to_cdcrec:7", "inexact", "3"),
    )
    assert sections.editions(document).rows == (("codes/cdcrec.csv", "1.3"), ("codes/omb2024.csv", "2024-03-29"))


def test_of_a_withheld_whole_no_part_is_a_share() -> None:
    """496 are told of, which are not all."""
    states = {"answered": 400, "declined": None, "unknown": 96}
    given = {"population": None, "topics": {"race_ethnicity": {"states": states}}}
    assert sections.completeness(given).rows == (("Race and ethnicity", "suppressed", "400", "suppressed", "96"),)
    group = {"by": {"county": "A"}, **given}
    assert sections.strata({"strata": [group]}).rows[0][1:4] == ("suppressed", "400", "suppressed")
