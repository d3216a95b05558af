"""split: one key, two people; and what of it is the other's."""

from __future__ import annotations

from fhir_equity.errors import UsageError
from fhir_equity.model import Member, Name
from fhir_equity.pipeline.explain import one_member
from fhir_equity.pipeline.workspace import Workspace, require_day
from fhir_equity.store import Parted, Splitting, Which


def splits(workspace: Workspace) -> list[Splitting]:
    """Every split, also those that were undone, oldest first. Raises UsageError where there is no store."""
    workspace.require_store()
    return workspace.store.splits.all()


def split(
    workspace: Workspace,
    member: str,
    which: Which,
    *,
    reason: str,
    family: str = "",
    given: str = "",
    born: str = "",
    partner: str = "",
) -> Parted:
    """Make two people of a member (pseudonym, key or identifier) and move what `which` tells to the new one.

    With any of `family`, `given` and `born` (an ISO date) later records of that name and date go to the new person,
    as do those of that name without a date, or without `born` with any; what is left out is as the member has it.
    Without, they all go to the member. Answers that both gave are both's. Links to HIEs, disclosures and decisions
    stay with the member; what is kept back holds for both. One transaction, on the trail. Raises UsageError,
    StoreError, StoreLockedError.
    """
    workspace.require_store()
    if not reason.strip():
        raise UsageError("a split keeps why; say it with --reason")
    if sum(map(bool, (which.runs, which.file, which.collected))) != 1:
        raise UsageError("say what is the other person's: --run, --file or --collected")
    for option, day in (("--collected", which.collected), ("--born", born)):
        if day:
            require_day(day, f"{option} takes an ISO date such as 2026-01-31")
    found = one_member(workspace, member, partner)
    who = Member(found.partner, "")
    if family or given or born:
        person = workspace.store.people.one(found.id)
        known = person.member if person is not None else who
        name = Name(family or known.name.family, (given,) if given else known.name.given)
        who = Member(found.partner, "", name=name, birth_date=born or known.birth_date)
    return workspace.store.splits.split(
        found.id, which, who, workspace.pseudonyms, workspace.judge, workspace.who, reason.strip(), dated=bool(born)
    )


def split_undo(workspace: Workspace, number: int) -> Parted:
    """Take a split back: what moved is the member's again, what came to the other since stays theirs.

    Raises UsageError, StoreError, StoreLockedError.
    """
    workspace.require_store()
    return workspace.store.splits.undo(number, workspace.judge, workspace.who)
