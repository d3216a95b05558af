"""What a store can account for beside the numbers of an audit: cases, disclosures, and controls that were run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from msgspec import structs

from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.ages import band, bands
from fhir_equity.release import BEYOND, Release
from fhir_equity.reports.totals import totals

if TYPE_CHECKING:
    from fhir_equity.store import CaseCount, Told

DAY = len("YYYY-MM-DD")


def accounts(workspace: Workspace, partner: str) -> dict[str, Any]:
    """The parts ``cases``, ``disclosures``, ``kept_back`` and ``controls`` of the document of an audited store."""
    store, partners = workspace.store, workspace.partners(partner)
    told = store.accounts.disclosures(partners)
    kept_back = store.accounts.kept_back(partners)
    problems = store.trail.verify().problems
    return {
        "cases": [*_cases(workspace, store.accounts.cases(partners))],
        "disclosures": [structs.asdict(each) for each in told],
        "kept_back": [{"recipient": to, "topic": matter, "members": count} for to, matter, count in kept_back],
        "controls": [
            _control("trail", store.trail.head().entries, len(problems)),
            _control("runs", len(store.people.inputs(partners)), store.people.unfinished(partners)),
            _control(
                "release", _records(told), _records(each for each in told if not _allowed(workspace.release, each))
            ),
        ],
    }


def counted(document: Mapping[str, Any]) -> dict[str, Any]:
    """The control of every document: what must add up does."""
    bodies = [document, *document["strata"]]
    sums = sum(len(body["topics"]) for body in bodies)
    sums += sum(len(program["rows"]) + len(program["tables"]) for program in document["programs"].values())
    return _control("totals", sums, len([*totals(document)]))


def _control(name: str, checked: int, found: int) -> dict[str, Any]:
    return {"control": name, "checked": checked, "found": found, "passed": not found}


def _records(told: Iterable[Told]) -> int:
    return sum(each.records for each in told)


def _allowed(release: Release, told: Told) -> bool:
    """Whether the policy of today would have let it out on the days when it was sent."""
    for day in {told.first[:DAY], told.last[:DAY]}:
        rules = [rule for rule in release.in_force(told.recipient, day) if rule.id == told.rule]
        topics = {topic for rule in rules for topic in rule.topics}
        if not rules or not set(told.topics) <= topics | ({"sex"} if BEYOND in topics else set()):
            return False
    return True


def _cases(workspace: Workspace, counts: list[CaseCount]) -> Iterator[dict[str, Any]]:
    """By kind and topic: how many wait, for how long, and how many are decided."""
    cuts = bands(workspace.vocabulary().tables, "cases", "days")
    today = date.fromisoformat(workspace.as_of)
    found: dict[tuple[str, str], list[CaseCount]] = {}
    for each in counts:
        found.setdefault((each.kind, each.matter), []).append(each)
    for (kind, matter), those in found.items():
        waiting: Counter[str] = Counter()
        for each in those:
            if each.waits:
                waiting[band(cuts, max(0, (today - date.fromisoformat(each.since)).days))] += each.count
        decided = sum(each.count for each in those) - waiting.total()
        oldest = min((each.since for each in those if each.waits), default="")
        ages = {name: waiting[name] for name in _names(cuts) if waiting[name]}
        yield {
            "kind": kind,
            "topic": matter,
            "waiting": waiting.total(),
            "decided": decided,
            "oldest": oldest,
            "days": ages,
        }


def _names(cuts: tuple[int, ...]) -> list[str]:
    return [band(cuts, first) for first in cuts]
