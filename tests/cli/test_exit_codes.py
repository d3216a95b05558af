"""The contract that scripts depend on: exit codes, one clear sentence, nothing half-written."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.conftest import ROOT

PEOPLE = ROOT / "fixtures/people"
BROKEN = ROOT / "fixtures/broken"


def test_done_is_0_and_words_go_to_stderr(run: Run) -> None:
    done = run("audit", PEOPLE / "lebanese/enrollment.834")
    assert done.returncode == 0
    assert done.stdout == b""
    assert b"Middle Eastern or North African" in done.stderr


def test_json_on_standard_output_is_one_document(run: Run) -> None:
    done = run("audit", PEOPLE / "lebanese/enrollment.834", "--json", "-")
    document = json.loads(done.stdout)
    assert document["schema"] == "fhir-equity/audit/1"
    assert document["population"] == 1
    assert document["views"]["omb2024"]["categories"] == {"Middle Eastern or North African": {"any": 1, "alone": 1}}


def test_quiet_says_nothing(run: Run) -> None:
    assert run("--quiet", "audit", PEOPLE / "lebanese/enrollment.834").stderr == b""


def test_a_gate_that_fails_is_1(run: Run) -> None:
    broken = BROKEN / "edi834/no-iea.834"
    assert run("audit", broken).returncode == 0
    assert run("audit", broken, "--fail-on", "error").returncode == 1
    assert run("audit", PEOPLE / "lebanese/enrollment.834", "--fail-on", "error").returncode == 0


def test_a_program_that_is_not_met_is_1(run: Run) -> None:
    lebanese = PEOPLE / "lebanese/enrollment.834"
    told = run("audit", lebanese, "--require", "covered-california")
    assert told.returncode == 1
    assert told.stderr.decode().splitlines()[-1] == "Not met, or it cannot be told: covered-california"
    assert run("audit", lebanese, "--program", "covered-california").returncode == 0
    assert run("audit", lebanese, "--require", "base").returncode == 1  # nothing is asked for: it cannot be told


def test_programs_of_the_settings_and_of_ones_own(run: Run, tmp_path: Path) -> None:
    own = 'title = "t"\nedition = "1"\nsource = "s"\nsure = "verified"\n[measure.m]\ntitle = "Known"\n'
    own += 'topic = "race_ethnicity"\nat_least = 1.0\nsource = "s"\nsure = "verified"\n'
    (tmp_path / "mine.toml").write_text(own)
    lebanese = PEOPLE / "lebanese/enrollment.834"
    assert run("audit", lebanese, "--require", "mine.toml").returncode == 0
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/equity.toml").write_text('[audit]\nprograms = ["../mine.toml", "tmsis"]\n')
    told = run("--config", "inner/equity.toml", "audit", lebanese, "--json", "-")
    assert list(json.loads(told.stdout)["programs"]) == ["mine", "tmsis"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["audit", ".", "--program", "nobodys"],
        ["audit", ".", "--program", "gone.toml"],
        ["audit", ".", "--as-of", "yesterday"],
        ["audit", "--nonsense"],
        ["audit"],
        ["convert", str(PEOPLE / "lebanese/enrollment.834"), "out.csv", "--recipient", "nobody"],
        ["convert", str(PEOPLE / "lebanese/enrollment.834"), str(PEOPLE / "lebanese/enrollment.834")],
        ["audit", ".", "--by", "shoe-size"],
        ["--log-level", "loud", "audit"],
        ["--config", "not-there.toml", "audit"],
        ["ingest", "--as-of", "yesterday", "."],
        ["convert", str(PEOPLE / "lebanese/enrollment.834"), "out.docx"],
        ["convert", str(PEOPLE / "lebanese/enrollment.834"), "out.csv", "--form", "bundle", "--to", "survey"],
        ["convert", str(PEOPLE / "lebanese/enrollment.834"), "-", "--form", "bulk"],
        ["convert", str(PEOPLE / "lebanese/enrollment.834"), "nowhere/out", "--form", "bulk"],
        ["convert", str(PEOPLE / "lebanese/enrollment.834"), "out.ndjson", "--us-core", "2.0.0"],
        ["convert", str(PEOPLE / "lebanese/enrollment.834"), "nowhere/out.ndjson"],
        ["sync", "plan", "--hie", "nobody"],
        ["--store", "nowhere/equity.db", "audit"],
        ["--store", "mysql://localhost/x", "audit"],
    ],
)
def test_wrong_usage_is_2_with_one_line(run: Run, arguments: list[str], tmp_path: Path) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("edi834/empty.834", "empty.834 is empty"),
        ("edi834/not-there.834", f"{BROKEN / 'edi834/not-there.834'} does not exist"),
        ("edi834/mid-isa.834", "mid-isa.834 ends inside its first segment (ISA)"),
        ("edi834/claims-837.834", "claims-837.834 is an X12 837, not an 834"),
        ("survey/binary.csv", "binary.csv is a binary file, none of the formats we read"),
        ("survey/no-key.csv", "no-key.csv has no column for the member key"),
        ("fhir/not-json.json", "not-json.json is not valid JSON"),
    ],
)
@pytest.mark.parametrize("verb", ["audit", "ingest", "convert"])
def test_an_unreadable_input_is_3_and_says_why(run: Run, name: str, sentence: str, verb: str) -> None:
    done = run(verb, BROKEN / name, *(["out.ndjson"] if verb == "convert" else []))
    assert done.returncode == 3
    assert f"error: {sentence}" in done.stderr.decode()


def test_the_other_inputs_are_done_when_one_is_unreadable(run: Run) -> None:
    done = run("audit", BROKEN / "edi834/empty.834", PEOPLE / "declined/survey.csv", "--json", "-")
    assert done.returncode == 3
    assert json.loads(done.stdout)["topics"]["race_ethnicity"]["states"] == {"declined": 1}


@pytest.mark.parametrize(
    ("name", "members", "rejected", "finding"),
    [
        ("edi834/mid-segment.834", 0, 1, "x12.member.truncated"),
        ("edi834/no-iea.834", 1, 0, "x12.truncated"),
        ("fhir/bad-line.ndjson", 2, 1, "fhir.json.invalid"),
        ("survey/latin-1.csv", 1, 0, "survey.encoding.not_utf8"),
    ],
)
def test_what_can_be_read_is_read(run: Run, name: str, members: int, rejected: int, finding: str) -> None:
    document = json.loads(run("audit", BROKEN / name, "--json", "-").stdout)
    entry = document["run"]["inputs"][0]
    assert (entry["members"], entry["rejected"]) == (members, rejected)
    assert finding in {f["code"] for f in document["findings"]}


def test_a_newer_store_is_2_and_a_locked_one_4(run: Run, tmp_path: Path) -> None:
    assert run("ingest", PEOPLE / "lebanese/enrollment.834").returncode == 0
    store = tmp_path / "equity.db"
    with sqlite3.connect(store, isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        locked = run("ingest", PEOPLE / "declined/survey.csv")
        holder.execute("ROLLBACK")
    holder.close()
    assert locked.returncode == 4
    assert b"locked by another process" in locked.stderr
    with sqlite3.connect(store) as newer:
        newer.execute("UPDATE store_version SET version = version + 1")
    newer.close()
    refused = run("audit")
    assert refused.returncode == 2
    assert b"newer than this program knows" in refused.stderr


def test_a_file_that_is_no_store_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "equity.db").write_bytes(b"this is a text file and not a database, whatever its name says")
    done = run("audit")
    assert done.returncode == 2
    assert b"not a database" in done.stderr


HIE = '[hie.x]\nurl = "{url}"\nrecipient = "demo-hie"\nmode = "editor"\nattempts = 1\n'
HIE += 'identifier_systems = ["https://demo-plan.example/member-number"]\n'


def test_an_hie_that_is_down_is_4_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "equity.toml").write_text('partner = "demo-plan"\n' + HIE.format(url="http://127.0.0.1:9/fhir"))
    assert run("ingest", PEOPLE / "lebanese/enrollment.834").returncode == 0
    for verb in ("plan", "pull"):
        done = run("sync", verb, "--hie", "x")
        assert (verb, done.returncode) == (verb, 4)
    with sqlite3.connect(tmp_path / "equity.db") as store:
        assert store.execute("SELECT count(*) FROM journal").fetchone() == (0,)
    store.close()


def test_plain_http_to_elsewhere_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "equity.toml").write_text(HIE.format(url="http://hie.example/fhir"))
    done = run("sync", "plan", "--hie", "x")
    assert done.returncode == 2
    assert b"plain http is refused" in done.stderr


def test_every_file_we_make_is_private(run: Run, tmp_path: Path) -> None:
    os.umask(0)
    source = PEOPLE / "lebanese/enrollment.834"
    run("audit", source, "--json", "a.json", "--html", "a.html")
    run("ingest", source)
    run("convert", source, "a.ndjson", "--losses", "l.ndjson")
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["a.html", "a.json", "a.ndjson", "equity.db", "equity.key", "l.ndjson"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_conversion_that_fails_leaves_no_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out.ndjson").write_text("what was there before")
    for source in (tmp_path / "not-there", BROKEN / "edi834/claims-837.834"):
        done = run("convert", source, "out.ndjson")
        assert done.returncode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.ndjson"]
    assert (tmp_path / "out.ndjson").read_text() == "what was there before"


def test_standard_input_and_output(run: Run) -> None:
    done = run("convert", "-", "-", "--to", "fhir", stdin=(PEOPLE / "lebanese/enrollment.834").read_bytes())
    assert done.returncode == 0
    assert json.loads(done.stdout)["resourceType"] == "Patient"


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout.startswith(b"fhir-equity ")
    assert run("--help").returncode == 0
