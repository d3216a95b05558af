"""What must not be purged, by somebody's word."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class StoredHold(SQLModel, table=True):
    """A legal hold on a member (by pseudonym) or on a run (else 0); `released_at` is empty while it holds."""

    __tablename__ = "hold"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    pseudonym: str
    run_id: int
    author: str
    reason: str
    at: str
    released_at: str
    released_by: str
