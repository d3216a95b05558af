"""Open a store: create it private, check its version, turn database errors into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlmodel import SQLModel

from fhir_equity.errors import StoreError, StoreLockedError, StoreVersionError, UsageError
from fhir_equity.privacy import private_file
from fhir_equity.store.schema import VERSION, StoreVersion, core

BUSY_SECONDS = 5


def open_engine(url: str) -> Engine:
    """The engine of a store, made if it does not exist.

    `url` is a file name or a SQLAlchemy URL of SQLite. Raises UsageError, StoreError,
    StoreLockedError, StoreVersionError.
    """
    engine = create_engine(_url(url), connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    with database_errors():
        _check(engine)
    return engine


def _url(url: str) -> str:
    if "://" not in url:
        url = f"sqlite:///{url}"
    try:
        parts = make_url(url)
    except ArgumentError:
        raise UsageError("the store's URL cannot be understood; give a file name or sqlite:///FILE") from None
    if parts.get_backend_name() != "sqlite":
        raise UsageError(f"a store on {parts.get_backend_name()} is not possible in this version; give a file name")
    if parts.database and parts.database != ":memory:":
        path = Path(parts.database)
        if not path.parent.is_dir():
            raise UsageError(f"the folder of the store, {path.parent}, does not exist")
        if not path.exists():
            private_file(path).close()
    return url


def _configure(connection: Any, _record: object) -> None:
    # The driver's own transactions would begin too late for DDL and reads; `_begin` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
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
    tables = inspect(engine).get_table_names()
    if not tables:
        with writing(engine) as connection:
            SQLModel.metadata.create_all(connection)
            connection.execute(core(StoreVersion).insert().values(version=VERSION))
        return
    if StoreVersion.__tablename__ not in tables:
        raise StoreError("the store's file is a database of another program")
    with reading(engine) as connection:
        found = connection.execute(select(core(StoreVersion).c.version)).scalar_one()
    if found > VERSION:
        raise StoreVersionError(
            f"the store has layout {found}, newer than this program knows ({VERSION}); install a newer fhir-equity"
        )


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what the database raises into our errors; its messages may hold values and are dropped."""
    try:
        yield
    except OperationalError as error:
        message = str(error.orig)
        if "locked" in message or "busy" in message:
            raise StoreLockedError("the store is locked by another process; try again when it is done") from None
        if "full" in message:
            raise StoreError("the disk of the store is full; nothing of this step was written") from None
        if "readonly" in message or "unable to open" in message:
            raise StoreError("the store's file cannot be written") from None
        raise StoreError("the store refused an operation") from None
    except DBAPIError as error:
        if "not a database" in str(error.orig):
            raise StoreError("the store's file is not a database") from None
        raise StoreError(f"the store refused an operation ({type(error.orig).__name__})") from None
