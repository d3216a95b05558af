"""What an auditor wants is in every form of the report: each heading below is a point of the list of contents."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import openpyxl
import orjson
import pytest

from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.demo import demo
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.publish.document import Internal
from fhir_equity.reports.evidence import verify, write_bundle
from fhir_equity.reports.figures import NOTHING
from fhir_equity.reports.html import html
from fhir_equity.reports.spreadsheet import write_xlsx
from fhir_equity.settings import load
from tests.reports.test_html import _Page

PROGRAMS = ("base", "rdm-style", "ldm-style", "tmsis", "covered-california", "masshealth", "oregon")

OWN = """
title = "Ours"
edition = "1"
source = "us"
sure = "verified"
[population]
without_enrollment = "count"
[reference.race_ethnicity]
"White" = 0.7
"Asian" = 0.2
"Samoan" = 0.1
[measure.index]
title = "Against a table of ours"
topic = "race_ethnicity"
kind = "dissimilarity"
at_most = 0.05
compliance_at_most = 0.9
source = "us"
sure = "verified"
[measure.adults]
title = "Of adults who were asked"
topic = "race_ethnicity"
excluded = ["unknown", "not_asked"]
age_from = 18
at_least = 0.99
compliance_at_least = 0.5
source = "us"
sure = "verified"
"""

# Point of the list -> headings of the page, tables of the other forms.
CONTENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "scope, denominators, versions": (("Scope", "Populations of the programs"), ("about", "populations")),
    "digests of the inputs": (("What was read",), ("inputs",)),
    "fields, questions and their editions": (("Fields and questions",), ("counts",)),
    "completeness by program, met or not": (("Completeness by program",), ("rates",)),
    "states by topic, by source, by group": (
        ("Completeness by topic", "Completeness by source", "Groups"),
        ("counts",),
    ),
    "RDM-style and LDM-style tables": (
        (
            "rdm-style: Race by source, demo-plan (354 people)",
            "rdm-style: Ethnicity by source, demo-plan (354 people)",
            "ldm-style: Spoken language by source, demo-plan (354 people)",
            "ldm-style: Written language by source, demo-plan (354 people)",
        ),
        ("tables",),
    ),
    "OMB both ways, combinations, details": (
        (
            *("Race and ethnicity, OMB 2024", "Race and ethnicity, OMB 1997"),
            *("Combinations and detailed groups", "Detailed groups"),
        ),
        ("counts",),
    ),
    "scorecard of sources": (("Scorecard of sources",), ("scorecard",)),
    "agreement with self-report": (("Agreement with self-report",), ("agreement",)),
    "conflicts, the rule applied, ageing": (("Conflicts", "Cases that wait for a decision"), ("counts", "cases")),
    "currency": (("Age of answers",), ("counts",)),
    "comparison with a population": (("Compared with a population table",), ("comparison",)),
    "unmapped values and losses": (("Mapping and losses", "Losses"), ("counts", "losses")),
    "release log": (("Release log",), ("disclosures",)),
    "exceptions and corrective actions": (("Findings", "Corrective actions"), ("findings",)),
    "control tests": (("Control tests",), ("controls",)),
    "what the rows rest on": (("What the programs rest on",), ("rates",)),
    "trend between runs": (("Trend",), ("trend",)),
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The audit of the demonstration's store after it was synchronised, compared with one of its 834 alone."""
    folder = tmp_path_factory.mktemp("auditor") / "demo"
    demo(folder, lambda _: None, lambda _done, _path: None)
    (folder / "acs.csv").write_text("county,category,people\n,White,60\n,Asian,40\n")
    (folder / "own.toml").write_text(OWN)
    with Workspace(load(folder / "equity.toml", "")) as workspace:
        before = audit(workspace, [folder / "enrollment.834"], partner="demo-plan").document
        (folder / "before.json").write_bytes(orjson.dumps(before))
        return audit(
            workspace,
            programs=[*PROGRAMS, str(folder / "own.toml")],
            by=["age", "month"],
            population=folder / "acs.csv",
            since=str(folder / "before.json"),
        ).document


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> _Page:
    return _Page(html(document))


