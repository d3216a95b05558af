"""Two audit documents, one after the other: findings that are new, resolved or persist, and rates then and now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_equity.model import State

Document = Mapping[str, Any]


def trend(before: Document, now: Document, name: str) -> dict[str, Any]:
    """The part ``trend`` of the audit document. A finding is the same by its code and its sentence."""
    old, new = _findings(before), _findings(now)
    return {
        "since": {"name": name, "as_of": before["run"].get("as_of", ""), "population": before["population"]},
        "findings": {
            "new": [new[key] for key in new if key not in old],
            "resolved": [old[key] for key in old if key not in new],
            "persisting": [{**new[key], "before": old[key]["count"]} for key in new if key in old],
        },
        "known": [*_known(before, now)],
        "programs": [*_programs(before, now)],
    }


def _findings(document: Document) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for finding in document["findings"]:  # the worst first
        key = finding["code"], finding.get("message", "")
        found[key] = {**found.get(key, finding), "count": finding["count"] + found.get(key, {"count": 0})["count"]}
    return found


def _known(before: Document, now: Document) -> Iterator[dict[str, Any]]:
    """The share of the population whose answer is known, by topic."""
    for topic in now["topics"]:
        yield {"topic": topic, "before": _share(before, topic), "now": _share(now, topic)}


def _share(document: Document, topic: str) -> float | None:
    states = document["topics"].get(topic, {}).get("states", {})
    return states.get(State.ANSWERED.value, 0) / document["population"] if document["population"] else None


def _programs(before: Document, now: Document) -> Iterator[dict[str, Any]]:
    """The rate of every measure that both have, by product line.

    `counted_otherwise`: the program was of another edition then, or said otherwise who is in the rate.
    """
    for name, program in now["programs"].items():
        then = before["programs"].get(name, {})
        known = {(row["measure"], row["line"]): row for row in then.get("rows", [])}
        for row in program["rows"]:
            old = known.get((row["measure"], row["line"]))
            if old is not None and (old["rate"] is not None or row["rate"] is not None):
                about = {"program": name, "measure": row["measure"], "line": row["line"]}
                same = then.get("edition") == program.get("edition") and old.get("rule") in (None, row.get("rule"))
                about["counted_otherwise"] = not same
                yield about | {"before": old["rate"], "now": row["rate"], "met_before": old["met"], "met": row["met"]}
