"""Who told what we sent: made once, kept up to date, read back, withdrawn, and sent only where that is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from fhir_equity.pipeline.probe import sync_probe
from fhir_equity.pipeline.sync import sync_recall
from tests.sync.scene import BYSTANDER, HIE, Scene, Sent, ada, enrolled, omb, opened, theirs

RACE, ORIENTATION = "race_ethnicity", "sexual_orientation"
REL = [RACE, "language_spoken", "language_written", "sex"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path, provenance=True) as made:
        yield made


def provenances(scene: Scene) -> list[dict[str, Any]]:
    url = f"{scene.url}/Provenance?_count=1000"
    found = httpx.get(url, headers={BYSTANDER: "1"}, trust_env=False).json()
    return [entry["resource"] for entry in found.get("entry", [])]


def targets(scene: Scene) -> set[tuple[str, ...]]:
    return {
        (target["reference"].partition("/")[0], *(part["valueUri"] for part in target.get("extension", ())))
        for each in provenances(scene)
        for target in each["target"]
    }


def test_a_patient_and_its_observations_say_who_told(scene: Scene) -> None:
    scene.rules({"topics": [*REL, ORIENTATION]})
    scene.survey(ada(sexual_orientation="Bisexual"))
    made = scene.plan()
    assert sorted((change.action, change.matters[0][0]) for change in made.changes if change.action == "tell") == [
        ("tell", "language_spoken"),
        ("tell", RACE),
        ("tell", ORIENTATION),
    ]
    assert scene.apply().left == 0
    (patient,), (observation,) = scene.everybody(), scene.observations()
    ids = [each["id"] for each in (*patient["extension"], *patient["communication"])]
    assert targets(scene) == {("Patient", name) for name in ids} | {("Observation",)}
    for each in provenances(scene):
        teller = each["agent"][0]
        assert teller["type"]["coding"][0]["code"] == "informant"
        assert teller["who"]["reference"] == f"Patient/{patient['id']}"
        assert each["occurredDateTime"] == "2026-05-01"
    about = [e for e in provenances(scene) if e["target"][0]["reference"] == f"Observation/{observation['id']}"]
    assert {"GENDER", "R"} <= {label["code"] for label in about[0]["meta"]["security"]}
    for everybody in (False, True):
        assert scene.plan(everybody=everybody).changes == []
    assert len(provenances(scene)) == 3


def test_what_nobody_stated_is_not_told_and_nothing_is_where_it_is_not_wanted(scene: Scene) -> None:
    scene.enroll(enrolled())
    assert {change.action for change in scene.plan().changes} == {"create"}
    scene.set(provenance=False)
    scene.survey(ada(race_ethnicity="Asian"))
    assert "tell" not in {change.action for change in scene.plan().changes}
    scene.apply()
    assert "id" not in scene.everybody()[0]["extension"][0]
    assert provenances(scene) == []


def test_what_the_server_says_of_itself_decides_where_the_settings_do_not(scene: Scene) -> None:
    scene.set(provenance=None)
    scene.survey(ada())
    assert "tell" not in {change.action for change in scene.plan().changes}
    with scene.workspace() as workspace:
        assert sync_probe(workspace, HIE).profile.provenance
    assert [change.action for change in scene.plan().changes] == ["create", "tell", "tell"]


def test_what_was_sent_before_is_told_later(scene: Scene) -> None:
    scene.set(provenance=False)
    scene.survey(ada())
    key = scene.put(theirs())
    scene.plan()
    scene.apply()
    scene.set(provenance=True)
    made = scene.plan()
    assert made.changes == []  # nothing there has an id by which it could be named
    patient = scene.get(key)
    patient["extension"][0]["id"] = "r"
    scene.put(patient)
    assert [(change.action, dict(change.matters)) for change in scene.plan().changes] == [("tell", {RACE: "add"})]
    assert scene.apply().left == 0
    assert targets(scene) == {("Patient", "r")}


def test_an_element_that_is_there_gets_an_id_and_one_that_has_one_keeps_it(scene: Scene) -> None:
    scene.survey(ada())
    patient = theirs("Asian", "en")
    patient["extension"][0]["id"] = "their-own"
    key = scene.put(patient)
    scene.plan()
    assert scene.apply().left == 0
    there = scene.get(key)
    assert there["extension"][0]["id"] == "their-own"
    assert ("Patient", "their-own") in targets(scene)
    assert len({name for _, *names in targets(scene) for name in names}) == 2


def test_a_later_answer_changes_the_one_that_there_is(scene: Scene) -> None:
    scene.survey(ada(language_spoken=""))
    scene.plan()
    scene.apply()
    scene.survey(ada(language_spoken="", race_ethnicity="Asian", survey_date="2026-05-20"))
    assert [(c.action, dict(c.matters)) for c in scene.plan().changes] == [
        ("update", {RACE: "replace"}),
        ("tell", {RACE: "replace"}),
    ]
    assert scene.apply().left == 0
    (only,) = provenances(scene)
    assert (only["occurredDateTime"], only["meta"]["versionId"]) == ("2026-05-20", "2")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_and_a_second_attempt_make_one(scene: Scene, when: str) -> None:
    scene.survey(ada(language_spoken=""))
    scene.plan()
    lost: list[Sent] = []

    def lose(request: Sent) -> Response | None:
        if request.method == "POST" and request.path == "/Provenance" and len(lost) < 6:
            lost.append(request)
            return Response(status_code=503)
        return None

    setattr(scene.wire, when, lose)
    expected = {"verified": 2} if when == "after" else {"verified": 1, "unverified": 1}
    assert scene.apply().statuses == expected
    setattr(scene.wire, when, lambda _: None)
    assert len(provenances(scene)) == (when == "after")
    scene.plan()
    assert scene.apply().left == 0
    assert len(provenances(scene)) == 1
    assert scene.plan().changes == []


def test_killed_between_the_answer_and_who_told_it(scene: Scene) -> None:
    scene.survey(ada(language_spoken=""))
    scene.plan()
    scene.apply(limit=1)
    assert (len(scene.everybody()), provenances(scene)) == (1, [])
    assert scene.apply().left == 0
    assert len(provenances(scene)) == 1


def test_what_is_not_kept_is_found_when_it_is_read_back_and_not_sent_each_night(scene: Scene) -> None:
    scene.survey(ada(language_spoken=""))

    def forget(request: Sent) -> bytes | None:
        return request.body.replace(b"2026-05-01", b"2026-05-02") if request.path.startswith("/Provenance") else None

    scene.wire.before = forget
    scene.plan()
    assert scene.apply().statuses == {"verified": 1, "quarantined": 1}
    assert scene.plan().changes == []


def test_recall_withdraws_who_told_with_the_answer(scene: Scene) -> None:
    scene.rules({"topics": [*REL, ORIENTATION]})
    scene.survey(ada(sexual_orientation="Bisexual"))
    scene.plan()
    scene.apply()
    scene.opt_out(matter=ORIENTATION)
    with scene.workspace() as workspace:
        assert sync_recall(workspace, HIE, dry=True).found == {(ORIENTATION, "opted_out"): 2}
        assert sync_recall(workspace, HIE).applied.statuses == {"verified": 2}
        assert sync_recall(workspace, HIE).found == {}
    assert ("Observation",) not in targets(scene)
    assert len(provenances(scene)) == 2
    assert scene.plan().changes == []


def test_it_has_a_disclosure_and_may_not_have_what_may_not_leave(scene: Scene) -> None:
    scene.rules({"topics": [*REL, ORIENTATION]})
    scene.survey(ada(sexual_orientation="Bisexual"))
    scene.plan()
    scene.apply()
    with scene.workspace() as workspace:
        (person,) = workspace.store.people
        told = [d for d in workspace.store.disclosures.of(person.pseudonym) if d.topics == (ORIENTATION,)]
    assert [each.state for each in told] == ["verified", "verified"]


def test_who_told_coming_back_is_an_echo(scene: Scene) -> None:
    scene.survey(ada())
    scene.plan()
    scene.apply()
    pulled = scene.pull()
    assert (pulled.new_answers, pulled.pulled.echoes) == (0, 2)


def foreign(**more: Any) -> dict[str, Any]:
    """A Provenance that somebody else made."""
    agent = {"who": {"display": "Somebody else"}}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": "Patient/x"}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [agent],
    } | more


@pytest.mark.parametrize("lost", [True, False])
def test_a_server_that_finds_anybodys_by_our_tag_keeps_theirs(scene: Scene, lost: bool) -> None:
    scene.survey(ada(language_spoken=""))
    key = scene.add(foreign())
    scene.plan()

    def tagless(request: Sent) -> Response | bytes | None:
        if request.method == "POST" and request.path == "/Provenance":
            if lost:
                return Response(status_code=503)
            return Response(json.dumps(foreign(id=key, meta={"versionId": "1"})), 200, {"etag": 'W/"1"'})
        return b"" if request.path == "/Provenance/_search" else None

    scene.wire.before = tagless
    assert scene.apply().statuses == {"verified": 1, "unverified" if lost else "quarantined": 1}
    scene.wire.before = lambda _: None
    scene.opt_out(matter=RACE)
    with scene.workspace() as workspace:
        sync_recall(workspace, HIE)
    (only,) = provenances(scene)
    assert (only["id"], only["meta"]["versionId"]) == (key, "1")


def test_nobody_told_what_somebody_else_wrote_meanwhile(scene: Scene) -> None:
    scene.survey(ada(language_spoken=""))
    scene.plan()
    scene.apply()
    scene.survey(ada(language_spoken="", race_ethnicity="Asian", survey_date="2026-05-20"))
    assert [c.action for c in scene.plan().changes] == ["update", "tell"]
    (patient,) = scene.everybody()
    black = omb("race", "Black or African American") | {"id": patient["extension"][0]["id"]}
    assert scene.change(patient["id"], extension=[black])
    assert scene.apply().statuses == {"moved": 2}
    (only,) = provenances(scene)
    assert only["occurredDateTime"] == "2026-05-01"


def test_what_they_say_otherwise_is_not_told_of(scene: Scene) -> None:
    scene.attest(method="self")
    scene.survey(ada(language_spoken=""))
    scene.plan()
    scene.apply()
    (patient,) = scene.everybody()
    asian = omb("race", "Asian") | {"id": patient["extension"][0]["id"]}
    assert scene.change(patient["id"], extension=[asian])
    scene.survey(ada(language_spoken="", survey_date="2026-05-20"))
    assert scene.plan().changes == []


def test_nothing_is_told_of_a_patient_who_is_somebody_else_by_now(scene: Scene) -> None:
    scene.set(provenance=False)
    scene.survey(ada(language_spoken=""))
    key = scene.put(theirs())
    scene.plan()
    scene.apply()
    there = scene.get(key)
    there["extension"][0]["id"] = "r"
    scene.put(there)
    scene.set(provenance=True)
    assert [c.action for c in scene.plan().changes] == ["tell"]
    assert scene.change(key, birthDate="1999-09-09")
    assert scene.apply().statuses == {"moved": 1}
    assert provenances(scene) == []
