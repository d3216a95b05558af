"""trail list, verify and export, and disclosures: who did what, and who was told what about a member."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhir_equity.adapters.fhir.audit_event import Deed, Resource, as_bundle, as_ndjson, audit_event
from fhir_equity.errors import UsageError
from fhir_equity.pipeline.explain import one_member
from fhir_equity.pipeline.workspace import Workspace, require_day
from fhir_equity.privacy import private_file
from fhir_equity.store import Disclosure, Entry, Head, Verified

FORMS = {"ndjson": as_ndjson, "bundle": as_bundle}
SCHEMA = "fhir-equity/disclosures/1"
Document = dict[str, Any]


def trail_list(workspace: Workspace, *, since: str = "", action: str = "") -> Iterator[Entry]:
    """The entries of the trail from an ISO date on, of one action or of all, oldest first.

    Raises UsageError where there is no store and for another date.
    """
    workspace.require_store()
    if since:
        require_day(since, "--since takes an ISO date such as 2026-01-31")
    return workspace.store.trail.entries(since=since, action=action)


def trail_verify(workspace: Workspace, *, expect: str = "") -> Verified:
    """Read the whole trail and tell what was edited, removed, put elsewhere or cut off.

    `expect` is a head (``12:DIGEST``) that an earlier `trail_verify` told: the trail must still begin so.
    Raises UsageError.
    """
    workspace.require_store()
    return workspace.store.trail.verify(_head(expect) if expect else None)


def _head(text: str) -> Head:
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        raise UsageError("--expect takes the head that trail verify tells, NUMBER:DIGEST")
    return Head(int(number), digest.lower())


def trail_export(workspace: Workspace, file: Path, *, form: str = "ndjson", since: str = "") -> int:
    """Write the entries as FHIR R4 AuditEvents, one a line (``ndjson``) or as one ``bundle``; returns how many.

    The file is private. Raises UsageError, StoreError.
    """
    workspace.require_store()
    if form not in FORMS:
        raise UsageError(f"--form is one of {', '.join(FORMS)}")
    kinds = {row["action"]: row for row in workspace.vocabulary().tables.rows("guides/audit_event.csv")}
    count = 0

    def events() -> Iterator[Resource]:
        nonlocal count
        for entry in trail_list(workspace, since=since):
            count += 1
            yield audit_event(_deed(entry), kinds.get(entry.action, kinds["*"]))

    with private_file(file) as out:
        for piece in FORMS[form](events()):
            out.write(piece)
    return count


def _deed(entry: Entry) -> Deed:
    counts = [(f"count.{name}", str(count)) for name, count in entry.counts.items()]
    topics = [(f"topic.{name}", str(count)) for name, count in entry.topics.items()]
    versions = [(f"version.{name}", version) for name, version in entry.versions.items()]
    chain = [("number", str(entry.id)), ("digest", entry.digest), ("previous", entry.previous)]
    return Deed(
        id=f"trail-{entry.id}-{entry.digest[:16]}",
        at=entry.at,
        who=entry.who,
        action=entry.action,
        outcome=entry.outcome,
        software=entry.versions.get("software", ""),
        about=entry.about,
        details=[*chain, *counts, *topics, *versions],
    )


def disclosures(workspace: Workspace, member: str, *, partner: str = "", recipient: str = "") -> Document:
    """What was told about a member, to whom, when, for what purpose and on what basis. Topics, never what they say.

    `member` is a pseudonym, a key or an identifier. Someone who is in no store (any more) is found by pseudonym.
    Raises UsageError for several people, or nobody whom anything is known of.
    """
    workspace.require_store()
    pseudonyms = _pseudonyms(workspace, member, partner)
    told = [each for pseudonym in pseudonyms for each in workspace.store.disclosures.of(pseudonym)]
    found = [each for each in sorted(told, key=_intended) if recipient in ("", each.recipient)]
    return {"schema": SCHEMA, "member": pseudonyms[0], "disclosures": [_told(each) for each in found]}


def _pseudonyms(workspace: Workspace, member: str, partner: str) -> list[str]:
    """Those of a person, more than one for who was merged; one that only the account knows any more is it itself."""
    if workspace.store.disclosures.of(member) and not workspace.store.history.find(member, partner):
        return [member]
    return workspace.store.history.pseudonyms(one_member(workspace, member, partner).id)


def _intended(each: Disclosure) -> str:
    return each.intended_at


def _told(each: Disclosure) -> Document:
    names = [name for name in Disclosure.__struct_fields__ if name not in ("pseudonym", "topics")]
    return {**{name: getattr(each, name) for name in names}, "topics": list(each.topics)}
