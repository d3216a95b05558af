"""The verbs together: random people here and there end in agreement; an HIE that is down changes nothing."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import stamina
from starlette.responses import Response

from fhir_equity.errors import RemoteError, UsageError
from fhir_equity.pipeline import demo_people
from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM, enrollment, patients, people, survey
from fhir_equity.pipeline.sync import sync_apply, sync_plan, sync_pull
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import HieSettings, Settings, StoreSettings
from tests.sync.scene import HIE, PARTNER, Scene, ada, omb, opened, theirs


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        yield made


@pytest.mark.parametrize("mode", ["editor", "contributor"])
@pytest.mark.parametrize("seed", range(3))
def test_after_apply_and_pull_nothing_is_left_to_do(
    scene: Scene, seed: int, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.set(mode=mode)
    monkeypatch.setattr(demo_people, "SEED", seed)
    monkeypatch.setattr(demo_people, "SUBSCRIBERS", 25)
    dice = random.Random(seed)
    for patient in patients(people()):
        if dice.random() < 0.2:
            patient.setdefault("extension", []).append(
                omb("ethnicity", dice.choice(("Declined", "Hispanic or Latino")))
            )
        scene.put(patient)
    for name, content in (("enrollment.834", enrollment(people())), ("survey.csv", survey(people()))):
        (scene.folder / name).write_bytes(content)
        scene.as_of = f"2026-06-{dice.randint(1, 9):02d}"
        scene.ingest(scene.folder / name)
    scene.as_of = "2026-06-10"
    first = scene.plan()
    assert first.changes
    done = scene.apply()
    assert done.statuses == {"verified": len(first.changes)}
    assert scene.pull().new_answers > 0
    scene.as_of = "2026-06-11"
    again = scene.plan()
    assert again.changes == []
    assert scene.pull().new_answers == 0
    assert scene.plan().changes == []
    known = [{(i["system"], i["value"]) for i in each["identifier"]} for each in scene.everybody()]
    numbers = [value for pairs in known for system, value in pairs if system == MEMBER_SYSTEM]
    assert len(numbers) == len(set(numbers))
    if mode == "contributor":
        assert {each["meta"]["versionId"] for each in scene.everybody()} == {"1"}


def workspace(folder: Path, url: str, **hie: object) -> Workspace:
    options = {"url": url, "recipient": "demo-hie", "identifier_systems": (MEMBER_SYSTEM,), "mode": "editor", **hie}
    settings = Settings(
        partner=PARTNER,
        store=StoreSettings(url=str(folder / "equity.db")),
        hie={HIE: HieSettings.model_validate(options)},
    )
    return Workspace(settings, as_of="2026-06-01")


def stored(scene: Scene) -> list[str]:
    """Everything in the store but which run was the last, and how it ended."""
    with closing(sqlite3.connect(scene.folder / "equity.db")) as connection:
        return [line for line in connection.iterdump() if not line.startswith('INSERT INTO "sync_run"')]


@pytest.mark.parametrize("verb", [sync_plan, sync_apply, sync_pull])
def test_an_hie_that_is_down(tmp_path: Path, verb: Callable[[Workspace, str], object]) -> None:
    with opened(tmp_path) as scene:
        scene.survey(ada())
        scene.put(theirs("Asian"))
        scene.plan()
        url = scene.url
    before = stored(scene)
    with (
        stamina.set_testing(True, attempts=2),
        workspace(tmp_path, url) as closed,
        pytest.raises(RemoteError, match=r"^127\.0\.0\.1 cannot be reached \(ConnectError\)$") as caught,
    ):
        verb(closed, HIE)
    assert caught.value.exit_code == 4
    assert stored(scene) == before


@pytest.mark.parametrize("verb", ["plan", "apply", "pull"])
def test_an_hie_that_answers_with_a_page(scene: Scene, verb: str) -> None:
    scene.survey(ada())
    scene.put(theirs("Asian"))
    scene.plan()
    before = stored(scene)
    page = Response("<html>MARKED</html>", 200, media_type="text/html")
    scene.wire.before = lambda _: page
    with pytest.raises(
        RemoteError, match=r"^127\.0\.0\.1 answered 200 with something that is not FHIR JSON$"
    ) as caught:
        getattr(scene, verb)()
    assert caught.value.exit_code == 4
    assert stored(scene) == before


def test_an_hie_that_nobody_configured(scene: Scene) -> None:
    with scene.workspace() as opened_, pytest.raises(UsageError, match=r"has no \[hie\.other\] \(configured: hx\)"):
        sync_plan(opened_, "other")


def test_an_hie_is_not_one_of_our_own_sources(scene: Scene) -> None:
    scene.set(partner=PARTNER)
    with scene.workspace() as opened_, pytest.raises(UsageError, match="need a partner of their own, not demo-plan"):
        sync_pull(opened_, HIE)


def test_the_verbs_of_two_hies_do_not_mix(scene: Scene, tmp_path: Path) -> None:
    scene.survey(ada())
    scene.plan()
    settings = Settings(
        partner=PARTNER,
        store=StoreSettings(url=str(tmp_path / "equity.db")),
        hie={"other": scene.hie},
    )
    with Workspace(settings, as_of="2026-06-01") as other:
        with pytest.raises(UsageError, match="there is no plan for other"):
            sync_apply(other, "other")
        assert sync_plan(other, "other").name == "other-2"
    assert scene.apply().plan == "hx-1"


def test_the_store_holds_each_pull_as_a_run(scene: Scene) -> None:
    scene.survey(ada())
    scene.put(theirs("Asian", language="fr"))
    scene.pull()
    with scene.workspace() as opened_:
        found = {entry["name"]: (entry["format"], entry["members"]) for entry in opened_.store.people.inputs()}
    assert found == {"survey.csv": ("survey", 1), HIE: ("fhir", 1)}
