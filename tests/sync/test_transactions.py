"""Many Patients in one transaction where rollback was seen; refused, lost or cut off, nothing is there twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import Response

from fhir_equity.errors import RemoteError
from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from tests.sync.scene import HIE, Scene, Sent, ada, omb, opened, race_of, theirs

RACE = "race_ethnicity"
PEOPLE = 6


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Three members are there, three are not, and the server was seen to roll back."""
    with opened(tmp_path) as made:
        made.survey(*(ada(member_id=f"M{number}") for number in range(PEOPLE)))
        for number in range(3):
            made.put(theirs("Asian", number=f"M{number}", id=f"p{number}"))
        proven(made)
        made.plan()
        made.wire.sent.clear()
        yield made


def proven(scene: Scene, **more: object) -> None:
    with scene.workspace() as workspace:
        found = {"if_match": True, "rollback": True, "entries": 50, **more}
        workspace.store.endpoint(HIE).probed(json.dumps(found))


def whole(scene: Scene) -> bool:
    """Whether everybody is there once and says what we say."""
    numbers = [e["value"] for p in scene.everybody() for e in p["identifier"] if e["system"] == MEMBER_SYSTEM]
    races = {tuple(race_of(each)) for each in scene.everybody()}
    return sorted(numbers) == [f"M{number}" for number in range(PEOPLE)] and races == {("2106-3",)}


def is_bundle(sent: Sent) -> bool:
    return sent.method == "POST" and sent.path in ("", "/")


def bundles(scene: Scene) -> int:
    return sum(map(is_bundle, scene.wire.sent))


def test_all_go_as_one_and_are_read_back_together(scene: Scene) -> None:
    assert scene.apply().statuses == {"verified": PEOPLE}
    assert whole(scene)
    assert (bundles(scene), len(scene.writes())) == (1, 1)
    assert len(scene.wire.sent) <= 6
    body = next(json.loads(each.body) for each in scene.wire.sent if is_bundle(each))
    conditions = [e["request"].get("ifMatch") or e["request"]["ifNoneExist"] for e in body["entry"]]
    assert all(conditions)
    assert scene.plan().changes == []


@pytest.mark.parametrize(
    "more", [{"rollback": None}, {"rollback": False}, {"entries": 1}, {"if_match": None}, {"transactions": False}]
)
def test_one_by_one_where_it_was_not_proven_or_is_not_wanted(scene: Scene, more: dict[str, object]) -> None:
    scene.set(transactions=more.get("transactions", True))
    proven(scene, **{name: value for name, value in more.items() if name != "transactions"})
    assert scene.apply().statuses == {"verified": PEOPLE}
    assert (bundles(scene), len(scene.writes())) == (0, PEOPLE)
    assert whole(scene)


def test_no_more_than_the_server_was_seen_to_take(scene: Scene) -> None:
    proven(scene, entries=2)
    assert scene.apply().statuses == {"verified": PEOPLE}
    assert bundles(scene) == 3
    assert whole(scene)


def test_somebody_else_was_faster_with_one_of_them(scene: Scene) -> None:
    def faster(sent: Sent) -> None:
        if is_bundle(sent):
            assert scene.change("p1", active=True)

    scene.wire.before = faster
    assert scene.apply().statuses == {"verified": PEOPLE - 1, "moved": 1}
    assert (race_of(scene.get("p1")), scene.get("p1")["active"]) == (["2028-9"], True)
    scene.wire.before = lambda _: None
    scene.plan()
    scene.apply()
    assert whole(scene)


def test_somebody_else_made_one_of_them(scene: Scene) -> None:
    def faster(sent: Sent) -> None:
        if is_bundle(sent):
            scene.put(theirs("Asian", number="M5"))
            scene.wire.before = lambda _: None

    scene.wire.before = faster
    assert scene.apply().statuses == {"verified": PEOPLE - 1, "moved": 1}
    scene.plan()
    scene.apply()
    assert whole(scene)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_one_is_sent_one_by_one(scene: Scene, status: int) -> None:
    proven(scene, entries=2)
    scene.wire.before = lambda sent: Response(status_code=status) if is_bundle(sent) else None
    assert scene.apply().statuses == {"verified": PEOPLE}
    assert bundles(scene) == 1
    assert whole(scene)


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_lost_answer_is_settled_by_looking(scene: Scene, status: int) -> None:
    scene.wire.after = lambda sent: Response(status_code=status) if is_bundle(sent) else None
    assert scene.apply().statuses == {"verified": PEOPLE}
    assert len(scene.writes()) == 1
    assert whole(scene)
    scene.wire.after = lambda _: None
    assert scene.plan().changes == []


def test_one_that_never_arrived_is_not_sent_again_but_planned_again(scene: Scene) -> None:
    scene.wire.before = lambda sent: Response(status_code=500) if is_bundle(sent) else None
    assert scene.apply().statuses == {"unverified": PEOPLE}
    assert len(scene.writes()) == 1
    scene.wire.before = lambda _: None
    assert len(scene.plan().changes) == PEOPLE
    assert scene.apply().statuses == {"verified": PEOPLE}
    assert whole(scene)


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("replan", [True, False])
def test_killed_in_the_middle(scene: Scene, arrived: bool, replan: bool) -> None:

    gone = Response("<html>", 200, media_type="text/html")
    setattr(scene.wire, "after" if arrived else "before", lambda sent: gone if is_bundle(sent) else None)
    with pytest.raises(RemoteError):
        scene.apply()
    scene.wire.after = scene.wire.before = lambda _: None
    with scene.workspace() as workspace:
        assert workspace.store.hie(HIE).journal.pending() == {"planned": 0, "sent": PEOPLE}
    if replan:
        scene.plan()
    scene.apply()
    assert whole(scene)
    assert scene.plan().changes == []


def test_a_server_that_keeps_something_else_is_mended_one_by_one(scene: Scene) -> None:
    def worse(sent: Sent) -> bytes | None:
        return sent.body.replace(b"2106-3", b"2054-5") if is_bundle(sent) else None

    scene.wire.before = worse
    done = scene.apply()
    assert (done.statuses, done.repaired) == ({"verified": PEOPLE}, PEOPLE)
    assert whole(scene)


def test_an_entry_that_was_refused_in_an_answer_that_was_not_is_left_as_it_is(scene: Scene) -> None:
    proven(scene, entries=3)

    def apart(sent: Sent) -> Response | None:
        if not is_bundle(sent):
            return None
        scene.wire.before = lambda _: None
        assert scene.change("p0", extension=[omb("race", "Black or African American")])
        entries = [{"response": {"status": "412 Precondition Failed"}}] * 3
        answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
        return Response(json.dumps(answer), 200, media_type="application/fhir+json")

    scene.wire.before = apart
    assert scene.apply().statuses == {"verified": 3, "moved": 3}
    assert race_of(scene.get("p0")) == ["2054-5"]


def test_who_writes_after_us_is_not_overwritten(scene: Scene) -> None:
    def later(sent: Sent) -> None:
        if any(map(is_bundle, scene.wire.sent)) and not is_bundle(sent):  # the first request to read back
            scene.wire.before = lambda _: None
            assert scene.change("p0", extension=[omb("race", "Black or African American")])

    scene.wire.before = later
    assert scene.apply().statuses == {"verified": PEOPLE - 1, "unverified": 1}
    assert race_of(scene.get("p0")) == ["2054-5"]
    scene.plan()
    with scene.workspace() as workspace:
        assert workspace.store.hie(HIE).journal.pending()["sent"] == 0
