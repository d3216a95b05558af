"""retract: withdraw what one run said, or let it stand again; and which runs there are."""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Ran


class Retracted(Struct, frozen=True):
    """A run that was retracted, or stands again, and what that changed."""

    run: Ran
    members: int
    withdrawn: int
    restored: int


def runs(workspace: Workspace) -> list[Ran]:
    """Every run of the store, oldest first. Raises UsageError where there is no store."""
    workspace.require_store()
    return workspace.store.retractions.runs()


def retract(workspace: Workspace, run: int, *, reason: str = "", undo: bool = False) -> Retracted:
    """Withdraw the answers that only this run gave, and resolve its members again; with `undo`, the reverse.

    Nothing is deleted: `explain` shows what was withdrawn. What another run said as well stands, and is first
    seen on that run's date; what a later file says again stands again. Members whom nobody else brought are
    left out of everything that is counted or sent. Names, addresses and enrollment stay as they were last
    told. One transaction: all of it or nothing. Raises UsageError, StoreError, StoreLockedError.
    """
    workspace.require_store()
    found = workspace.store.retractions.runs(run) if run > 0 else []
    if not found:
        raise UsageError("there is no such run; `fhir-equity retract` alone lists them")
    if not (reason.strip() or undo):
        raise UsageError("a retraction keeps why; say it with --reason")
    judge, retractions = workspace.judge(found[0].partner), workspace.store.retractions
    done = retractions.undo(run, judge) if undo else retractions.retract(run, judge, reason.strip())
    return Retracted(found[0], done.members, done.withdrawn, done.restored)
