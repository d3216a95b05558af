"""The public types, checked by mypy and never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from fhir_equity import (
    FhirEquityError,
    Member,
    Workspace,
    ack,
    audit,
    convert,
    explain,
    ingest,
    questionnaire,
    sync_apply,
    sync_plan,
    sync_pull,
)
from fhir_equity.pipeline.ack import Acknowledged
from fhir_equity.pipeline.audit import Audit
from fhir_equity.pipeline.ingest import Ingested
from fhir_equity.pipeline.leaving import Converted
from fhir_equity.pipeline.questionnaire import Emitted
from fhir_equity.pipeline.sync import PullResult
from fhir_equity.sync.apply import Applied
from fhir_equity.sync.plan import Plan


def verbs(workspace: Workspace) -> None:
    assert_type(audit(workspace, ["a.834"]), Audit)
    assert_type(audit(workspace, [Path("a.834")], by=["partner"]).document, dict[str, Any])
    assert_type(ingest(workspace, ["a.834"], partner="acme"), Ingested)
    assert_type(convert(workspace, "a.834", "b.ndjson"), Converted)
    assert_type(explain(workspace, "M1", topic="race"), dict[str, Any])
    assert_type(ack(workspace, "a.834", "a.999"), Acknowledged)
    assert_type(questionnaire(workspace, lang="es"), Emitted)
    assert_type(sync_plan(workspace, "hie"), Plan)
    assert_type(sync_apply(workspace, "hie"), Applied)
    assert_type(sync_pull(workspace, "hie"), PullResult)


def nouns(member: Member, error: FhirEquityError) -> None:
    assert_type(member.key, str)
    assert_type(error.exit_code, int)
