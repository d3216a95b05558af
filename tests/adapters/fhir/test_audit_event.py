"""AuditEvents of a trail: valid R4, who and with what and for whom, the chain in their details, no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from fhir_equity.adapters.fhir import validate
from fhir_equity.adapters.fhir.audit_event import Deed, as_bundle, as_ndjson, audit_event
from fhir_equity.tables import Tables

KINDS = {row["action"]: row for row in Tables().rows("guides/audit_event.csv")}


def deed(about: Mapping[str, str] | None = None, outcome: str = "done", action: str = "sync apply") -> Deed:
    details = [("number", "7"), ("digest", "d" * 64), ("count.members", "3"), ("version.release", "")]
    when = "2026-11-29T08:00:00+00:00"
    return Deed("trail-7-d", when, "steward", action, outcome, "fhir-equity 1", about or {}, details)


@pytest.mark.parametrize("action", KINDS)
@pytest.mark.parametrize("outcome", ["begun", "done", "failed"])
def test_every_action_is_a_valid_event(action: str, outcome: str) -> None:
    event = audit_event(deed({"hie": "north"}, outcome, action), KINDS[action])
    assert validate(event, "AuditEvent") == []
    assert event["outcome"] == ("8" if outcome == "failed" else "0")
    assert event["outcomeDesc"] == f"{action}: {outcome}"


def test_who_did_it_with_what_for_whom() -> None:
    event: dict[str, Any] = audit_event(deed({"hie": "north", "recipient": "state"}), KINDS["sync apply"])
    roles = [(agent["type"]["coding"][0]["code"], agent["name"], agent["requestor"]) for agent in event["agent"]]
    assert roles == [("humanuser", "steward", True), ("110153", "fhir-equity 1", False), ("110152", "state", False)]
    assert (event["type"]["code"], event["subtype"][0]["code"], event["action"]) == ("110106", "disclose", "R")
    (entity,) = event["entity"]
    assert entity["name"] == "hie north, recipient state"
    said = {detail["type"]: detail["valueString"] for detail in entity["detail"]}
    assert said == {"number": "7", "digest": "d" * 64, "count.members": "3"}
    assert len(audit_event(deed(), KINDS["ingest"])["agent"]) == 2


def test_one_a_line_or_a_bundle() -> None:
    events = [audit_event(deed(), KINDS["*"])] * 2
    assert [json.loads(line) for line in as_ndjson(events)] == events
    bundle = json.loads(b"".join(as_bundle(events)))
    assert [entry["resource"] for entry in bundle["entry"]] == events
    assert validate(bundle, "Bundle") == []
    assert json.loads(b"".join(as_bundle([])))["entry"] == []
