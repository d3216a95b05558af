"""Measurements that were frozen."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class StoredSnapshot(SQLModel, table=True):
    """What was counted at one time, with all that decided how: `settings`, `document` and `content` are JSON."""

    __tablename__ = "snapshot"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    name: str = Field(unique=True)
    at: str
    as_of: str
    people: int
    digest: str
    settings: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    document: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
