"""sync plan, sync apply, sync pull: the store and one HIE, nothing sent without a rule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import msgspec
from msgspec import Struct

from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import UsageError
from fhir_equity.model import Collector, Member
from fhir_equity.pipeline.ingest import CHUNK, record_of
from fhir_equity.pipeline.patients import context_fhir
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Record, RunWriter
from fhir_equity.sync.apply import Applied, apply
from fhir_equity.sync.client import Client
from fhir_equity.sync.exchange import Exchange
from fhir_equity.sync.plan import Plan, plan
from fhir_equity.sync.pull import Pulled, pull


class PullResult(Struct):
    """What a pull looked at and what it changed here."""

    pulled: Pulled
    new_answers: int = 0


def sync_plan(workspace: Workspace, hie: str) -> Plan:
    """What would change at the HIE. Writes the plan to the journal and sends nothing.

    Raises UsageError, RemoteError, StoreError, TableError.
    """
    with _exchange(workspace, hie) as exchange:
        return plan(exchange)


def sync_apply(workspace: Workspace, hie: str) -> Applied:
    """Carry out what is left of the latest plan and read back what arrived.

    Raises UsageError (also where there is no plan), RemoteError, StoreError, TableError.
    """
    with _exchange(workspace, hie) as exchange:
        done = apply(exchange, workspace.progress)
        if not done.plan:
            raise UsageError(f"there is no plan for {hie}; run: fhir-equity sync plan --hie {hie}")
        return done


def sync_pull(workspace: Workspace, hie: str) -> PullResult:
    """Bring in what changed at the HIE since the last pull, through the same road as any file.

    Interrupted, it begins again where the last complete pull ended: what is stored already is not
    stored twice. Raises UsageError, RemoteError, StoreError, TableError.
    """
    pulled = Pulled()
    with _exchange(workspace, hie) as exchange:
        runs: dict[str, _Run] = {}
        for member in pull(exchange, pulled):
            if member.partner not in runs:
                runs[member.partner] = _Run(workspace, member.partner, hie)
            runs[member.partner].add(member)
        new = sum(run.finish() for run in runs.values())
        if pulled.since:
            exchange.memory.pulled(pulled.since)
    return PullResult(pulled, new)


class _Run:
    """One run that stores what an HIE says about the members of one partner."""

    def __init__(self, workspace: Workspace, partner: str, hie: str) -> None:
        self._workspace = workspace
        self._writer: RunWriter = workspace.run(partner, action="sync pull")
        self._artefact = self._writer.artefact(hie, "fhir")
        self._waiting: list[Record] = []
        self._count = 0

    def add(self, member: Member) -> None:
        self._waiting.append(record_of(self._workspace, member))
        self._count += 1
        if len(self._waiting) >= CHUNK:
            self._write()

    def _write(self) -> None:
        self._writer.add(self._artefact, self._waiting)
        self._waiting = []

    def finish(self) -> int:
        self._write()
        self._writer.close(self._artefact, sha256="", size=0, members=self._count, rejected=0)
        return self._writer.finish().answers


@contextmanager
def _exchange(workspace: Workspace, hie: str) -> Iterator[Exchange]:
    settings = workspace.settings.hie_named(hie)
    source = settings.partner or hie
    if source == workspace.partner():
        raise UsageError(
            f"the answers of [hie.{hie}] need a partner of their own, not {source}: who said what must show"
        )

    version = workspace.vocabulary(source).express.version(settings.us_core)

    @cache
    def contexts(partner: str) -> Context:
        context = context_fhir(workspace, workspace.context(partner, "fhir"), version)
        if partner != source:
            return context
        # Whose sheet says nothing else: the HIE collected what it tells.
        return msgspec.structs.replace(context, attestation={"collector": Collector.HIE.value, **context.attestation})

    with Client(settings) as client:
        yield Exchange(
            name=hie,
            settings=settings,
            client=client,
            store=workspace.store,
            vocabulary=workspace.vocabulary(source),
            release=workspace.release,
            resolve=workspace.resolutions,
            contexts=contexts,
            as_of=workspace.as_of,
            policy=workspace.policy,
        )
