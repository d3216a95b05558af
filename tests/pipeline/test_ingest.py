"""ingest: the road into the store, killed and run again, replayed, broken, and never twice."""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.model import Identifier
from fhir_equity.pipeline import ingest as module
from fhir_equity.pipeline.ingest import Ingested, ingest
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings

FIXTURES = Path(__file__).resolve().parent.parent.parent / "fixtures"
HEAD = (
    "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*^*00501*000000001*0*T*:~\n"
    "GS*BE*SENDER*RECEIVER*20260101*1200*1*X*005010X220A1~\nST*834*0001*005010X220A1~\n"
    "BGN*00*FIXTURE*20260101*1200****4~\nN1*P5*SPONSOR~\nN1*IN*PAYER~\n"
)
RACES = (":RET:2106-3", ":RET:2054-5^:RET:2135-2", "7", ":RET:2123-8", "", "B")


def member(number: int, race: str, language: str = "SPA") -> str:
    return (
        f"INS*Y*18*030**A***FT~\nREF*0F*FX{number:06}~\nNM1*IL*1*ROSEFIELD*TALA{number}****ZZ*FX{number:06}~\n"
        f"DMG*D8*1984{number % 12 + 1:02}06*F**{race}~\nLUI*LE*{language}**7~\nHD*030**HLT~\n"
    )


def file(path: Path, members: Iterable[str]) -> Path:
    body = "".join(members)
    count = body.count("~") + 5
    path.write_text(f"{HEAD}{body}SE*{count}*0001~\nGE*1*1~\nIEA*1*000000001~\n", encoding="ascii")
    return path


@pytest.fixture
def month(tmp_path: Path) -> Path:
    return file(tmp_path / "month.834", [member(n, RACES[n % len(RACES)]) for n in range(60)])


