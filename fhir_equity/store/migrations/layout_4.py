"""Layout 4: a function for each matter that came with it."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import Column, Integer, String, UniqueConstraint

revision = "4"
down_revision = "3"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Make what layout 3 lacks."""
    _trail(op)
    op.execute("UPDATE store_version SET version = 4")


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=False)


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, String, nullable=False) for name in names]


def _trail(op: Operations) -> None:
    """The audit trail, which the database itself does not let anybody change, and the account of disclosures."""
    op.add_column("run", Column("written", String, nullable=False, server_default="{}"))
    names = ("at", "who", "action", "outcome", "about", "counts", "topics", "versions", "previous", "digest")
    op.create_table("trail", _id(), *_texts(*names))
    op.create_table("trail_head", _id(), Column("entries", Integer, nullable=False), *_texts("digest"))
    what = ("pseudonym", "partner", "recipient", "transmission", "purpose", "basis", "topics", "rule", "policy")
    columns = _texts(*what, "intended_at", "state", "settled_at")
    op.create_table("disclosure", _id(), *columns, UniqueConstraint("transmission", "pseudonym", "rule"))
    op.create_index("ix_disclosure_pseudonym", "disclosure", ["pseudonym"])
    for statement in _SEALS[op.get_bind().dialect.name]:
        op.execute(statement)


_FUNCTION = """CREATE FUNCTION trail_sealed() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'append only'; END $$"""
_TRIGGER = """CREATE TRIGGER trail_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON trail
    FOR EACH STATEMENT EXECUTE FUNCTION trail_sealed()"""
_SEALS = {
    "sqlite": [
        f"CREATE TRIGGER trail_no_{verb} BEFORE {verb} ON trail BEGIN SELECT RAISE(ABORT, 'append only'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [_FUNCTION, _TRIGGER],
}
