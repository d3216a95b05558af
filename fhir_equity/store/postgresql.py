"""A store on a PostgreSQL server: encrypted unless it is this machine, bulk by COPY, one writer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from fhir_equity.errors import StoreError, StoreUnavailableError, UsageError
from fhir_equity.store import backend
from fhir_equity.store.backend import Said, UnstorableError, refused

CONNECT_SECONDS = 10
ENCRYPTED = ("require", "verify-ca", "verify-full")
# The advisory lock of the one writer of a schema (https://www.postgresql.org/docs/current/explicit-locking.html).
_ALONE = "835, hashtext(current_schema() || %s)"
_LOCK = "SELECT pg_advisory_xact_lock(834, hashtext(current_schema()))"
# Classes and codes of SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html) and what they are.
_STATES: tuple[tuple[str, Said], ...] = (
    ("55P03", backend.LOCKED),
    ("40", backend.LOCKED),
    ("53100", backend.FULL),
    ("53", (StoreUnavailableError, "the store's server has no room for us now; try again later")),
    ("08", backend.LOST),
    ("57P", backend.LOST),
    ("25006", (StoreError, "the store's server lets us read only")),
    ("42501", (StoreError, "the store's server does not let this user do that")),
    ("3F000", (StoreError, "the schema of the store does not exist; make it first")),
)
# What libpq says before there is a SQLSTATE. A server may speak another language: then the last sentence is said.
_SAYINGS: tuple[tuple[str, Said], ...] = (
    ("certificate", (StoreError, "the server's certificate cannot be verified; sslrootcert=FILE names its authority")),
    ("SSL", (StoreError, "the store's server does not offer an encrypted connection")),
    ("authentication", (StoreError, "the store's server does not know this user or password")),
    ("password", (StoreError, "the store's server wants a password")),
    ("does not exist", (StoreError, "the store's server has no such database or user")),
)
_AWAY: Said = (StoreUnavailableError, "the store's server cannot be reached")


class Postgresql:
    """PostgreSQL through psycopg 3, as `Backend`."""

    def engine(self, url: URL, key: str) -> Engine:
        """The engine of a database that exists; the schema is the first of its search path."""
        if key:
            raise UsageError("a store on PostgreSQL takes no key; encrypt the disk of its server")
        if url.drivername not in ("postgresql", "postgresql+psycopg"):
            raise UsageError("a store on PostgreSQL has a URL that starts with postgresql://")
        arguments = {"connect_timeout": CONNECT_SECONDS, **_encryption(url)}
        try:
            return create_engine(url.set(drivername="postgresql+psycopg"), connect_args=arguments)
        except ImportError:
            raise UsageError("a store on PostgreSQL needs: pip install 'fhir-equity[postgresql]'") from None

    def begin(self, connection: Connection, *, write: bool) -> None:
        """A writer waits for the lock of the schema, which goes with the transaction however it ends."""
        if write:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {backend.BUSY_SECONDS * 1000}")
            connection.exec_driver_sql(_LOCK)
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def said(self, error: BaseException) -> Said:
        """By SQLSTATE, else by the words of libpq."""
        state, words = getattr(error, "sqlstate", None), str(error)
        if state:
            return next((ours for start, ours in _STATES if state.startswith(start)), refused(error))
        if "NUL" in words:
            return UnstorableError, "a text holds a character that PostgreSQL does not take"
        if "failed" in words or "timeout" in words:
            return next((ours for word, ours in _SAYINGS if word in words), _AWAY)
        return backend.LOST

    def insert(self, connection: Connection, table: Any, columns: Sequence[str], rows: Sequence[Any]) -> None:
        """By COPY into the table."""
        _copy(connection, f'"{table.name}"', columns, rows)

    def insert_new(self, connection: Connection, table: Any, columns: Sequence[str], rows: Sequence[Any]) -> int:
        """By COPY into a temporary table, which is then merged."""
        beside = f'"incoming_{table.name}"'
        like = f'CREATE TEMPORARY TABLE IF NOT EXISTS {beside} (LIKE "{table.name}") ON COMMIT DELETE ROWS'
        connection.exec_driver_sql(like)
        _copy(connection, beside, columns, rows)
        names = _names(columns)
        merge = f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {beside} ON CONFLICT DO NOTHING'  # noqa: S608 - our own names
        new = connection.exec_driver_sql(merge).rowcount
        connection.exec_driver_sql(f"DELETE FROM {beside}")  # noqa: S608 - our own name
        return int(new)

    def upsert(self, table: Any) -> Any:
        """PostgreSQL's own."""
        return postgresql.insert(table)

    @contextmanager
    def alone(self, engine: Engine, name: str) -> Iterator[None]:
        """By an advisory lock of a session, which the server takes back when its connection ends."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_ALONE})", (name,)).scalar_one():
                kind, sentence = backend.TAKEN
                raise kind(sentence)
            try:
                yield
            finally:
                with suppress(DBAPIError):  # a connection that is lost holds nothing
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_ALONE})", (name,))

    def scrub(self, engine: Engine) -> None:
        """Write every table of the schema anew, without what was deleted (VACUUM FULL)."""
        tables = inspect(engine).get_table_names()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"SET lock_timeout = {backend.BUSY_SECONDS * 1000}")
            try:
                for name in sorted(tables):
                    connection.exec_driver_sql(f'VACUUM FULL "{name}"')
            finally:
                connection.exec_driver_sql("RESET lock_timeout")


def _copy(connection: Connection, target: str, columns: Sequence[str], rows: Sequence[Any]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} ({_names(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _encryption(url: URL) -> dict[str, str]:
    """The sslmode to connect with: verify-full unless the URL says another one that encrypts.

    Only a server on this machine, by socket or loopback, is spoken to in the clear. Raises UsageError.
    """
    said = str(url.query.get("sslmode", ""))
    if _local(url):
        return {"sslmode": said} if said else {}
    if said and said not in ENCRYPTED:
        raise UsageError(f"sslmode={said} does not encrypt; outside this machine it is one of {', '.join(ENCRYPTED)}")
    return {"sslmode": said or "verify-full"}


def _local(url: URL) -> bool:
    """Whether every place that the URL (else the environment, as libpq reads it) names is on this machine."""
    named: list[str] = [url.host] if url.host else []
    for key, variable in (("host", "PGHOST"), ("hostaddr", "PGHOSTADDR"), ("service", "PGSERVICE")):
        given = url.query.get(key) or ("" if key == "host" and url.host else os.environ.get(variable, ""))
        named += given.split(",") if isinstance(given, str) else [part for each in given for part in each.split(",")]
    return all(_loopback(name) for name in named if name)


def _loopback(host: str) -> bool:
    name, colon, port = host.rpartition(":")
    host = name if colon and port.isdigit() and ":" not in name else host  # host:port, as SQLAlchemy takes them
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
