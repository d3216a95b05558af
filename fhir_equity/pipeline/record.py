"""A member as the store takes it."""

from __future__ import annotations

from fhir_equity.model import Member
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.people import events_of
from fhir_equity.quality.rules import findings
from fhir_equity.store import Record


def record_of(workspace: Workspace, member: Member) -> Record:
    """A member as the store takes it: events by matter, and every finding about it."""
    meaning = workspace.vocabulary(member.partner).meaning
    events = events_of(member.answers, workspace.matter_of, workspace.as_of)
    return Record(
        member,
        tuple((workspace.matter_of(event.received[0].topic), event) for event in events),
        tuple(findings(member, meaning, workspace.as_of)),
    )
