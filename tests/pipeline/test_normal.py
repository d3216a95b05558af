"""Rows of people for a table elsewhere: an answer that lost is no less secret than one that won."""

from __future__ import annotations

import pytest

from fhir_equity.model import Answer, Member, Origin, Received
from fhir_equity.pipeline.leaving import Wish
from fhir_equity.pipeline.normal import Normalizing
from fhir_equity.pipeline.workspace import Workspace


@pytest.mark.parametrize("include_sensitive", [False, True])
def test_a_beaten_answer_that_discloses_stays(*, include_sensitive: bool) -> None:
    said = (("Female", "2026-02-01"), ("Nonbinary", "2025-02-01"))
    answers = tuple(
        Answer(Received("sex", "survey.sex", text=text, raw=text), Origin("plan", "a.csv", collected_on=day))
        for text, day in said
    )
    with Workspace(as_of="2026-06-01") as workspace:
        wish = Wish(to="parquet", partner="plan", include_sensitive=include_sensitive)
        made = Normalizing(workspace, wish, ledger=False).made(Member("plan", "M1", answers=answers))
    assert "Female" in repr(made.piece)
    assert ("Nonbinary" in repr(made.piece)) is include_sensitive
    assert [rule for rule, _ in made.losses] == ([] if include_sensitive else ["release.sensitive_left_out"])
