"""What is said to somebody who types something wrong, or looks around: which thing, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fhir_equity.cli import run
from tests.conftest import ROOT

LEBANESE = str(ROOT / "fixtures/people/lebanese/enrollment.834")
SHORT = str(ROOT / "fixtures/broken/edi834/no-iea.834")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an empty folder in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit", "empty"], "there is nothing to read in empty"),
        (["ack", "empty"], "there is nothing to read in empty"),
        (["convert", "empty", "out.ndjson"], "there is nothing to read in empty"),
        (["audit", LEBANESE, "--html", "empty"], "empty cannot be opened (Is a directory)"),
        (["--config", "empty", "codes", "lint"], "the configuration file empty is no file"),
        (["convert", LEBANESE, "out.csv", "--form", "bundle"], "--us-core and --form are for FHIR"),
        (["convert", LEBANESE, "out.834", "--form", "bulk"], "--us-core and --form are for FHIR"),
        (["resolve"], "there is no store equity.db here; ingest files first"),
        (["audit"], "there is no store equity.db here; ingest files first, or name files to audit"),
        (
            ["audit", LEBANESE, "--fail-on", "doom"],
            "Invalid value for '--fail-on': 'doom' is not one of 'info', 'warning', 'error'.",
        ),
    ],
)
def test_the_thing_is_named(
    arguments: list[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"error: {message}\n")
    assert [path.name for path in place.iterdir()] == ["empty"]


def test_a_setting_is_named_without_the_words_of_a_library(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "equity.toml").write_text('[hie.x]\nurl = "http://hie.example/fhir"\n')
    assert run(["audit", LEBANESE]) == 2
    expected = "error: equity.toml: hie.x.url: plain http is refused except on loopback; use https\n"
    assert capsys.readouterr().err == expected


def test_brackets_in_a_name_are_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "a[bold].834").write_bytes(Path(LEBANESE).read_bytes())
    assert run(["audit", "a[bold].834"]) == 0
    assert "a[bold].834" in capsys.readouterr().err


def test_brackets_in_an_answer_are_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "survey.csv").write_text("member_id,survey_date,answered_by,race_ethnicity\nM1,2026-01-31,self,x [/b]\n")
    assert run(["ingest", "survey.csv"]) == run(["explain", "M1", "--show-values"]) == 0
    assert "x [/b]" in capsys.readouterr().err


def test_files_of_windows_programs_begin_with_a_mark(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "equity.toml").write_text('[mappings]\noverlay = "ours"\n', encoding="utf-8-sig")
    (place / "ours/guides").mkdir(parents=True)
    (place / "ours/guides/terminology.toml").write_text('base = "https://acme.example"\n', encoding="utf-8-sig")
    assert run(["codes", "lint"]) == 0, capsys.readouterr().err


def test_a_setting_that_there_is_none_of(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "equity.toml").write_text('[stor]\nurl = "x"\n')
    assert run(["audit", LEBANESE]) == 2
    assert capsys.readouterr().err == "error: equity.toml: stor: there is no such setting\n"


def test_a_snapshot_without_a_name_could_not_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--quiet", "ingest", LEBANESE]) == 0
    assert run(["snapshot", "create", " "]) == 2
    assert capsys.readouterr().err == "error: a snapshot needs a name\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit"],
        ["worklist", "--out", "list.csv"],
        ["members", "--cell", "state/race_ethnicity/declined", "--out", "list.csv"],
        ["codes", "unmapped"],
        ["export", "--parquet", "lake"],
        ["snapshot", "create", "2026"],
    ],
)
def test_a_partner_of_whom_nothing_is_in_the_store(
    arguments: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--quiet", "ingest", LEBANESE, "--partner", "acme"]) == 0
    before = sorted(path.name for path in place.iterdir())
    capsys.readouterr()
    assert run([*arguments, "--partner", "amce"]) == 2
    message = "error: nothing of partner amce is in the store; there is: acme\n"
    assert capsys.readouterr() == ("", message)
    assert sorted(path.name for path in place.iterdir()) == before


def test_the_help_that_comes_without_a_command_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    told = capsys.readouterr()
    assert "Usage" in told.out
    assert told.err == ""


def test_a_gate_that_failed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", SHORT, "--fail-on", "error"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "There are findings as bad as --fail-on error."


def test_what_comes_after_init_is_said_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "acme"]) == run(["init"]) == 0
    nexts = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines() if line.startswith("Next")]
    assert nexts == ["Next, in acme", "Next"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_is_asked_for_is_utf_8_whatever_the_system_speaks(encoding: str) -> None:
    command = [sys.executable, "-m", "fhir_equity", "codes", "show", "wordings_to_cdcrec"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert "Medio Oriente o Norte de África" in done.stdout.decode("utf-8")


def test_a_reader_who_closed_standard_output_is_no_gate_that_failed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fhir_equity", "--quiet", "audit", LEBANESE, "--json", "-"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
