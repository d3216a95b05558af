"""What is remembered about the endpoint of one HIE as such: its profile, and how far pulling from it has come."""

from __future__ import annotations

from sqlalchemy import Engine, delete, select, update

from fhir_equity.store.connection import reading, writing
from fhir_equity.store.rows import now, upsert
from fhir_equity.store.schema import core
from fhir_equity.store.schema.endpoint import Export, ExportFile, StoredProfile


class EndpointMemory:
    """The memory of one endpoint. Every method raises StoreError, StoreLockedError."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def profile(self) -> str:
        """The profile of the last probe as JSON; empty for none."""
        table = core(StoredProfile)
        with reading(self._engine) as connection:
            found = connection.execute(select(table.c.document).where(table.c.hie == self._name)).scalar()
            return str(found or "")

    def probed(self, document: str) -> None:
        """Keep the profile of a probe, in place of an earlier one."""
        row = {"hie": self._name, "probed_at": now(), "document": document}
        with writing(self._engine) as connection:
            upsert(connection, StoredProfile, ("hie",), [row])

    def export(self) -> Export | None:
        """The export that goes on at the server, or None."""
        table = core(Export)
        with reading(self._engine) as connection:
            row = connection.execute(select(table).where(table.c.hie == self._name)).mappings().first()
            return Export.model_validate(dict(row)) if row else None

    def export_began(self, export: Export) -> None:
        """Remember an export that was kicked off; its files are not known yet."""
        with writing(self._engine) as connection:
            connection.execute(delete(core(ExportFile)).where(core(ExportFile).c.hie == self._name))
            upsert(connection, Export, ("hie",), [export.model_dump() | {"hie": self._name}])

    def export_completed(self, moment: str, files: list[ExportFile]) -> None:
        """Remember that the server has written its files, and where."""
        table = core(Export)
        with writing(self._engine) as connection:
            mine = update(table).where(table.c.hie == self._name)
            connection.execute(mine.values(status="complete", moment=moment))
            rows = [each.model_dump() | {"hie": self._name} for each in files]
            upsert(connection, ExportFile, ("hie", "number"), rows)

    def export_files(self) -> list[ExportFile]:
        """The files of the export in their order, also those that were taken in."""
        table = core(ExportFile)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.hie == self._name).order_by(table.c.number))
            return [ExportFile.model_validate(dict(row)) for row in rows.mappings()]

    def export_taken(self, number: int, status: str) -> None:
        """Remember what became of a file: ``fetched`` or ``stored``."""
        table = core(ExportFile)
        with writing(self._engine) as connection:
            mine = update(table).where(table.c.hie == self._name, table.c.number == number)
            connection.execute(mine.values(status=status))

    def export_ended(self) -> None:
        """Forget the export: all was taken in, or the server knows it no more."""
        with writing(self._engine) as connection:
            for model in (ExportFile, Export):
                connection.execute(delete(core(model)).where(core(model).c.hie == self._name))
