"""Opening a store: private, versioned, and a clear sentence for everything that is wrong with it."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from fhir_equity.errors import StoreError, StoreLockedError, StoreVersionError, UsageError
from fhir_equity.model import Member
from fhir_equity.store import RunWriter, Store, Written, connection
from fhir_equity.store.connection import open_engine, reading, writing
from fhir_equity.store.schema import VERSION


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


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
        assert opened.exec_driver_sql("SELECT version FROM store_version").scalar() == VERSION == 2
    second.dispose()


def test_reopened_store_keeps_its_data(
    path: Path, store: Store, person: Callable[..., Member], save: Callable[..., Written]
) -> None:
    save(person("m1", race="2106-3"))
    store.close()
    again = Store(str(path))
    assert [found.member.key for found in again.people] == ["m1"]
    again.close()


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


def test_foreign_keys_hold(store: Store) -> None:
    with pytest.raises(StoreError, match=r"^the store refused an operation \(IntegrityError\)$"):
        _orphan(store)


def _orphan(store: Store) -> None:
    with writing(store.engine) as opened:
        opened.execute(text("INSERT INTO sighting VALUES (1, 1)"))


def test_newer_store_is_refused(path: Path, store: Store) -> None:
    with writing(store.engine) as opened:
        opened.exec_driver_sql("UPDATE store_version SET version = 3")
    with pytest.raises(StoreVersionError) as refused:
        Store(str(path))
    assert str(refused.value) == (
        "the store has layout 3, newer than this program knows (2); install a newer fhir-equity"
    )
    assert refused.value.exit_code == 2


def test_a_store_of_layout_1_gets_the_tables_it_lacks_and_keeps_its_rows(
    path: Path, store: Store, rows: Callable[..., list[tuple[object, ...]]]
) -> None:
    run = store.run("plan", "2026-01-01", "test", lambda *parts: "|".join(parts))
    run.artefact("a.834", "edi834")
    with writing(store.engine) as opened:
        opened.exec_driver_sql("DROP TABLE frame")
        opened.exec_driver_sql("DROP TABLE settled")
        opened.exec_driver_sql("INSERT INTO finding VALUES (1, 1, 'x', 'error', 'segment', 3, 40, 'DMG05', '', 0)")
        opened.exec_driver_sql('ALTER TABLE finding DROP COLUMN "loop"')
        opened.exec_driver_sql("ALTER TABLE finding DROP COLUMN within")
        opened.exec_driver_sql("UPDATE store_version SET version = 1")
    store.close()
    Store(str(path)).close()
    assert rows("SELECT version FROM store_version") == [(2,)]
    assert rows("SELECT count(*) FROM frame") == rows("SELECT count(*) FROM settled") == [(0,)]
    assert rows("SELECT name FROM artefact") == [("a.834",)]
    assert rows('SELECT code, path, "loop", within FROM finding') == [("x", "DMG05", "", 0)]


def test_store_without_its_version_is_refused(path: Path, store: Store) -> None:
    with writing(store.engine) as opened:
        opened.exec_driver_sql("DELETE FROM store_version")
    with pytest.raises(StoreError, match=r"^the store does not say which layout it has$"):
        Store(str(path))


def test_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"ISA*00*          *" * 100)
    with pytest.raises(StoreError, match=r"^the store's file is not a database$") as refused:
        Store(str(path))
    assert refused.value.__cause__ is None
    assert path.read_bytes() == b"ISA*00*          *" * 100


def test_damaged_database(path: Path, store: Store) -> None:
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 3000 + whole[3100:])
    with pytest.raises(StoreError, match=r"^the store's file is damaged$"):
        Store(str(path))


def test_database_of_another_program(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipe (name TEXT)")
    other.close()
    with pytest.raises(StoreError, match=r"^the store's file is a database of another program$"):
        Store(str(path))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://me:secret@host/db", "a store on postgresql is not possible in this version; give a file name"),
        ("://", "the store's URL cannot be understood; give a file name or sqlite:///FILE"),
        ("sqlite+nothing:///x", "the store's URL cannot be understood; give a file name or sqlite:///FILE"),
    ],
)
def test_url_that_is_no_store(url: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        Store(url)
    assert str(refused.value) == sentence


def test_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not exist$"):
        Store(str(tmp_path / "nowhere" / "equity.db"))


def test_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"^the store's file cannot be opened$"):
        Store(str(tmp_path))


def test_folder_that_may_not_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(connection, "private_file", refuse)
    with pytest.raises(StoreError, match=r"^the store's file cannot be made: Permission denied$"):
        Store(str(path))


def test_store_that_may_only_be_read(store: Store) -> None:
    event.listen(store.engine, "begin", lambda opened: opened.exec_driver_sql("PRAGMA query_only=ON"))
    with pytest.raises(StoreError, match=r"^the store's file cannot be written$"):
        store.run("plan", "2026-01-01", "test", lambda *_: "")


def test_locked_by_another_process_says_so_and_writes_nothing(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    person: Callable[..., Member],
    record: Callable[..., object],
    rows: Callable[..., list[tuple[object, ...]]],
) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0)
    store = Store(str(path))
    run = store.run("plan", "2026-01-01", "test", lambda *parts: "|".join(parts))
    artefact = run.artefact("a.834", "edi834")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLockedError, match=r"^the store is locked by another process; try again"):
        run.add(artefact, [record(person("m1", race="2106-3"), "2026-01-01")])  # type: ignore[list-item]
    assert run.written == Written(0, 0, 0)
    assert list(store.people) == []  # readers are not kept waiting
    other.execute("ROLLBACK")
    other.close()
    run.add(artefact, [record(person("m1", race="2106-3"), "2026-01-01")])  # type: ignore[list-item]
    assert run.written == Written(members=1, answers=1, quarantined=0)
    assert rows("SELECT count(*) FROM answer") == [(1,)]
    store.close()


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


def test_two_processes_may_make_the_store_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = connection._create

    def slower(engine: Engine) -> None:
        create(open_engine_quietly(path))
        create(engine)

    def open_engine_quietly(where: Path) -> Engine:
        monkeypatch.setattr(connection, "_create", create)
        return open_engine(str(where))

    monkeypatch.setattr(connection, "_create", slower)
    store = Store(str(path))
    with reading(store.engine) as opened:
        assert opened.exec_driver_sql("SELECT version FROM store_version").all() == [(VERSION,)]
    store.close()
