"""A server that names no version of anything: what it made stays as it is, and stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from fhir_equity.sync import patients
from fhir_equity.sync.replies import Replies, Versioned
from fhir_equity.sync.transport import Reply
from tests.sync.scene import HIE, Scene, ada, opened
from tests.sync.test_apply import forgetful
from tests.sync.test_recall import unseen

RACE = "race_ethnicity"


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    real = Replies.versioned

    def nameless(replies: Replies, reply: Reply, kind: str, key: str = "") -> Versioned:
        found = real(replies, reply, kind, key)
        return structs.replace(found, etag="")

    monkeypatch.setattr(Replies, "versioned", nameless)
    monkeypatch.setattr(patients, "found_version", lambda _: None)
    with opened(tmp_path, transactions=False) as made:
        made.survey(ada(), ada(member_id="M2", first_name="Bea"))
        yield made


def pending(scene: Scene) -> int:
    with scene.workspace() as workspace:
        return workspace.store.hie(HIE).journal.pending()["sent"]


def test_what_it_dropped_is_told_once_and_the_others_are_made(scene: Scene) -> None:
    scene.plan()
    forgetful(scene)
    assert scene.apply().statuses == {"quarantined": 2}
    made = scene.plan()
    assert (made.changes, [each.reason for each in made.conflicts]) == ([], ["no_version"] * 2)
    assert (scene.apply().statuses, pending(scene)) == ({}, 0)
    assert scene.pull().new_answers == 0


def test_what_nobody_saw_arrive_is_settled(scene: Scene) -> None:
    unseen(scene, "/Patient")
    scene.plan()
    assert pending(scene) == 0
