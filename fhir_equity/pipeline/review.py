"""review list, decide and undo: what people have to decide, and what they decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from fhir_equity.contention import UNMAPPED
from fhir_equity.errors import UsageError
from fhir_equity.model import Side
from fhir_equity.pipeline.review_rows import Sheets, rows_for
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Case, Decision, Group, Wanted

SCHEMA = "fhir-equity/review/1"
SHOWN = 20
Document = dict[str, Any]


class Decided(Struct, frozen=True):
    """What came of deciding: the decisions, and how many cases had changed meanwhile and were left alone."""

    decisions: list[Decision]
    stale: int


def review_list(
    workspace: Workspace, *, which: str = "", group: bool = False, every: bool = False, show_values: bool = False
) -> Document:
    """The patterns that wait for a decision with their counts, and unless `group` the first cases of them.

    `which` is one pattern; `every` adds what is decided. What was said is left out without `show_values`.
    Raises UsageError, StoreError.
    """
    workspace.require_store()
    pattern, _ = _which(which) if which else (0, "")
    cases, decisions = workspace.store.cases, workspace.store.decisions
    listed = [] if group else cases.cases(pattern, every=every, limit=SHOWN)
    return {
        "schema": SCHEMA,
        "values_shown": show_values,
        "patterns": [_group(found, show_values=show_values) for found in cases.groups(every=every, pattern=pattern)],
        "cases": [_case(case) for case in listed],
        "decisions": [_decision(workspace, each, show_values=show_values) for each in decisions.all()] if every else [],
    }


def review_decide(workspace: Workspace, which: str, choose: str, reason: str, *, relationship: str = "") -> Decided:
    """Settle every waiting case of a pattern (``12``), or one case (``12/PSEUDONYM``), as one decision on record.

    `choose` is the number of a side, or a code, word or partner that only one side has. Of a value that no table
    knows it is the code or the state that it means: a row of the partner's tables in the overlay folder says so
    from now on (`relationship` is ``equivalent`` unless told), and everybody who said it is resolved again. Raises
    UsageError, also where no reason is given, and StoreError, StoreLockedError.
    """
    workspace.require_store()
    if not reason.strip():
        raise UsageError("a decision needs a reason")
    pattern, pseudonym = _which(which)
    return decided(workspace, [wanted(workspace, _one(workspace, pattern), choose, pseudonym, reason, relationship)])


def wanted(
    workspace: Workspace, group: Group, choose: str, pseudonym: str, reason: str, relationship: str = ""
) -> Wanted:
    """What somebody decides, as the store takes it. Raises UsageError."""
    if group.kind != UNMAPPED:
        if relationship:
            raise UsageError("only a row that maps a value has a relationship")
        return Wanted(group.pattern, side_of(group, choose), pseudonym, reason.strip())
    if pseudonym:
        raise UsageError("a row maps a value of everybody; decide the whole pattern")
    return Wanted(group.pattern, 0, "", reason.strip(), rows_for(workspace, group, choose, relationship))


def decided(workspace: Workspace, decisions: Sequence[Wanted]) -> Decided:
    """Decide all of it or nothing. Raises UsageError, StoreError, StoreLockedError."""
    with Sheets(workspace).changing() as sheets:
        made = workspace.store.decisions.decide(decisions, workspace.judge, workspace.who, sheets.lay)
    return Decided(*made)


def review_undo(workspace: Workspace, decision: int) -> Decision:
    """Take a decision back, with the rows that it wrote; who won before it wins again.

    Raises UsageError, StoreError, StoreLockedError.
    """
    workspace.require_store()
    with Sheets(workspace).changing() as sheets:
        return workspace.store.decisions.undo(decision, workspace.judge, workspace.who, sheets.lift)


def side_of(group: Group, choose: str) -> int:
    """Which side of a pattern is meant, counted from 0. Raises UsageError where none or several are."""
    if choose.isdecimal() and 0 < int(choose) <= len(group.sides):
        return int(choose) - 1
    found = [place for place, side in enumerate(group.sides) if choose in _names(side)]
    if len(found) != 1:
        raise UsageError(
            f"--choose names {'several sides' if found else 'no side'}; take one of 1 to {len(group.sides)}"
        )
    return found[0]


def _names(side: Side) -> set[str]:
    codes = {code for _, code in side.said} | {f"{system}:{code}" for system, code in side.said}
    return {side.partner, side.collector, side.method, *codes}


def _which(which: str) -> tuple[int, str]:
    pattern, _, pseudonym = which.partition("/")
    if not pattern.isdecimal():
        raise UsageError("a pattern is a number, a case PATTERN/PSEUDONYM, as review list tells them")
    return int(pattern), pseudonym


def _one(workspace: Workspace, pattern: int) -> Group:
    found = workspace.store.cases.groups(every=True, pattern=pattern)
    if not found:
        raise UsageError(f"there is no case of a pattern {pattern}")
    return found[0]


def _group(group: Group, *, show_values: bool) -> Document:
    return {
        "pattern": group.pattern,
        "kind": group.kind,
        "matter": group.matter,
        "waiting": group.waiting,
        "decided": group.decided,
        "sides": [
            {
                "side": place,
                "partner": side.partner,
                "collector": side.collector,
                "method": side.method,
                **({"said": [list(each) for each in side.said]} if show_values else {}),
            }
            for place, side in enumerate(group.sides, start=1)
        ],
    }


def _case(case: Case) -> Document:
    names = ("kind", "matter", "partner", "source", "state", "since")
    return {"case": f"{case.pattern}/{case.pseudonym}", **{name: getattr(case, name) for name in names}}


def _decision(workspace: Workspace, decision: Decision, *, show_values: bool) -> Document:
    names = ("id", "pattern", "author", "at", "members", "undone_at", "undone_by")
    document = {name: getattr(decision, name) for name in names}
    if not show_values:
        return document
    found = workspace.store.decisions.rows(decision.id)
    rows = [f"{row.source_code} -> {row.target_code}" if row.source_code else "purged" for row in found]
    return document | {"side": decision.side + 1, "reason": decision.reason, "rows": rows}
