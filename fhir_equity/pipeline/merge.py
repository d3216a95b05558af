"""merge and unmerge: two keys, one person; or apart again."""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.explain import one_member
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Joined, Merging


class Merged(Struct, frozen=True):
    """A merge that was made; `differs` says whether both have a ``name`` or a ``birth date``, and not the same."""

    joined: Joined
    differs: tuple[str, ...]


def merges(workspace: Workspace) -> list[Merging]:
    """Every merge, also those that were undone, oldest first. Raises UsageError where there is no store."""
    workspace.require_store()
    return workspace.store.merges.all()


def merge(workspace: Workspace, into: str, member: str, *, reason: str, partner: str = "") -> Merged:
    """Read two members as one person from now on, and resolve that person again.

    Both are named by pseudonym, key or identifier. The person is called as `into` is, and is of their partner; what
    came through another partner is read by the tables of that one as before. Nothing moves: answers, links
    to HIEs, opt-outs and disclosures stay with the key under which they came, and later files may bring either
    key, so that `unmerge` restores both whatever came in between. Where both are Patients of one HIE, that
    is a case, and until it is decided the Patient of `into` is theirs. One transaction, on the trail. Raises
    UsageError, StoreError, StoreLockedError.
    """
    workspace.require_store()
    if not reason.strip():
        raise UsageError("a merge keeps why; say it with --reason")
    kept, other = (one_member(workspace, name, partner) for name in (into, member))
    differs = _differs(workspace, kept.id, other.id)
    joined = workspace.store.merges.merge(kept.id, other.id, workspace.judge, workspace.who, reason.strip())
    return Merged(joined, differs)


def unmerge(workspace: Workspace, number: int) -> Joined:
    """Take a merge back: both are the people that they were. Raises UsageError, StoreError, StoreLockedError."""
    workspace.require_store()
    return workspace.store.merges.undo(number, workspace.judge, workspace.who)


def _differs(workspace: Workspace, *members: int) -> tuple[str, ...]:
    people = [person.member for person in map(workspace.store.people.one, members) if person is not None]
    names = {" ".join((p.name.family, *p.name.given)).strip().casefold() for p in people} - {""}
    dates = {p.birth_date for p in people} - {""}
    return tuple(what for what, told in (("name", names), ("birth date", dates)) if len(told) > 1)
