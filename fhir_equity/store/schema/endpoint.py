"""What is remembered about an HIE's endpoint: its profile, and the bulk export that goes on there."""

from __future__ import annotations

from sqlmodel import Field, SQLModel


class StoredProfile(SQLModel, table=True):
    """What the last probe found out about a server, as JSON."""

    __tablename__ = "profile"
    hie: str = Field(primary_key=True)
    probed_at: str
    document: str


class Export(SQLModel, table=True):
    """A bulk export at an HIE from its kick-off until its job is deleted.

    `level` is ``system``, ``patient`` or ``group/ID``. `poll` is where the server tells how far it is,
    `since` the instant that was asked for, `moment` the server's own of the export. `folder` is where the
    files wait. `status` is ``running`` or ``complete``.
    """

    __tablename__ = "export"
    hie: str = Field(primary_key=True)
    level: str
    poll: str
    since: str
    begun_at: str
    folder: str
    moment: str = ""
    status: str = "running"
    with_token: bool = True


class ExportFile(SQLModel, table=True):
    """A file of an export: `purpose` is ``output``, ``error`` or ``deleted``, `status` empty or ``stored``."""

    __tablename__ = "export_file"
    hie: str = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    purpose: str
    kind: str
    url: str
    status: str = ""
