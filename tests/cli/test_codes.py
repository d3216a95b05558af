"""codes show, lint and unmapped from the shell: what goes where, exit codes, and no value unasked."""

from __future__ import annotations

import csv
import io
import json
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SURVEY = "member_id,race_ethnicity\nFX1,Kurdish\nFX2,Kurdish\n"
ROW = "race_ethnicity,wording,Kurdish,cdcrec,,unmatched,seen 2 times"
HEADER = "applies_to,source_system,source_code,target_system,target_code,relationship,note"


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    path = tmp_path / "survey.csv"
    path.write_text(SURVEY)
    return path


def test_show_writes_csv_to_stdout(run: Run) -> None:
    done = run("codes", "show", "cdcrec_as_sent", "--partner", "covered-california")
    assert done.returncode == 0
    assert done.stderr == b""
    first, second = csv.DictReader(io.StringIO(done.stdout.decode()))
    assert first["file"] == "mappings/partners/covered-california/crosswalks/cdcrec_as_sent.csv"
    assert (first["line"], first["source_code"], first["target_code"]) == ("2", "2178-2", "2135-2")
    assert second["line"] == "3"


def test_show_as_json(run: Run) -> None:
    done = run("codes", "show", "edi834", "--partner", "or-oha", "--json", "-")
    document = json.loads(done.stdout)
    assert {name: document[name] for name in ("schema", "table", "partner")} == {
        "schema": "fhir-equity/codes-show/1",
        "table": "guides/edi834.toml",
        "partner": "or-oha",
    }
    assert {
        "file": "mappings/partners/or-oha/guides/edi834.toml",
        "key": "person.key",
        "value": "[['REF*0F', 'subscriber']]",
    } in document["rows"]


@pytest.mark.parametrize("arguments", [["colours"], ["edi834", "--partner", "nobody"]])
def test_show_what_there_is_none_of(run: Run, arguments: list[str]) -> None:
    done = run("codes", "show", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: ")


def test_lint_of_clean_tables(run: Run) -> None:
    done = run("codes", "lint")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"No problem found.\n")


def test_lint_tells_each_problem_in_a_line_and_ends_with_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ours" / "crosswalks").mkdir(parents=True)
    (tmp_path / "ours" / "crosswalks" / "own.csv").write_text(f"{HEADER}\nrace,wording,Kurd,cdcrec,,wider,\n")
    (tmp_path / "equity.toml").write_text('[mappings]\noverlay = "ours"\n')
    told = b"ours/crosswalks/own.csv, row 2: unmatched rows have no target_code, and all others have one\n"
    for arguments in (["codes", "lint"], ["codes", "lint", "ours"]):
        done = run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (1, told, b"Problems: 1.\n")
    assert run("codes", "lint", "none").returncode == 2


def test_unmapped_tells_no_value_unasked(run: Run, survey: Path) -> None:
    done = run("codes", "unmapped", survey, "--json", "-")
    assert done.returncode == 0
    assert b"Kurdish" not in done.stdout + done.stderr
    assert b"race_ethnicity" in done.stderr
    assert json.loads(done.stdout) == {
        "schema": "fhir-equity/codes-unmapped/1",
        "values_shown": False,
        "unmapped": [
            {
                "topic": "race_ethnicity",
                "system": "wording",
                "count": 2,
                "table": "crosswalks/wordings_to_cdcrec.csv",
            }
        ],
    }
    assert run("codes", "unmapped", survey).stdout == b""


def test_unmapped_hides_a_system_that_only_the_sender_knows(run: Run, tmp_path: Path) -> None:
    coding = '{"url":"ombCategory","valueCoding":{"system":"https://acme.example/race","code":"K8"}}'
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
    identity = '"identifier":[{"system":"https://acme.example/m","value":"FX1"}]'
    extension = f'[{{"url":"{url}","extension":[{coding}]}}]'
    (tmp_path / "p.json").write_text(f'{{"resourceType":"Patient",{identity},"extension":{extension}}}')
    done = run("codes", "unmapped", "p.json", "--json", "-")
    assert json.loads(done.stdout)["unmapped"][0]["system"] == "(not in systems.csv)"
    assert b"acme.example" not in done.stdout + done.stderr
    shown = json.loads(run("codes", "unmapped", "p.json", "--json", "-", "--show-values").stdout)
    assert (shown["unmapped"][0]["system"], shown["unmapped"][0]["code"]) == ("https://acme.example/race", "K8")
    assert shown["values_shown"] is True


def test_unmapped_prints_rows_when_asked_for_values(run: Run, survey: Path) -> None:
    done = run("--quiet", "codes", "unmapped", survey, "--show-values")
    assert done.stdout.decode().splitlines() == ["# crosswalks/wordings_to_cdcrec.csv", HEADER, ROW]
    assert done.stderr == b""


@pytest.mark.parametrize(("option", "name"), [("--out", "rows.csv"), ("--json", "rows.json")])
def test_files_with_values_are_their_owner_s_only(run: Run, survey: Path, option: str, name: str) -> None:
    done = run("codes", "unmapped", survey, "--show-values", option, name)
    assert (done.returncode, done.stdout) == (0, b"")
    path = survey.with_name(name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "Kurdish" in path.read_text()


@pytest.mark.parametrize("arguments", [["--out", "rows.csv"], ["--show-values", "--out", "none/rows.csv"]])
def test_rows_are_not_written_unasked_or_nowhere(run: Run, survey: Path, arguments: list[str]) -> None:
    done = run("codes", "unmapped", survey, *arguments)
    assert done.returncode == 2
    assert not survey.with_name("rows.csv").exists()


def test_unmapped_in_a_store_and_an_input_that_cannot_be_read(run: Run, survey: Path) -> None:
    run("ingest", survey, "--partner", "acme")
    assert ROW in run("codes", "unmapped", "--show-values").stdout.decode()
    survey.with_name("empty.834").write_text("")
    done = run("codes", "unmapped", survey, "empty.834", "--show-values")
    assert done.returncode == 3
    assert ROW in done.stdout.decode()


def test_nothing_unmapped(run: Run, survey: Path) -> None:
    survey.write_text("member_id,race_ethnicity\nFX1,White\n")
    done = run("codes", "unmapped", survey, "--show-values")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"Every code and wording has a row.\n")


def test_the_help_says_that_values_are_shown(run: Run) -> None:
    told = " ".join(run("codes", "unmapped", "--help").stdout.decode().split())
    assert "SHOW VALUES of records" in told
    assert "a rare write-in can identify a person" in told
