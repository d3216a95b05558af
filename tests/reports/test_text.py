"""The summary for a terminal."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from fhir_equity.reports.text import summary

Document = dict[str, Any]


def test_the_parts(document: Document) -> None:
    found = summary(document)
    assert [section.title for section in found] == [
        "Population and inputs: 12,345 people",
        "Completeness by topic",
        "Race and ethnicity, OMB 2024",
        "Program ncqa-rdm-style",
        "Findings",
    ]
    assert found[0].rows[-1][0] == "All 2 inputs"
    assert found[1].rows[0][2] == "9,876 (80.0%)"
    assert found[4].rows[0] == ("survey.row.too_long", "error", "", "70")


def test_nobody_is_still_a_summary(bare: Document) -> None:
    (only,) = summary(bare)
    assert (only.title, only.rows) == ("Population and inputs: 0 people", ())


def test_long_lists_say_that_they_are_cut() -> None:
    findings = [{"code": f"x.{number:02}", "severity": "info", "count": 1} for number in range(21)]
    inputs = [{"name": f"{number:02}.834", "members": 2} for number in range(30)]
    found = summary({"run": {"inputs": inputs}, "findings": findings})
    assert found[-1].title == "Findings (first 20 of 21)"
    assert [row[0] for row in found[-1].rows] == [f"x.{number:02}" for number in range(20)]
    assert [row[0] for row in found[0].rows[19:]] == ["19.834", "...", "All 30 inputs"]
    assert found[0].rows[-1][3] == "60"
    assert {len(row) for row in found[0].rows} == {5}


def test_lists_of_the_greatest_length_are_whole() -> None:
    findings = [{"code": f"x.{number:02}", "severity": "info", "count": 1} for number in range(20)]
    inputs = [{"name": f"{number:02}.834"} for number in range(20)]
    found = summary({"run": {"inputs": inputs}, "findings": findings})
    assert (found[-1].title, len(found[-1].rows)) == ("Findings", 20)
    assert [row[0] for row in found[0].rows[19:]] == ["19.834", "All 20 inputs"]


def test_importing_the_reports_loads_no_extra() -> None:
    program = (
        "import sys, fhir_equity.reports.html, fhir_equity.reports.text\n"
        "sys.exit(bool({'altair', 'jinja2', 'vl_convert', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
