"""A store in a SQLite file: private, write-ahead log, one writer at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.dialects import sqlite

from fhir_equity.errors import StoreError, UsageError
from fhir_equity.privacy import private_file
from fhir_equity.store import backend
from fhir_equity.store.backend import Said, refused

MEMORY = ("", ":memory:")
# What SQLite says (https://www.sqlite.org/rescode.html) and what it is.
_SAYINGS: tuple[tuple[str, Said], ...] = (
    ("locked", backend.LOCKED),
    ("full", backend.FULL),
    ("disk I/O error", (StoreError, "the disk of the store is full or fails; nothing of this step was written")),
    ("readonly", (StoreError, "the store's file cannot be written")),
    ("unable to open", (StoreError, "the store's file cannot be opened")),
    ("not a database", (StoreError, "the store's file is not a database")),
    ("malformed", (StoreError, "the store's file is damaged")),
)


class Sqlite:
    """SQLite, as `Backend`."""

    def engine(self, url: URL) -> Engine:
        """The engine of a file, made private if it does not exist, or of a store in memory."""
        engine = create_engine(url, connect_args={"timeout": backend.BUSY_SECONDS})
        if (url.database or "") not in MEMORY:
            _prepare(Path(str(url.database)))
        event.listen(engine, "connect", _configure)
        return engine

    def begin(self, connection: Connection, *, write: bool) -> None:
        """A writer takes the lock at once: upgrading a read transaction fails instead of waiting."""
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    def said(self, error: BaseException) -> Said:
        """By the words of the message."""
        return next((ours for word, ours in _SAYINGS if word in str(error)), refused(error))

    def insert(self, connection: Connection, table: Any, columns: Sequence[str], rows: Sequence[Any]) -> None:
        """Through the driver."""
        connection.exec_driver_sql(_insert("INSERT", table, columns), rows)

    def insert_new(self, connection: Connection, table: Any, columns: Sequence[str], rows: Sequence[Any]) -> int:
        """Through the driver; what is new is counted by SQLite."""
        before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
        connection.exec_driver_sql(_insert("INSERT OR IGNORE", table, columns), rows)
        return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one() - before)

    def upsert(self, table: Any) -> Any:
        """SQLite's own."""
        return sqlite.insert(table)


def _insert(verb: str, table: Any, columns: Sequence[str]) -> str:
    names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    return f'{verb} INTO "{table.name}" ({names}) VALUES ({marks})'


def _prepare(path: Path) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"the folder of the store, {path.parent}, does not exist")
    try:
        with contextlib.suppress(FileExistsError):
            private_file(path, exclusive=True).close()
    except OSError as error:
        raise StoreError(f"the store's file cannot be made: {error.strerror}") from None


def _configure(connection: Any, _record: object) -> None:
    # The driver's own transactions would begin too late for DDL and reads; `begin` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={backend.BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
