"""Our Observations at an HIE: one for each answer, however often and whatever happens; nobody else's is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from tests.sync.scene import Json, Scene, ada, opened, theirs

ORIENTATION, IDENTITY = "sexual_orientation", "gender_identity"
REL = ["race_ethnicity", "language_spoken"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        made.rules({"topics": [*REL, ORIENTATION, IDENTITY], "legal_basis": "consent form 7"})
        yield made


def proud(**more: Any) -> Json:
    return ada(sexual_orientation="Bisexual", gender_identity="Nonbinary") | more


def said(scene: Scene) -> list[tuple[str, str, str]]:
    """(topic code, value code, status) of every Observation there."""
    found = []
    for each in scene.observations():
        value = each.get("valueCodeableConcept", {}).get("coding", [{}])[0].get("code", "")
        found.append((each["code"]["coding"][0]["code"], value, each["status"]))
    return sorted(found)


BOTH = [("76690-7", "42035005", "final"), ("76691-5", "33791000087105", "final")]


@pytest.mark.parametrize("known", [True, False])
def test_what_a_rule_lets_out_is_said_in_observations_of_its_own(scene: Scene, known: bool) -> None:
    scene.survey(proud())
    if known:
        scene.put(theirs())
    made = scene.plan()
    assert [(c.action, dict(c.matters)) for c in made.changes] == [
        ("update" if known else "create", {"race_ethnicity": "add", "language_spoken": "add"}),
        ("observe", {ORIENTATION: "add"}),
        ("observe", {IDENTITY: "add"}),
    ]
    assert scene.apply().statuses == {"verified": 3}
    assert said(scene) == BOTH
    (patient,) = scene.everybody()
    assert {each["subject"]["reference"] for each in scene.observations()} == {f"Patient/{patient['id']}"}
    assert "genderIdentity" not in json.dumps(patient)
    scene.wire.sent.clear()
    again = scene.plan(everybody=True)
    assert (again.changes, again.agreed, again.conflicts) == ([], 4, [])
    assert scene.apply().statuses == {}
    assert scene.writes() == []


def test_every_disclosure_is_written_down_by_rule(scene: Scene) -> None:
    scene.survey(proud())
    scene.plan()
    scene.apply()
    with scene.workspace() as opened_:
        (person,) = opened_.store.people
        found = opened_.store.disclosures.of(person.pseudonym)
    assert [set(each.topics) for each in found] == [set(REL), {ORIENTATION}, {IDENTITY}]
    assert {(d.rule, d.basis, d.recipient, d.state) for d in found} == {("r", "consent form 7", "demo-hie", "verified")}


def test_a_changed_answer_changes_the_same_observation(scene: Scene) -> None:
    scene.survey(proud())
    scene.plan()
    scene.apply()
    before = {each["id"] for each in scene.observations()}
    scene.as_of = "2026-06-05"
    scene.survey(proud(sexual_orientation="Straight", survey_date="2026-06-02"))
    made = scene.plan()
    assert (ORIENTATION, "replace") in [pair for change in made.changes for pair in change.matters]
    assert set(scene.apply().statuses) == {"verified"}
    assert ("76690-7", "20430005", "final") in said(scene)
    assert {each["id"] for each in scene.observations()} == before
    assert scene.plan(everybody=True).changes == []


def test_what_somebody_else_did_to_ours_is_for_a_person_to_decide(scene: Scene) -> None:
    scene.survey(proud())
    scene.plan()
    scene.apply()
    one, other = scene.observations()
    scene.replace({**one, "valueCodeableConcept": {"text": "Something else"}})
    scene.replace({**other, "status": "entered-in-error"})
    made = scene.plan()
    assert made.changes == []
    assert sorted(each.reason for each in made.conflicts) == ["changed_there", "withdrawn_there"]


@pytest.mark.parametrize("changed", [False, True])
def test_ours_go_along_when_two_are_parted_there(scene: Scene, changed: bool) -> None:
    scene.survey(proud())
    key = scene.put(theirs())
    scene.plan()
    scene.apply()
    other = [{"system": MEMBER_SYSTEM, "value": "M9"}]
    scene.put({**scene.get(key), "identifier": other})  # whom we were linked to is another person
    scene.put(theirs(id="ours"))
    scene.as_of = "2026-06-05"
    if changed:
        scene.survey(proud(sexual_orientation="Straight", survey_date="2026-06-02"))
    scene.plan()
    assert set(scene.apply().statuses) == {"verified"}
    assert {each["subject"]["reference"] for each in scene.observations()} == {"Patient/ours"}
    assert len(scene.observations()) == 2
    assert ("76690-7", "20430005" if changed else "42035005", "final") in said(scene)
    assert scene.plan(everybody=True).changes == []


def test_what_others_say_is_never_touched(scene: Scene) -> None:
    scene.survey(proud())
    key = scene.put(theirs())
    foreign = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "76690-7"}]},
        "subject": {"reference": f"Patient/{key}"},
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "20430005"}]},
    }
    scene.add(foreign)
    scene.plan()
    assert scene.apply().statuses == {"verified": 3}
    assert said(scene) == sorted([*BOTH, ("76690-7", "20430005", "final")])


def test_answers_that_get_lost_make_nothing_twice(scene: Scene) -> None:
    scene.survey(proud(), proud(member_id="M2"))
    scene.plan()
    lost = Response(status_code=503, headers={"Retry-After": "0"})
    scene.wire.after = lambda r: lost if r in scene.writes() else None
    assert scene.apply().statuses == {"verified": 6}
    scene.wire.after = lambda _: None
    assert len(scene.everybody()) == 2
    assert said(scene) == sorted(BOTH * 2)
    assert scene.plan(everybody=True).changes == []


def test_an_observation_that_changed_since_the_plan_is_left(scene: Scene) -> None:
    scene.survey(proud())
    scene.plan()
    scene.apply()
    scene.as_of = "2026-06-05"
    scene.survey(proud(sexual_orientation="Straight", survey_date="2026-06-02"))
    scene.plan(only=frozenset({ORIENTATION}))
    (one,) = [each for each in scene.observations() if "76690-7" in json.dumps(each["code"])]
    scene.replace({**one, "note": [{"text": "seen"}]})
    assert scene.apply().statuses == {"moved": 1}
    assert ("76690-7", "42035005", "final") in said(scene)


def test_without_a_rule_no_observation_is_asked_for_or_made(scene: Scene) -> None:
    scene.rules({"topics": REL})
    scene.survey(proud())
    made = scene.plan()
    assert made.withheld == {(ORIENTATION, "no_rule_sensitive"): 1, (IDENTITY, "no_rule_sensitive"): 1}
    scene.apply()
    assert scene.observations() == []
    assert not [each for each in scene.wire.sent if "Observation" in each.path]


def test_an_opt_out_wins_over_the_rule(scene: Scene) -> None:
    scene.survey(proud())
    scene.opt_out(matter=ORIENTATION)
    made = scene.plan()
    assert made.withheld == {(ORIENTATION, "opted_out"): 1}
    scene.apply()
    assert [code for code, *_ in said(scene)] == ["76691-5"]


def test_a_body_that_would_leak_is_not_sent(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever went wrong before, the last look at the bytes stops it."""
    from fhir_equity.adapters.fhir import Writer

    scene.survey(proud())
    scene.opt_out(matter=ORIENTATION)
    real = Writer.patient

    def leaking(writer: Writer, outgoing: Any) -> Any:
        patient, losses = real(writer, outgoing)
        return {**patient, "text": {"status": "generated", "div": "<div>Bisexual</div>"}}, losses

    scene.plan()
    monkeypatch.setattr(Writer, "patient", leaking)
    assert scene.apply().statuses == {"forbidden": 1, "moved": 1}
    assert scene.writes() == []
