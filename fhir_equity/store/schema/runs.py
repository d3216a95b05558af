"""What was read: runs, their artefacts, and the layout of the store."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class StoreVersion(SQLModel, table=True):
    """The layout of this store; a program refuses a store that is newer than itself."""

    __tablename__ = "store_version"
    version: int = Field(primary_key=True)


class Run(SQLModel, table=True):
    """One ingest or pull. `finished` is empty while it goes on or after it was killed.

    `inputs` is the digest of what it reads and how, empty where that cannot be read a second time: the
    next run of the same goes on where this one stopped. `written` is what it wrote so far, a JSON object of counts.
    """

    __tablename__ = "run"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    partner: str
    as_of: str
    started: str
    finished: str = ""
    software: str
    inputs: str = Field(default="", sa_column_kwargs={"server_default": ""})
    written: str = Field(default="{}", sa_column_kwargs={"server_default": "{}"})


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


class Sighting(SQLModel, table=True):
    """A member was in a run: what they had answered before was seen again.

    `saying_id` is what the run said of them (`Saying`), 0 in what a store of layout 3 or older kept.
    """

    __tablename__ = "sighting"
    member_id: int = Field(foreign_key="member.id", primary_key=True)
    run_id: int = Field(foreign_key="run.id", primary_key=True)
    saying_id: int = Field(default=0, primary_key=True)
