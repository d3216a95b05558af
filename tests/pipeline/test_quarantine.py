"""quarantine retry: after a guide was mended the store is as if the file had been read with it, killed or not."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_equity.adapters import adapter_named
from fhir_equity.errors import UsageError
from fhir_equity.pipeline import quarantine as module
from fhir_equity.pipeline.ingest import Ingested, ingest
from fhir_equity.pipeline.quarantine import Retried, quarantine_list, quarantine_retry, quarantine_show
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings, StoreSettings
from tests.pipeline.test_ingest import RESTING, file, member, resting

# With this guide only REF*23 makes a key, which some members lack; that of the package takes them all.
STRICT = '[person]\nkey = [["REF*23"]]\n'
KEYED = member(1, ":RET:2106-3").replace("NM1*IL", "REF*23*K1~\nNM1*IL")
LOOSE = [member(n, race) for n, race in enumerate(("7", ":RET:2054-5^:RET:2135-2", ":RET:2028-9", "B"), start=2)]
BAD = "INS*Q*18*030~\nNM1*IL*1*NOBODY*NO****ZZ*FX9~\n"


@pytest.fixture
def month(tmp_path: Path) -> Path:
    return file(tmp_path / "month.834", [*LOOSE[:2], KEYED, BAD, *LOOSE[2:]])


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Workspace]:
    """`opened("store", strict=True)`: a workspace under the strict guide, or under that of the package."""
    guides = tmp_path / "strict" / "guides"
    guides.mkdir(parents=True)
    (guides / "edi834.toml").write_text(STRICT)

    def make(into: str = "store", *, strict: bool = False, as_of: str = "2026-03-01") -> Workspace:
        (tmp_path / into).mkdir(exist_ok=True)
        overlay = MappingSettings(overlay=tmp_path / "strict") if strict else MappingSettings()
        return Workspace(Settings(store=StoreSettings(url=str(tmp_path / into / "equity.db")), mappings=overlay), as_of)

    return make


@pytest.fixture
def load(opened: Callable[..., Workspace]) -> Callable[..., Ingested]:
    """`load(path, into="store", strict=True)` in January."""

    def run(path: Path, into: str = "store", *, strict: bool = True, partner: str = "plan") -> Ingested:
        with opened(into, strict=strict, as_of="2026-01-01") as workspace:
            return ingest(workspace, [path], partner=partner)

    return run


@pytest.fixture
def retry(opened: Callable[..., Workspace]) -> Callable[..., Retried]:
    """`retry("store", ids=[1])` in March, under the guide of the package."""

    def run(into: str = "store", *, strict: bool = False, **how: Any) -> Retried:
        with opened(into, strict=strict) as workspace:
            return quarantine_retry(workspace, **how)

    return run


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(folder / "equity.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


PEOPLE = """SELECT key, twin, family, given, birth_date, matter, event, value, first_seen, name, answer.unit,
    answer.number, answer.offset, answer.path FROM member JOIN answer ON member_id = member.id
    JOIN received ON received.id = received_id JOIN artefact ON artefact.id = artefact_id ORDER BY 1, 6, 7, 8"""


def test_after_a_retry_the_store_is_as_if_the_file_had_been_read_so(
    month: Path, load: Callable[..., Ingested], retry: Callable[..., Retried], tmp_path: Path
) -> None:
    assert load(month).rejected == 5
    load(month, "whole", strict=False)
    done = retry()
    assert (done.settled, done.new_members, done.kept) == (4, 4, {"x12.ins01.not_in_code_list": 1})
    assert done.failures == []
    assert done.new_answers == len(rows(tmp_path / "whole", PEOPLE)) - 3  # those of the keyed member
    ours, whole = ([row[1:] for row in rows(tmp_path / into, PEOPLE) if row[0] != "K1"] for into in ("store", "whole"))
    assert [row for row in whole if row in ours] == ours
    assert len(ours) == done.new_answers
    assert {row[7] for row in ours} == {"2026-01-01"}  # the date of the file, not of the retry


def test_reading_the_file_again_afterwards_adds_nothing(
    month: Path, load: Callable[..., Ingested], retry: Callable[..., Retried]
) -> None:
    load(month)
    retry()
    again = load(month, strict=False)
    # Only the member who goes by another key under the mended guide is new.
    assert (again.new_members, again.new_answers, again.newly_quarantined) == (1, 3, 0)


def test_twice_is_once_and_what_still_fails_waits(
    month: Path, load: Callable[..., Ingested], retry: Callable[..., Retried], tmp_path: Path
) -> None:
    load(month)
    assert retry(strict=True).settled == 0
    assert rows(tmp_path / "store", "SELECT count(*) FROM run") == [(1,)]  # nothing to write, no run
    retry()
    before = {name: rows(tmp_path / "store", f"SELECT * FROM {name} ORDER BY 1, 2") for name in (*RESTING, "settled")}  # noqa: S608
    assert retry() == Retried(kept={"x12.ins01.not_in_code_list": 1})
    assert before == {name: rows(tmp_path / "store", f"SELECT * FROM {name} ORDER BY 1, 2") for name in before}  # noqa: S608
    assert rows(tmp_path / "store", "SELECT finished != '' FROM run") == [(1,), (1,)]


def test_which_are_tried(month: Path, load: Callable[..., Ingested], retry: Callable[..., Retried]) -> None:
    load(month)
    load(month, partner="second")
    assert retry(partner="nobody") == Retried()
    assert retry(code="x12.ins01.not_in_code_list").kept == {"x12.ins01.not_in_code_list": 2}
    assert retry(ids=[1]).settled == 1
    assert retry(partner="second").settled == 4
    assert retry().settled == 3
    with pytest.raises(UsageError, match=r"^there is no quarantined record 98, 99$"):
        retry(ids=[1, 99, 98])


def test_what_is_purged_during_a_retry_is_passed_over(
    month: Path,
    load: Callable[..., Ingested],
    opened: Callable[..., Workspace],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load(month)

    def purge(name: str) -> Any:  # while the first is read again
        with closing(sqlite3.connect(tmp_path / "store" / "equity.db")) as other, other:
            for table, column in (("quarantined_in", "quarantine_id"), ("quarantine", "id")):
                other.execute(f"DELETE FROM {table} WHERE {column} IN (2, 5)")  # noqa: S608 - our own names
        return adapter_named(name)

    monkeypatch.setattr(module, "adapter_named", purge)
    with opened() as workspace:
        held = list(quarantine_list(workspace))
        assert quarantine_retry(workspace).settled == 2
        assert workspace.store.quarantine.content(held[0]) is not None
        assert workspace.store.quarantine.content(msgspec.structs.replace(held[0], offset=1)) is None  # another's id
        monkeypatch.setattr(module, "_named", lambda *_: [held[1]])
        with pytest.raises(UsageError, match=r"^there is no quarantined record 2$"):
            quarantine_show(workspace, 2)


def test_list_and_show(month: Path, load: Callable[..., Ingested], opened: Callable[..., Workspace]) -> None:
    load(month)
    with opened() as workspace:
        found = list(quarantine_list(workspace, code="x12.ins01.not_in_code_list"))
        assert [record.partner for record in found] == ["plan"]
        record, raw = quarantine_show(workspace, found[0].id)
        assert record == found[0]
        assert raw.decode() == BAD.rstrip("\n")
        assert month.read_bytes()[record.offset :].startswith(raw)
        assert list(quarantine_list(workspace, partner="nobody")) == []
        with pytest.raises(UsageError, match=r"^there is no quarantined record 77$"):
            quarantine_show(workspace, 77)
    with opened("nowhere") as workspace, pytest.raises(UsageError, match="there is no store"):
        quarantine_list(workspace)


def test_records_kept_before_frames_were_are_told(
    month: Path, load: Callable[..., Ingested], retry: Callable[..., Retried], tmp_path: Path
) -> None:
    load(month)
    connection = sqlite3.connect(tmp_path / "store" / "equity.db")
    connection.execute("DELETE FROM frame")
    connection.commit()
    connection.close()
    done = retry()
    assert done.failures == ["month.834: the ISA of its records was not kept; ingest it again"]
    assert (done.settled, sum(done.kept.values())) == (0, 5)


KILLED = """
import os, sys
from fhir_equity.pipeline import quarantine as module
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings
from fhir_equity.store import ingest as store

