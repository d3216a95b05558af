"""codes lookup from the shell: a code in any spelling, in words and as JSON."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize("spelling", ["2118-8", "R5.02"])
def test_a_code_in_both_its_spellings(run: Run, spelling: str) -> None:
    done = run("codes", "lookup", spelling)
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.decode().splitlines()
    assert "cdcrec|2118-8  Middle Eastern or North African" in said
    assert "  OMB 2024: Middle Eastern or North African" in said
    assert "  OMB 1997: White" in said
    assert [line for line in said if line.startswith("  parents: 2106-3 White")]
    assert [line for line in said if line.startswith("  table: codes/cdcrec.csv (")]


def test_crosswalks_from_and_to_a_code(run: Run) -> None:
    said = run("codes", "lookup", "2054-5", "--system", "cdcrec").stdout.decode()
    assert "  to: x12-1109|B, equivalent, for race_ethnicity (cdcrec_to_x12_1109:2054-5)" in said
    assert "  from: x12-1109|B, equivalent, for race_ethnicity (x12_1109_to_cdcrec:B)" in said


def test_a_partner_that_treats_a_code_otherwise(run: Run) -> None:
    said = run("codes", "lookup", "2178-2").stdout.decode()
    assert "  partners that differ: covered-california" in said


def test_as_json(run: Run) -> None:
    document = json.loads(run("codes", "lookup", "2118-8", "--json", "-").stdout)
    assert document["schema"] == "fhir-equity/codes-lookup/1"
    entry = next(e for e in document["entries"] if e["system"] == "cdcrec")
    assert (entry["code"], entry["omb2024"], entry["omb1997"]) == (
        "2118-8",
        "Middle Eastern or North African",
        "White",
    )
    assert entry["parents"][0]["code"] == "2106-3"


@pytest.mark.parametrize("arguments", [["9999-9"], ["2118-8", "--system", "bcp47"]])
def test_a_code_that_no_table_has(run: Run, arguments: list[str]) -> None:
    done = run("codes", "lookup", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: no table has this code")
