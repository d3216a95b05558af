"""Trustworthy race, ethnicity, language and SOGI data between plans, agencies and HIEs.

    from fhir_equity import Workspace, audit

    with Workspace() as workspace:
        document = audit(workspace, ["enrollment.834"]).document

The nouns are what every part shares (`Member`, `Answer`, `Coding`, `Origin`, ...); each verb is a
command of the same name. Importing the package loads no FHIR models, database or web library: a
verb brings what it needs when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fhir_equity.errors import FhirEquityError
from fhir_equity.model import Answer, Coding, Finding, Loss, Member, Method, Origin, Rejected, Resolution, State

if TYPE_CHECKING:
    from fhir_equity.pipeline.ack import ack
    from fhir_equity.pipeline.audit import audit
    from fhir_equity.pipeline.codes_lookup import lookup, translate, view
    from fhir_equity.pipeline.convert import convert
    from fhir_equity.pipeline.doctor import doctor
    from fhir_equity.pipeline.explain import explain
    from fhir_equity.pipeline.frames import audit_frame, normalize_frame
    from fhir_equity.pipeline.hold import hold_add, hold_list, hold_release
    from fhir_equity.pipeline.ingest import ingest
    from fhir_equity.pipeline.init import init
    from fhir_equity.pipeline.members import members
    from fhir_equity.pipeline.merge import merge, unmerge
    from fhir_equity.pipeline.probe import sync_probe
    from fhir_equity.pipeline.purge import purge
    from fhir_equity.pipeline.quarantine import quarantine_list, quarantine_retry, quarantine_show
    from fhir_equity.pipeline.questionnaire import questionnaire
    from fhir_equity.pipeline.resolve import resolve
    from fhir_equity.pipeline.retract import retract
    from fhir_equity.pipeline.review import review_decide, review_list, review_undo
    from fhir_equity.pipeline.review_sheet import review_export, review_import
    from fhir_equity.pipeline.snapshot import snapshot_create, snapshot_list
    from fhir_equity.pipeline.split import split
    from fhir_equity.pipeline.sync import sync_apply, sync_plan, sync_pull
    from fhir_equity.pipeline.trail import disclosures, trail_export, trail_list, trail_verify
    from fhir_equity.pipeline.worklist import worklist
    from fhir_equity.pipeline.workspace import Workspace
    from fhir_equity.vocabulary import Vocabulary

__all__ = [
    "Answer",
    "Coding",
    "FhirEquityError",
    "Finding",
    "Loss",
    "Member",
    "Method",
    "Origin",
    "Rejected",
    "Resolution",
    "State",
    "Vocabulary",
    "Workspace",
    "ack",
    "audit",
    "audit_frame",
    "convert",
    "disclosures",
    "doctor",
    "explain",
    "hold_add",
    "hold_list",
    "hold_release",
    "ingest",
    "init",
    "lookup",
    "members",
    "merge",
    "normalize_frame",
    "purge",
    "quarantine_list",
    "quarantine_retry",
    "quarantine_show",
    "questionnaire",
    "resolve",
    "retract",
    "review_decide",
    "review_export",
    "review_import",
    "review_list",
    "review_undo",
    "snapshot_create",
    "snapshot_list",
    "split",
    "sync_apply",
    "sync_plan",
    "sync_probe",
    "sync_pull",
    "trail_export",
    "trail_list",
    "trail_verify",
    "translate",
    "unmerge",
    "view",
    "worklist",
]

_LATER = {
    "Vocabulary": "fhir_equity.vocabulary",
    "Workspace": "fhir_equity.pipeline.workspace",
    "ack": "fhir_equity.pipeline.ack",
    "audit": "fhir_equity.pipeline.audit",
    "audit_frame": "fhir_equity.pipeline.frames",
    "convert": "fhir_equity.pipeline.convert",
    "doctor": "fhir_equity.pipeline.doctor",
    "explain": "fhir_equity.pipeline.explain",
    "hold_add": "fhir_equity.pipeline.hold",
    "hold_list": "fhir_equity.pipeline.hold",
    "hold_release": "fhir_equity.pipeline.hold",
    "ingest": "fhir_equity.pipeline.ingest",
    "init": "fhir_equity.pipeline.init",
    "lookup": "fhir_equity.pipeline.codes_lookup",
    "members": "fhir_equity.pipeline.members",
    "normalize_frame": "fhir_equity.pipeline.frames",
    "purge": "fhir_equity.pipeline.purge",
    "quarantine_list": "fhir_equity.pipeline.quarantine",
    "quarantine_retry": "fhir_equity.pipeline.quarantine",
    "quarantine_show": "fhir_equity.pipeline.quarantine",
    "merge": "fhir_equity.pipeline.merge",
    "questionnaire": "fhir_equity.pipeline.questionnaire",
    "resolve": "fhir_equity.pipeline.resolve",
    "retract": "fhir_equity.pipeline.retract",
    "review_decide": "fhir_equity.pipeline.review",
    "review_export": "fhir_equity.pipeline.review_sheet",
    "review_import": "fhir_equity.pipeline.review_sheet",
    "review_list": "fhir_equity.pipeline.review",
    "review_undo": "fhir_equity.pipeline.review",
    "snapshot_create": "fhir_equity.pipeline.snapshot",
    "snapshot_list": "fhir_equity.pipeline.snapshot",
    "split": "fhir_equity.pipeline.split",
    "sync_apply": "fhir_equity.pipeline.sync",
    "sync_plan": "fhir_equity.pipeline.sync",
    "sync_probe": "fhir_equity.pipeline.probe",
    "sync_pull": "fhir_equity.pipeline.sync",
    "disclosures": "fhir_equity.pipeline.trail",
    "trail_export": "fhir_equity.pipeline.trail",
    "trail_list": "fhir_equity.pipeline.trail",
    "trail_verify": "fhir_equity.pipeline.trail",
    "translate": "fhir_equity.pipeline.codes_lookup",
    "unmerge": "fhir_equity.pipeline.merge",
    "view": "fhir_equity.pipeline.codes_lookup",
    "worklist": "fhir_equity.pipeline.worklist",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'fhir_equity' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
