"""Open a store: create it private, check its version, turn database errors into ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.schema import CreateColumn
from sqlmodel import SQLModel

from fhir_equity.errors import FhirEquityError, StoreError, StoreLockedError, StoreVersionError, UsageError
from fhir_equity.privacy import private_file
from fhir_equity.store.schema import VERSION, StoredFinding, StoreVersion, core

BUSY_SECONDS = 5
MEMORY = ("", ":memory:")
# What SQLite says (https://www.sqlite.org/rescode.html), what it is, and what we say.
_SAYINGS: tuple[tuple[str, type[FhirEquityError], str], ...] = (
    ("locked", StoreLockedError, "the store is locked by another process; try again when it is done"),
    ("full", StoreError, "the disk of the store is full; nothing of this step was written"),
    ("readonly", StoreError, "the store's file cannot be written"),
    ("unable to open", StoreError, "the store's file cannot be opened"),
    ("not a database", StoreError, "the store's file is not a database"),
    ("malformed", StoreError, "the store's file is damaged"),
)


def open_engine(url: str) -> Engine:
    """The engine of a store, made if it does not exist.

    `url` is a file name or a SQLAlchemy URL of SQLite. Raises UsageError, StoreError,
    StoreLockedError, StoreVersionError.
    """
    engine = _engine(url if "://" in url else f"sqlite:///{url}")
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    try:
        _check(engine)
    except FhirEquityError:
        engine.dispose()
        raise
    return engine


def _engine(url: str) -> Engine:
    try:
        parts = make_url(url)
        if parts.get_backend_name() != "sqlite":
            raise UsageError(f"a store on {parts.get_backend_name()} is not possible in this version; give a file name")
        engine = create_engine(parts, connect_args={"timeout": BUSY_SECONDS})
    except ArgumentError:
        raise UsageError("the store's URL cannot be understood; give a file name or sqlite:///FILE") from None
    if (parts.database or "") not in MEMORY:
        _prepare(Path(str(parts.database)))
    return engine


def _prepare(path: Path) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"the folder of the store, {path.parent}, does not exist")
    try:
        with contextlib.suppress(FileExistsError):
            private_file(path, exclusive=True).close()
    except OSError as error:
        raise StoreError(f"the store's file cannot be made: {error.strerror}") from None


def _configure(connection: Any, _record: object) -> None:
    # The driver's own transactions would begin too late for DDL and reads; `_begin` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading a read transaction fails instead of waiting.
    write = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: all of it or nothing. Raises StoreLockedError, StoreError."""
    with database_errors(), engine.connect().execution_options(write=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view of the store. Raises StoreError."""
    with database_errors(), engine.connect() as connection:
        yield connection


def _check(engine: Engine) -> None:
    with reading(engine) as connection:
        tables = inspect(connection).get_table_names()
    if not tables:
        _create(engine)
    elif StoreVersion.__tablename__ not in tables:
        raise StoreError("the store's file is a database of another program")
    with reading(engine) as connection:
        found = connection.execute(select(core(StoreVersion).c.version)).scalar()
    if found is None:
        raise StoreError("the store does not say which layout it has")
    if found > VERSION:
        raise StoreVersionError(
            f"the store has layout {found}, newer than this program knows ({VERSION}); install a newer fhir-equity"
        )
    if found < VERSION:
        _upgrade(engine)


def _create(engine: Engine) -> None:
    with writing(engine) as connection:
        if inspect(connection).get_table_names():
            return  # another process made it while we waited for the lock
        SQLModel.metadata.create_all(connection)
        connection.execute(core(StoreVersion).insert().values(version=VERSION))


def _upgrade(engine: Engine) -> None:
    """Bring an older layout up to date: so far newer ones only have more tables and two more columns."""
    with writing(engine) as connection:
        SQLModel.metadata.create_all(connection)
        finding = core(StoredFinding)
        known = {column["name"] for column in inspect(connection).get_columns(finding.name)}
        for column in (finding.c.loop, finding.c.within):
            if column.name not in known:
                new = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {finding.name} ADD COLUMN {new}")
        connection.execute(core(StoreVersion).update().values(version=VERSION))


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what the database raises into our errors; its messages may hold values and are dropped."""
    try:
        yield
    except DBAPIError as error:
        raise _ours(str(error.orig), type(error.orig).__name__) from None


def _ours(message: str, kind: str) -> FhirEquityError:
    for word, error, sentence in _SAYINGS:
        if word in message:
            return error(sentence)
    return StoreError(f"the store refused an operation ({kind})")
