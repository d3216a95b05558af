"""Two runs never deal with one HIE at a time: what one has on its way looks interrupted, or theirs, to the other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_equity.errors import StoreLockedError
from fhir_equity.pipeline.sync import sync_recall
from tests.sync.scene import HIE, Scene, Sent, ada, opened, theirs


def test_a_second_run_does_not_send_what_the_first_is_sending(tmp_path: Path) -> None:
    with opened(tmp_path) as scene:
        scene.survey(ada(), ada(member_id="M2", first_name="Bea"))
        scene.put(theirs("Asian"))
        scene.plan()
        refused: list[str] = []

        def second(request: Sent) -> None:
            if request in scene.writes() and not refused:
                runs: dict[str, Callable[[], object]] = {"apply": scene.apply, "recall": lambda: recall(scene)}
                for name, run in {**runs, "plan": scene.plan, "pull": scene.pull}.items():
                    with pytest.raises(StoreLockedError):
                        run()
                    refused.append(name)
                assert scene.apply(dry=True).statuses  # who only looks may
                assert scene.plan(dry=True).looked

        scene.wire.before = second
        assert scene.apply().statuses == {"verified": 2}
        assert refused == ["apply", "recall", "plan", "pull"]
        assert scene.plan().changes == []
        assert scene.apply().statuses == {}


def test_what_is_sent_while_a_pull_is_at_work_is_not_taken_for_theirs(tmp_path: Path) -> None:
    with opened(tmp_path) as scene:
        scene.survey(ada(language_spoken=""))
        scene.put(theirs())
        scene.plan()

        def meanwhile(request: Sent) -> None:
            if request.path == "/Patient/_search":
                scene.wire.before = lambda _: None
                with pytest.raises(StoreLockedError):
                    scene.apply()

        scene.wire.before = meanwhile
        assert scene.pull().new_answers == 0
        assert scene.apply().statuses == {"verified": 1}
        done = scene.pull()
        assert (done.new_answers, done.pulled.echoes) == (0, 1)


def recall(scene: Scene) -> None:
    with scene.workspace() as workspace:
        sync_recall(workspace, HIE)


def test_who_is_killed_holds_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as scene:
        ready, told = os.pipe()
        child = os.fork()
        if not child:
            try:
                with scene.workspace() as workspace, workspace.store.hie(HIE).alone():
                    os.write(told, b".")
                    signal.pause()
            finally:
                os._exit(1)
        os.close(told)
        assert os.read(ready, 1)
        with scene.workspace() as workspace:
            with pytest.raises(StoreLockedError), workspace.store.hie(HIE).alone():
                pass
            with workspace.store.hie("another").alone():
                pass
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            with workspace.store.hie(HIE).alone():
                pass
