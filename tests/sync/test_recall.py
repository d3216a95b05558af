"""recall: what may not stay is taken out where it is still our word, and looked for afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from fhir_equity.errors import RemoteError
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.sync import Recalled, sync_recall
from fhir_equity.store.connection import writing
from fhir_equity.store.hie_journal import supersede
from tests.sync.scene import BYSTANDER, HIE, Scene, Sent, ada, languages_of, opened, race_of, theirs

RACE, SPOKEN, ORIENTATION = "race_ethnicity", "language_spoken", "sexual_orientation"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        made.rules({"topics": [RACE, SPOKEN, ORIENTATION]})
        made.survey(ada(sexual_orientation="Bisexual"))
        made.put(theirs(gender="female"))
        made.plan()
        assert set(made.apply().statuses) == {"verified"}
        yield made


def recall(scene: Scene, *, dry: bool = False) -> Recalled:
    with scene.workspace() as workspace:
        return sync_recall(workspace, HIE, dry=dry)


def states(scene: Scene) -> list[str]:
    with scene.workspace() as workspace:
        (person,) = workspace.store.people
        return [each.state for each in workspace.store.disclosures.of(person.pseudonym)]


def test_nothing_to_recall(scene: Scene) -> None:
    scene.wire.sent.clear()
    assert recall(scene).found == {}
    assert scene.wire.sent == []


def test_an_opt_out_takes_everything_back(scene: Scene) -> None:
    scene.opt_out()
    scene.wire.sent.clear()
    before = scene.store_bytes()
    told = recall(scene, dry=True)
    assert told.found == {(RACE, "opted_out"): 1, (SPOKEN, "opted_out"): 1, (ORIENTATION, "opted_out"): 1}
    assert (scene.wire.sent, scene.store_bytes()) == ([], before)
    done = recall(scene)
    assert (done.found, done.applied.statuses) == (told.found, {"verified": 3})
    (patient,) = scene.everybody()
    assert (race_of(patient), languages_of(patient), patient["gender"]) == ([], [], "female")
    (observation,) = scene.observations()
    assert observation["status"] == "entered-in-error"
    assert "valueCodeableConcept" not in observation
    assert recall(scene).found == {}
    made = scene.plan(everybody=True)
    assert (made.changes, made.conflicts) == ([], [])
    assert states(scene)[-1] == "recalled"


def test_a_disclosure_is_recalled_when_the_last_of_its_topics_is(scene: Scene) -> None:
    assert states(scene) == ["verified", "verified"]  # of race and language together, and of an Observation
    scene.opt_out(matter=RACE)
    recall(scene)
    assert states(scene) == ["verified", "verified"]
    scene.opt_out(matter=SPOKEN)
    recall(scene)
    assert states(scene) == ["recalled", "verified"]


def test_what_is_sent_again_after_a_recall_is_another_disclosure(scene: Scene) -> None:
    scene.opt_out()
    recall(scene)
    with scene.workspace() as workspace:
        (person,) = workspace.store.people
        assert workspace.store.opt_outs.take_back(person.id)
    scene.plan()
    scene.apply()
    assert states(scene) == ["recalled", "recalled", "verified", "verified"]


def test_of_who_was_retracted_the_disclosures_are_recalled(scene: Scene) -> None:
    with scene.workspace() as workspace:
        (person,) = workspace.store.people
        retract(workspace, 1, reason="a mistake")
    assert set(recall(scene).applied.statuses) == {"verified"}
    with scene.workspace() as workspace:
        assert {each.state for each in workspace.store.disclosures.of(person.pseudonym)} == {"recalled"}


def test_a_refusal_that_came_later_and_one_that_we_told(scene: Scene) -> None:
    scene.survey(ada(member_id="M2", race_ethnicity="Prefer not to say", language_spoken="French"))
    scene.plan()
    scene.apply()
    assert recall(scene).found == {}  # that somebody declined is what we say today
    scene.as_of = "2026-06-05"
    scene.survey(ada(sexual_orientation="Prefer not to say", survey_date="2026-06-02"))
    assert recall(scene, dry=True).found == {(ORIENTATION, "refused_later"): 1}


def test_a_rule_that_ended(scene: Scene) -> None:
    scene.rules({"topics": [RACE, SPOKEN]})
    assert recall(scene).found == {(ORIENTATION, "no_rule_sensitive"): 1}
    assert scene.observations()[0]["status"] == "entered-in-error"
    assert race_of(scene.everybody()[0]) == ["2106-3"]


def test_what_is_not_our_word_any_more_stays(scene: Scene) -> None:
    (patient,) = scene.everybody()
    scene.put({**theirs("Asian", language="es"), "id": patient["id"]})
    scene.opt_out(matter=RACE)
    assert recall(scene).applied.statuses == {"moved": 1}
    assert race_of(scene.everybody()[0]) == ["2028-9"]


def test_after_the_member_takes_it_back_it_is_said_again(scene: Scene) -> None:
    scene.opt_out(matter=ORIENTATION)
    recall(scene)
    with scene.workspace() as workspace:
        (person,) = workspace.store.people
        assert workspace.store.opt_outs.take_back(person.id, matter=ORIENTATION)
    assert [dict(change.matters) for change in scene.plan().changes] == [{ORIENTATION: "add"}]
    assert scene.apply().statuses == {"verified": 1}
    (observation,) = scene.observations()
    assert observation["status"] == "final"


def test_what_was_decided_otherwise_while_a_recall_runs_is_not_withdrawn(scene: Scene) -> None:
    scene.survey(ada(member_id="M2", first_name="Bea", language_spoken=""))
    scene.put(theirs(number="M2", name=[{"family": "Ashgrove", "given": ["Bea"]}]))
    scene.plan()
    scene.apply()
    for number in ("M1", "M2"):
        scene.opt_out(number, matter=RACE)

    def otherwise(request: Sent) -> None:
        if request.method == "PUT":
            scene.wire.before = lambda _: None
            with scene.workspace() as workspace, writing(workspace.store.engine) as connection:
                supersede(connection, [person.id for person in workspace.store.people])

    scene.wire.before = otherwise
    assert recall(scene).applied.statuses == {"verified": 1, "stale": 1}
    assert sorted(len(race_of(each)) for each in scene.everybody()) == [0, 1]


UNSEEN = ("/Patient", "/Observation", "/Provenance")


def unseen(scene: Scene, *kinds: str) -> None:
    """What is written of these kinds arrives; no answer does, and nobody can look."""
    scene.plan()
    done: list[Sent] = []

    def lost(request: Sent) -> Response | None:
        if request.method in ("POST", "PUT") and request.path.startswith(kinds) and "_search" not in request.path:
            done.append(request)
            return Response(status_code=503)
        return None

    scene.wire.after = lost
    scene.wire.before = lambda request: Response(status_code=503) if done and looks(request) else None
    with pytest.raises(RemoteError):
        scene.apply()
    scene.wire.before = scene.wire.after = lambda _: None


def looks(request: Sent) -> bool:
    return request.method == "GET" or "_search" in request.path


def told(scene: Scene) -> list[str]:
    """What the Provenances are about."""
    answer = httpx.get(f"{scene.url}/Provenance?_count=1000", headers={BYSTANDER: "1"}, trust_env=False).json()
    held = [entry["resource"] for entry in answer.get("entry", [])]
    return [each["target"][0]["reference"].partition("/")[0] for each in held]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Scene]:
    """An HIE that knows nobody, and gets Provenance."""
    with opened(tmp_path, provenance=True, transactions=False) as made:
        made.rules({"topics": [RACE, SPOKEN, ORIENTATION]})
        made.survey(ada(sexual_orientation="Bisexual"))
        yield made


@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("kind", UNSEEN)
def test_what_nobody_saw_arrive_is_found_and_withdrawn(fresh: Scene, kind: str, planned: bool) -> None:
    unseen(fresh, kind)
    assert (fresh.everybody(), fresh.observations(), told(fresh))[UNSEEN.index(kind)]
    fresh.opt_out()
    if planned:
        fresh.plan()
    assert set(recall(fresh).applied.statuses) == {"verified"}
    assert [(race_of(each), languages_of(each)) for each in fresh.everybody()] == [([], [])]
    assert {each["status"] for each in fresh.observations()} <= {"entered-in-error"}
    assert told(fresh) == []
    assert recall(fresh).found == {}
    fresh.plan()
    with fresh.workspace() as workspace:
        assert workspace.store.hie(HIE).journal.pending()["sent"] == 0
    assert recall(fresh).found == {}
    assert set(states(fresh)) <= {"recalled", "failed"}


def test_what_nobody_saw_arrive_is_withdrawn_in_part(fresh: Scene) -> None:
    unseen(fresh, "/Patient")
    fresh.opt_out(matter=RACE)
    fresh.plan()
    fresh.apply()
    assert set(recall(fresh).applied.statuses) == {"verified"}
    assert [(race_of(each), languages_of(each)) for each in fresh.everybody()] == [([], ["es"])]
    assert recall(fresh).found == {}
    assert fresh.plan(everybody=True).changes == []


def test_what_came_to_nothing_is_not_taken_from_somebody_who_says_the_same(fresh: Scene) -> None:
    done: list[Sent] = []

    def refused(request: Sent) -> Response | None:
        if request.method == "POST" and request.path.startswith("/Patient") and "_search" not in request.path:
            done.append(request)
        return Response(status_code=503) if done else None

    fresh.plan()
    fresh.wire.before = refused
    with pytest.raises(RemoteError):
        fresh.apply()
    fresh.wire.before = lambda _: None
    fresh.put(theirs("White", id="theirs", language="es", telecom=[{"system": "phone", "value": "5550100"}]))
    fresh.opt_out()
    assert set(recall(fresh).applied.statuses) == {"moved"}
    assert [(race_of(each), languages_of(each)) for each in fresh.everybody()] == [(["2106-3"], ["es"])]


def test_of_two_words_the_later_may_not_have_arrived(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity="Asian", language_spoken="", survey_date="2026-05-20"))
    scene.plan()
    scene.wire.before = lambda request: Response(status_code=503) if request.method == "PUT" else None
    assert scene.apply().statuses == {"unverified": 1}
    scene.wire.before = lambda _: None
    assert race_of(scene.everybody()[0]) == ["2106-3"]
    scene.opt_out(matter=RACE)
    assert recall(scene).applied.statuses == {"verified": 1}
    assert race_of(scene.everybody()[0]) == []
    assert recall(scene).found == {}
