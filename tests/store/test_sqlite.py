"""A store in a SQLite file: private, one writer, and a clear sentence for everything that is wrong with the file."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_equity.errors import StoreError, StoreLockedError, UsageError
from fhir_equity.model import Member
from fhir_equity.store import RunWriter, Store, Written, backend, sqlite
from fhir_equity.store.connection import open_engine, reading, writing
from fhir_equity.store.schema import VERSION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "equity.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_that_another_is_just_making_is_waited_for(path: Path, url: str) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # of which SQLite says at once that it is locked, wherever a log is asked for
    let_go = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    let_go.start()
    store = Store(url)
    let_go.join()
    with reading(store.engine) as opened:
        assert opened.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert opened.exec_driver_sql("SELECT version FROM store_version").scalar() == VERSION
    store.close()
    other.close()


def test_a_new_file_that_another_does_not_let_go(path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "BUSY_SECONDS", 0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLockedError, match="locked by another process"):
        Store(url)
    other.close()


def test_whoever_is_too_late_for_the_log_again_and_again_is_told_that_the_store_is_locked() -> None:
    kind, sentence = sqlite.Sqlite().said(sqlite3.OperationalError("locking protocol"))  # SQLITE_PROTOCOL
    assert kind is StoreLockedError
    assert "try again" in sentence


def test_new_store_is_private_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(str(path))
        with writing(store.engine) as opened:
            opened.exec_driver_sql("UPDATE store_version SET version = 1")
        beside = [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]
        assert [mode(each) for each in (path, *beside)] == [0o600] * 3
        store.close()
    finally:
        os.umask(before)


def test_url_and_file_name_open_the_same_store(path: Path, store: Store) -> None:
    second = open_engine(f"sqlite:///{path}")
    with reading(second) as opened:
        assert opened.exec_driver_sql("SELECT version FROM store_version").scalar() == VERSION
    second.dispose()


def test_store_in_memory_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite://", ":memory:", "sqlite:///:memory:"):
        store = Store(url)
        assert store.people.counts()["members"] == 0
        store.close()
    assert list(tmp_path.iterdir()) == []


def test_pragmas(store: Store) -> None:
    with reading(store.engine) as opened:
        found = [opened.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("foreign_keys", "journal_mode")]
        assert found == [1, "wal"]


def test_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"ISA*00*          *" * 100)
    with pytest.raises(
        StoreError, match=r"^the store's file is not a database; or it is encrypted and wants its key$"
    ) as refused:
        Store(str(path))
    assert refused.value.__cause__ is None
    assert path.read_bytes() == b"ISA*00*          *" * 100


def test_damaged_database(path: Path, store: Store) -> None:
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 3000 + whole[3100:])
    with pytest.raises(StoreError, match=r"^the store's file is damaged$"):
        Store(str(path))


def test_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not exist$"):
        Store(str(tmp_path / "nowhere" / "equity.db"))


def test_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"^the store's file cannot be opened$"):
        Store(str(tmp_path))


def test_folder_that_may_not_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sqlite, "private_file", refuse)
    with pytest.raises(StoreError, match=r"^the store's file cannot be made: Permission denied$"):
        Store(str(path))


def test_a_writer_holds_the_lock_from_its_first_moment_and_a_reader_never(path: Path, store: Store) -> None:
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    with writing(store.engine), pytest.raises(sqlite3.OperationalError, match=r"^database is locked$"):
        other.execute("BEGIN IMMEDIATE")
    with reading(store.engine) as opened:
        opened.exec_driver_sql("SELECT * FROM run")
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_a_writer_waits_for_another_that_is_nearly_done(path: Path, store: Store) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, other.execute, ["COMMIT"])
    timer.start()
    run = store.run("plan", "2026-01-01", "test", lambda *_: "")
    timer.join()
    other.close()
    assert run.id == 1


def test_disk_full_writes_nothing_of_the_chunk_and_what_was_learnt_is_forgotten(
    store: Store,
    run: Callable[..., RunWriter],
    person: Callable[..., Member],
    record: Callable[..., object],
    rows: Callable[..., list[tuple[object, ...]]],
) -> None:
    writer = run()
    artefact = writer.artefact("a.834", "edi834")
    many = [record(person(f"m{n}", given="A" * 300, race="2106-3"), "2026-01-01") for n in range(200)]
    with reading(store.engine) as opened:
        pages = opened.exec_driver_sql("PRAGMA page_count").scalar_one()
        opened.exec_driver_sql(f"PRAGMA max_page_count={pages + 8}")
    with pytest.raises(StoreError, match=r"^the disk of the store is full; nothing of this step was written$"):
        writer.add(artefact, many)  # type: ignore[arg-type]
    assert [rows(f"SELECT count(*) FROM {table}") for table in ("member", "received", "sighting")] == [[(0,)]] * 3  # noqa: S608
    with reading(store.engine) as opened:
        opened.exec_driver_sql("PRAGMA max_page_count=1000000")
    writer.add(artefact, many)  # type: ignore[arg-type]
    assert writer.written == Written(members=200, answers=200, quarantined=0)
