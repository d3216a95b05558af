"""Who a member is at an HIE: merged and unmerged Patients, `$match`, and what is never asked with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from starlette.responses import Response

from fhir_equity.errors import RemoteError
from fhir_equity.sync.matching import GRADE, carries, is_in_use, replaced_by, replaces
from tests.sync.scene import HIE, Json, Scene, Sent, ada, opened, theirs

FHIR = "application/fhir+json"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        yield made


def link_of(scene: Scene) -> str:
    """The id of the one Patient that is linked."""
    with scene.workspace() as workspace:
        [(key, _)] = workspace.store.hie(HIE).links().values()
    return key


def reasons(scene: Scene) -> list[str]:
    return [left.reason for left in scene.plan().conflicts]


def to(kind: str, key: str) -> list[Json]:
    return [{"other": {"reference": f"Patient/{key}"}, "type": kind}]


def test_a_link_moves_with_a_merge_and_back(scene: Scene) -> None:
    scene.survey(ada())
    old = scene.put(theirs())
    scene.plan()
    assert link_of(scene) == old
    scene.put({**theirs(number="THEIRS", link=to("replaces", old)), "id": "golden"})
    scene.put({**theirs(link=to("replaced-by", "golden")), "id": old})
    made = scene.plan()
    assert [change.action for change in made.changes] == ["update"]
    assert link_of(scene) == "golden"
    scene.put({**theirs(), "id": old})
    scene.put({**theirs(number="THEIRS"), "id": "golden"})
    scene.plan()
    assert link_of(scene) == old


def test_a_link_that_is_gone_is_found_again_by_identifier(scene: Scene) -> None:
    scene.survey(ada())
    old = scene.put(theirs())
    scene.plan()
    scene.delete(old)
    new = scene.put(theirs())
    scene.plan()
    assert link_of(scene) == new != old


@pytest.mark.parametrize("after", ["nowhere", "here"])
def test_a_merge_that_leads_nowhere_is_for_a_person(scene: Scene, after: str) -> None:
    scene.survey(ada())
    scene.put({**theirs(), "id": "here"})
    scene.plan()
    scene.put({**theirs(link=to("replaced-by", after)), "id": "here"})
    assert reasons(scene) == ["not_active"]


def test_who_was_merged_into_somebody_else_is_not_written(scene: Scene) -> None:
    scene.survey(ada())
    scene.put({**theirs(), "id": "here"})
    scene.plan()
    scene.put({**theirs(number="X", birthDate="1999-09-09"), "id": "other"})
    scene.put({**theirs(link=to("replaced-by", "other")), "id": "here"})
    assert reasons(scene) == ["name_or_birth_date_differ"]


def test_a_loop_of_merges_comes_to_an_end(scene: Scene) -> None:
    scene.survey(ada())
    scene.put({**theirs(), "id": "a"})
    scene.plan()
    scene.put({**theirs(number="B", link=to("replaced-by", "a")), "id": "b"})
    scene.put({**theirs(link=to("replaced-by", "b")), "id": "a"})
    assert reasons(scene) == ["not_active"]


def test_the_unknown_are_left_for_review_where_that_is_the_policy(scene: Scene) -> None:
    scene.set(unmatched="review")
    scene.survey(ada())
    made = scene.plan()
    assert ([left.reason for left in made.conflicts], made.changes) == (["no_match"], [])


def graded(key: str, *grades: str) -> Json:
    held = [{"url": GRADE, "valueCode": grade} for grade in grades]
    return {"resource": {**theirs(number="X"), "id": key}, "search": {"extension": held}}


def matches(scene: Scene, *entries: Any, status: int = 200) -> list[Sent]:
    """What the HIE answers to $match; returns what it was asked."""
    asked: list[Sent] = []
    body = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": list(entries)})

    def before(sent: Sent) -> Response | None:
        if sent.path != "/Patient/$match":
            return None
        asked.append(sent)
        return Response(body, status, media_type=FHIR)

    scene.wire.before = before
    return asked


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([graded("p", "probable")], "match_not_certain"),
        ([graded("p")], "match_not_certain"),
        ([graded("p", "certain"), graded("q", "certain")], "several_matches"),
        ([graded("p", "certain"), graded("q", "possible")], "several_matches"),
        ([graded("../x", "certain")], "no_id"),
    ],
)
def test_a_match_that_is_not_certain_and_single_is_for_a_person(scene: Scene, entries: Any, reason: str) -> None:
    scene.set(match=True)
    scene.survey(ada())
    matches(scene, *entries)
    made = scene.plan()
    assert ([left.reason for left in made.conflicts], made.changes) == ([reason], [])


def test_a_certain_match_is_taken(scene: Scene) -> None:
    scene.set(match=True)
    scene.survey(ada())
    scene.put({**theirs(number="X"), "id": "p"})
    asked = matches(scene, graded("p", "certain"), {"resource": {"resourceType": "OperationOutcome"}})
    assert [change.resource_id for change in scene.plan().changes] == ["p"]
    assert len(asked) == 1
    scene.put({**theirs(number="X", birthDate="1999-09-09"), "id": "p"})
    scene.as_of = "2026-06-02"
    with scene.workspace() as workspace:
        workspace.store.hie(HIE)
    scene.put({**theirs(), "id": "q"})  # an identifier goes before a match
    scene.put({**theirs(number="X"), "id": "p", "active": False})
    scene.plan()
    assert link_of(scene) == "q"


def test_a_match_of_somebody_who_differs_is_not_taken(scene: Scene) -> None:
    scene.set(match=True)
    scene.survey(ada())
    scene.put({**theirs(number="X", birthDate="1999-09-09"), "id": "p"})
    matches(scene, graded("p", "certain"))
    assert reasons(scene) == ["name_or_birth_date_differ"]


def test_without_a_match_the_policy_decides(scene: Scene) -> None:
    scene.set(match=True)
    scene.survey(ada())
    matches(scene)
    assert [change.action for change in scene.plan().changes] == ["create"]
    matches(scene, status=404)
    scene.survey(ada(member_id="M2"))
    with pytest.raises(RemoteError, match="refused a request with 404"):
        scene.plan()


def test_a_contributor_does_not_look_for_the_golden_record(scene: Scene) -> None:
    scene.set(match=True, mode="contributor")
    scene.survey(ada())
    asked = matches(scene, graded("p", "certain"))
    assert [change.action for change in scene.plan().changes] == ["create"]
    assert asked == []


def test_nobody_is_looked_for_by_race_ethnicity_language_or_sogi(scene: Scene) -> None:
    """Everything that is known about Ada is released, and none of it is in a question about who she is."""
    topics = ["race_ethnicity", "language_spoken", "language_written", "sexual_orientation", "gender_identity", "sex"]
    scene.rules({"topics": topics})
    scene.set(match=True, unmatched="create")
    scene.survey(ada(language_written="French", sexual_orientation="Bisexual", gender_identity="Female"))
    matches(scene)
    scene.plan()
    scene.apply()
    scene.pull()
    questions = [sent for sent in scene.wire.sent if sent.path.endswith(("/_search", "/$match"))]
    searched = [parse_qs(sent.body.decode()) for sent in questions if sent.path == "/Patient/_search"]
    matched = [json.loads(sent.body) for sent in questions if sent.path.endswith("/$match")]
    assert len(searched) >= 2
    assert len(matched) >= 1
    allowed = {"identifier", "_count", "_lastUpdated", "_sort", "_revinclude"}
    assert [set(words) - allowed for words in searched] == [set()] * len(searched)
    for each in matched:
        [resource] = [part["resource"] for part in each["parameter"] if "resource" in part]
        assert set(resource) == {"resourceType", "identifier", "name", "birthDate"}
    told = json.dumps(matched)
    for word in ("2106-3", "White", '"es"', "Spanish", "extension", "communication", "gender", "Bisexual"):
        assert word not in told
    assert not [sent for sent in scene.wire.sent if "?" in sent.path and "_page" not in sent.path]


@pytest.mark.parametrize("links", [None, "x", [7], [{"type": "replaced-by", "other": "x"}], [{"other": {}}]])
def test_links_of_any_shape(links: Any) -> None:
    patient = {"link": links, "identifier": links}
    assert (replaced_by(patient), replaces(patient), carries(patient, [("s", "v")])) == ([], [], False)
    assert is_in_use(patient) == (links is None or links == "x" or "replaced-by" not in str(links))
