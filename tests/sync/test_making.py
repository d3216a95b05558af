"""A Patient of our making whom nobody saw made is known again, whatever we hold, may say or withdrew since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.responses import Response

from fhir_equity.pipeline.retract import retract
from tests.sync.scene import HIE, Scene, Sent, ada, enrolled, languages_of, opened, race_of, theirs
from tests.sync.test_recall import recall, states, unseen

RACE, SPOKEN, ORIENTATION = "race_ethnicity", "language_spoken", "sexual_orientation"
Between = Callable[[Scene], object]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A contributor whose Patient was made, and nobody saw it."""
    with opened(tmp_path, mode="contributor", transactions=False, provenance=True) as made:
        made.rules({"topics": [RACE, SPOKEN, ORIENTATION]})
        made.enroll(enrolled())
        unseen(made, "/Patient")
        assert len(made.everybody()) == 1
        made.as_of = "2026-06-05"
        yield made


def take_back(scene: Scene) -> None:
    with scene.workspace() as workspace:
        (person,) = workspace.store.people
        assert workspace.store.opt_outs.take_back(person.id)


def moved_house(scene: Scene) -> None:
    scene.enroll(enrolled(street="2 Invented Way"))


def late(scene: Scene) -> None:
    """The server found nobody when it was asked."""
    scene.wire.before = nobody
    assert scene.plan().changes
    scene.wire.before = lambda _: None


def nobody(request: Sent) -> Response | None:
    """The server has not indexed yet whom it has made."""
    empty = '{"resourceType": "Bundle", "type": "searchset"}'
    asked = request.path.startswith("/Patient/_search")
    return Response(empty, media_type="application/fhir+json") if asked else None


def contributes(scene: Scene) -> None:
    """The next answer of ours goes there, once."""
    scene.survey(ada(race_ethnicity="Asian", language_spoken="French", survey_date="2026-06-02"))
    scene.plan()
    assert set(scene.apply().statuses) <= {"verified"}
    (patient,) = scene.everybody()
    assert (race_of(patient), languages_of(patient)) == (["2028-9"], ["fr"])
    assert scene.plan().changes == []


def nothing(_: Scene) -> None:
    """Nothing happened between."""


def late_and_moved_house(scene: Scene) -> None:
    late(scene)
    moved_house(scene)


@pytest.mark.parametrize("between", [nothing, moved_house, late, late_and_moved_house])
def test_it_is_ours_to_change(scene: Scene, between: Between) -> None:
    between(scene)
    contributes(scene)


@pytest.mark.parametrize("between", [nothing, moved_house, late])
@pytest.mark.parametrize("planned", [False, True])
def test_it_is_so_still_after_an_opt_out_was_carried_out_and_taken_back(
    scene: Scene, between: Between, planned: bool
) -> None:
    between(scene)
    scene.opt_out()
    if planned:
        scene.plan()
    assert set(recall(scene).applied.statuses) == {"verified"}
    (patient,) = scene.everybody()
    assert (race_of(patient), languages_of(patient)) == ([], [])
    take_back(scene)
    contributes(scene)
    assert recall(scene).found == {}


@pytest.mark.parametrize("between", [nothing, late])
@pytest.mark.parametrize("matter", [RACE, ""])
def test_what_was_withdrawn_from_nobody_and_stands_there_is_withdrawn_again(
    scene: Scene, matter: str, between: Between
) -> None:
    between(scene)
    scene.opt_out(matter=matter)
    scene.wire.before = nobody
    assert set(recall(scene).applied.statuses) == {"verified"}
    scene.wire.before = lambda _: None
    scene.plan()
    (patient,) = scene.everybody()
    assert race_of(patient)
    assert "recalled" not in states(scene)
    assert (RACE, "opted_out") in recall(scene).found
    (patient,) = scene.everybody()
    assert (race_of(patient), bool(languages_of(patient))) == ([], bool(matter))
    assert ("recalled" in states(scene)) is not bool(matter)
    assert recall(scene).found == {}


def test_what_was_recalled_stays_so_where_another_topic_stands_by_another_rule(tmp_path: Path) -> None:
    with opened(tmp_path, transactions=False) as scene:
        scene.rules({"id": "one", "topics": [RACE]}, {"id": "other", "topics": [SPOKEN]})
        scene.enroll(enrolled())
        unseen(scene, "/Patient")
        scene.opt_out(matter=RACE)
        assert recall(scene).applied.statuses == {"verified": 1}
        assert sorted(states(scene)) == ["intended", "recalled"]
        scene.plan()
        assert "recalled" in states(scene)
        assert "intended" not in states(scene)


def test_an_apply_goes_on_with_it_after_the_registration_changed(scene: Scene) -> None:
    moved_house(scene)
    assert set(scene.apply().statuses) == {"verified"}
    assert len(scene.everybody()) == 1


def test_of_who_was_retracted_it_is_looked_for(scene: Scene) -> None:
    with scene.workspace() as workspace:
        retract(workspace, 1, reason="a mistake")
    assert set(recall(scene).applied.statuses) == {"verified"}
    (patient,) = scene.everybody()
    assert (race_of(patient), languages_of(patient)) == ([], [])


@pytest.mark.parametrize("more", [{"active": True}, {"address": []}])
def test_one_that_was_registered_otherwise_is_somebody_elses(scene: Scene, more: dict[str, object]) -> None:
    (patient,) = scene.everybody()
    scene.put({**patient, **more})
    scene.survey(ada(race_ethnicity="Asian", survey_date="2026-06-02"))
    assert [c for c in scene.plan().changes if c.action != "tell"] == []


def test_one_that_says_what_we_did_not_send_is_somebody_elses(scene: Scene) -> None:
    (patient,) = scene.everybody()
    scene.put({**patient, "extension": theirs("Black or African American")["extension"]})
    scene.survey(ada(race_ethnicity="Asian", survey_date="2026-06-02"))
    assert [c for c in scene.plan().changes if c.action != "tell"] == []
    with scene.workspace() as workspace:
        assert not workspace.store.hie(HIE).is_made_by_us(str(patient["id"]))
