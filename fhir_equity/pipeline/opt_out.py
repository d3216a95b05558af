"""sync opt-out: what a member keeps back, from whom, from which day on."""

from __future__ import annotations

from datetime import date

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.workspace import Workspace


def opt_out(
    workspace: Workspace, member: str, topic: str, recipient: str, since: str, until: str, *, undo: bool = False
) -> bool:
    """Record an opt-out, or take it back; whether anything changed.

    An empty `topic` or `recipient` means any, an empty `since` today, an empty `until` an open end. Raises UsageError
    for a member who is nobody, or several, a topic or recipient that is none, and days that are no ISO dates.
    """
    from fhir_equity.store import Kept

    workspace.require_store()
    codes = workspace.vocabulary().codes
    if topic and topic not in codes.topics:
        raise UsageError(f"--topic takes one of {', '.join(codes.topics)}")
    if recipient:
        workspace.release.require(recipient)
    found = workspace.store.history.find(member)
    if len(found) != 1:
        raise UsageError("several members have that name; give a pseudonym" if found else "there is no such member")
    matter = codes.topic(topic).matter if topic else ""
    if undo:
        return workspace.store.opt_outs.take_back(found[0].id, recipient, matter)
    days = [_day(day) for day in (since or workspace.as_of, until)]
    kept = Kept(found[0].id, days[0], recipient, matter, days[1])
    return bool(workspace.store.opt_outs.record([kept]))


def _day(words: str) -> str:
    try:
        return date.fromisoformat(words).isoformat() if words else ""
    except ValueError:
        raise UsageError("the days of an opt-out are ISO dates such as 2026-01-31") from None
