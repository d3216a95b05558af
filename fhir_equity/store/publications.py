"""What was published, so that a later publication does not give away what this one hid."""

from __future__ import annotations

from sqlalchemy import Engine, select

from fhir_equity.store.connection import writing
from fhir_equity.store.rows import insert_one
from fhir_equity.store.schema import StoredPublication, core


class Publications:
    """The publications of a store, as the pipeline wrote them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[bytes]:
        """Every publication, the first one first."""
        table = core(StoredPublication)
        with self._engine.connect() as connection:
            return [row.content for row in connection.execute(select(table.c.content).order_by(table.c.id))]

    def remember(self, at: str, content: bytes) -> None:
        """Keep a publication that goes out."""
        with writing(self._engine) as connection:
            insert_one(connection, StoredPublication, at=at, content=content)
