"""Layout 5: a function for each matter that came with it."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import Boolean, Column, ForeignKey, Integer, String

revision = "5"
down_revision = "4"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Make what layout 4 lacks."""
    _decided_rows(op)
    _splits(op)
    under = Column("under", String, primary_key=True)
    op.create_table("stranger", under, _key("twin"), *_texts("pseudonym", "born", "name"))
    op.create_index("ix_stranger_pseudonym", "stranger", ["pseudonym"])
    op.execute("UPDATE store_version SET version = 5")


def _decided_rows(op: Operations) -> None:
    """The rows that decisions wrote into partners' tables."""
    number = Column("number", Integer, primary_key=True, autoincrement=False)
    row = ("partner", "place", "applies_to", "source_system", "source_code", "target_system", "target_code")
    op.create_table("decided_row", _of("decision", primary_key=True), number, *_texts(*row, "relationship"))


def _splits(op: Operations) -> None:
    """Members who were found to be two people."""
    apart = Column("apart_id", Integer, nullable=False)
    texts = _texts("apart", "places", "author", "reason", "at", "undone_at", "undone_by")
    op.create_table("split", Column("id", Integer, primary_key=True, autoincrement=False), _of("member"), apart, *texts)
    op.create_index("ix_split_member_id", "split", ["member_id"])
    op.create_index("ix_split_apart_id", "split", ["apart_id"])
    copied = Column("copied", Boolean, nullable=False)
    op.create_table("split_answer", _of("split", primary_key=True), _key("answer_id"), _of("member"), copied)
    keys = (_of("split", primary_key=True), _of("run", primary_key=True), _key("saying_id"))
    op.create_table("split_sighting", *keys, _of("member"))
    for table in ("split_answer", "split_sighting"):
        op.create_index(f"ix_{table}_member_id", table, ["member_id"])


def _key(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, String, nullable=False) for name in names]


def _of(table: str, *, primary_key: bool = False) -> Column[int]:
    return Column(f"{table}_id", Integer, ForeignKey(f"{table}.id"), nullable=False, primary_key=primary_key)
