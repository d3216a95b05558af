"""The tables of the store, as SQLModel declares them. Bulk work goes through their Core tables.

The scripts in `migrations` make them; a test holds both to be the same.

Answers are append-only. Received values and origins are interned: an answer is a member, a received
value, an origin and the event it was part of, first seen on a date; seeing it again adds a sighting.
Only `first_seen` may change: it moves back when an older file comes later.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

VERSION = 3  # the layout; each one has its script in `migrations`


# The store numbers rows itself, without gaps, so that they do not tell how often a run was interrupted.
GIVEN = {"autoincrement": False}


def core(model: Any) -> Any:
    """The Core table of a model, for bulk statements."""
    return model.__table__


class StoreVersion(SQLModel, table=True):
    """The layout of this store; a program refuses a store that is newer than itself."""

    __tablename__ = "store_version"
    version: int = Field(primary_key=True)


class Run(SQLModel, table=True):
    """One ingest or pull. `finished` is empty while it goes on or after it was killed.

    `inputs` is the digest of what it reads and how, empty where that cannot be read a second time: the
    next run of the same goes on where this one stopped.
    """

    __tablename__ = "run"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    partner: str
    as_of: str
    started: str
    finished: str = ""
    software: str
    inputs: str = Field(default="", sa_column_kwargs={"server_default": ""})


class Artefact(SQLModel, table=True):
    """One input of a run: a file, or what one HIE answered.

    `position` is how many of its items (records, findings, losses, frames, and its end) are in the
    store, moved on in the transaction that writes them. The same inputs lose the same: `losses_of` is
    the artefact of an earlier run that has the losses, empty where it has its own.
    """

    __tablename__ = "artefact"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    run_id: int = Field(foreign_key="run.id", index=True)
    name: str
    format: str
    sha256: str = ""
    bytes: int = Field(default=0, sa_type=BigInteger)
    members: int = 0
    rejected: int = 0
    position: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    losses_of: int | None = None


class StoredMember(SQLModel, table=True):
    """A person as one partner knows them. `twin` tells people apart who were sent under one key."""

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("partner", "key", "twin"),)
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    partner: str
    key: str
    twin: int = 0
    key_rule: str
    pseudonym: str = Field(index=True)
    family: str = ""
    given: str = ""
    birth_date: str = ""
    details: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class MemberIdentifier(SQLModel, table=True):
    """An identifier of a member, to find them by."""

    __tablename__ = "member_identifier"
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    system: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    value: str = Field(primary_key=True, index=True)
    use: str = ""


class ReceivedValue(SQLModel, table=True):
    """A received value, once however often it came."""

    __tablename__ = "received"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    digest: str = Field(unique=True)
    topic: str
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class StoredOrigin(SQLModel, table=True):
    """Who collected, how, to which question and when; the artefact is kept with the answer."""

    __tablename__ = "origin"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    digest: str = Field(unique=True)
    partner: str
    collector: str
    method: str
    standard: str
    question: str
    collected_on: str


class StoredAnswer(SQLModel, table=True):
    """An answer; `event` is the digest of all that was said about the matter on that occasion."""

    __tablename__ = "answer"
    __table_args__ = (UniqueConstraint("member_id", "event", "received_id", "origin_id"),)
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    member_id: int = Field(foreign_key="member.id")
    event: int = Field(sa_column=Column(BigInteger, nullable=False))
    received_id: int = Field(foreign_key="received.id")
    origin_id: int = Field(foreign_key="origin.id")
    matter: str
    first_seen: str
    artefact_id: int = Field(foreign_key="artefact.id")
    unit: str
    number: int
    offset: int = Field(sa_type=BigInteger)
    path: str


class StoredResolution(SQLModel, table=True):
    """Which event of a member wins for one matter, by which rule of which policy.

    `winner` is the first answer of the winning event; `provisional` and `refused` are as in Resolution.
    """

    __tablename__ = "resolution"
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    matter: str = Field(primary_key=True)
    state: str
    winner: int | None = Field(default=None, foreign_key="answer.id")
    rule: str
    policy: str
    provisional: bool
    refused: bool


class Beaten(SQLModel, table=True):
    """An event that lost, by its first answer; `place` 0 is the one that came next."""

    __tablename__ = "beaten"
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    matter: str = Field(primary_key=True)
    place: int = Field(primary_key=True)
    answer_id: int = Field(foreign_key="answer.id")


class Sighting(SQLModel, table=True):
    """A member was in a run: what they had answered before was seen again."""

    __tablename__ = "sighting"
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    run_id: int = Field(foreign_key="run.id", primary_key=True)


class StoredFinding(SQLModel, table=True):
    """A finding of a run. Positions only, never a value."""

    __tablename__ = "finding"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    artefact_id: int = Field(foreign_key="artefact.id", index=True)
    code: str
    severity: str
    unit: str
    number: int
    offset: int = Field(sa_type=BigInteger)
    path: str
    loop: str = Field(default="", sa_column_kwargs={"server_default": ""})
    within: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class StoredLoss(SQLModel, table=True):
    """Something that reading could not carry over, by rule. Positions only, never a value."""

    __tablename__ = "loss"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    artefact_id: int = Field(foreign_key="artefact.id", index=True)
    rule: str
    relationship: str
    topic: str
    unit: str
    number: int
    offset: int = Field(sa_type=BigInteger)
    path: str


class Quarantined(SQLModel, table=True):
    """Bytes that could not be read as a member, verbatim, once per content and reason."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("partner", "code", "digest"),)
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    artefact_id: int = Field(foreign_key="artefact.id")
    partner: str
    code: str
    digest: str
    unit: str
    number: int
    offset: int = Field(sa_type=BigInteger)
    path: str
    raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Settled(SQLModel, table=True):
    """A quarantined record that could be read after all, and the run that read it."""

    __tablename__ = "settled"
    quarantine_id: int = Field(foreign_key="quarantine.id", primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    at: str


class StoredFrame(SQLModel, table=True):
    """What the records of an artefact from here on stand in; `control` is empty or never given twice."""

    __tablename__ = "frame"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    artefact_id: int = Field(foreign_key="artefact.id", index=True)
    control: str = Field(index=True)
    unit: str
    number: int
    offset: int = Field(sa_type=BigInteger)
    path: str
    raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


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
