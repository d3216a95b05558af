"""What synchronising costs: ``python -m tests.benchmarks.bench_sync [LARGEST [UPDATES]]``.

A plan after nothing or ten Patients changed, for 1,000 linked members and more up to LARGEST (10,000): its CPU and
memory follow what changed. And the CPU of the client thread for UPDATES (200) changes (building, journal, sending and
reading back) beside a bare httpx loop that sends the same requests to the same canned server, checking with
fhir.resources told apart.
"""

from __future__ import annotations

import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route

from fhir_equity.adapters.fhir import validate
from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from fhir_equity.pipeline.hie import edition
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.sync import sync_apply, sync_plan
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.sandbox import create_app
from fhir_equity.sandbox.records import Records
from fhir_equity.sandbox.server import running
from fhir_equity.settings import HieSettings, Settings, StoreSettings
from fhir_equity.store.connection import writing
from fhir_equity.store.hie_standing import Outcome, Through
from fhir_equity.sync import write_patient
from fhir_equity.sync.transport import Reply, Request, Transport
from fhir_equity.vocabulary import Vocabulary

HEAD = "member_id,first_name,last_name,birth_date,survey_date,answered_by,race_ethnicity,language_spoken\n"
CHANGED = 10
ROUNDS = 5
_READ: dict[str, Vocabulary] = {}  # the tables, which a command reads once whatever it does


def opened(folder: Path, url: str) -> Workspace:
    """A workspace with one HIE."""
    hie = HieSettings(url=url, recipient="demo-hie", mode="editor", identifier_systems=(MEMBER_SYSTEM,))
    settings = Settings(partner="demo-plan", store=StoreSettings(url=str(folder / "equity.db")), hie={"hx": hie})
    made = Workspace(settings, "2026-06-01")
    made._vocabularies = _READ
    made.store.endpoint("hx").probed('{"if_match": true, "consents": false}')  # as a probe of the sandbox finds it
    return made


