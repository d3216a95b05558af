"""Members as their partners know them."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class StoredMember(SQLModel, table=True):
    """A person as one partner knows them. `twin` tells people apart who were sent under one key."""

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("partner", "key", "twin"),)
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    partner: str
    key: str = Field(index=True)
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
