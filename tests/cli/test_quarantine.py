"""quarantine list, show and retry from the shell: what goes where, exit codes, and no value unasked."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Run

RAW = b",MC000077,Tala,Rosefield,Samoan\n"
OTHER = b",MC000078,Bruno,Rosefield,White\n"
GUIDE = 'keys = [["medicaid_id"]]\n'


@pytest.fixture
def kept(run: Run, tmp_path: Path) -> Path:
    """A store with two rejected rows of the partner acme, and an overlay whose guide takes them."""
    header = b"member_id,medicaid_id,first_name,last_name,race_ethnicity\n"
    (tmp_path / "late.csv").write_bytes(header + RAW + OTHER)
    assert run("ingest", "late.csv", "--partner", "acme").returncode == 0
    guides = tmp_path / "ours" / "partners" / "acme" / "guides"
    guides.mkdir(parents=True)
    (guides / "survey.toml").write_text(GUIDE)
    (tmp_path / "ours.toml").write_text('[mappings]\noverlay = "ours"\n')
    return tmp_path


def test_list_as_json(run: Run, kept: Path) -> None:
    done = run("quarantine", "list", "--partner", "acme", "--code", "survey.key.empty", "--json", "-")
    document = json.loads(done.stdout)
    assert document["schema"] == "fhir-equity/quarantine/1"
    assert document["records"][0] == {
        "id": 1, "run": 1, "partner": "acme", "artefact": "late.csv", "format": "survey", "code": "survey.key.empty",
        "unit": "row", "number": 2, "offset": 58, "path": "column 1", "size": len(RAW), "settled": None,
    }  # fmt: skip
    assert [record["id"] for record in document["records"]] == [1, 2]
    assert b"Rosefield" not in done.stdout + done.stderr


def test_list_for_people(run: Run, kept: Path) -> None:
    done = run("quarantine", "list")
    words = done.stderr.decode().split()
    assert (done.returncode, done.stdout) == (0, b"")
    assert words[words.index("survey.key.empty") :][:6] == ["survey.key.empty", "│", "2", "│", "0", "│"]
    assert "late.csv, row 3, byte 90, column 1" in done.stderr.decode()
    assert run("quarantine", "list", "--partner", "nobody").stderr == b"The quarantine holds no such record.\n"


def test_show_has_no_value_unasked(run: Run, kept: Path) -> None:
    done = run("quarantine", "show", "1")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().splitlines() == [
        "Record 1: survey.key.empty",
        "  where: late.csv, row 2, byte 58, column 1",
        "  partner: acme, format: survey, run: 1, bytes: 32",
        "  settled: no",
    ]


def test_show_gives_the_bytes_when_asked_for_them(run: Run, kept: Path) -> None:
    done = run("--quiet", "quarantine", "show", "1", "--show-values")
    assert (done.returncode, done.stdout, done.stderr) == (0, RAW, b"")
    done = run("quarantine", "show", "2", "--show-values", "--out", "raw.csv")
    assert (done.returncode, done.stdout) == (0, b"")
    assert (kept / "raw.csv").read_bytes() == OTHER
    assert stat.S_IMODE((kept / "raw.csv").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "77"], "there is no quarantined record 77"),
        (["retry", "1", "77"], "there is no quarantined record 77"),
        (["show", "1", "--out", "raw.csv"], "--out writes values of a person; say so with --show-values"),
        (["show", "1", "--show-values", "--out", "none/raw.csv"], "the folder none does not exist"),
    ],
)
def test_wrong_usage(run: Run, kept: Path, arguments: list[str], sentence: str) -> None:
    done = run("quarantine", *arguments)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"error: {sentence}\n")
    assert not (kept / "raw.csv").exists()


def test_without_a_store(run: Run) -> None:
    for command in (["list"], ["show", "1"], ["retry"]):
        done = run("quarantine", *command)
        assert done.returncode == 2
        assert b"there is no store equity.db here" in done.stderr


def test_retry_before_and_after_the_guide_was_mended(run: Run, kept: Path) -> None:
    before = run("quarantine", "retry")
    assert before.returncode == 0
    assert before.stderr.decode().splitlines()[:2] == [
        "Settled: 0 records (0 new members, 0 answers).",
        "Kept in quarantine: 2 records.",
    ]
    one = run("--config", "ours.toml", "quarantine", "retry", "2")
    assert one.stderr.decode() == "Settled: 1 records (1 new members, 1 answers).\nKept in quarantine: 0 records.\n"
    shown = run("quarantine", "show", "2").stderr.decode()
    assert shown.splitlines()[-1].endswith("+00:00, run 2")
    (entry,) = [r for r in json.loads(run("quarantine", "list", "--json", "-").stdout)["records"] if r["settled"]]
    assert (entry["id"], entry["settled"]["run"], entry["settled"]["at"][:2]) == (2, 2, "20")
    assert "run 2" in run("quarantine", "list").stderr.decode()
    again = run("--config", "ours.toml", "quarantine", "retry", "--partner", "acme", "--code", "survey.key.empty")
    assert again.stderr.decode().startswith("Settled: 1 records (1 new members, 1 answers).\n")


def test_a_record_that_cannot_be_tried_ends_with_3(run: Run, kept: Path) -> None:
    connection = sqlite3.connect(kept / "equity.db")
    connection.execute("DELETE FROM frame")
    connection.commit()
    connection.close()
    done = run("--config", "ours.toml", "quarantine", "retry")
    assert done.returncode == 3
    assert done.stderr.count(b"error: late.csv: the header row of its records was not kept; ingest it again\n") == 1
