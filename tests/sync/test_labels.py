"""What a sender labelled is not passed on without a rule that names the label, and goes with it where one does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sync.scene import Scene, opened, race_of, theirs

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OLD_ACT = "http://hl7.org/fhir/v3/ActCode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
RACE, ORIENTATION = "race_ethnicity", "sexual_orientation"
TOPICS = [RACE, ORIENTATION, "language_spoken"]
PART_2 = {"system": ACT, "code": "42CFRPart2"}
USUAL = [{"system": ACT, "code": "GENDER"}, {"system": CONFIDENTIALITY, "code": "R"}]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        yield made


def patient(*labels: dict[str, str]) -> dict[str, Any]:
    return theirs("White", id="m1") | ({"meta": {"security": list(labels)}} if labels else {})


def orientation(*labels: dict[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "meta": {"security": list(labels)},
        "code": {"coding": [{"system": "http://loinc.org", "code": "76690-7"}]},
        "subject": {"reference": "Patient/m1"},
        "effectiveDateTime": "2026-04-01",
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "42035005"}]},
    }


def ingest(scene: Scene, *resources: dict[str, Any]) -> None:
    path = scene.folder / "theirs.ndjson"
    path.write_text("\n".join(map(json.dumps, resources)) + "\n")
    scene.ingest(path)


@pytest.mark.parametrize(
    "label",
    [
        PART_2,
        {"system": OLD_ACT, "code": "ETH"},
        {"system": ACT, "code": "HIV"},
        {"system": CONFIDENTIALITY, "code": "V"},
        {"system": CONFIDENTIALITY, "code": "R"},
    ],
)
def test_what_is_labelled_stays_here(scene: Scene, label: dict[str, str]) -> None:
    scene.rules({"topics": TOPICS})
    ingest(scene, patient(label))
    made = scene.plan()
    assert made.changes == []
    assert dict(made.withheld) == {(RACE, "labelled"): 1}


def test_a_label_on_one_extension_is_about_that_answer(scene: Scene) -> None:
    scene.rules({"topics": TOPICS})
    resource = theirs("White", "es", id="m1")
    resource["extension"][0]["extension"].append({"url": INLINE, "valueCoding": PART_2})
    ingest(scene, resource)
    made = scene.plan()
    assert dict(made.withheld) == {(RACE, "labelled"): 1}
    assert [dict(change.matters) for change in made.changes] == [{"language_spoken": "add"}]


def test_the_labels_that_a_sensitive_topic_usually_has_are_said_by_its_rule(scene: Scene) -> None:
    scene.rules({"topics": TOPICS})
    ingest(scene, patient(), orientation(*USUAL))
    assert {m for change in scene.plan().changes for m, _ in change.matters} == {RACE, ORIENTATION}
    ingest(scene, patient(), orientation(*USUAL, PART_2))


def test_a_further_label_on_an_observation_keeps_it_back(scene: Scene) -> None:
    scene.rules({"topics": TOPICS})
    ingest(scene, patient(), orientation(*USUAL, PART_2))
    made = scene.plan()
    assert dict(made.withheld) == {(ORIENTATION, "labelled"): 1}


def test_a_rule_that_names_the_label_lets_it_out_with_the_label(scene: Scene) -> None:
    scene.rules({"topics": TOPICS, "labels": ["42CFRPart2"]})
    ingest(scene, patient(PART_2), orientation(*USUAL, PART_2))
    scene.plan()
    assert scene.apply().left == 0
    (made,), (observation,) = scene.everybody(), scene.observations()
    assert race_of(made) == ["2106-3"]
    assert PART_2 in made["meta"]["security"]
    assert [label for label in (*USUAL, PART_2) if label not in observation["meta"]["security"]] == []


def test_a_patient_that_is_there_takes_the_label_and_keeps_its_own(scene: Scene) -> None:
    scene.rules({"topics": TOPICS, "labels": ["42CFRPart2"]})
    own = {"system": ACT, "code": "PSY"}
    key = scene.put(theirs() | {"meta": {"security": [own]}})
    ingest(scene, patient(PART_2))
    scene.plan()
    assert scene.apply().left == 0
    labels = [{k: e[k] for k in ("system", "code")} for e in scene.get(key)["meta"]["security"]]
    assert labels == [own, PART_2]


def test_what_is_pulled_with_a_label_is_not_passed_on(scene: Scene) -> None:
    scene.rules({"topics": TOPICS})
    ingest(scene, theirs(id="m1", language="es"))
    scene.put(theirs("White") | {"meta": {"security": [USUAL[1]]}})
    assert scene.pull().new_answers == 1
    assert dict(scene.plan(everybody=True).withheld) == {(RACE, "labelled"): 1}


def test_an_observation_keeps_the_labels_that_others_gave_it(scene: Scene) -> None:
    scene.rules({"topics": TOPICS})
    ingest(scene, patient(), orientation(*USUAL))
    scene.plan()
    scene.apply()
    (observation,) = scene.observations()
    scene.replace(observation | {"meta": {"security": [*observation["meta"]["security"], PART_2]}})
    again = orientation(*USUAL)
    again["valueCodeableConcept"]["coding"][0]["code"] = "38628009"
    again["effectiveDateTime"] = "2026-05-02"
    ingest(scene, patient(), again)
    scene.plan()
    assert scene.apply().left == 0
    (observation,) = scene.observations()
    assert observation["valueCodeableConcept"]["coding"][0]["code"] == "38628009"
    assert PART_2 in observation["meta"]["security"]
