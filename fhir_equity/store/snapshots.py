"""Frozen measurements: kept under a name, never changed."""

from __future__ import annotations

import hashlib

from msgspec import Struct
from sqlalchemy import Engine, select

from fhir_equity.errors import StoreError, UsageError
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.rows import insert_one, now
from fhir_equity.store.schema import StoredSnapshot, core
from fhir_equity.store.trail import Trail

_LISTED = ("name", "at", "as_of", "people", "digest")


class Snapshot(Struct, frozen=True):
    """A frozen measurement; `digest` is that of its settings, document and content (JSON each)."""

    name: str
    at: str
    as_of: str
    people: int
    digest: str
    settings: bytes = b""
    document: bytes = b""
    content: bytes = b""


class Snapshots:
    """The snapshots of one store. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self._engine = engine
        self._trail = trail

    def create(self, name: str, as_of: str, people: int, settings: bytes, document: bytes, content: bytes) -> Snapshot:
        """Freeze a measurement, and it is on the trail. Raises UsageError for a name that is taken."""
        digest = _digest(settings, document, content)
        table = core(StoredSnapshot)
        with writing(self._engine) as connection:
            if connection.execute(select(table.c.id).where(table.c.name == name)).first() is not None:
                raise UsageError("there is a snapshot of this name; a snapshot is never changed, give another name")
            values = {"as_of": as_of, "people": people, "digest": digest, "at": now()}
            parts = {"settings": settings, "document": document, "content": content}
            insert_one(connection, StoredSnapshot, name=name, **values, **parts)
            about = {"as_of": as_of, "sha256": digest}
            self._trail.record("snapshot create", connection=connection, about=about, counts={"people": people})
        return self.named(name)

    def listed(self) -> list[Snapshot]:
        """All of them without what they hold, oldest first."""
        table = core(StoredSnapshot)
        with reading(self._engine) as connection:
            rows = connection.execute(select(*(table.c[name] for name in _LISTED)).order_by(table.c.id)).all()
        return [Snapshot(*row) for row in rows]

    def named(self, name: str) -> Snapshot:
        """One of them. Raises UsageError for a name that none has, StoreError where it is not what was frozen."""
        table = core(StoredSnapshot)
        columns = (*_LISTED, "settings", "document", "content")
        with reading(self._engine) as connection:
            row = connection.execute(select(*(table.c[each] for each in columns)).where(table.c.name == name)).first()
        if row is None:
            raise UsageError("there is no snapshot of this name; snapshot list shows them")
        found = Snapshot(*row)
        if _digest(found.settings, found.document, found.content) != found.digest:
            raise StoreError("the snapshot is not what was frozen: its digest differs")
        return found


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