@pytest.fixture(scope="module")
def evidence(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, with the spreadsheet beside it."""
    folder = tmp_path_factory.mktemp("evidence")
    write_bundle(Internal(document), folder / "bundle")
    write_xlsx(Internal(document), folder / "audit.xlsx")
    return folder


@pytest.mark.parametrize("point", CONTENTS)
def test_the_page_has_it(point: str, page: _Page) -> None:
    headings, _ = CONTENTS[point]
    assert set(headings) <= {text for _, text in page.headings}, point


@pytest.mark.parametrize("point", CONTENTS)
def test_the_spreadsheet_and_the_bundle_have_it(point: str, evidence: Path) -> None:
    _, tables = CONTENTS[point]
    sheets = openpyxl.load_workbook(evidence / "audit.xlsx", read_only=True).sheetnames
    for table in tables:
        assert table in sheets
        with (evidence / "bundle" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file))
        assert rows
        assert {len(row) for row in rows} == {len(header)}


def test_the_bundle_adds_up(evidence: Path) -> None:
    assert verify(evidence / "bundle") == []


def table(evidence: Path, name: str) -> list[dict[str, str]]:
    with (evidence / "bundle" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def within(rate: str, least: str, most: str) -> str:
    """met or not, as a person reads it off a line of rates.csv."""
    if not rate or not (least or most):
        return ""
    return str((not least or float(rate) >= float(least)) and (not most or float(rate) <= float(most))).lower()


def test_every_rate_and_verdict_follows_from_the_tables(evidence: Path) -> None:
    """An auditor has the tables and a pocket calculator."""
    rates, values = table(evidence, "rates"), table(evidence, "distributions")
    excluded, people = table(evidence, "excluded"), {p["program"]: p for p in table(evidence, "populations")}
    checked = set()
    for row in rates:
        where = row["program"], row["measure"], row["line"]
        checked.add(row["kind"])
        assert row["source"], where
        assert row["sure"] in ("verified", "inferred", "assumption"), where
        assert row["title"], where
        assert row["rule"].startswith('topic = "'), where
        if row["kind"] == "share" and row["rate"]:
            assert float(row["rate"]) == int(row["numerator"]) / int(row["denominator"]), where
        mine = [v for v in values if (v["program"], v["measure"], v["line"]) == where]
        if row["kind"] == "dissimilarity" and row["rate"]:
            told = [(int(v["count"]) / int(v["whole"]), float(v["reference"] or 0)) for v in mine]
            assert float(row["rate"]) == pytest.approx(sum(abs(ours - theirs) for ours, theirs in told) / 2), where
        if row["kind"] == "frequency":
            assert mine, where
        assert row["met"] == (within(row["rate"], row["at_least"], row["at_most"]) if row["threshold"] else ""), where
        limits = row["compliance_at_least"], row["compliance_at_most"]
        assert row["compliant"] == within(row["rate"], *limits), where
        assert row["rate"] or not int(row["denominator"]) or row["kind"] == "frequency" or row["note"], where
        out = sum(int(e["count"]) for e in excluded if (e["program"], e["measure"], e["line"]) == where)
        if "among = " not in row["rule"] and row["kind"] != "not_computed":
            assert int(row["denominator"]) + out == int(people[row["program"]]["counted"]), where
    assert checked == {"share", "dissimilarity", "frequency", "not_computed"}
    ours = {row["measure"]: row for row in rates if row["program"] == "own"}
    assert (ours["index"]["met"], ours["index"]["compliant"]) == ("false", "true")
    assert {row["why"] for row in excluded if row["program"] == "own"} >= {"unknown"}


def test_every_cell_and_every_agreement_follows_from_the_tables(evidence: Path) -> None:
    assert {"Imputed", "Disability (DDM)"} <= {row["name"] for row in table(evidence, "about")}
    wholes: dict[tuple[str, ...], set[int]] = {}
    sums: dict[tuple[str, ...], int] = {}
    for cell in table(evidence, "tables"):
        key = cell["program"], cell["table"], cell["line"]
        wholes.setdefault(key, set()).add(int(cell["whole"]))
        sums[key] = sums.get(key, 0) + int(cell["count"])
    assert {key: {count} for key, count in sums.items()} == wholes
    for row in table(evidence, "agreement"):
        both, ours, theirs, neither = (int(row[n]) for n in ("both", "self_only", "source_only", "neither"))
        people = int(row["people"])
        assert both + ours + theirs + neither == people
        for name, part, whole in (("sensitivity", both, both + ours), ("ppv", both, both + theirs)):
            assert (float(row[name]) == pytest.approx(part / whole)) if whole else row[name] == ""
        observed = (both + neither) / people
        chance = ((both + ours) * (both + theirs) + (neither + ours) * (neither + theirs)) / people**2
        if row["kappa"]:
            assert float(row["kappa"]) == pytest.approx((observed - chance) / (1 - chance))


def test_the_numbers_of_what_is_new(document: dict[str, Any], page: _Page) -> None:
    race = document["topics"]["race_ethnicity"]
    assert ["About", "This audit"] in page.rows
    assert ["Of partner", "all that were read"] in page.rows
    assert ["Survivorship policy", document["run"]["versions"]["survivorship"]] in page.rows
    assert {row[0] for row in page.rows if row[1].startswith(("nobody (0 %)", "a place kept"))} == {
        "Imputed",
        "Disability (DDM)",
    }
    survey = race["questions"]["member-survey-2026 v1"]
    assert ["Race and ethnicity", NOTHING, "member-survey-2026 v1", str(survey)] in page.rows
    assert sum(race["questions"].values()) == sum(race["methods"].values())
    waiting = {(case["topic"], case["kind"]): case for case in document["cases"]}
    tie = waiting["race_ethnicity", "tie"]
    assert tie["waiting"] == sum(tie["days"].values()) > 0
    assert (tie["decided"], tie["days"]) == (0, {"0-30": tie["waiting"]})
    (told,) = {each["rule"] for each in document["disclosures"]}
    assert {each["state"] for each in document["disclosures"]} == {"verified"}
    assert sum(each["records"] for each in document["disclosures"]) > 200
    assert any(told in cell for row in page.rows for cell in row)
    controls = {each["control"]: each for each in document["controls"]}
    assert list(controls) == ["totals", "trail", "runs", "release"]
    assert all(each["passed"] and each["checked"] for each in controls.values())
    assert controls["release"]["checked"] == sum(each["records"] for each in document["disclosures"])
    assert ["The audit trail is unbroken", "passed", str(controls["trail"]["checked"]), "0"] in page.rows


def test_rules_that_settled_have_a_reason(document: dict[str, Any]) -> None:
    settled = document["topics"]["race_ethnicity"]["settled"]
    assert set(settled) <= set(document["rules"])
    assert all(document["rules"].values())
    assert settled["method"] > 50


def test_nothing_of_it_is_published(document: dict[str, Any]) -> None:
    """What is counted without a place in the attack is no part of a public page, so it has no heading there."""
    public = {name: part for name, part in document.items() if name in ("schema", "topics", "views", "run")}
    headings = {text for _, text in _Page(html({**public, "audience": "public", "population": 354})).headings}
    inner = {"Scorecard of sources", "Agreement with self-report", "Release log", "Corrective actions", "Trend"}
    assert not inner & headings
    assert not re.search("Control tests", "".join(headings))
