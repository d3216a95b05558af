"""Two audits, one after the other."""

from __future__ import annotations

from typing import Any

from fhir_equity.quality.trend import trend
from fhir_equity.reports.tidy import tidy
from tests.quality.publish.audits import document


def audit(*findings: tuple[str, str, int], message: str = "") -> dict[str, Any]:
    found = [{"code": code, "severity": severity, "count": count} for code, severity, count in findings]
    told = [{**each, "message": message} if message else each for each in found]
    return {"run": {"as_of": "2026-01-01"}, "population": 0, "topics": {}, "programs": {}, "findings": told}


def became(before: dict[str, Any], now: dict[str, Any]) -> dict[str, list[tuple[str, int, int | None]]]:
    found = trend(before, now, "t")["findings"]
    return {
        name: [(e["code"], e["count"], e.get("before")) for e in entries] for name, entries in found.items() if entries
    }


def test_a_finding_of_two_severities_is_counted_whole() -> None:
    """The same person twice in a file is a warning where the two differ, and worth a word where they do not."""
    before = audit(("member.duplicate", "warning", 5), ("member.duplicate", "info", 3), ("x", "error", 1))
    now = audit(("member.duplicate", "warning", 4), ("member.duplicate", "info", 40))
    assert became(before, now) == {"persisting": [("member.duplicate", 44, 8)], "resolved": [("x", 1, None)]}
    (entry,) = trend(before, now, "t")["findings"]["persisting"]
    assert entry["severity"] == "warning"  # the worst, which comes first
    assert became(audit(), now) == {"new": [("member.duplicate", 44, None)]}


def test_of_another_severity_it_is_the_same_finding_and_with_another_sentence_another() -> None:
    before, now = audit(("x", "warning", 5)), audit(("x", "error", 2))
    assert became(before, now) == {"persisting": [("x", 2, 5)]}
    told = audit(("x", "error", 2), message="in a.834")
    assert became(before, told) == {"new": [("x", 2, None)], "resolved": [("x", 5, None)]}


def test_a_rate_that_was_counted_otherwise_says_so() -> None:
    def under(edition: str, rule: str) -> dict[str, Any]:
        row = {"measure": "known", "line": "", "rate": 0.5, "met": None, "rule": rule}
        return audit() | {"programs": {"p": {"edition": edition, "rows": [row]}}}

    before = under("1", "states = answered")
    for now, otherwise in ((("1", "states = answered"), False), (("2", "states = answered"), True), (("1", ""), True)):
        found = trend(before, under(*now), "t")
        assert [each["counted_otherwise"] for each in found["programs"]] == [otherwise]
        (rate,) = [row[1] for table in tidy(audit_of(found)) if table.name == "trend" for row in table.rows]
        assert rate == "p: known" + " (counted otherwise then)" * otherwise


def audit_of(found: dict[str, Any]) -> dict[str, Any]:
    return document(5, {}, trend=found)
