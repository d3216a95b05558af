"""Small audit documents as `audit` writes them."""

from __future__ import annotations

from typing import Any

from fhir_equity.quality.publish.document import publish
from fhir_equity.quality.publish.rule import Rule

RULE = Rule(
    {"race_ethnicity": "race_ethnicity", "language_spoken": "language_spoken", "gender_identity": "gender_identity"},
    frozenset({"gender_identity"}),
)


def public(given: dict[str, Any], rule: Rule = RULE) -> dict[str, Any]:
    """What is published of a document; the attacker finds nothing."""
    done = publish(given, rule)
    assert done.held
    return done.document


def topic(states: dict[str, int], **others: Any) -> dict[str, Any]:
    return {"states": states, "methods": {}, "provisional": 0, "sources": [], **others}


def document(population: int, topics: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "schema": "fhir-equity/audit/1",
        "audience": "internal",
        "generated": "2026-01-01T00:00:00+00:00",
        "software": "fhir-equity",
        "run": {"as_of": "2026-01-01", "inputs": [{"name": "a.834", "sha256": "0a", "members": population}]},
        "population": population,
        "topics": topics,
        "views": {},
        "strata": [],
        "programs": {},
        "findings": [{"code": "x", "severity": "error", "count": 3}],
        "losses": [],
        "editions": {"topics": "1"},
        **others,
    }


def stratum(by: dict[str, str], population: int, topics: dict[str, Any]) -> dict[str, Any]:
    return {"by": by, "population": population, "topics": topics, "views": {}}


def program(rows: list[dict[str, Any]], tables: list[dict[str, Any]], population: int) -> dict[str, Any]:
    counted = {"enrolled": "anybody", "counted": population, "assumed": 0, "left_out": {}}
    return {"title": "A program", "met": True, "population": counted, "rows": rows, "tables": tables}


def row(
    measure: str, numerator: int, denominator: int, topic: str = "race_ethnicity", among: str = ""
) -> dict[str, Any]:
    return {
        "measure": measure,
        "topic": topic,
        "among": among,
        "line": "",
        "kind": "share",
        "decides": True,
        "numerator": numerator,
        "denominator": denominator,
        "excluded": {},
        "rate": numerator / denominator,
        "threshold": 0.2,
        "met": True,
        "compliant": None,
        "more": 0,
    }
