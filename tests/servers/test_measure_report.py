"""The MeasureReports of an audit are valid FHIR R4 to a referee that is not ours, internal and published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.demo_people import enrollment, people, survey
from fhir_equity.pipeline.measure_report import measure_report
from fhir_equity.pipeline.publish import publish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.publish.document import Internal
from fhir_equity.settings import Settings, StoreSettings
from tests.servers.validator import Message, Validator

PROGRAMS = ("base", "rdm-style", "ldm-style", "tmsis", "covered-california", "masshealth", "oregon")

# Said of whatever names codes or measures of its own, which no referee has the definition of.
HARMLESS = ("CodeSystem is unknown and can't be validated: https://fhir-equity.example", "The Measure 'https://fhir-eq")


@pytest.fixture(scope="module", params=["internal", "published"])
def resources(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "a.834").write_bytes(enrollment(people()))
    (folder / "a.csv").write_bytes(survey(people()))
    internal = request.param == "internal"
    programs, by = (PROGRAMS, ["county", "age,language"]) if internal else (["base", "rdm-style"], ["age"])
    with Workspace(Settings(store=StoreSettings(url=str(folder / "equity.db"))), "2026-11-29") as workspace:
        files: list[Path] = [folder / "a.834", folder / "a.csv"]
        done = audit(workspace, files, partner="demo-plan", programs=programs, by=by)
        report = Internal(done.document) if internal else publish(workspace, done, "demo-plan")
        assert report.held
        made = measure_report(workspace, report)
    return [entry["resource"] for entry in made["entry"]] + [made]


def judged(validator: Validator, resource: dict[str, Any]) -> list[Message]:
    said = validator.messages(resource)
    return [each for each in said if each.refuses or not each.message.startswith(HARMLESS)]


def test_every_report_and_their_bundle_is_valid(validator: Validator, resources: list[dict[str, Any]]) -> None:
    assert len(resources) > 2
    for resource in resources:
        assert judged(validator, resource) == []


def test_the_referee_is_awake(validator: Validator, resources: list[dict[str, Any]]) -> None:
    report = resources[0]
    (group, *_) = report["group"]
    several = {**group["stratifier"][0]["stratum"][0], "component": [{"code": {"text": "a"}, "value": {"text": "b"}}]}
    wrong = report | {"group": [group | {"stratifier": [{"stratum": [several]}]}]}
    assert any("mrp-2" in each.message for each in validator.errors(wrong))
    assert validator.errors(report | {"status": "finished"})
