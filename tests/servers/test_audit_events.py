"""The AuditEvents of `trail export` are valid FHIR R4 to a referee that is not ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.hold import hold_add, hold_release
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.leaving import Wish
from fhir_equity.pipeline.merge import merge, unmerge
from fhir_equity.pipeline.purge import purge
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.trail import trail_export
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from tests.servers.validator import Validator

# Narrative is recommended and says nothing here. The subtypes of R4 (extensible) are those of DICOM and
# of REST; none of them is what happens to a record, for which HL7 publishes ISO 21089.
LIFECYCLE = "The Coding provided (http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle#"
HARMLESS = ("Constraint failed: dom-6:", LIFECYCLE)
ACTIONS = {"ingest", "merge", "unmerge", "retract", "resolve", "hold", "hold release", "purge", "convert"}


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """An AuditEvent of every kind of entry that needs no HIE."""
    folder = tmp_path_factory.mktemp("trail")
    rows = ["m1,Ada,Alder,White,en", "m2,Ben,Birch,Asian,es"]
    (folder / "in.csv").write_text("member_id,first_name,last_name,race_ethnicity,language_spoken\n" + "\n".join(rows))
    key = PrivacySettings(key_file=folder / "equity.key")
    with Workspace(Settings(store=StoreSettings(url=str(folder / "equity.db")), privacy=key), "2026-03-01") as opened:
        ingest(opened, [folder / "in.csv"], partner="plan")
        merge(opened, "m1", "m2", reason="r")
        unmerge(opened, 1)
        retract(opened, 1, reason="r")
        retract(opened, 1, undo=True)
        resolve(opened)
        hold_add(opened, member="m1", reason="r")
        hold_release(opened, 1)
        convert(opened, folder / "in.csv", folder / "out.csv", wish=Wish(to="survey", recipient="demo-hie"))
        purge(opened, "2010-01-01", folder / "gone.json")
        assert {entry.action for entry in opened.store.trail.entries()} >= ACTIONS
        trail_export(opened, Path(folder / "trail.ndjson"))
    return [json.loads(line) for line in (folder / "trail.ndjson").read_text(encoding="utf-8").splitlines()]


def test_every_event_is_valid(validator: Validator, events: list[dict[str, Any]]) -> None:
    said = [(e["subtype"], m) for e in events for m in validator.messages(e) if not m.message.startswith(HARMLESS)]
    refused = sorted({(m.severity, m.location, m.message) for _, m in said if m.severity != "information"})
    assert not refused, "\n".join(" ".join(each) for each in refused)


def test_the_referee_would_refuse(validator: Validator, events: list[dict[str, Any]]) -> None:
    event = events[0]
    broken = [
        {name: value for name, value in event.items() if name != "recorded"},
        event | {"outcome": "9"},
        event | {"action": "X"},
        event | {"agent": []},
        event | {"recorded": "yesterday"},
    ]
    assert [bool(validator.errors(each)) for each in [event, *broken]] == [False, *[True] * len(broken)]
