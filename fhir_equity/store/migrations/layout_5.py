"""Layout 5: a function for each matter that came with it."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import Column, ForeignKey, Integer, String

revision = "5"
down_revision = "4"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Make what layout 4 lacks."""
    _decided_rows(op)
    op.execute("UPDATE store_version SET version = 5")


def _decided_rows(op: Operations) -> None:
    """The rows that decisions wrote into partners' tables."""
    number = Column("number", Integer, primary_key=True, autoincrement=False)
    row = ("partner", "place", "applies_to", "source_system", "source_code", "target_system", "target_code")
    op.create_table("decided_row", _of("decision", primary_key=True), number, *_texts(*row, "relationship"))


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, String, nullable=False) for name in names]


def _of(table: str, *, primary_key: bool = False) -> Column[int]:
    return Column(f"{table}_id", Integer, ForeignKey(f"{table}.id"), nullable=False, primary_key=primary_key)
