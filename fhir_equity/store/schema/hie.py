"""What synchronising with an HIE remembers."""

from __future__ import annotations

from sqlmodel import Field, SQLModel


class Link(SQLModel, table=True):
    """The resource of an HIE that is this member, with the version last seen there."""

    __tablename__ = "link"
    hie: str = Field(primary_key=True)
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    resource_id: str = Field(index=True)
    etag: str = ""


class JournalEntry(SQLModel, table=True):
    """One planned change at an HIE and what became of it.

    `status` is ``planned``, ``superseded`` (a newer plan came before it was done), or what applying it
    ended in.
    """

    __tablename__ = "journal"
    id: int | None = Field(default=None, primary_key=True)
    plan: str = Field(index=True)
    hie: str
    member_id: int = Field(foreign_key="member.id")
    matters: str
    action: str
    resource_id: str
    etag: str
    policy: str
    said: str
    status: str
    planned_at: str
    done_at: str = ""


class Written(SQLModel, table=True):
    """What we last wrote to an HIE about one matter of one member, so that an echo is recognised."""

    __tablename__ = "written"
    hie: str = Field(primary_key=True)
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    matter: str = Field(primary_key=True)
    said: str
    at: str


class Cursor(SQLModel, table=True):
    """How far an HIE has been pulled."""

    __tablename__ = "cursor"
    hie: str = Field(primary_key=True)
    since: str
