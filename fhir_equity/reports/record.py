"""What was done with the data, for an auditor: releases, controls, what is to be done next, and what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_equity.reports import labels
from fhir_equity.reports.figures import NOTHING, Document, count, points
from fhir_equity.reports.sections import Section

CONTROLS = {
    "totals": "Every total and rate follows from its parts",
    "trail": "The audit trail is unbroken",
    "runs": "Every input was read to its end",
    "release": "Every disclosure replayed: the release policy of today lets it out",
    "suppression": "Every hidden count attacked",
}


def disclosures(document: Document) -> Section:
    """Who was told what about how many members, under which rule, and how that ended."""
    rows = [
        (
            each["recipient"],
            ", ".join(labels.topic(topic) for topic in each["topics"]),
            f"{each['purpose']}: {each['basis']} ({each['rule']})",
            each["state"],
            count(each["people"]),
            count(each["records"]),
        )
        for each in document.get("disclosures", ())
    ]
    for each in document.get("kept_back", ()):
        what = labels.topic(each["topic"]) or "everything"
        why = "kept back by the member or their consent"
        rows.append((each["recipient"] or "anybody", what, why, "withheld", count(each["members"]), count(0)))
    columns = ("Recipient", "Topics", "Purpose, basis and rule", "Outcome", "Members", "Disclosures")
    return Section("Release log", columns, tuple(rows), words=4)


def controls(document: Document) -> Section:
    """Which controls were run with this audit, over how much, and whether they passed."""
    given = [*document.get("controls", ())]
    if release := document.get("release"):
        found = {"checked": release["attacked"], "found": release["found"], "passed": not release["found"]}
        given.append({"control": "suppression", **found})
    rows = []
    for each in given:
        words = "passed" if each["passed"] else "failed"
        rows.append((CONTROLS[each["control"]], words, count(each["checked"]), count(each["found"])))
    return Section("Control tests", ("Control", "Result", "Checked", "Wrong"), tuple(rows), words=2)


def actions(document: Document) -> Section:
    """What somebody should do about each finding; who, and until when, is for the reader to fill in."""
    since = document.get("trend", {}).get("findings", {})
    known = {(each["code"], each.get("message", "")) for each in since["persisting"]} if since else None
    rows = [
        (each["code"], each["message"], _since(each, known), "", "", count(each["count"]))
        for each in document.get("findings", ())
        if each.get("message")
    ]
    columns = ("Finding", "What to do", "Since", "Owner", "Until", "Count")
    return Section("Corrective actions", columns, tuple(rows), words=5)


def _since(finding: Mapping[str, Any], known: set[tuple[str, str]] | None) -> str:
    if known is None:
        return NOTHING
    return "persists" if (finding["code"], finding.get("message", "")) in known else "new"


def trend(document: Document) -> list[Section]:
    """What changed since another audit: findings, and rates then and now."""
    given = document.get("trend")
    if given is None:
        return []
    since = given["since"]
    title = f"Since {since['name']}" + (f" ({since['as_of']})" if since["as_of"] else "")
    rates = Section(f"{title}: rates", ("Rate", "Then", "Now"), tuple(_rates(given)))
    found = Section(
        f"{title}: findings", ("Finding", "What became of it", "Then", "Now"), tuple(_found(given)), words=2
    )
    return [section for section in (rates, found) if section.rows]


def _rates(given: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for each in given["known"]:
        yield (f"{labels.topic(each['topic'])} known", points(each["before"]), points(each["now"]))
    for each in given["programs"]:
        line = f", {each['line']}" if each["line"] else ""
        line += labels.OTHERWISE if each.get("counted_otherwise") else ""
        yield (f"{each['program']}: {each['measure']}{line}", points(each["before"]), points(each["now"]))


def _found(given: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for each in given["findings"]["new"]:
        yield each["code"], "new", NOTHING, count(each["count"])
    for each in given["findings"]["persisting"]:
        yield each["code"], "persists", count(each["before"]), count(each["count"])
    for each in given["findings"]["resolved"]:
        yield each["code"], "resolved", count(each["count"]), NOTHING
