"""Opening a store on any database: versioned, one writer at a time, a clear sentence for what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import event, text

from fhir_equity.errors import StoreError, StoreLockedError, StoreVersionError, UsageError
from fhir_equity.model import Member
from fhir_equity.store import Store, Written, backend
from fhir_equity.store.connection import open_engine, reading, writing
from fhir_equity.store.schema import VERSION

PersonMaker = Callable[..., Member]
Rows = Callable[..., list[tuple[object, ...]]]
LOCKED = r"^the store is locked by another process; try again when it is done$"


def test_reopened_store_keeps_its_data(
    url: str, store: Store, person: PersonMaker, save: Callable[..., Written]
) -> None:
    save(person("m1", race="2106-3"))
    store.close()
    again = Store(url)
    assert [found.member.key for found in again.people] == ["m1"]
    again.close()


def test_foreign_keys_hold(store: Store) -> None:
    with pytest.raises(StoreError, match=r"^the store refused an operation \((IntegrityError|ForeignKeyViolation)\)$"):
        _orphan(store)


def _orphan(store: Store) -> None:
    with writing(store.engine) as opened:
        opened.execute(text("INSERT INTO sighting VALUES (1, 1, 0)"))


def test_newer_store_is_refused(url: str, store: Store) -> None:
    with writing(store.engine) as opened:
        opened.exec_driver_sql(f"UPDATE store_version SET version = {VERSION + 1}")  # noqa: S608 - a number
    with pytest.raises(StoreVersionError) as refused:
        Store(url)
    assert str(refused.value) == (
        f"the store has layout {VERSION + 1}, newer than this program knows ({VERSION}); install a newer fhir-equity"
    )
    assert refused.value.exit_code == 2


def test_store_without_its_version_is_refused(url: str, store: Store) -> None:
    with writing(store.engine) as opened:
        opened.exec_driver_sql("DELETE FROM store_version")
    with pytest.raises(StoreError, match=r"^the store does not say which layout it has$"):
        Store(url)


def test_database_of_another_program(url: str, store: Store) -> None:
    with writing(store.engine) as opened:
        opened.exec_driver_sql("DROP TABLE store_version")
    with pytest.raises(StoreError, match=r"^the store's database is that of another program$"):
        Store(url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://me:secret@host/db", "a store on mysql is not possible; give a file name or postgresql://..."),
        ("postgresql+psycopg2://me:secret@host/db", "a store on PostgreSQL has a URL that starts with postgresql://"),
        ("://", "the store's URL cannot be understood; give a file name, sqlite:///FILE or postgresql://..."),
        (
            "sqlite+no:///x",
            "the store's URL cannot be understood; give a file name, sqlite:///FILE or postgresql://...",
        ),
        (
            "postgresql://me:secret@host:port/db",
            "the store's URL cannot be understood; give a file name, sqlite:///FILE or postgresql://...",
        ),
    ],
)
def test_url_that_is_no_store(url: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        Store(url)
    assert str(refused.value) == sentence
    assert refused.value.__cause__ is None


def test_store_that_may_only_be_read(store: Store) -> None:
    only = "PRAGMA query_only=ON" if store.engine.dialect.name == "sqlite" else "SET TRANSACTION READ ONLY"
    event.listen(store.engine, "begin", lambda opened: opened.exec_driver_sql(only))
    with pytest.raises(StoreError, match=r"^the store's (file cannot be written|server lets us read only)$"):
        store.run("plan", "2026-01-01", "test", lambda *_: "")


def test_locked_by_another_process_says_so_and_writes_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch, person: PersonMaker, record: Callable[..., object], rows: Rows
) -> None:
    monkeypatch.setattr(backend, "BUSY_SECONDS", 0.01)
    store, other = Store(url), Store(url)
    run = store.run("plan", "2026-01-01", "test", lambda *parts: "|".join(parts))
    artefact = run.artefact("a.834", "edi834")
    with writing(other.engine):
        with pytest.raises(StoreLockedError, match=LOCKED):
            run.add(artefact, [record(person("m1", race="2106-3"), "2026-01-01")])  # type: ignore[list-item]
        assert run.written == Written(0, 0, 0)
        assert list(store.people) == []  # readers are not kept waiting
    run.add(artefact, [record(person("m1", race="2106-3"), "2026-01-01")])  # type: ignore[list-item]
    assert run.written == Written(members=1, answers=1, quarantined=0)
    assert rows("SELECT count(*) FROM answer") == [(1,)]
    store.close()
    other.close()


def test_a_writer_waits_for_another_that_is_nearly_done(url: str, store: Store) -> None:
    other, held, done = open_engine(url), threading.Event(), threading.Event()

    def hold() -> None:
        with writing(other):
            held.set()
            done.wait(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert store.run("plan", "2026-01-01", "test", lambda *_: "").id == 1
    thread.join()
    other.dispose()


def test_many_may_make_the_store_at_once(url: str) -> None:
    found: list[int] = []

    def make() -> None:
        store = Store(url)
        with reading(store.engine) as opened:
            found.extend(opened.exec_driver_sql("SELECT version FROM store_version").scalars())
        store.close()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [VERSION] * 4
