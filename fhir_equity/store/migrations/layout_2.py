"""Layout 2: losses, frames, what was settled of the quarantine; the loop of a finding and its place in the set."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, inspect

revision = "2"
down_revision = "1"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Make what layout 1 lacks; stores of layout 1 were written with and without some of it."""
    known = {column["name"] for column in inspect(op.get_bind()).get_columns("finding")}
    for column in (
        Column("loop", String, nullable=False, server_default=""),
        Column("within", Integer, nullable=False, server_default="0"),
    ):
        if column.name not in known:
            op.add_column("finding", column)
    _tables(op)
    op.execute("UPDATE store_version SET version = 2")


def _tables(op: Operations) -> None:
    names = [_text(name) for name in ("rule", "relationship", "topic")]
    _table(op, "loss", _id(), _artefact(), *names, *_place(), indexes=("artefact_id",))
    quarantine = Column("quarantine_id", Integer, ForeignKey("quarantine.id"), primary_key=True, autoincrement=False)
    run = Column("run_id", Integer, ForeignKey("run.id"), nullable=False)
    _table(op, "settled", quarantine, run, _text("at"))
    raw = Column("raw", LargeBinary, nullable=False)
    indexes = ("artefact_id", "control")
    _table(op, "frame", _id(), _artefact(), _text("control"), *_place(), raw, indexes=indexes)


def _table(op: Operations, name: str, *columns: Column[Any], indexes: tuple[str, ...] = ()) -> None:
    op.create_table(name, *columns, if_not_exists=True)
    for column in indexes:
        op.create_index(f"ix_{name}_{column}", name, [column], if_not_exists=True)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=False)


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False)


def _artefact() -> Column[int]:
    return Column("artefact_id", Integer, ForeignKey("artefact.id"), nullable=False)


def _place() -> list[Column[Any]]:
    number, offset = Column("number", Integer, nullable=False), Column("offset", BigInteger, nullable=False)
    return [_text("unit"), number, offset, _text("path")]
