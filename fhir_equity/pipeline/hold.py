"""hold: what is not purged, whatever its age, because somebody said so."""

from __future__ import annotations

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.explain import one_member
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Hold


def hold_add(workspace: Workspace, *, member: str = "", run: int = 0, reason: str = "") -> Hold:
    """Hold a member (by pseudonym, key or identifier), or a run with all that it read and everybody it met.

    On the trail. Raises UsageError, also where no reason is given, and StoreError, StoreLockedError.
    """
    workspace.require_store()
    if bool(member) == bool(run):
        raise UsageError("a hold is on a member or on a run (--member, --run)")
    if not reason.strip():
        raise UsageError("a hold keeps why; say it with --reason")
    pseudonym = one_member(workspace, member).pseudonym if member else ""
    return workspace.store.holds.add(workspace.who, reason.strip(), pseudonym=pseudonym, run=run)


def hold_list(workspace: Workspace) -> list[Hold]:
    """Every hold, also those that were released, oldest first. Raises UsageError where there is no store."""
    workspace.require_store()
    return workspace.store.holds.all()


def hold_release(workspace: Workspace, hold: int) -> None:
    """Let what was held go with the next purge. On the trail. Raises UsageError, StoreError, StoreLockedError."""
    workspace.require_store()
    workspace.store.holds.release(hold, workspace.who)
