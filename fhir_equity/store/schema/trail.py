"""What was done by whom, append-only and chained, and what was disclosed to whom."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class TrailEntry(SQLModel, table=True):
    """One deed. `digest` is over everything else in it, `previous` that of the entry before; triggers refuse changes.

    `about`, `counts`, `topics` and `versions` are JSON objects, sorted.
    """

    __tablename__ = "trail"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    at: str
    who: str
    action: str
    outcome: str
    about: str
    counts: str
    topics: str
    versions: str
    previous: str
    digest: str


class TrailHead(SQLModel, table=True):
    """How many entries there are and the digest of the last: a tail that is cut off shows."""

    __tablename__ = "trail_head"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    entries: int
    digest: str


class StoredDisclosure(SQLModel, table=True):
    """What one transmission tells one recipient about one member under one rule.

    By pseudonym, not by member: the account is kept when the member is not. `topics` are in one text.
    """

    __tablename__ = "disclosure"
    __table_args__ = (UniqueConstraint("transmission", "pseudonym", "rule"),)
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    pseudonym: str = Field(index=True)
    partner: str
    recipient: str
    transmission: str
    purpose: str
    basis: str
    topics: str
    rule: str
    policy: str
    intended_at: str
    state: str
    settled_at: str
