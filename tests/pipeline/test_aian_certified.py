"""Whether somebody is certified is an answer of its own: read, kept, told in a survey, lost with a word elsewhere."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.lake import export
from fhir_equity.pipeline.leaving import Converted, Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings, StoreSettings

TOPIC = "aian_certified"
HEADINGS = "member_id,first_name,last_name,birth_date,race,AMERICAN-INDIAN-ALASKA-NATIVE-INDICATOR"
SAID = {"M1": "Yes", "M2": "0", "M3": "2", "M4": "Prefer not to answer", "M5": "7", "M6": ""}
SHEET = """
[[reporting]]
name = "AIAN CERTIFIED"
topic = "aian_certified"
values = { Y = "tmsis-aian|1", N = "tmsis-aian|0" }
"""
RULE = """
[[rule]]
id = "state"
recipient = "state"
purpose = "operations"
topics = ["race_ethnicity"]
from = "2026-01-01"
agreement = "invented"
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    overlay = tmp_path / "overlay"
    for name, text in (("partners/told/guides/edi834.toml", SHEET), ("policies/release.toml", RULE)):
        (overlay / name).parent.mkdir(parents=True)
        (overlay / name).write_text(text, encoding="utf-8")
    rows = [f"{key},ADA,GOLD,1980-01-0{n},White,{said}" for n, (key, said) in enumerate(SAID.items(), start=1)]
    (tmp_path / "in.csv").write_text("\n".join((HEADINGS, *rows, "")), encoding="utf-8")
    settings = Settings(mappings=MappingSettings(overlay=overlay), store=StoreSettings(url=str(tmp_path / "equity.db")))
    return Workspace(settings, "2026-02-01")


def converted(workspace: Workspace, folder: Path, name: str, wish: Wish) -> tuple[str, Converted]:
    with workspace:
        done = convert(workspace, folder / "in.csv", folder / name, wish=wish)
    return (folder / name).read_text(encoding="utf-8"), done


def test_a_survey_tells_it_again(workspace: Workspace, tmp_path: Path) -> None:
    text, done = converted(workspace, tmp_path, "out.csv", Wish(partner="told"))
    assert [row[TOPIC] for row in csv.DictReader(text.splitlines())] == [
        "Certified American Indian or Alaska Native",
        "Not a certified American Indian or Alaska Native",
        "Code 2 of the American Indian or Alaska Native indicator",
        "Declined to answer",
        "[no record]",
        "[no record]",
    ]
    assert (done.losses["no_code_for.invalid"], done.losses["no_code_for.blank"]) == (1, 1)


@pytest.mark.parametrize("name", ["out.json", "out.ndjson"])
def test_fhir_has_no_place_for_it(workspace: Workspace, tmp_path: Path, name: str) -> None:
    text, done = converted(workspace, tmp_path, name, Wish(partner="told"))
    assert "2106-3" in text
    assert "ertified" not in text
    assert "aian" not in text
    assert (done.losses["fhir.no_place"], done.losses["no_code_for.declined"]) == (3, 1)


def test_an_834_has_a_place_where_the_partner_s_sheet_gives_it_one(workspace: Workspace, tmp_path: Path) -> None:
    text, done = converted(workspace, tmp_path, "out.834", Wish(partner="told"))
    assert [line for line in text.splitlines() if line.startswith(("N1*75", "REF*ZZ"))] == [
        *("N1*75*AIAN CERTIFIED~", "REF*ZZ*Y~", "N1*75*AIAN CERTIFIED~", "REF*ZZ*N~"),
    ]
    assert done.losses["edi834.no_category"] == 1  # code 2, of which the sheet says nothing
    assert "edi834.no_place" not in done.losses


def test_without_such_a_sheet_it_is_lost(workspace: Workspace, tmp_path: Path) -> None:
    text, done = converted(workspace, tmp_path, "out.834", Wish(partner="plan"))
    assert "2700" not in text
    assert done.losses["edi834.no_place"] == 3


def test_it_leaves_for_nobody_whom_no_rule_lets_have_it(workspace: Workspace, tmp_path: Path) -> None:
    text, done = converted(workspace, tmp_path, "out.csv", Wish(partner="told", recipient="state"))
    assert {row[TOPIC] for row in csv.DictReader(text.splitlines())} == {"[no record]"}
    assert {row["race_ethnicity"] for row in csv.DictReader(text.splitlines())} == {"White"}
    assert done.losses["release.no_rule"] == 6


def test_parquet_has_it_as_it_came_and_as_it_is_meant(workspace: Workspace, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with workspace:
        ingest(workspace, [tmp_path / "in.csv"], partner="told")
        export(workspace, tmp_path / "lake")
    rows = [
        row
        for path in sorted((tmp_path / "lake").rglob("answers/**/*.parquet"))
        for row in parquet.read_table(path).to_pylist()
        if row["topic"] == TOPIC
    ]
    meant = {row["raw"]: (row["state"], [c["code"] for c in row["concepts"]]) for row in rows}
    assert len(rows) == 6
    assert meant["Yes"] == ("answered", ["1"])
    assert meant["0"] == ("answered", ["0"])
    assert meant["7"] == ("invalid", [])
    assert {row["matter"] for row in rows} == {TOPIC}
