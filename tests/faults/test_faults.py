"""Killed, disk full, connection lost, two at once: run again, the store is as if nothing had happened."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from fhir_equity.errors import StoreError, StoreLockedError, StoreUnavailableError
from fhir_equity.store import RunWriter
from tests.conftest import ROOT, select_rows
from tests.faults.points import SURVEY, everything, files, load, moments

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files(tmp_path)
    return tmp_path


@pytest.fixture
def whole(new_url: Callable[[], str], folder: Path) -> tuple[Rows, int]:
    """What an ingest leaves behind to which nothing happened, and how many moments it has."""
    url = new_url()
    with moments(0, lambda _: None) as counted:
        load(url, folder)
    return everything(url), counted[0]


def test_what_nothing_happened_to(whole: tuple[Rows, int], new_url: Callable[[], str], folder: Path) -> None:
    rows, most = whole
    assert most > 150
    assert {name for name, found in rows.items() if not found} <= {
        *("control_number", "cursor", "consent_cursor", "journal", "link", "plan", "settled", "written"),
        *("beaten", "resolution", "loss", "disclosure"),
        *("snapshot", "profile", "export", "export_file"),
        *("retraction", "withdrawn_answer", "withdrawn_member", "merge", "merged", "hold"),
        *("observed", "sync_run", "standing", "opt_out", "planned_through", "standing_count"),
        *("decision", "settlement", "case", "pattern", "publication", "decided_row"),
        *("split", "split_answer", "split_sighting", "stranger"),
    }
    url = new_url()
    load(url, folder)
    assert everything(url) == rows


def test_killed_25_times_on_each_database(server: str) -> None:
    command = [sys.executable, "-m", "tests.faults.kills", "25", server]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert told.returncode == 0, told.stderr
    kills = re.findall(r"^(\w+): (\d+) kills survived in 25 rounds$", told.stdout, re.M)
    assert [name for name, _ in kills] == ["sqlite", "postgresql"]
    assert all(int(number) >= 25 for _, number in kills)


def lose(connection: Connection) -> None:
    """The server drops the connection."""
    engine = create_engine(connection.engine.url)
    number = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
    with engine.connect() as other:
        other.exec_driver_sql("SELECT pg_terminate_backend(%s)", (number,))
    engine.dispose()


def fill(connection: Connection) -> None:
    """The file may not grow any more."""
    driver = connection.connection.driver_connection
    (pages,) = driver.execute("PRAGMA page_count").fetchone()  # type: ignore[union-attr]
    driver.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[union-attr]


def test_a_full_disk_or_a_lost_connection(whole: tuple[Rows, int], new_url: Callable[[], str], folder: Path) -> None:
    rows, most = whole
    chance, told = random.Random(6), []
    for _ in range(8):
        url = new_url()
        happening = fill if url.startswith("sqlite") else lose
        with moments(chance.randint(1, most), happening):
            try:
                load(url, folder)
            except (StoreError, StoreUnavailableError) as error:
                told.append(str(error))
                load(url, folder)
        assert everything(url) == rows
    assert len(told) > 4
    assert {re.sub("[;,] .*", "", sentence) for sentence in told} <= {
        "the disk of the store is full",
        "the connection to the store's server was lost",
        "the store's server cannot be reached",  # the connection was lost while it was made
    }


@pytest.mark.parametrize("before", [1, 4, 9])
def test_two_at_once_one_of_them_stops_and_nothing_is_done_twice(
    whole: tuple[Rows, int],
    new_url: Callable[[], str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: int,
) -> None:
    url = new_url()
    add, calls = RunWriter.add, count(1)

    def overtaken(*arguments: Any, **named: Any) -> None:
        if next(calls) == before:
            monkeypatch.undo()
            load(url, folder)  # the other one goes on with the run and comes to its end
        add(*arguments, **named)

    monkeypatch.setattr(RunWriter, "add", overtaken)
    with pytest.raises(StoreLockedError, match=r"^another process ingests the same files into this store; try again"):
        load(url, folder)
    assert everything(url) == whole[0]


def test_the_same_files_go_on_and_other_files_are_another_run(
    whole: tuple[Rows, int], new_url: Callable[[], str], folder: Path
) -> None:
    url = new_url()
    with moments(whole[1] * 3 // 4, interrupt), pytest.raises(ZeroDivisionError):
        load(url, folder)
    with moments(30, interrupt), pytest.raises(ZeroDivisionError):
        load(url, folder)
    assert select_rows(url, "SELECT id, finished FROM run") == [(1, "")]
    (folder / "survey.csv").write_text(SURVEY, encoding="utf-8")
    load(url, folder)
    assert select_rows(url, "SELECT id, finished = '' FROM run ORDER BY id") == [(1, True), (2, False)]


def interrupt(_: Connection) -> None:
    raise ZeroDivisionError
