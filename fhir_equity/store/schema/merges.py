"""Members who were found to be one person, who said so, and whose they are now."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class Merge(SQLModel, table=True):
    """Somebody's word that one member is another one; `undone_at` is empty while it holds."""

    __tablename__ = "merge"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    member_id: int = Field(foreign_key="member.id", index=True)
    into_id: int = Field(foreign_key="member.id")
    author: str
    reason: str
    at: str
    undone_at: str
    undone_by: str


class Merged(SQLModel, table=True):
    """A member who is another one by the merges that hold: `into_id`, who is nobody else."""

    __tablename__ = "merged"
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    into_id: int = Field(foreign_key="member.id", index=True)
