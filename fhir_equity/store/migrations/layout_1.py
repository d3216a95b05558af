"""Layout 1: members, received values, origins, answers, runs, findings, quarantine, and what an HIE is told."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, UniqueConstraint

revision = "1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Make the tables of layout 1."""
    op.create_table("store_version", Column("version", Integer, primary_key=True))
    _runs(op)
    _members(op)
    _answers(op)
    _problems(op)
    _hie(op)
    op.execute("INSERT INTO store_version VALUES (1)")


def _text(name: str, **how: Any) -> Column[str]:
    return Column(name, String, nullable=False, **how)


def _whole(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _id(*, given: bool = True) -> Column[int]:
    # `given`: the store numbers the rows itself, without gaps, so that they do not tell how often it was interrupted
    return Column("id", Integer, primary_key=True, autoincrement=False if given else "auto")


def _of(table: str, **how: Any) -> Column[int]:
    return Column(f"{table}_id", Integer, ForeignKey(f"{table}.id"), nullable=False, **how)


def _place() -> list[Column[Any]]:
    return [_text("unit"), _whole("number"), Column("offset", BigInteger, nullable=False), _text("path")]


def _runs(op: Operations) -> None:
    op.create_table("run", _id(), *map(_text, ("partner", "as_of", "started", "finished", "software")))
    size = Column("bytes", BigInteger, nullable=False)
    counts = (_whole("members"), _whole("rejected"))
    op.create_table("artefact", _id(), _of("run"), *map(_text, ("name", "format", "sha256")), size, *counts)
    op.create_index("ix_artefact_run_id", "artefact", ["run_id"])


def _members(op: Operations) -> None:
    names = ("key_rule", "pseudonym", "family", "given", "birth_date")
    who = (_text("partner"), _text("key"), _whole("twin"))
    unique = UniqueConstraint("partner", "key", "twin")
    op.create_table("member", _id(), *who, *map(_text, names), _bytes("details"), unique)
    op.create_index("ix_member_pseudonym", "member", ["pseudonym"])
    keys = [_text(name, primary_key=True) for name in ("system", "kind", "value")]
    op.create_table("member_identifier", _of("member", primary_key=True), *keys, _text("use"))
    op.create_index("ix_member_identifier_value", "member_identifier", ["value"])


def _answers(op: Operations) -> None:
    op.create_table("received", _id(), _text("digest", unique=True), _text("topic"), _bytes("value"))
    names = ("partner", "collector", "method", "standard", "question", "collected_on")
    op.create_table("origin", _id(), _text("digest", unique=True), *map(_text, names))
    op.create_table(
        "answer",
        _id(),
        _of("member"),
        Column("event", BigInteger, nullable=False),
        _of("received"),
        _of("origin"),
        *map(_text, ("matter", "first_seen")),
        _of("artefact"),
        *_place(),
        UniqueConstraint("member_id", "event", "received_id", "origin_id"),
    )
    op.create_table("sighting", _of("member", primary_key=True), _of("run", primary_key=True))


def _problems(op: Operations) -> None:
    op.create_table("finding", _id(), _of("artefact"), _text("code"), _text("severity"), *_place())
    op.create_index("ix_finding_artefact_id", "finding", ["artefact_id"])
    unique = UniqueConstraint("partner", "code", "digest")
    names = map(_text, ("partner", "code", "digest"))
    op.create_table("quarantine", _id(), _of("artefact"), *names, *_place(), _bytes("raw"), unique)


def _hie(op: Operations) -> None:
    hie = ("hie", String)
    op.create_table("cursor", Column(*hie, primary_key=True), _text("since"))
    member = _of("member", primary_key=True)
    op.create_table("link", Column(*hie, primary_key=True), member, _text("resource_id"), _text("etag"))
    op.create_index("ix_link_resource_id", "link", ["resource_id"])
    keys = (Column(*hie, primary_key=True), _of("member", primary_key=True), _text("matter", primary_key=True))
    op.create_table("written", *keys, _text("said"), _text("at"))
    names = ("matters", "action", "resource_id", "etag", "policy", "said", "status", "planned_at", "done_at")
    op.create_table("journal", _id(given=False), _text("plan"), _text("hie"), _of("member"), *map(_text, names))
    op.create_index("ix_journal_plan", "journal", ["plan"])
