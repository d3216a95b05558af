"""resolve: decide everybody's answers again, under the policy of today or another one, and tell what that changes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from msgspec import Struct

from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Side, Turned

MOST = 10_000  # patterns that are told apart; with values there could be as many as people


class Pattern(Struct, frozen=True):
    """How resolutions of a matter turn: what stood and what stands, in words."""

    matter: str
    before: str
    after: str


class Resolved(Struct, frozen=True):
    """Under which policy, and how many resolutions turned out otherwise, by pattern, most first."""

    policy: str
    dry_run: bool
    changed: int
    patterns: dict[Pattern, int]


def resolve(
    workspace: Workspace, *, policy: Path | None = None, dry_run: bool = False, show_values: bool = False
) -> Resolved:
    """Resolve every member again, by the policy in force, or with what the file `policy` says differently.

    Unless `dry_run` the new resolutions are kept, in pages: interrupted and run again it ends alike. A pattern
    names rules, methods and collectors; what was said only with `show_values`. Raises UsageError, TableError,
    StoreError, StoreLockedError.
    """
    workspace.require_store()
    if policy is not None:
        workspace.decide_by(policy)
    counted: Counter[Pattern] = Counter()
    for page in workspace.store.resolve(workspace.judge, dry_run=dry_run):
        for turned in page:
            pattern = _pattern(workspace, turned, show_values=show_values)
            known = pattern in counted or len(counted) < MOST
            counted[pattern if known else Pattern(turned.matter, "others", "others")] += 1
        workspace.progress("resolve", counted.total())
    return Resolved(workspace.policy.version, dry_run, counted.total(), dict(counted.most_common()))


def _pattern(workspace: Workspace, turned: Turned, *, show_values: bool) -> Pattern:
    telling = workspace.policy.telling
    sides = [_words(side, telling, show_values=show_values) for side in (turned.before, turned.after)]
    return Pattern(turned.matter, *sides)


def _words(side: Side, telling: frozenset[str], *, show_values: bool) -> str:
    if not side.rule:
        return "nothing"
    who = f"{side.collector}, {side.method}" if side.method else "nobody"
    if show_values:
        return f"{who}: {'; '.join(side.said)} ({side.state}, {side.rule})"
    # Whether there is an answer at all is a value, too.
    return who if side.rule in telling else f"{who} ({side.rule})"
