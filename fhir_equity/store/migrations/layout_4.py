"""Layout 4: a function for each matter that came with it."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, String, UniqueConstraint

revision = "4"
down_revision = "3"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Make what layout 3 lacks."""
    _trail(op)
    _retractions(op)
    _judgements(op)
    _hie(op)
    _endpoints(op)
    op.create_table("publication", _id(), *_texts("at"), Column("content", LargeBinary, nullable=False))
    _review(op)
    _snapshots(op)
    _merges(op)
    op.create_index("ix_member_key", "member", ["key"])
    op.create_index("ix_written_member_id", "written", ["member_id"])
    _holds(op)
    _quarantine(op)
    op.execute("UPDATE store_version SET version = 4")


def _judgements(op: Operations) -> None:
    """What the circuit breaker found of each ingest."""
    counts = ("members", "members_dropped", "statements", "statements_dropped", "known", "flipped", "erased")
    op.create_table(
        "judgement",
        _id(),
        Column("run_id", Integer, ForeignKey("run.id"), nullable=True),
        *_texts("partner", "at"),
        *(Column(name, Boolean, nullable=False) for name in ("whole", "accepted")),
        *(Column(name, Integer, nullable=False) for name in counts),
    )
    op.create_index("ix_judgement_run_id", "judgement", ["run_id"])


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


def _review(op: Operations) -> None:
    """Cases with their patterns, and the decisions that settle them."""
    sides = Column("sides", LargeBinary, nullable=False)
    unique = Column("digest", String, nullable=False, unique=True)
    op.create_table("pattern", _id(), unique, *_texts("kind", "matter"), sides)
    keys = (_of("member", primary_key=True), _of("pattern", primary_key=True))
    op.create_table("case", *keys, *_texts("source", "state", "since"))
    op.create_index("ix_case_pattern_id", "case", ["pattern_id", "member_id", "state"])
    whole = [Column(name, Integer, nullable=False) for name in ("side", "members")]
    op.create_table(
        "decision", _id(), _of("pattern"), *whole, *_texts("author", "reason", "at", "undone_at", "undone_by")
    )
    op.create_index("ix_decision_pattern_id", "decision", ["pattern_id"])
    keys = (_of("member", primary_key=True), _of("decision", primary_key=True))
    answer = Column("answer_id", Integer, nullable=False)
    op.create_table("settlement", *keys, answer, *_texts("matter", "known"))
    op.create_index("ix_settlement_decision_id", "settlement", ["decision_id"])


def _of(table: str, *, primary_key: bool = False) -> Column[int]:
    return Column(f"{table}_id", Integer, ForeignKey(f"{table}.id"), nullable=False, primary_key=primary_key)


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


def _hie(op: Operations) -> None:
    """What synchronising with an HIE remembers beside links, plans and what we wrote."""
    op.add_column("plan", Column("digest", String, nullable=False, server_default=""))
    for name in ("member_id", "resource_id", "status"):
        op.create_index(f"ix_journal_{name}", "journal", [name])
    number = Column("number", Integer, primary_key=True, autoincrement=False)
    op.create_table("observed", _key("hie"), _member(), _key("matter"), number, _text("resource_id"), _text("etag"))
    op.create_index("ix_observed_resource_id", "observed", ["resource_id"])
    words = map(_text, ("since", "until", "at"))
    op.create_table("opt_out", _member(), _key("recipient"), _key("matter"), _key("source"), *words)
    op.create_table("changed", _member(), Column("number", BigInteger, nullable=False))
    op.create_index("ix_changed_number", "changed", ["number"])
    kept = (_text("outcome"), Column("open", Boolean, nullable=False))
    op.create_table("standing", _key("hie"), _member(), *kept)
    keys = map(_key, ("hie", "kind", "matter", "reason"))
    op.create_table("standing_count", *keys, Column("count", Integer, nullable=False))
    through = (_text("edition"), _text("as_of"), Column("number", BigInteger, nullable=False), _text("since"))
    op.create_table("planned_through", _key("hie"), *through)
    op.create_table("consent_cursor", _key("hie"), _text("since"))
    words = map(_text, ("began", "ended", "outcome", "counts"))
    op.create_table("sync_run", _key("hie"), _key("verb"), *words)


def _key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True)


def _member() -> Column[int]:
    return Column("member_id", Integer, ForeignKey("member.id"), primary_key=True, autoincrement=False)


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False)


def _endpoints(op: Operations) -> None:
    """What a server was found to do, and the bulk export that goes on there."""
    op.create_table("profile", Column("hie", String, primary_key=True), *_texts("probed_at", "document"))
    flag = Column("with_token", Boolean, nullable=False)
    texts = _texts("level", "poll", "since", "begun_at", "folder", "moment", "status")
    op.create_table("export", Column("hie", String, primary_key=True), *texts, flag)
    number = Column("number", Integer, primary_key=True, autoincrement=False)
    texts = _texts("purpose", "kind", "url", "status")
    op.create_table("export_file", Column("hie", String, primary_key=True), number, *texts)


def _snapshots(op: Operations) -> None:
    """Measurements that were frozen."""
    name = Column("name", String, nullable=False, unique=True)
    held = [Column(part, LargeBinary, nullable=False) for part in ("settings", "document", "content")]
    people = Column("people", Integer, nullable=False)
    op.create_table("snapshot", _id(), name, *_texts("at", "as_of"), people, *_texts("digest"), *held)


def _merges(op: Operations) -> None:
    """Members who were found to be one person."""
    op.create_table("merge", _id(), _of("member"), _into(), *_texts("author", "reason", "at", "undone_at", "undone_by"))
    op.create_index("ix_merge_member_id", "merge", ["member_id"])
    op.create_table("merged", _of("member", primary_key=True), _into())
    op.create_index("ix_merged_into_id", "merged", ["into_id"])


def _into() -> Column[int]:
    return Column("into_id", Integer, ForeignKey("member.id"), nullable=False)


def _quarantine(op: Operations) -> None:
    """In which inputs a record was met that could not be read; of older layouts the first is known."""
    op.create_table("quarantined_in", _of("quarantine", primary_key=True), _of("artefact", primary_key=True))
    op.execute("INSERT INTO quarantined_in SELECT id, artefact_id FROM quarantine")


def _holds(op: Operations) -> None:
    """What must not be purged."""
    run = Column("run_id", Integer, nullable=False)
    op.create_table("hold", _id(), run, *_texts("pseudonym", "author", "reason", "at", "released_at", "released_by"))
