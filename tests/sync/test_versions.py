"""What is sent to an HIE has the version of US Core that its settings name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import UsageError
from tests.sync.scene import Scene, ada, opened, theirs

CORE = "http://hl7.org/fhir/StructureDefinition/"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
SURVEY = """\
member_id,first_name,last_name,birth_date,survey_date,answered_by,race_ethnicity,language_spoken,interpreter_needed
M1,Ada,Ashgrove,1980-01-02,2026-05-01,self,Declined,Spanish,yes
"""
NEEDED = {
    "6.1.0": {"url": f"{CORE}patient-interpreterRequired", "valueBoolean": True},
    "8.0.1": {
        "url": f"{US_CORE}us-core-interpreter-needed",
        "valueCoding": {"system": "http://snomed.info/sct", "code": "373066001", "display": "Yes"},
    },
}
REFUSED = {"6.1.0": "ASKU", "8.0.1": "asked-declined", "none": "asked-declined"}
TOPICS = ["race_ethnicity", "language_spoken", "interpreter_needed"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as found:
        yield found


def asked(scene: Scene, version: str) -> None:
    """Ada answers a survey; all of it may go to an HIE of this version."""
    scene.set(us_core=version)
    scene.rules({"topics": TOPICS})
    path = scene.folder / "asked.csv"
    path.write_text(SURVEY)
    scene.ingest(path)


def codes(patient: dict[str, Any], url: str) -> list[str]:
    parts = [part for each in patient["extension"] if each["url"] == url for part in each["extension"]]
    return [part["valueCoding"]["code"] for part in parts if "valueCoding" in part]


@pytest.mark.parametrize("version", REFUSED)
def test_a_patient_that_we_make_is_of_that_version(scene: Scene, version: str) -> None:
    asked(scene, version)
    scene.plan()
    assert dict(scene.apply().statuses) == {"verified": 1}
    (patient,) = scene.everybody()
    assert codes(patient, f"{US_CORE}us-core-race") == [REFUSED[version]]
    assert ("profile" in patient["meta"]) == (version != "none")
    assert NEEDED.get(version, NEEDED["6.1.0"]) in patient["extension"]


@pytest.mark.parametrize("version", NEEDED)
def test_an_update_puts_the_extension_of_that_version_in(scene: Scene, version: str) -> None:
    asked(scene, version)
    foreign = {"url": "http://vendor.example/x", "valueString": "kept"}
    key = scene.put(theirs(extension=[foreign]))
    scene.plan()
    assert dict(scene.apply().statuses) == {"verified": 1}
    patient = scene.get(key)
    assert patient["extension"][0] == foreign
    assert NEEDED[version] in patient["extension"]
    assert scene.plan().changes == []


def test_a_version_that_is_not_ours_is_refused(scene: Scene) -> None:
    scene.survey(ada())
    scene.set(us_core="2.0.0")
    with pytest.raises(UsageError, match="US Core is written as"):
        scene.plan()
