"""A store in a SQLite file: private, write-ahead log, one writer at a time; encrypted by SQLCipher where it has a key.

SQLCipher encrypts every page of the file and of its log (https://www.zetetic.net/sqlcipher/design/). A key of
64 hexadecimal digits is taken as it is, anything else as a passphrase, which costs each connection a moment.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from string import hexdigits
from time import monotonic, sleep
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.dialects import sqlite

from fhir_equity.errors import StoreError, UsageError
from fhir_equity.privacy import private_file
from fhir_equity.store import backend
from fhir_equity.store.backend import Said, refused

_PAUSE = 0.01  # seconds between two tries for a lock that SQLite does not wait for
RAW = 64  # hexadecimal digits of a key that is no passphrase
_PLAIN = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat2.html#magic_header_string
MEMORY = ("", ":memory:")
# What SQLite says (https://www.sqlite.org/rescode.html) and what it is.
_SAYINGS: tuple[tuple[str, Said], ...] = (
    ("locked", backend.LOCKED),
    ("locking protocol", backend.LOCKED),  # too many others begin to read or restore the log at this moment
    ("full", backend.FULL),
    ("disk I/O error", (StoreError, "the disk of the store is full or fails; nothing of this step was written")),
    ("readonly", (StoreError, "the store's file cannot be written")),
    ("unable to open", (StoreError, "the store's file cannot be opened")),
    ("not a database", (StoreError, "the store's file is not a database; or it is encrypted and wants its key")),
    ("malformed", (StoreError, "the store's file is damaged")),
)


class Sqlite:
    """SQLite, as `Backend`."""

    def engine(self, url: URL, key: str) -> Engine:
        """The engine of a file, made private if it does not exist, or of a store in memory."""
        in_memory = (url.database or "") in MEMORY
        key = "" if in_memory else key  # there is nothing to encrypt
        given: dict[str, Any] = {"module": _sqlcipher()} if key else {}
        engine = create_engine(url, connect_args={"timeout": backend.BUSY_SECONDS}, **given)
        if not in_memory:
            _prepare(Path(str(url.database)))
        if key:
            if not encrypted(Path(str(url.database)), empty=True):
                raise UsageError("the store is not encrypted, but a key is named for it")
            event.listen(engine, "connect", partial(_unlock, key))
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

    @contextlib.contextmanager
    def alone(self, engine: Engine, name: str) -> Iterator[None]:
        """By the lock of an empty database beside the file, which the system takes back from whoever is killed."""
        path = engine.url.database or ""
        if path in MEMORY:
            yield
            return
        beside = Path(f"{path}-{sha256(name.encode()).hexdigest()[:8]}.lock")
        _prepare(beside)
        with contextlib.closing(sqlite3.connect(beside, timeout=0, isolation_level=None)) as held:
            try:
                held.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                said = self.said(error)
                kind, sentence = backend.TAKEN if said == backend.LOCKED else said
                raise kind(sentence) from None
            yield

    def scrub(self, engine: Engine) -> None:
        """Rebuild the file without free pages, then copy the log into it and cut that off (lang_vacuum, wal)."""
        connection = engine.raw_connection()  # which begins no transaction: within one neither works
        try:
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.close()
            if busy:  # a reader needs the log, which still has what was deleted; SQLite says so in a row only
                kind, sentence = backend.LOCKED
                raise kind(sentence)
        finally:
            connection.close()


def encrypted(path: Path, *, empty: bool = False) -> bool:
    """Whether a file is no plain database of SQLite; of one that is empty, `empty`."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_PLAIN))
    except OSError as error:
        raise StoreError(f"the store's file cannot be opened: {error.strerror}") from None
    return start != _PLAIN if start else empty


def _sqlcipher() -> Any:
    try:
        from sqlcipher3 import dbapi2
    except ImportError:
        raise UsageError("an encrypted store needs: pip install 'fhir-equity[encrypted]'") from None
    return dbapi2


def _unlock(key: str, connection: Any, _record: object) -> None:
    raw = len(key) == RAW and not key.strip(hexdigits)
    cursor = connection.cursor()
    cursor.execute("PRAGMA cipher_log_level = NONE")  # it would write to stderr
    cursor.execute("PRAGMA key = " + (f"\"x'{key}'\"" if raw else "'" + key.replace("'", "''") + "'"))
    try:
        cursor.execute("SELECT count(*) FROM sqlite_master")
    except _sqlcipher().DatabaseError as error:
        if "not a database" not in str(error):
            raise
        raise StoreError("the store's key is wrong, or its file is not a store") from None
    cursor.execute("PRAGMA temp_store = MEMORY")  # a temporary file would not be encrypted
    cursor.close()


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
    _write_ahead(connection, cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _write_ahead(connection: Any, cursor: Any) -> None:
    # Of two that switch a new file to its log at once SQLite refuses one without waiting, lest each wait for the
    # other (https://www.sqlite.org/c3ref/busy_handler.html); so the waiting is ours.
    until = monotonic() + backend.BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except connection.OperationalError as error:
            if "locked" not in str(error) or monotonic() >= until:
                raise
            sleep(_PAUSE)
        else:
            return
