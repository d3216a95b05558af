"""What synchronising with an HIE remembers."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class Link(SQLModel, table=True):
    """The resource of an HIE that is this member, with the version last seen there."""

    __tablename__ = "link"
    hie: str = Field(primary_key=True)
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    resource_id: str = Field(index=True)
    etag: str = ""


class StoredPlan(SQLModel, table=True):
    """A plan, also one without a change; what it wants done is in the journal under its name.

    `digest` is over everything that it wants done, so that what is carried out is what was looked at.
    """

    __tablename__ = "plan"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    hie: str = Field(index=True)
    policy: str
    made_at: str
    digest: str = Field(default="", sa_column_kwargs={"server_default": ""})


class JournalEntry(SQLModel, table=True):
    """One planned change at an HIE and what became of it.

    `status` is ``planned``, ``superseded`` (a newer plan came before it was done), or what applying it
    ended in.
    """

    __tablename__ = "journal"
    id: int | None = Field(default=None, primary_key=True)
    plan: str = Field(index=True)
    hie: str
    member_id: int = Field(foreign_key="member.id", index=True)
    matters: str
    action: str
    resource_id: str = Field(index=True)
    etag: str
    policy: str
    said: str
    status: str = Field(index=True)
    planned_at: str
    done_at: str = ""


class Written(SQLModel, table=True):
    """What we last wrote to an HIE about one matter of one member, so that an echo is recognised."""

    __tablename__ = "written"
    hie: str = Field(primary_key=True)
    member_id: int = Field(foreign_key="member.id", primary_key=True, index=True)
    matter: str = Field(primary_key=True)
    said: str
    at: str


class Cursor(SQLModel, table=True):
    """How far an HIE has been pulled."""

    __tablename__ = "cursor"
    hie: str = Field(primary_key=True)
    since: str


class ConsentCursor(SQLModel, table=True):
    """Up to when all Consents of an HIE about members who were linked then have been read."""

    __tablename__ = "consent_cursor"
    hie: str = Field(primary_key=True)
    since: str


class Observed(SQLModel, table=True):
    """An Observation of ours at an HIE: the `number`-th answer of a member to a matter."""

    __tablename__ = "observed"
    hie: str = Field(primary_key=True)
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    matter: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    resource_id: str = Field(index=True)
    etag: str


class OptOut(SQLModel, table=True):
    """A member's word that something must not leave, which no release rule outdoes.

    An empty `recipient` or `matter` means any. `until` is its last day, empty for an open end; `source` is
    ``member``, or ``consent:NAME`` (the FHIR Consents of an HIE).
    """

    __tablename__ = "opt_out"
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    recipient: str = Field(primary_key=True)
    matter: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    since: str
    until: str
    at: str


class Changed(SQLModel, table=True):
    """When something about a member changed last, as a number that grows with every change."""

    __tablename__ = "changed"
    member_id: int = Field(foreign_key="member.id", primary_key=True, sa_column_kwargs=GIVEN)
    number: int = Field(sa_type=BigInteger, index=True)


class Standing(SQLModel, table=True):
    """How a member stood with an HIE when they were looked at last: what is agreed and what was left alone, as JSON."""

    __tablename__ = "standing"
    hie: str = Field(primary_key=True)
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    outcome: str
    open: bool


class StandingCount(SQLModel, table=True):
    """How many members stand so, moved on with every member who is looked at: nobody has to be counted again."""

    __tablename__ = "standing_count"
    hie: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    matter: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    count: int


class PlannedThrough(SQLModel, table=True):
    """How far an HIE was planned: what changed up to `number` here and `since` there, by `edition`, on `as_of`."""

    __tablename__ = "planned_through"
    hie: str = Field(primary_key=True)
    edition: str
    as_of: str
    number: int = Field(sa_type=BigInteger)
    since: str


class SyncRun(SQLModel, table=True):
    """The last run of a verb at an HIE: when, how it ended (``done``, or the name of an error), what it counted."""

    __tablename__ = "sync_run"
    hie: str = Field(primary_key=True)
    verb: str = Field(primary_key=True)
    began: str
    ended: str
    outcome: str
    counts: str