folder, calls = sys.argv[1], int(sys.argv[2])
module.CHUNK = 1
insert = store.insert_new

def dying(*arguments):
    global calls
    done = insert(*arguments)
    calls -= 1
    if not calls:
        os._exit(9)
    return done

store.insert_new = dying
with Workspace(Settings(store=StoreSettings(url=folder + "/equity.db")), "2026-03-01") as workspace:
    module.quarantine_retry(workspace)
"""


@pytest.mark.parametrize("calls", [1, 2, 4, 7])
def test_killed_in_the_middle_and_run_again_equals_an_uninterrupted_retry(
    month: Path,
    load: Callable[..., Ingested],
    retry: Callable[..., Retried],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calls: int,
) -> None:
    monkeypatch.setattr(module, "CHUNK", 1)
    for into in ("whole", "killed"):
        load(month, into)
    retry("whole")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), str(calls)]
    assert subprocess.run(command, timeout=600, check=False).returncode == 9
    # Each chunk calls it twice, inside its transaction; the last is the mark that it is settled.
    assert rows(tmp_path / "killed", "SELECT count(*) FROM settled") == [((calls - 1) // 2,)]
    retry("killed")
    whole, killed = (resting(tmp_path / into) for into in ("whole", "killed"))
    assert killed == whole
    assert rows(tmp_path / "killed", "SELECT quarantine_id FROM settled") == rows(
        tmp_path / "whole", "SELECT quarantine_id FROM settled"
    )
