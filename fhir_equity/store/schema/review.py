"""What people have to decide: cases, the patterns they follow, and the decisions that settle them."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class Pattern(SQLModel, table=True):
    """What many cases have in common: the kind, the matter, and who says what (JSON, which holds values)."""

    __tablename__ = "pattern"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    digest: str = Field(unique=True)
    kind: str
    matter: str
    sides: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class StoredCase(SQLModel, table=True):
    """A member to whom a pattern applies. `source` is empty for what the answers say, else who handed it in."""

    __tablename__ = "case"
    __table_args__ = (Index("ix_case_pattern_id", "pattern_id", "member_id", "state"),)
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    pattern_id: int = Field(foreign_key="pattern.id", primary_key=True)
    source: str
    state: str
    since: str


class StoredDecision(SQLModel, table=True):
    """Who chose which side of a pattern, when and why, for how many; `undone_at` is empty while it holds."""

    __tablename__ = "decision"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    pattern_id: int = Field(foreign_key="pattern.id", index=True)
    side: int
    author: str
    reason: str
    at: str
    members: int
    undone_at: str
    undone_by: str


class Settlement(SQLModel, table=True):
    """What a decision says of one member: the answer that wins, and those that were known then (ids)."""

    __tablename__ = "settlement"
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    decision_id: int = Field(foreign_key="decision.id", primary_key=True, index=True)
    matter: str
    answer_id: int
    known: str


class DecidedRow(SQLModel, table=True):
    """The `number`-th row that a decision wrote into a partner's table `place`, for a value that no table had."""

    __tablename__ = "decided_row"
    decision_id: int = Field(foreign_key="decision.id", primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    partner: str
    place: str
    applies_to: str
    source_system: str
    source_code: str
    target_system: str
    target_code: str
    relationship: str
