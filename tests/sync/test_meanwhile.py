"""What a member keeps back, or says, or somebody decides while an apply is at work counts for what is not sent yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fhir_equity.pipeline import hie
from fhir_equity.sync import apply as module
from tests.sync.scene import HIE, TODAY, Scene, Sent, ada, languages_of, opened, race_of, theirs

RACE = "race_ethnicity"
Meanwhile = Callable[[Scene], None]


@pytest.fixture(params=[{}, {"rollback": True, "entries": 2}], ids=["one by one", "together"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Four who are written to in one group, and it takes long."""
    monkeypatch.setattr(module, "LONG", 0.0, raising=False)
    with opened(tmp_path) as made:
        with made.workspace() as workspace:
            workspace.store.endpoint(HIE).probed(json.dumps({"if_match": True, **request.param}))
        made.survey(*(ada(member_id=f"M{n}") for n in range(4)))
        for n in range(4):
            made.put(theirs("Asian", number=f"M{n}", id=f"p{n}"))
        made.plan()
        yield made


def opted_out(scene: Scene) -> None:
    scene.opt_out("M3")


def kept_in_part(scene: Scene) -> None:
    scene.opt_out("M3", matter=RACE)


def said_otherwise(scene: Scene) -> None:
    scene.survey(ada(member_id="M3", race_ethnicity="Black or African American", survey_date="2026-05-20"))


@pytest.mark.parametrize(
    ("meanwhile", "expected"),
    [
        (opted_out, (["2028-9"], [])),
        (kept_in_part, (["2028-9"], ["es"])),
        (said_otherwise, (["2054-5"], ["es"])),
    ],
)
def test_what_changed_since_the_group_began(
    scene: Scene, meanwhile: Meanwhile, expected: tuple[list[str], list[str]]
) -> None:
    def once(request: Sent) -> None:
        if request in scene.writes():
            scene.wire.before = lambda _: None
            meanwhile(scene)

    scene.wire.before = once
    assert scene.apply().statuses == {"verified": 3, "stale": 1}
    assert (race_of(scene.get("p3")), languages_of(scene.get("p3"))) == (["2028-9"], [])
    with scene.workspace() as workspace:
        (person,) = workspace.store.history.find("M3")
        assert [each.state for each in workspace.store.disclosures.of(person.pseudonym)] == ["failed"]
    scene.plan()
    scene.apply()
    assert scene.plan().changes == []
    assert (race_of(scene.get("p3")), languages_of(scene.get("p3"))) == expected


def test_what_may_leave_until_midnight_does_not_leave_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [TODAY]
    monkeypatch.setattr(hie, "calendar", lambda: days[-1])
    with opened(tmp_path) as scene:
        scene.rules({"topics": [RACE], "to": TODAY})
        scene.survey(ada(), ada(member_id="M2"))
        for number in ("M1", "M2"):
            scene.put(theirs("Asian", number=number))
        scene.plan()

        def midnight(request: Sent) -> None:
            if request in scene.writes():
                days.append("2026-06-02")

        scene.wire.before = midnight
        assert scene.apply().statuses == {"verified": 1, "stale": 1}


def test_what_did_not_change_is_sent(scene: Scene) -> None:
    assert scene.apply().statuses == {"verified": 4}
