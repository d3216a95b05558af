"""Members who were found to be two people, and what of the one is the other's."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class Split(SQLModel, table=True):
    """Somebody's word that a member is two people; `apart_id` is the other one, 0 once nobody is; empty `undone_at`
    while it holds. `places` are where their identities stood among those of the member, apart by spaces.
    """

    __tablename__ = "split"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    member_id: int = Field(foreign_key="member.id", index=True)
    apart_id: int = Field(index=True)
    apart: str
    places: str
    author: str
    reason: str
    at: str
    undone_at: str
    undone_by: str


class SplitAnswer(SQLModel, table=True):
    """An answer that moved to the other person (`member_id`), or was copied because both had given it."""

    __tablename__ = "split_answer"
    split_id: int = Field(foreign_key="split.id", primary_key=True)
    answer_id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    member_id: int = Field(foreign_key="member.id", index=True)
    copied: bool


class SplitSighting(SQLModel, table=True):
    """How a run had met the member before anything of it was the other person's (`member_id`)."""

    __tablename__ = "split_sighting"
    split_id: int = Field(foreign_key="split.id", primary_key=True)
    run_id: int = Field(foreign_key="run.id", primary_key=True)
    saying_id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    member_id: int = Field(foreign_key="member.id", index=True)
