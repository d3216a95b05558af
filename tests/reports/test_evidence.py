"""CSV, spreadsheet and evidence: real numbers, no formulas, and nothing that is changed stays unnoticed."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import openpyxl
import orjson
import pytest

from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.quality.publish.document import Internal
from fhir_equity.reports.evidence import verify, write_bundle
from fhir_equity.reports.spreadsheet import csv_of, write_csv, write_xlsx
from fhir_equity.reports.tidy import Tidy, tidy
from tests.quality.publish.audits import document, program, row, topic


@pytest.fixture
def given() -> dict[str, Any]:
    states = {"answered": 300, "declined": 50, "unknown": 150}
    source = {"source": "=cmd|' /C calc'!A0", "population": 350, "states": {"answered": 300, "declined": 50}}
    view = {
        "answered": 300,
        "categories": {"Asian": {"any": 110, "alone": 100}, "White": {"any": 200, "alone": 190}},
        "combinations": [{"categories": ["Asian", "White"], "count": 10}],
        "multiracial_or_multiethnic": 10,
        "without_category": 0,
    }
    table = {"table": "race", "title": "Race", "topic": "race_ethnicity", "line": "", "population": 500}
    table |= {"columns": ["direct"], "rows": [{"row": "White", "counts": {"direct": 500}}]}
    whole = document(500, {"race_ethnicity": topic(states) | {"sources": [source]}}, views={"omb2024": view})
    about = {"title": "Known", "source": "us", "sure": "verified", "note": "", "at_least": 0.2, "at_most": None}
    enrolled = {"from": "2026-01-01", "to": "2026-01-01"}
    base = program([row("known", 300, 500) | about], [table], 500)
    return whole | {"programs": {"base": base | {"population": base["population"] | enrolled}}}


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode())))


def test_each_count_is_a_row_with_its_whole(given: dict[str, Any]) -> None:
    counts = next(table for table in tidy(given) if table.name == "counts")
    assert ("", "states", "race_ethnicity", "", "declined", 50, 500, False) in counts.rows
    assert ("", "omb2024 any", "race_ethnicity", "", "Asian", 110, 300, False) in counts.rows
    assert ("", "omb2024 combination", "race_ethnicity", "", "Asian + White", 10, 10, False) in counts.rows
    given["topics"]["race_ethnicity"]["states"]["declined"] = None
    counts = next(table for table in tidy(given) if table.name == "counts")
    assert ("", "states", "race_ethnicity", "", "declined", None, 500, True) in counts.rows


def test_csv_has_no_formulas_and_nothing_for_what_is_hidden() -> None:
    words = ("=1+1", "a,b", "@x", "\n=1", "\uff1d1")
    content = csv_of(Tidy("t", ("a", "b", "c"), tuple((word, None, -3) for word in words)))
    assert rows(content)[1:] == [[word if word == "a,b" else f"'{word}", "", "-3"] for word in words]
    content = csv_of(Tidy("t", ("a", "b"), ((True, 0.5), (False, 2))))
    assert rows(content) == [["a", "b"], ["true", "0.5"], ["false", "2"]]


def test_csv_files_are_private(given: dict[str, Any], tmp_path: Path) -> None:
    names = write_csv(Internal(given), tmp_path / "tables")
    assert names == [
        "about.csv",
        "inputs.csv",
        "counts.csv",
        "populations.csv",
        "rates.csv",
        "tables.csv",
        "findings.csv",
    ]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "tables").iterdir()} == {0o600}


def test_the_spreadsheet_has_numbers_and_says_on_each_sheet_who_may_see_it(
    given: dict[str, Any], tmp_path: Path
) -> None:
    write_xlsx(Internal(given), tmp_path / "a.xlsx")
    assert (tmp_path / "a.xlsx").stat().st_mode & 0o777 == 0o600
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["about", "inputs", "counts", "populations", "rates", "tables", "findings"]
    assert {sheet["A1"].value for sheet in book} == {"Internal: counts are not suppressed"}
    cells = {cell for line in book["counts"].iter_rows(min_row=4, values_only=True) for cell in line}
    assert {300, 500, "=cmd|' /C calc'!A0"} <= cells
    assert not [c for sheet in book for line in sheet.iter_rows() for c in line if c.data_type == "f"]
    assert book["rates"]["G4"].value == 0.6


def test_a_bundle_adds_up(given: dict[str, Any], tmp_path: Path) -> None:
    names = write_bundle(Internal(given), tmp_path / "evidence")
    assert {"audit.json", "report.html", "manifest.json", "counts.csv"} <= set(names)
    assert verify(tmp_path / "evidence") == []
    with pytest.raises(UsageError, match="not an empty folder"):
        write_bundle(Internal(given), tmp_path / "evidence")


def test_a_changed_a_missing_and_a_strange_file_are_told(given: dict[str, Any], tmp_path: Path) -> None:
    write_bundle(Internal(given), tmp_path)
    table = tmp_path / "counts.csv"
    table.write_bytes(table.read_bytes().replace(b"declined,50", b"declined,51"))
    (tmp_path / "rates.csv").unlink()
    (tmp_path / "more.txt").write_text("x")
    assert verify(tmp_path) == [
        "more.txt is not in the manifest",
        "counts.csv is not what the manifest has the digest of",
        "rates.csv is missing",
        "counts.csv does not say what audit.json says",
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["topics"]["race_ethnicity"]["states"].update(unknown=151), "the states of race_ethnicity: 501"),
        (lambda d: d["views"]["omb2024"].update(without_category=1), "OMB 2024 alone: 301 and not 300"),
        (lambda d: d["views"]["omb2024"]["combinations"][0].update(count=9), "OMB 2024 combinations: 9 and not 10"),
        (lambda d: d["programs"]["base"]["rows"][0].update(rate=0.7), "base: known: 300 of 500 is not 0.7"),
        (lambda d: d["programs"]["base"]["rows"][0].update(numerator=501), "base: known: 501 of 500"),
        (
            lambda d: d["programs"]["base"]["rows"][0].update(denominator=0, numerator=0),
            "base: known: 0 of 0 is not",
        ),
        (lambda d: d["programs"]["base"]["rows"][0].update(met=False), "base: known: met is not False"),
        (lambda d: d["programs"]["base"]["rows"][0].update(compliant=True), "base: known: compliant is not True"),
        (lambda d: d["programs"]["base"]["rows"][0].update(more=7), "base: known: 7 more are not what is missing"),
        (lambda d: d["programs"]["base"].update(met=None), "base: met is not None"),
        (lambda d: d["programs"]["base"]["tables"][0].update(population=499), "base: the table race: 500 and not 499"),
    ],
)
def test_every_total_is_recomputed(given: dict[str, Any], tmp_path: Path, change: Any, says: str) -> None:
    change(given)
    write_bundle(Internal(given), tmp_path)
    told = verify(tmp_path)[0]
    assert told.startswith(says)


@pytest.mark.parametrize("name", ["audience", "generated", "software", "run", "editions", "approved_by"])
def test_a_manifest_that_was_changed_is_told(given: dict[str, Any], tmp_path: Path, name: str) -> None:
    write_bundle(Internal(given), tmp_path)
    manifest = orjson.loads((tmp_path / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_bytes(orjson.dumps(manifest | {name: "public"}))
    assert verify(tmp_path) == [f"manifest.json: {name} is not that of audit.json"]


def test_a_file_that_is_gone_from_the_manifest_too_is_told(given: dict[str, Any], tmp_path: Path) -> None:
    write_bundle(Internal(given), tmp_path)
    manifest = orjson.loads((tmp_path / "manifest.json").read_bytes())
    del manifest["files"]["rates.csv"]
    (tmp_path / "manifest.json").write_bytes(orjson.dumps(manifest))
    (tmp_path / "rates.csv").unlink()
    (tmp_path / "counts.csv").unlink()
    (tmp_path / "counts.csv").mkdir()
    assert verify(tmp_path) == [
        "counts.csv is not what the manifest has the digest of",
        "rates.csv is missing from the manifest",
    ]


def test_what_is_no_bundle_is_refused(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"manifest\.json is missing"):
        verify(tmp_path)
    write_bundle(Internal(given), tmp_path / "one")
    (tmp_path / "one" / "audit.json").write_bytes(orjson.dumps({"schema": "fhir-equity/audit/1"}))
    with pytest.raises(UnreadableError, match="is not an audit document"):
        verify(tmp_path / "one")
    given["programs"]["base"]["rows"][0]["at_least"] = "a fifth"
    (tmp_path / "one" / "audit.json").write_bytes(orjson.dumps(given))
    with pytest.raises(UnreadableError, match="is not an audit document"):
        verify(tmp_path / "one")
    (tmp_path / "one" / "manifest.json").write_text("{}")
    with pytest.raises(UnreadableError, match="is not of schema"):
        verify(tmp_path / "one")
