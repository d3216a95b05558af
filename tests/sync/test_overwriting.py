"""What somebody writes between our write and our look at it is theirs, whatever a server tells of what it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from fhir_equity.errors import RemoteError
from fhir_equity.sync.client import Client, Resource
from tests.sync.scene import BYSTANDER, HIE, Scene, Sent, ada, omb, opened, race_of, theirs

BLACK = "2054-5"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Two who are there, and both say otherwise."""
    with opened(tmp_path) as made:
        made.survey(ada(language_spoken=""), ada(member_id="M2", first_name="Bea", language_spoken=""))
        made.put(theirs("Asian", id="p1"))
        made.put(theirs("Asian", number="M2", id="p2", name=[{"family": "Ashgrove", "given": ["Bea"]}]))
        yield made


def terse(scene: Scene, method: str, **headers: str) -> None:
    """A server that answers these requests without a body."""
    scene.wire.after = lambda request: Response(status_code=200, headers=headers) if request.method == method else None


def later(scene: Scene, method: str) -> None:
    """Somebody else writes once, after the first such request of ours and before we ask again."""

    def other(_: Sent) -> None:
        if any(each.method == method and "_search" not in each.path for each in scene.wire.sent[:-1]):
            scene.wire.before = lambda _: None
            assert scene.change("p1", extension=[omb("race", "Black or African American")])

    scene.wire.before = other


def settles(scene: Scene) -> None:
    """Theirs is there still, and the next plan knows what became of ours."""
    assert race_of(scene.get("p1")) == [BLACK]
    scene.plan()
    with scene.workspace() as workspace:
        assert workspace.store.hie(HIE).journal.pending()["sent"] == 0


@pytest.mark.parametrize("headers", [{}, {"etag": 'W/"2"'}, {"location": "Patient/p1/_history/2"}])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_answer_without_a_body(scene: Scene, method: str, headers: dict[str, str]) -> None:
    if method == "PATCH":
        proven(scene, if_match=True, patch=True)
    scene.plan()
    terse(scene, method, **headers)
    later(scene, method)
    assert scene.apply().statuses["unverified"] in (1, 2)  # the sandbox does not keep a patch of the other whole
    settles(scene)


def test_a_transaction_that_names_no_versions(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    proven(scene, if_match=True, rollback=True, entries=50)
    scene.plan()
    real = Client.transaction

    def nameless(client: Client, bundle: Resource) -> Resource:
        answer: dict[str, Any] = real(client, bundle)
        for entry in answer["entry"]:
            entry["response"] = {"status": entry["response"]["status"]}
        assert scene.change("p1", extension=[omb("race", "Black or African American")])
        return answer

    monkeypatch.setattr(Client, "transaction", nameless)
    assert scene.apply().statuses == {"unverified": 1, "verified": 1}
    settles(scene)


@pytest.mark.parametrize("headers", [{"etag": 'W/"2"'}, {"location": "Patient/p1/_history/2"}])
def test_what_such_a_server_dropped_is_mended(scene: Scene, headers: dict[str, str]) -> None:
    scene.plan()
    terse(scene, "PUT", **headers)

    def drop(request: Sent) -> bytes | None:
        if request.method == "PUT":
            scene.wire.before = lambda _: None
            return request.body.replace(b"2106-3", BLACK.encode())
        return None

    scene.wire.before = drop
    done = scene.apply()
    assert (done.statuses, done.repaired) == ({"verified": 2}, 1)
    assert race_of(scene.get("p1")) == ["2106-3"]


def proven(scene: Scene, **found: Any) -> None:
    """A probe saw that much there."""
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed(json.dumps(found))


@pytest.mark.parametrize("probed", [{"conditional_create": False}, {}])
def test_a_server_that_does_not_look_at_conditions_has_nobody_twice(tmp_path: Path, probed: dict[str, bool]) -> None:
    with opened(tmp_path, provenance=True) as scene:
        scene.rules({"topics": ["race_ethnicity", "sexual_orientation"]})
        scene.survey(ada(sexual_orientation="Bisexual"))
        scene.wire.ignored = b"if-none-exist"
        proven(scene, **probed)
        scene.plan()
        scene.wire.after = lambda request: Response(status_code=503) if makes(request) else None
        assert scene.apply().statuses == {"verified": 4}
        assert (len(scene.everybody()), len(scene.observations())) == (1, 1)
        assert len([each for each in scene.writes() if makes(each)]) == 4


def makes(request: Sent) -> bool:
    return request.method == "POST" and "_search" not in request.path


def test_nobody_told_twice_after_a_kill_where_conditions_are_not_looked_at(scene: Scene) -> None:
    scene.set(provenance=True)
    scene.wire.ignored = b"if-none-exist"
    scene.plan()
    made: list[Sent] = []
    scene.wire.after = lambda request: _noted(made, request) if makes(request) else None
    scene.wire.before = lambda _: Response(status_code=503) if made else None
    with pytest.raises(RemoteError):
        scene.apply()
    scene.wire.before = scene.wire.after = lambda _: None
    scene.plan()
    assert scene.apply().left == 0
    answer = httpx.get(f"{scene.url}/Provenance?_count=1000", headers={BYSTANDER: "1"}, trust_env=False).json()
    assert len(answer["entry"]) == 2


def _noted(made: list[Sent], request: Sent) -> Response:
    made.append(request)
    return Response(status_code=503)


def disclosed(scene: Scene, number: str) -> list[str]:
    """How what was told of somebody ended."""
    with scene.workspace() as workspace:
        (person,) = workspace.store.history.find(number)
        return [each.state for each in workspace.store.disclosures.of(person.pseudonym)]


def test_a_create_that_meets_its_own_first_attempt_is_looked_for(tmp_path: Path) -> None:
    with opened(tmp_path) as scene:
        scene.survey(ada(language_spoken=""))
        proven(scene, conditional_create=True)
        scene.plan()
        made: list[Sent] = []
        scene.wire.before = lambda request: Response(status_code=409) if made and makes(request) else None
        scene.wire.after = lambda request: _noted(made, request) if makes(request) else None
        assert scene.apply().statuses == {"verified": 1}
        assert (len(scene.everybody()), disclosed(scene, "M1")) == (1, ["verified"])


def test_a_write_that_may_have_arrived_before_somebody_elses_was_disclosed(scene: Scene) -> None:
    scene.plan()
    made: list[Sent] = []

    def lost(request: Sent) -> Response | None:
        if request.method != "PUT" or made:
            return None
        return _noted(made, request)

    scene.wire.after = lost
    later(scene, "PUT")
    assert scene.apply().statuses == {"unverified": 1, "verified": 1}
    settles(scene)
    assert disclosed(scene, "M1") == ["sent"]