@contextmanager
def scene(people: int) -> Iterator[tuple[Path, Records, str]]:
    """A store with so many people who answered a survey, and an HIE."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = (f"M{n},Ada,Ashgrove,1980-01-02,2026-05-01,self,White,Spanish\n" for n in range(people))
        (folder / "survey.csv").write_text(HEAD + "".join(rows), encoding="utf-8")
        with opened(folder, "http://127.0.0.1:9/fhir") as workspace:
            ingest(workspace, [folder / "survey.csv"])
        with running(create_app(folder / "hie.db"), "127.0.0.1", 0) as url:
            yield folder, Records(folder / "hie.db"), url


def put(records: Records, number: int, **more: Any) -> None:
    """Somebody writes a Patient of one of our members."""
    patient = {
        "identifier": [{"system": MEMBER_SYSTEM, "value": f"M{number}"}],
        "name": [{"family": "Ashgrove", "given": ["Ada"]}],
        "birthDate": "1980-01-02",
        **more,
    }
    with records.session() as session:
        session.put("Patient", f"p{number}", patient)


def scaling(people: int) -> dict[str, tuple[float, float, int]]:
    """CPU seconds, peak MiB and people looked at, of a plan after nothing and after ten Patients changed."""
    with scene(people) as (folder, records, url):
        put(records, 0)
        with opened(folder, url) as workspace:
            _linked(workspace)
            sync_plan(workspace, "hx")  # the tables are read once
        found = {}
        for name, changed in (("nothing changed", 0), ("ten changed there", CHANGED)):
            for number in range(1, changed + 1):
                put(records, number, gender="female")
            with opened(folder, url) as workspace:
                _ = workspace.vocabulary().express, workspace.release, workspace.policy, workspace.store
                tracemalloc.start()
                began = time.thread_time()
                made = sync_plan(workspace, "hx")
                took = time.thread_time() - began
                peak = tracemalloc.get_traced_memory()[1] / 2**20
                tracemalloc.stop()
            found[name] = (took, peak, made.looked)
        return found


def _linked(workspace: Workspace) -> None:
    """As after a whole plan: everybody linked and in agreement."""
    memory = workspace.store.hie("hx")
    ids = [person.id for person in workspace.store.people]
    memory.journal.begin_plan([], "bench", {number: (f"p{number - ids[0]}", 'W/"1"') for number in ids})
    current = edition(workspace, workspace.settings.hie_named("hx"))
    through = Through(current, workspace.as_of, memory.standing.newest(), "2026-01-01T00:00:00Z")
    with writing(workspace.store.engine) as connection:
        memory.standing.move(connection, {number: Outcome({"race_ethnicity": "x"}) for number in ids}, through)


def client(updates: int) -> tuple[float, float, float, int]:
    """CPU seconds of the client thread against a canned server, the least of ROUNDS each, and how many requests.

    Applying without checking, the same requests by bare httpx, and checking. A rehearsal with the sandbox gives the
    answers, so that both sides meet the same server.
    """
    sent: list[tuple[Request, Reply]] = []
    real = Transport.send

    def send(transport: Transport, request: Request) -> Reply:
        reply = real(transport, request)
        sent.append((request, reply))
        return reply

    with scene(updates) as (folder, records, url):
        for number in range(updates):
            put(records, number)
        with opened(folder, url) as workspace:
            sync_plan(workspace, "hx")
        planned = (folder / "equity.db").read_bytes()
        with opened(folder, url) as workspace, patch.object(Transport, "send", send):
            sync_apply(workspace, "hx")
        found = []
        for _ in range(ROUNDS):
            (folder / "equity.db").write_bytes(planned)
            with canned(sent) as place:
                applying, checking = _applied(folder, place, updates)
            with canned(sent) as place:
                found.append((applying, _bare(sent, place), checking))
    ours, bare, checks = map(min, zip(*found, strict=True))
    return ours, bare, checks, len(sent)


def _applied(folder: Path, url: str, updates: int) -> tuple[float, float]:
    """CPU seconds of an apply, and of the checks in it."""
    spent = [0.0]

    def checked(*arguments: Any) -> list[str]:
        began = time.thread_time()
        found = validate(*arguments)
        spent[0] += time.thread_time() - began
        return found

    with opened(folder, url) as workspace, patch.object(write_patient, "validate", checked):
        _ = workspace.vocabulary().express, workspace.release, workspace.policy, workspace.store
        began = time.thread_time()
        done = sync_apply(workspace, "hx")
        took = time.thread_time() - began
    if done.statuses != {"verified": updates}:
        raise ValueError("not everything arrived")
    return took - spent[0], spent[0]


@contextmanager
def canned(sent: list[tuple[Request, Reply]]) -> Iterator[str]:
    """A server that gives the answers that were given, in the same order."""
    replies = iter([reply for _, reply in sent])

    async def answer(_request: Asked) -> Response:
        reply = next(replies)
        tag = {"ETag": reply.headers["etag"]} if "etag" in reply.headers else {}
        return Response(reply.content, reply.status, tag, "application/fhir+json")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "PUT", "POST"])])
    with running(app, "127.0.0.1", 0) as url:
        yield url


def _bare(sent: list[tuple[Request, Reply]], url: str) -> float:
    with httpx.Client(trust_env=False) as http:
        began = time.thread_time()
        for request, _ in sent:
            path = request.url.split("/fhir", 1)[1]
            http.request(request.method, url + path, headers=dict(request.headers), content=request.content)
        return time.thread_time() - began


def main(arguments: list[str]) -> None:
    """Measure and tell."""
    largest, updates = map(int, [*arguments, "10000", "200"][:2] if len(arguments) != 1 else [arguments[0], "200"])
    people = 1000
    while people <= largest:
        for name, (took, peak, looked) in scaling(people).items():
            sys.stdout.write(f"{people:>7,} linked, {name}: {took:.3f} CPU s, {peak:.1f} MiB, {looked} looked at\n")
            sys.stdout.flush()
        people *= 10
    ours, bare, checking, requests = client(updates)
    sys.stdout.write(
        f"{updates} updates, {requests} requests: {ours:.3f} CPU s; by bare httpx: {bare:.3f}; ratio {ours / bare:.2f}"
        f" (checking with fhir.resources apart: {checking:.3f})\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
