"""sync status: what ran last and how, how far behind we are, what is open; as metrics and spans; nobody is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.responses import Response

from fhir_equity.errors import RemoteError, UsageError
from fhir_equity.pipeline.sync_status import SyncStatus, sync_status, write_metrics
from fhir_equity.store.hie_runs import Run
from tests.sync.scene import HIE, Scene, ada, opened, theirs

BEA = {"member_id": "M2", "first_name": "Bea"}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        yield made


def status(scene: Scene) -> SyncStatus:
    with scene.workspace() as workspace:
        return sync_status(workspace, HIE)


def metrics(scene: Scene) -> dict[str, str]:
    path = scene.folder / "sync.prom"
    write_metrics(status(scene), path)
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return dict(line.removeprefix("fhir_equity_sync_").rsplit(" ", 1) for line in lines)


def test_before_the_first_run(scene: Scene) -> None:
    scene.survey(ada())
    assert status(scene) == SyncStatus(HIE, [], None, 0, 1, 0, {"planned": 0, "sent": 0})
    with scene.workspace() as workspace, pytest.raises(UsageError):
        sync_status(workspace, "nobody")


def test_what_ran_and_what_is_open(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    scene.put(theirs(name=[{"family": "Other"}]))
    scene.plan()
    found = status(scene)
    assert [(run.verb, run.outcome) for run in found.runs] == [("plan", "done")]
    counts = dict(found.runs[0].counts)
    assert counts.pop("requests") > 0
    assert counts == {"changes": 1, "conflicts": 1, "looked_at": 2}
    assert (found.linked, found.changed_here, found.open_cases) == (0, 0, 1)
    assert found.pending == {"planned": 1, "sent": 0}
    scene.apply()
    scene.pull()
    found = status(scene)
    assert {run.verb: run.counts.get("verified", 0) for run in found.runs} == {"plan": 0, "apply": 1, "pull": 0}
    assert (found.linked, found.pending) == (1, {"planned": 0, "sent": 0})
    assert found.lag is not None
    assert 0 <= found.lag < 600


def test_a_rehearsal_is_no_run(scene: Scene) -> None:
    scene.survey(ada())
    scene.plan(dry=True)
    assert status(scene).runs == []
    scene.plan()
    scene.apply(dry=True)
    assert [run.verb for run in status(scene).runs] == ["plan"]


def test_a_run_that_failed_says_how(scene: Scene) -> None:
    scene.survey(ada())
    scene.wire.before = lambda _: Response("no", 403)
    with pytest.raises(RemoteError):
        scene.plan()
    (run,) = status(scene).runs
    assert (run.verb, run.outcome, run.counts) == ("plan", "RemoteError", {"requests": run.counts["requests"]})
    assert run.ended
    assert metrics(scene)['last_run_success{hie="hx",verb="plan"}'] == "0.0"


def test_a_run_that_was_killed_goes_on_as_running(scene: Scene) -> None:
    with scene.workspace() as workspace:
        workspace.store.hie(HIE).runs.note(Run("apply", "2026-05-01T00:00:00+00:00"))
    assert [(run.outcome, run.ended) for run in status(scene).runs] == [("running", "")]
    found = metrics(scene)
    assert found['last_run_success{hie="hx",verb="apply"}'] == "0.0"
    assert not any(name.startswith("last_run_timestamp") for name in found)


def test_metrics_name_nobody(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    scene.put(theirs("Asian"))
    scene.plan()
    scene.apply()
    scene.pull()
    found = metrics(scene)
    assert found['last_run_count{counter="verified",hie="hx",verb="apply"}'] == "2.0"
    assert found['last_run_success{hie="hx",verb="pull"}'] == "1.0"
    assert float(found['last_run_duration_seconds{hie="hx",verb="apply"}']) >= 0
    assert float(found['lag_seconds{hie="hx"}']) < 600
    assert found['pending_changes{hie="hx",status="sent"}'] == "0.0"
    text = (scene.folder / "sync.prom").read_text()
    assert not [mark for mark in ("Ashgrove", "M1", "1980", "White", "2106-3", "Patient/") if mark in text]


def test_metrics_into_no_folder(scene: Scene) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        write_metrics(status(scene), scene.folder / "nowhere" / "sync.prom")


@pytest.fixture(scope="module")
def spans() -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def test_every_run_is_a_span_that_names_nobody(scene: Scene, spans: InMemorySpanExporter) -> None:
    spans.clear()
    scene.survey(ada())
    scene.put(theirs("Asian"))
    scene.plan()
    scene.apply()
    scene.wire.before = lambda _: Response("Ashgrove M1", 403)
    with pytest.raises(RemoteError):
        scene.pull()
    found: list[Any] = list(spans.get_finished_spans())
    assert [each.name for each in found] == ["sync plan", "sync apply", "sync pull"]
    assert [each.status.is_ok for each in found] == [True, True, False]
    assert found[2].status.description == "RemoteError"
    assert dict(found[1].attributes)["verified"] == 1
    text = "".join(each.to_json() for each in found)
    assert not [mark for mark in ("Ashgrove", "M1", "1980", "2106-3", "Traceback") if mark in text]
