"""What the circuit breaker found of each ingest before anything of it was written."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class StoredJudgement(SQLModel, table=True):
    """How much of a partner's an ingest drops, flips and erases, and what became of it.

    `run_id` is empty where it was stopped, `accepted` is whether it would have been. `whole` is whether
    the files said of themselves that whoever they leave out is gone. The figures beside a count are what
    it is a share of.
    """

    __tablename__ = "judgement"
    id: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    run_id: int | None = Field(default=None, foreign_key="run.id", index=True)
    partner: str
    at: str
    whole: bool
    accepted: bool
    members: int
    members_dropped: int
    statements: int
    statements_dropped: int
    known: int
    flipped: int
    erased: int
