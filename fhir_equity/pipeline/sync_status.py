"""sync status: the last run of each verb at an HIE, how far behind we are, and what is open; no one is named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import private_file
from fhir_equity.store.hie_runs import DONE, Run


class SyncStatus(Struct):
    """How synchronising with one HIE stands.

    `lag` is how many seconds ago the moment is up to which everything was pulled, by the server's clock; None
    before the first pull. `changed_here` are members who changed since the last whole plan, `open_cases` those of
    whom something is left to a person, `pending` changes by status (``planned``, ``sent``).
    """

    hie: str
    runs: list[Run]
    lag: int | None
    linked: int
    changed_here: int
    open_cases: int
    pending: dict[str, int]


def sync_status(workspace: Workspace, hie: str) -> SyncStatus:
    """How synchronising with an HIE stands; nobody is asked. Raises UsageError, StoreError."""
    workspace.settings.hie_named(hie)
    memory = workspace.store.hie(hie)
    through = memory.standing.through()
    return SyncStatus(
        hie=hie,
        runs=memory.runs.all(),
        lag=_age(memory.since()),
        linked=memory.count_links(),
        changed_here=sum(1 for _ in memory.standing.changed_since(through.number if through else 0)),
        open_cases=memory.standing.open(),
        pending=memory.journal.pending(),
    )


def _age(moment: str) -> int | None:
    if not moment:
        return None
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:  # a server's clock may be written in a way that only it understands
        return None
    return max(int((datetime.now(UTC) - then.replace(tzinfo=then.tzinfo or UTC)).total_seconds()), 0)


def write_metrics(status: SyncStatus, path: Path) -> None:
    """Write a status as a Prometheus text file (0600), for a node exporter to collect. Raises UsageError.

    https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    try:
        from prometheus_client import CollectorRegistry, Gauge, generate_latest
    except ImportError:
        raise UsageError("--metrics needs: pip install 'fhir-equity[telemetry]'") from None
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    registry = CollectorRegistry()

    def gauge(name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"fhir_equity_sync_{name}", words, ("hie", *labels), registry=registry)

    ended = gauge("last_run_timestamp_seconds", "When the last run of a verb ended.", "verb")
    took = gauge("last_run_duration_seconds", "How long it took.", "verb")
    done = gauge("last_run_success", "1 where it came to its end.", "verb")
    count = gauge("last_run_count", "What it counted.", "verb", "counter")
    for run in status.runs:
        done.labels(status.hie, run.verb).set(run.outcome == DONE)
        for name, number in run.counts.items():
            count.labels(status.hie, run.verb, name).set(number)
        if run.ended:
            end, begin = (datetime.fromisoformat(each).timestamp() for each in (run.ended, run.began))
            ended.labels(status.hie, run.verb).set(end)
            took.labels(status.hie, run.verb).set(end - begin)
    if status.lag is not None:
        gauge("lag_seconds", "How long ago the moment is up to which everything was pulled.").labels(status.hie).set(
            status.lag
        )
    gauge("linked_members", "Members who are a Patient there.").labels(status.hie).set(status.linked)
    gauge("changed_members", "Members who changed here since the last whole plan.").labels(status.hie).set(
        status.changed_here
    )
    gauge("open_cases", "Members of whom something is left to a person.").labels(status.hie).set(status.open_cases)
    pending = gauge("pending_changes", "Changes in the journal that are not closed.", "status")
    for name, number in status.pending.items():
        pending.labels(status.hie, name).set(number)
    with private_file(path) as file:
        file.write(generate_latest(registry))
