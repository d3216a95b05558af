"""Where the sandbox keeps its resources: one SQLite file with every version."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.privacy import private_file

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSORS_KEPT = 1000

_SCHEMA = """
create table if not exists version (
    type text, id text, number integer, updated integer not null, deleted integer not null, body blob,
    primary key (type, id, number));
create unique index if not exists version_updated on version (updated);
create table if not exists current (
    type text, id text, number integer not null, updated integer not null, deleted integer not null, subject text,
    primary key (type, id));
create index if not exists current_order on current (type, updated, id);
create index if not exists current_subject on current (subject);
create table if not exists identifier (type text, id text, system text, value text);
create index if not exists identifier_value on identifier (type, value);
create index if not exists identifier_owner on identifier (type, id);
create table if not exists cursor (number integer primary key, token text unique, search text);
"""


class Stored(Struct, frozen=True):
    """One version of a resource; `updated` in milliseconds since 1970, no `resource` where deleted."""

    type: str
    id: str
    number: int
    updated: int
    deleted: bool
    resource: dict[str, Any]


class Condition(Struct, frozen=True):
    """A piece of a where clause over `current c` with its values."""

    sql: str
    values: tuple[str | int, ...]


class Session:
    """What one request may do with the records; all of it happens or nothing does."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def current(self, kind: str, key: str) -> Stored | None:
        """The newest version, which may be a deletion."""
        sql = "select * from version where type = ? and id = ? order by number desc limit 1"
        return _stored(self._db.execute(sql, (kind, key)).fetchone())

    def version(self, kind: str, key: str, number: int) -> Stored | None:
        """One version."""
        sql = "select * from version where type = ? and id = ? and number = ?"
        return _stored(self._db.execute(sql, (kind, key, number)).fetchone())

    def put(self, kind: str, key: str, resource: dict[str, Any]) -> Stored:
        """Keep a new version, its meta.versionId and meta.lastUpdated set by us."""
        number, updated = self._next_number(kind, key), self._next_moment()
        meta = {**resource.get("meta", {}), "versionId": str(number), "lastUpdated": instant(updated)}
        rest = {name: value for name, value in resource.items() if name not in ("resourceType", "id", "meta")}
        stored = Stored(
            kind, key, number, updated, deleted=False, resource={"resourceType": kind, "id": key, "meta": meta, **rest}
        )
        self._keep(stored)
        rows = [
            (kind, key, item.get("system", ""), item["value"])
            for item in resource.get("identifier", [])
            if "value" in item
        ]
        self._db.executemany("insert into identifier values (?, ?, ?, ?)", rows)
        return stored

    def delete(self, kind: str, key: str) -> None:
        """Keep the deletion as a version of its own."""
        self._keep(Stored(kind, key, self._next_number(kind, key), self._next_moment(), deleted=True, resource={}))

    def find(self, kind: str, conditions: list[Condition], limit: int, *, newest_first: bool = False) -> list[Stored]:
        """The first resources that meet every condition, oldest change first unless `newest_first`."""
        order = "c.updated desc, c.id" if newest_first else "c.updated, c.id"
        where, values = _where(kind, conditions)
        joined = "current c join version v on v.type = c.type and v.id = c.id and v.number = c.number"
        sql = f"select v.* from {joined} where {where} order by {order} limit ?"  # noqa: S608 -- values are bound
        rows = self._db.execute(sql, (*values, limit)).fetchall()
        return [stored for stored in map(_stored, rows) if stored is not None]

    def count(self, kind: str, conditions: list[Condition]) -> int:
        """How many resources meet every condition."""
        where, values = _where(kind, conditions)
        sql = f"select count(*) from current c where {where}"  # noqa: S608 -- values are bound
        return int(self._db.execute(sql, values).fetchone()[0])

    def keep_cursor(self, token: str, search: bytes) -> None:
        """Remember where a search goes on; only the newest are kept."""
        number = self._db.execute("insert into cursor (token, search) values (?, ?)", (token, search)).lastrowid or 0
        self._db.execute("delete from cursor where number <= ?", (number - CURSORS_KEPT,))

    def cursor(self, token: str) -> bytes | None:
        """Where a search goes on."""
        row = self._db.execute("select search from cursor where token = ?", (token,)).fetchone()
        return None if row is None else bytes(row[0])

    def _keep(self, stored: Stored) -> None:
        head = (stored.type, stored.id, stored.number, stored.updated, stored.deleted)
        subject = stored.resource.get("subject", {}).get("reference", "")
        self._db.execute("insert into version values (?, ?, ?, ?, ?, ?)", (*head, orjson.dumps(stored.resource)))
        self._db.execute("insert or replace into current values (?, ?, ?, ?, ?, ?)", (*head, subject))
        self._db.execute("delete from identifier where type = ? and id = ?", (stored.type, stored.id))

    def _next_number(self, kind: str, key: str) -> int:
        newest = self.current(kind, key)
        return 1 if newest is None else newest.number + 1

    def _next_moment(self) -> int:
        """Now, but always later than every version there is."""
        newest = self._db.execute("select max(updated) from version").fetchone()[0] or 0
        return max(time.time_ns() // 1_000_000, newest + 1)


class Records:
    """The SQLite file. Raises UsageError when it cannot be made or is something else."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            if not self._path.exists():
                private_file(self._path, exclusive=True).close()
            with closing(self._connect()) as db:
                db.executescript(_SCHEMA)
        except OSError as error:
            raise UsageError(f"the sandbox file cannot be made: {error.strerror}") from None
        except sqlite3.DatabaseError:
            raise UsageError("the sandbox file is not a SQLite file of the sandbox") from None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction of its own, rolled back when anything is raised inside."""
        with closing(self._connect()) as db:
            db.execute("begin immediate")
            try:
                yield Session(db)
            except BaseException:
                db.execute("rollback")
                raise
            db.execute("commit")

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        try:
            # A power cut may cost a rehearsal its data; nobody else's is kept here.
            db.execute("pragma synchronous = off")
        except sqlite3.Error:
            db.close()
            raise
        return db


def instant(milliseconds: int) -> str:
    """A FHIR instant (https://hl7.org/fhir/R4/datatypes.html#instant) with milliseconds, in UTC."""
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stored(row: tuple[Any, ...] | None) -> Stored | None:
    if row is None:
        return None
    kind, key, number, updated, deleted, body = row
    return Stored(kind, key, number, updated, bool(deleted), orjson.loads(body))


def _where(kind: str, conditions: list[Condition]) -> tuple[str, list[str | int]]:
    pieces = [Condition("c.type = ? and c.deleted = 0", (kind,)), *conditions]
    return " and ".join(f"({piece.sql})" for piece in pieces), [value for piece in pieces for value in piece.values]
