"""What runs said of members, and which of it was withdrawn."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class Saying(SQLModel, table=True):
    """All that one record said, once however many records say it: its parts are events with their origins."""

    __tablename__ = "saying"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    digest: str = Field(unique=True)


class SayingPart(SQLModel, table=True):
    """One event of a saying; `event` and `origin_id` are those of its answers."""

    __tablename__ = "saying_part"
    saying_id: int = Field(foreign_key="saying.id", primary_key=True)
    matter: str = Field(primary_key=True)
    event: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    origin_id: int = Field(foreign_key="origin.id", primary_key=True)


class Retraction(SQLModel, table=True):
    """A run that was retracted, and why; `undone_at` is empty while that holds. Who did it is on the trail."""

    __tablename__ = "retraction"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    run_id: int = Field(foreign_key="run.id", index=True)
    at: str
    reason: str
    undone_at: str = ""


class WithdrawnAnswer(SQLModel, table=True):
    """An answer that only retracted runs gave. It stays where it is and decides nothing."""

    __tablename__ = "withdrawn_answer"
    answer_id: int = Field(foreign_key="answer.id", primary_key=True)
    member_id: int = Field(foreign_key="member.id", index=True)


class WithdrawnMember(SQLModel, table=True):
    """A member whom only retracted runs brought."""

    __tablename__ = "withdrawn_member"
    member_id: int = Field(foreign_key="member.id", primary_key=True)
