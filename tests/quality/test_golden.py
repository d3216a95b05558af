"""Whole scenarios whose numbers were worked out by hand: every program, every rate, every cell of every table."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings
from fhir_equity.tables import Tables

SCENARIOS = sorted(path.parent for path in (Path(__file__).parent / "programs").glob("*/expected.toml"))
PROGRAMS = [Path(name).stem for name in Tables().names("programs", ".toml")]
GENERAL = ("as_of", "partner", "people")


def told(result: dict[str, Any]) -> dict[str, Any]:
    """A program's result as expected.toml writes it."""
    population, rows = result["population"], [row for row in result["rows"] if row["numerator"] is not None]
    return {
        "counted": population["counted"],
        "assumed": population["assumed"],
        "left_out": population["left_out"],
        "met": result["met"],
        "bridged": result["bridged"],
        "cannot_be_bridged": result["cannot_be_bridged"],
        "rates": {_name(row): [row["numerator"], row["denominator"]] for row in rows},
        "tables": {
            _name(table): {row["row"]: {c: n for c, n in row["counts"].items() if n} for row in table["rows"]}
            for table in result["tables"]
        },
    }


def _name(entry: dict[str, Any]) -> str:
    name = entry.get("measure") or entry["table"]
    return f"{name}, {entry['line']}" if entry["line"] not in ("", "demo-plan") else str(name)


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
def test_what_was_worked_out_by_hand(folder: Path, tmp_path: Path) -> None:
    expected = tomllib.loads((folder / "expected.toml").read_text(encoding="utf-8"))
    own = [str(path) for path in sorted(folder.glob("*.toml")) if path.name != "expected.toml"]
    programs = [name for name in PROGRAMS if name in expected] + own
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".834", ".csv")]
    settings = Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))
    with Workspace(settings, expected["as_of"]) as workspace:
        partner = expected["partner"]
        of_files = audit(workspace, files, partner=partner, programs=programs).document
        ingest(workspace, files, partner=partner)
        of_store = audit(workspace, partner=partner, programs=programs).document
    assert of_files["population"] == expected["people"]
    assert of_store["programs"] == of_files["programs"]
    assert set(of_files["programs"]) == set(expected).difference(GENERAL)
    for name, program in of_files["programs"].items():
        wanted = expected[name]
        blank = {"assumed": 0, "left_out": {}, "met": None, "bridged": {}, "cannot_be_bridged": {}, "tables": {}}
        more, unmet = wanted.pop("more", {}), wanted.pop("unmet", None)
        assert told(program) == blank | wanted, name
        rows = {_name(row): row for row in program["rows"]}
        assert {measure: rows[measure]["more"] for measure in more} == more, name
        failing = sorted(measure for measure, row in rows.items() if row["met"] is False and row["decides"])
        assert unmet is None or failing == sorted(unmet), name


def test_every_program_has_a_scenario() -> None:
    known = {name for folder in SCENARIOS for name in tomllib.loads((folder / "expected.toml").read_text())}
    assert set(PROGRAMS) <= known
