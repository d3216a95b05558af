"""Layout 3: how far each artefact has been read, what a run reads, who has its losses, and which answers win."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import Boolean, Column, ForeignKey, Integer, String

revision = "3"
down_revision = "2"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Make what layout 2 lacks; the resolutions of earlier answers come with the next run that sees their people."""
    op.add_column("run", Column("inputs", String, nullable=False, server_default=""))
    op.add_column("artefact", Column("position", Integer, nullable=False, server_default="0"))
    op.add_column("artefact", Column("losses_of", Integer, nullable=True))
    op.create_table(
        "resolution",
        Column("member_id", Integer, ForeignKey("member.id"), primary_key=True),
        Column("matter", String, primary_key=True),
        Column("state", String, nullable=False),
        Column("winner", Integer, ForeignKey("answer.id"), nullable=True),
        Column("rule", String, nullable=False),
        Column("policy", String, nullable=False),
        Column("provisional", Boolean, nullable=False),
        Column("refused", Boolean, nullable=False),
    )
    op.create_table(
        "beaten",
        Column("member_id", Integer, ForeignKey("member.id"), primary_key=True),
        Column("matter", String, primary_key=True),
        Column("place", Integer, primary_key=True, autoincrement=False),
        Column("answer_id", Integer, ForeignKey("answer.id"), nullable=False),
    )
    _younger_than_their_layout(op)
    op.execute("UPDATE store_version SET version = 3")


def _younger_than_their_layout(op: Operations) -> None:
    """Tables that stores of layout 1 and 2 have only if their program knew them."""
    names = [Column(name, String, nullable=False) for name in ("hie", "policy", "made_at")]
    name = Column("name", String, nullable=False, unique=True)
    op.create_table("plan", Column("id", Integer, primary_key=True), name, *names, if_not_exists=True)
    op.create_index("ix_plan_hie", "plan", ["hie"], if_not_exists=True)
    keys = [Column(name, String, primary_key=True) for name in ("sender", "receiver")]
    op.create_table("control_number", *keys, Column("last", Integer, nullable=False), if_not_exists=True)
