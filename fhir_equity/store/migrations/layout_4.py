"""Layout 4: a function for each matter that came with it."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, UniqueConstraint

revision = "4"
down_revision = "3"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Make what layout 3 lacks."""
    _trail(op)
    _retractions(op)
    op.execute("UPDATE store_version SET version = 4")


def _retractions(op: Operations) -> None:
    """What runs said, and what was withdrawn; what earlier runs said is not known any more (saying 0)."""
    op.create_table("saying", _id(), Column("digest", String, nullable=False, unique=True))
    op.create_table(
        "saying_part",
        _of("saying", primary_key=True),
        Column("matter", String, primary_key=True),
        Column("event", BigInteger, primary_key=True, autoincrement=False),
        _of("origin", primary_key=True),
    )
    op.rename_table("sighting", "sighting_3")
    saying = Column("saying_id", Integer, primary_key=True, autoincrement=False)
    op.create_table("sighting", _of("member", primary_key=True), _of("run", primary_key=True), saying)
    op.execute("INSERT INTO sighting SELECT member_id, run_id, 0 FROM sighting_3")
    op.drop_table("sighting_3")
    op.create_table("retraction", _id(), _of("run"), *_texts("at", "reason", "undone_at"))
    op.create_index("ix_retraction_run_id", "retraction", ["run_id"])
    op.create_table("withdrawn_answer", _of("answer", primary_key=True), _of("member"))
    op.create_index("ix_withdrawn_answer_member_id", "withdrawn_answer", ["member_id"])
    op.create_table("withdrawn_member", _of("member", primary_key=True))


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


def _of(table: str, *, primary_key: bool = False) -> Column[int]:
    return Column(f"{table}_id", Integer, ForeignKey(f"{table}.id"), nullable=False, primary_key=primary_key)
