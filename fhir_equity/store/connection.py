"""Open a store: by file name or URL, its layout brought up to date, database errors turned into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from fhir_equity.errors import FhirEquityError, StoreError, StoreVersionError, UsageError
from fhir_equity.store.backend import Backend
from fhir_equity.store.postgresql import Postgresql
from fhir_equity.store.schema import VERSION, StoreVersion, core
from fhir_equity.store.sqlite import Sqlite

_BACKENDS: dict[str, Backend] = {"sqlite": Sqlite(), "postgresql": Postgresql()}


def backend_of(database: Engine | Connection) -> Backend:
    """The kind of database that an engine or a connection speaks to."""
    return _BACKENDS[database.dialect.name]


@contextmanager
def alone(engine: Engine, name: str) -> Iterator[None]:
    """Nobody else deals with the HIE of this name meanwhile. Raises StoreLockedError, StoreError."""
    with database_errors(engine), backend_of(engine).alone(engine, name):
        yield


def open_engine(url: str, key: str = "") -> Engine:
    """The engine of a store, made if it does not exist.

    `url` is a file name or a SQLAlchemy URL of SQLite or PostgreSQL; with a `key` a SQLite file is encrypted.
    Raises UsageError, StoreError, StoreLockedError, StoreUnavailableError, StoreVersionError.
    """
    engine = _engine(url, key)
    try:
        _bring_up_to_date(engine)
    except FhirEquityError:
        engine.dispose()
        raise
    return engine


def layout_of(url: str, key: str = "") -> int:
    """The layout of a store that exists, 0 where it is empty; nothing is changed. Raises as `open_engine`."""
    engine = _engine(url, key)
    try:
        with reading(engine) as connection:
            return _layout(connection)
    finally:
        engine.dispose()


def _engine(url: str, key: str) -> Engine:
    unknown = "the store's URL cannot be understood; give a file name, sqlite:///FILE or postgresql://..."
    try:
        parts = make_url(url if "://" in url else f"sqlite:///{url}")
        name = parts.get_backend_name()
        if name not in _BACKENDS:
            raise UsageError(f"a store on {name} is not possible; give a file name or postgresql://...")
        engine = _BACKENDS[name].engine(parts, key)
    except (ArgumentError, ValueError, ImportError):  # whose messages quote the URL
        raise UsageError(unknown) from None
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    write = bool(connection.get_execution_options().get("write"))
    backend_of(connection).begin(connection, write=write)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: all of it or nothing. Raises StoreLockedError, StoreUnavailableError, StoreError."""
    connection: Connection
    with database_errors(engine), engine.connect().execution_options(write=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view of the store. Raises StoreUnavailableError, StoreError."""
    with database_errors(engine), engine.connect() as connection:
        yield connection


def _bring_up_to_date(engine: Engine) -> None:
    with reading(engine) as connection:
        found = _layout(connection)
    if found < VERSION:
        from fhir_equity.store.migrations import migrate  # loads Alembic, which a store of today does without

        with writing(engine) as connection:
            found = _layout(connection)  # another process may have been faster while we waited for the lock
            if found < VERSION:
                migrate(connection, found, VERSION)


def _layout(connection: Connection) -> int:
    """The layout of a store, 0 where there is nothing yet. Raises StoreError, StoreVersionError."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return 0
    if StoreVersion.__tablename__ not in tables:
        raise StoreError("the store's database is that of another program")
    found = connection.execute(select(core(StoreVersion).c.version)).scalar()
    if found is None:
        raise StoreError("the store does not say which layout it has")
    if found > VERSION:
        raise StoreVersionError(
            f"the store has layout {found}, newer than this program knows ({VERSION}); install a newer fhir-equity"
        )
    return int(found)


@contextmanager
def database_errors(engine: Engine) -> Iterator[None]:
    """Turn what the database raises into our errors; its messages may hold values and are dropped."""
    driver: Any = engine.dialect.loaded_dbapi
    said = backend_of(engine).said
    try:
        yield
    except DBAPIError as error:
        kind, sentence = said(error.orig or error)
        raise kind(sentence) from None
    except driver.Error as error:
        kind, sentence = said(error)
        raise kind(sentence) from None
