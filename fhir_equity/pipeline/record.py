"""A member as the store takes it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial

from fhir_equity.adapters.protocol import Read
from fhir_equity.model import Member
from fhir_equity.pipeline.reading import Failures, Input
from fhir_equity.pipeline.together import made
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


def recorded(
    workspace: Workspace, read: Input, failures: Failures, workers: int
) -> Generator[Record | Read, None, None]:
    """Everything in an input, members as the store takes them, read by so many processes."""
    return made(workspace, read, failures, recording(workspace), recording, workers)


def recording(workspace: Workspace) -> Callable[[Read], Record | Read]:
    """What makes records of members and leaves everything else as it is."""
    return partial(_recorded, workspace)


def _recorded(workspace: Workspace, item: Read) -> Record | Read:
    return record_of(workspace, item) if isinstance(item, Member) else item
