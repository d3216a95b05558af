"""Answers, which are append-only, with what was received, where it comes from, and which of them win."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


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
