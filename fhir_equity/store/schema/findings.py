"""What reading told beside its members: findings, losses, and what is held in quarantine."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


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


class QuarantinedIn(SQLModel, table=True):
    """An artefact in which a quarantined record was met, the first and every later one.

    Of what a store of layout 3 or older met again only the first is known.
    """

    __tablename__ = "quarantined_in"
    quarantine_id: int = Field(foreign_key="quarantine.id", primary_key=True)
    artefact_id: int = Field(foreign_key="artefact.id", primary_key=True)


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