def settings(folder: Path) -> Settings:
    return Settings(store=StoreSettings(url=str(folder / "equity.db")))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Ingested]:
    """`load(path, ..., as_of="2026-01-01", into="folder", partner="plan", accept_drop=False)`."""

    def run(
        *paths: Path, as_of: str = "2026-01-01", into: str = "store", partner: str = "plan", accept_drop: bool = False
    ) -> Ingested:
        (tmp_path / into).mkdir(exist_ok=True)
        with Workspace(settings(tmp_path / into), as_of) as workspace:
            return ingest(workspace, paths, partner=partner, accept_drop=accept_drop)

    return run


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(folder / "equity.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


RESTING = {
    "member": "id, partner, key, twin, key_rule, family, given, birth_date, details",
    "member_identifier": "*",
    "received": "*",
    "origin": "*",
    "answer": "id, member_id, event, received_id, origin_id, matter, first_seen, unit, number, offset, path",
    "quarantine": "partner, code, digest, unit, number, offset, path, raw",
}


def resting(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that a run leaves behind, without which run it was."""
    return {name: rows(folder, f"SELECT {columns} FROM {name} ORDER BY 1, 2, 3") for name, columns in RESTING.items()}  # noqa: S608


def test_what_an_ingest_says_of_itself(month: Path, load: Callable[..., Ingested], tmp_path: Path) -> None:
    done = load(month)
    assert (done.members, done.new_members, done.new_answers) == (60, 60, 170)
    assert (done.rejected, done.newly_quarantined, done.failures) == (0, 0, [])
    (entry,) = done.inputs
    assert (entry["name"], entry["format"], entry["members"]) == ("month.834", "edi834", 60)
    assert entry["bytes"] == month.stat().st_size
    assert rows(tmp_path / "store", "SELECT name, sha256, bytes, members, rejected FROM artefact") == [
        ("month.834", entry["sha256"], entry["bytes"], 60, 0)
    ]
    assert rows(tmp_path / "store", "SELECT partner, as_of, finished != '' FROM run") == [("plan", "2026-01-01", 1)]


def test_the_same_file_twice_changes_nothing(month: Path, load: Callable[..., Ingested], tmp_path: Path) -> None:
    load(month)
    before = resting(tmp_path / "store")
    again = load(month, as_of="2026-02-01")
    assert (again.members, again.new_members, again.new_answers, again.newly_quarantined) == (60, 0, 0, 0)
    assert resting(tmp_path / "store") == before
    assert rows(tmp_path / "store", "SELECT count(*) FROM sighting") == [(120,)]


def test_chunks_change_nothing(
    month: Path, load: Callable[..., Ingested], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(month)
    monkeypatch.setattr(module, "CHUNK", 7)
    assert load(month, into="chunks").new_answers == 170
    whole, pieces = (
        rows(
            tmp_path / into,
            "SELECT key, event, first_seen FROM answer JOIN member ON member.id = member_id ORDER BY 1, 2",
        )
        for into in ("store", "chunks")
    )
    assert whole == pieces


KILLED = """
import os, sys
from fhir_equity.pipeline import ingest as module
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings
from fhir_equity.store import ingest as store

path, folder, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
module.CHUNK = 10
insert = store.insert_all

def dying(*arguments):
    global calls
    first = insert(*arguments)
    calls -= 1
    if not calls:
        os._exit(9)
    return first

store.insert_all = dying
settings = Settings(store=StoreSettings(url=folder + "/equity.db"))
with Workspace(settings, "2026-01-01") as workspace:
    module.ingest(workspace, [path], partner="plan")
"""


@pytest.mark.parametrize("calls", [1, 5, 18])
def test_killed_in_the_middle_and_run_again_equals_an_uninterrupted_run(
    month: Path, load: Callable[..., Ingested], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", 10)
    load(month, into="whole")
    (tmp_path / "killed").mkdir()
    command = [sys.executable, "-c", KILLED, str(month), str(tmp_path / "killed"), str(calls)]
    assert subprocess.run(command, timeout=600, check=False).returncode == 9
    # Each chunk calls it four times, inside its transaction: what was not committed is not there.
    assert rows(tmp_path / "killed", "SELECT count(*) FROM member") == [((calls - 1) // 4 * 10,)]
    assert rows(tmp_path / "killed", "SELECT finished FROM run") == [("",)]
    load(month, into="killed")
    assert resting(tmp_path / "killed") == resting(tmp_path / "whole")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_files_of_three_months_in_any_order(
    tmp_path: Path, load: Callable[..., Ingested], order: tuple[int, ...]
) -> None:
    months = [
        file(tmp_path / "1.834", [member(1, ":RET:2106-3"), member(2, "7")]),
        file(tmp_path / "2.834", [member(1, ":RET:2054-5"), member(2, "7")]),
        file(tmp_path / "3.834", [member(1, ":RET:2106-3"), member(3, "7")]),
    ]
    for number in order:
        load(months[number], as_of=f"2026-0{number + 1}-01")
    found = rows(
        tmp_path / "store",
        "SELECT key, matter, first_seen FROM answer JOIN member ON member.id = member_id"
        " WHERE matter = 'race_ethnicity' ORDER BY 1, 3",
    )
    assert found == [
        ("FX000001", "race_ethnicity", "2026-01-01"),
        ("FX000001", "race_ethnicity", "2026-02-01"),
        ("FX000002", "race_ethnicity", "2026-01-01"),
        ("FX000003", "race_ethnicity", "2026-03-01"),
    ]


def test_a_bad_member_lands_in_quarantine_once_and_the_others_are_read(
    tmp_path: Path, load: Callable[..., Ingested]
) -> None:
    bad = "INS*Q*18*030~\nNM1*IL*1*NOBODY*NO****ZZ*FX9~\n"
    path = file(tmp_path / "bad.834", [member(1, "7"), bad, member(2, "7")])
    done = load(path)
    assert (done.members, done.rejected, done.newly_quarantined) == (2, 1, 1)
    assert done.findings["x12.ins01.not_in_code_list"] == 1
    ((raw,),) = rows(tmp_path / "store", "SELECT raw FROM quarantine")
    assert raw.strip() == bad.encode().strip()
    assert load(path).newly_quarantined == 0
    assert load(path, partner="second").newly_quarantined == 1


def test_an_input_that_cannot_be_read_leaves_no_trace_and_the_others_are_done(
    month: Path, tmp_path: Path, load: Callable[..., Ingested]
) -> None:
    empty = tmp_path / "empty.834"
    empty.touch()
    done = load(empty, FIXTURES / "broken/survey/binary.csv", FIXTURES / "broken/survey/no-key.csv", month)
    assert [entry["name"] for entry in done.inputs] == ["month.834"]
    assert len(done.failures) == 3
    assert done.new_members == 60
    assert rows(tmp_path / "store", "SELECT name FROM artefact") == [("month.834",)]


def test_an_input_that_breaks_off_keeps_what_was_read(tmp_path: Path, load: Callable[..., Ingested]) -> None:
    whole = file(tmp_path / "whole.834", [member(n, "7") for n in range(5)]).read_bytes()
    path = tmp_path / "cut.834"
    path.write_bytes(whole[: whole.index(b"DMG*D8*19840506")])
    done = load(path)
    assert (done.members, done.rejected) == (4, 1)
    assert done.inputs[0]["rejected"] == 1
    assert {"x12.member.truncated", "x12.truncated"} <= done.findings.keys()
    assert rows(tmp_path / "store", "SELECT members, rejected FROM artefact") == [(4, 1)]


def test_only_what_was_read_to_its_end_has_a_digest(tmp_path: Path, load: Callable[..., Ingested]) -> None:
    whole = file(tmp_path / "whole.834", [member(n, "7") for n in range(3000)]).read_bytes()
    packed = gzip.compress(whole)
    (tmp_path / "cut.834.gz").write_bytes(packed[: len(packed) * 3 // 4])
    done = load(tmp_path / "cut.834.gz")
    assert len(done.failures) == 1
    assert [entry["sha256"] for entry in done.inputs] == [""]
    assert rows(tmp_path / "store", "SELECT sha256, bytes FROM artefact") == [("", 0)]


def test_wrong_usage(tmp_path: Path, load: Callable[..., Ingested]) -> None:
    assert load(tmp_path / "nowhere.834").failures == [f"{tmp_path / 'nowhere.834'} does not exist"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=r"^there is nothing to read in .*folder$"):
        load(tmp_path / "folder")
    assert not (tmp_path / "store/equity.db").exists()


def test_a_survey_adds_answers_and_clears_nothing_of_the_enrollment(
    tmp_path: Path, load: Callable[..., Ingested]
) -> None:
    enrollment = file(tmp_path / "a.834", [member(1, ":RET:2106-3")])
    survey = tmp_path / "s.csv"
    survey.write_text(
        "member_id,first_name,last_name,race_ethnicity\nFX000001,TALA1,ROSEFIELD,Black\n", encoding="utf-8"
    )
    load(enrollment)
    done = load(survey)
    assert (done.new_members, done.new_answers) == (0, 1)
    with Workspace(settings(tmp_path / "store")) as workspace:
        (person,) = workspace.store.people
    assert person.member.enrollment.coverage == "HLT"
    assert person.member.enrollment.maintenance == "030"
    assert person.member.birth_date == "1984-02-06"
    assert Identifier("", "FX000001", "NM109") in person.member.identifiers
    assert [matter for matter, _ in person.events].count("race_ethnicity") == 2


def test_store_and_key_are_private(month: Path, load: Callable[..., Ingested], tmp_path: Path) -> None:
    load(month)
    found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "store").iterdir()}
    assert found["equity.db"] == found["equity.key"] == 0o600
    assert set(found.values()) == {0o600}


def test_a_termination_without_demographics_erases_nothing(
    tmp_path: Path, month: Path, load: Callable[..., Ingested]
) -> None:
    load(month)
    kept = "SELECT birth_date, family, given FROM member ORDER BY id"
    people, answers = rows(tmp_path / "store", kept), rows(tmp_path / "store", "SELECT * FROM answer ORDER BY id")
    ended = [
        f"INS*Y*18*024*XN*A~\nREF*0F*FX{n:06}~\nNM1*IL*1*ROSEFIELD*TALA{n}****ZZ*FX{n:06}~\nHD*024**HLT~\n"
        "DTP*349*D8*20260131~\n"
        for n in range(60)
    ]
    path = file(tmp_path / "ended.834", ended)
    path.write_text(path.read_text().replace("000000001", "000000002").replace("****4~", "****2~"))
    assert load(path, as_of="2026-02-01").too_much == ["members dropped: 60 of 60 (at most 20%)"]
    done = load(path, as_of="2026-02-01", accept_drop=True)
    assert (done.members, done.new_members, done.new_answers, done.findings) == (60, 0, 0, {})
    assert rows(tmp_path / "store", kept) == people
    assert rows(tmp_path / "store", "SELECT * FROM answer ORDER BY id") == answers
    details = rows(tmp_path / "store", "SELECT details FROM member")
    assert all('"maintenance":"024"' in str(found) and "2026-01-31" in str(found) for found in details)
