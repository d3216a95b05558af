"""One HIE and the store, opened together; each verb that is run with them leaves how it went, and a span."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from hashlib import sha256

import msgspec

from fhir_equity.adapters.fhir import PatientReader, Writer
from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import UsageError
from fhir_equity.model import Collector
from fhir_equity.pipeline.patients import context_fhir
from fhir_equity.pipeline.workspace import Workspace, calendar
from fhir_equity.settings import HieSettings
from fhir_equity.store.hie_runs import DONE, Run
from fhir_equity.store.rows import now
from fhir_equity.sync.client import Client
from fhir_equity.sync.exchange import Exchange
from fhir_equity.sync.inbound import Inbound
from fhir_equity.sync.profile import stored_profile
from fhir_equity.sync.spans import span


@contextmanager
def performing(
    workspace: Workspace, hie: str, verb: str, *, kept: bool = True
) -> Iterator[tuple[Exchange, Counter[str]]]:
    """An exchange for one run of a verb, and its counters: kept in the store (unless not `kept`), and in a span.

    Who keeps anything deals with the HIE alone: what another run has on its way would look interrupted to a plan, an
    apply or a recall, and theirs to a pull. Raises UsageError, TableError, StoreError, and StoreLockedError where
    another run deals with the HIE.
    """
    counts: Counter[str] = Counter()
    with (
        span(f"sync {verb}", hie=hie) as told,
        exchange_with(workspace, hie) as exchange,
        exchange.memory.alone() if kept else nullcontext(),
    ):
        began, runs = now(), exchange.memory.runs
        if kept:
            runs.note(Run(verb, began))
        outcome = DONE
        try:
            yield exchange, counts
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            counts["requests"] = exchange.client.requests
            told |= counts
            if kept:
                runs.note(Run(verb, began, now(), outcome, counts))


@contextmanager
def exchange_with(workspace: Workspace, hie: str) -> Iterator[Exchange]:
    """An HIE with everything that deciding about it takes. Raises UsageError, TableError, StoreError."""
    settings = workspace.settings.hie_named(hie)
    source = settings.partner or hie
    if source == workspace.partner():
        raise UsageError(
            f"the answers of [hie.{hie}] need a partner of their own, not {source}: who said what must show"
        )

    vocabulary = workspace.vocabulary(source)
    version = vocabulary.express.version(settings.us_core)

    @cache
    def contexts(partner: str) -> Context:
        context = _apart(context_fhir(workspace, workspace.context(partner, "fhir"), version))
        if partner != source:
            return context
        # Whose sheet says nothing else: the HIE collected what it tells.
        return msgspec.structs.replace(context, attestation={"collector": Collector.HIE.value, **context.attestation})

    @cache
    def writer(partner: str, *, alone: bool = False) -> Writer:
        return Writer(contexts(partner), alone=alone, named=tells)

    profile = stored_profile(workspace.store.endpoint(hie))
    tells = bool(profile.provenance if settings.provenance is None else settings.provenance)
    with Client(settings) as client:
        yield Exchange(
            name=hie,
            settings=settings,
            client=client,
            store=workspace.store,
            vocabulary=vocabulary,
            release=workspace.release,
            resolve=workspace.resolutions,
            contexts=contexts,
            writer=writer,
            reader=PatientReader(hie, contexts(source)),
            as_of=workspace.as_of,
            policy=workspace.policy,
            profile=profile,
            tells=tells,
            inbound=Inbound(workspace.vocabulary().tables.document("policies/inbound.toml"), vocabulary.codes),
            edition=edition(workspace, settings, tells=tells),
            day=calendar if workspace.as_of == calendar() else lambda: workspace.as_of,
        )


def edition(workspace: Workspace, settings: HieSettings, *, tells: bool = False) -> str:
    """The digest of everything beside answers that decides what is planned: when it changes, everybody is looked at."""
    release = workspace.release
    rules = [
        msgspec.to_builtins(rule) | {"topics": sorted(rule.topics), "labels": sorted(rule.labels)}
        for rule in release.in_force(settings.recipient, workspace.as_of)
    ]
    decides = ("recipient", "partner", "identifier_systems", "us_core", "omb", "mode", "unmatched", "url")
    parts = [
        rules,
        {name: getattr(settings, name) for name in decides} | {"provenance": tells},
        workspace.versions(),
    ]
    return sha256(msgspec.json.encode(parts)).hexdigest()


def _apart(context: Context) -> Context:
    """What a version has on the Patient and as an Observation is sent as an Observation, to be withheld whole."""
    places = {
        topic: {**row, "place": "observation"} if row.get("place") == "both" else row
        for topic, row in context.guide["places"].items()
    }
    return msgspec.structs.replace(context, guide={**context.guide, "places": places})
