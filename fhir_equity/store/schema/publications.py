"""What was published."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class StoredPublication(SQLModel, table=True):
    """The counts of one publication, told and hidden, as `quality.publish` writes them."""

    __tablename__ = "publication"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    at: str
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
