"""The tables of the store, as SQLModel declares them, a file for each matter. Bulk work goes through their Core tables.

The scripts in `migrations` make them; a test holds both to be the same.

Answers are append-only. Received values and origins are interned: an answer is a member, a received
value, an origin and the event it was part of, first seen on a date; seeing it again adds a sighting.
Only `first_seen` may change: it moves back when an older file comes later.
"""

from __future__ import annotations

from typing import Any

from fhir_equity.store.schema.answers import Beaten, ReceivedValue, StoredAnswer, StoredOrigin, StoredResolution
from fhir_equity.store.schema.endpoint import Export, ExportFile, StoredProfile
from fhir_equity.store.schema.findings import (
    Quarantined,
    QuarantinedIn,
    Settled,
    StoredFinding,
    StoredFrame,
    StoredLoss,
)
from fhir_equity.store.schema.hie import (
    Changed,
    ConsentCursor,
    Cursor,
    JournalEntry,
    Link,
    Observed,
    OptOut,
    PlannedThrough,
    Standing,
    StandingCount,
    StoredPlan,
    SyncRun,
    Written,
)
from fhir_equity.store.schema.holds import StoredHold
from fhir_equity.store.schema.judgements import StoredJudgement
from fhir_equity.store.schema.members import MemberIdentifier, StoredMember
from fhir_equity.store.schema.merges import Merge, Merged
from fhir_equity.store.schema.publications import StoredPublication
from fhir_equity.store.schema.retractions import Retraction, Saying, SayingPart, WithdrawnAnswer, WithdrawnMember
from fhir_equity.store.schema.review import DecidedRow, Pattern, Settlement, StoredCase, StoredDecision
from fhir_equity.store.schema.runs import Artefact, Run, Sighting, StoreVersion
from fhir_equity.store.schema.snapshots import StoredSnapshot
from fhir_equity.store.schema.splits import Split, SplitAnswer, SplitSighting
from fhir_equity.store.schema.strangers import Stranger
from fhir_equity.store.schema.trail import StoredDisclosure, TrailEntry, TrailHead

__all__ = [
    "VERSION",
    "Artefact",
    "Beaten",
    "Changed",
    "ConsentCursor",
    "Cursor",
    "DecidedRow",
    "Export",
    "ExportFile",
    "JournalEntry",
    "Link",
    "MemberIdentifier",
    "Merge",
    "Merged",
    "Observed",
    "OptOut",
    "Pattern",
    "PlannedThrough",
    "Quarantined",
    "QuarantinedIn",
    "ReceivedValue",
    "Retraction",
    "Run",
    "Saying",
    "SayingPart",
    "Settled",
    "Settlement",
    "Sighting",
    "Split",
    "SplitAnswer",
    "SplitSighting",
    "Standing",
    "StandingCount",
    "StoreVersion",
    "StoredAnswer",
    "StoredCase",
    "StoredDecision",
    "StoredDisclosure",
    "StoredFinding",
    "StoredFrame",
    "StoredHold",
    "StoredJudgement",
    "StoredLoss",
    "StoredMember",
    "StoredOrigin",
    "StoredPlan",
    "StoredProfile",
    "StoredPublication",
    "StoredResolution",
    "StoredSnapshot",
    "Stranger",
    "SyncRun",
    "TrailEntry",
    "TrailHead",
    "WithdrawnAnswer",
    "WithdrawnMember",
    "Written",
    "core",
]

VERSION = 5  # the layout; each one has its script in `migrations`


def core(model: Any) -> Any:
    """The Core table of a model, for bulk statements."""
    return model.__table__
