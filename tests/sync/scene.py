"""A store, an HIE on a real socket that can be told to misbehave, and everything that was sent to it."""

from __future__ import annotations

import json
from asyncio import to_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import stamina
from msgspec import Struct
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhir_equity.pipeline.demo_people import CDCREC, MEMBER_SYSTEM, US_CORE, Invented, enrollment
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.sync import PullResult, sync_apply, sync_plan, sync_pull
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.sandbox import create_app
from fhir_equity.sandbox.server import running
from fhir_equity.settings import HieSettings, MappingSettings, Settings, StoreSettings
from fhir_equity.store import Kept
from fhir_equity.sync.apply import Applied, How
from fhir_equity.sync.looking import Selection
from fhir_equity.sync.plan import Plan
from fhir_equity.vocabulary import Vocabulary

Json = dict[str, Any]
PARTNER, HIE, TODAY = "demo-plan", "hx", "2026-06-01"
SURVEY = (
    *("member_id", "first_name", "last_name", "birth_date", "survey_date", "answered_by", "race_ethnicity"),
    *("language_spoken", "language_written", "sexual_orientation", "gender_identity"),
)
BYSTANDER = "x-bystander"  # a header of requests that are not ours
BCP47 = "urn:ietf:bcp:47"
RACES = {"White": "2106-3", "Asian": "2028-9", "Black or African American": "2054-5"}


# Reading the built-in tables takes longer than most tests.
_BUILT_IN: dict[str, Vocabulary] = {}


class Sent(Struct, frozen=True):
    """One request as the HIE received it."""

    method: str
    path: str
    headers: bytes
    body: bytes


class Wire:
    """ASGI middleware that notes what arrives and does what a test tells it to.

    `before(request)` may return a Response (nothing happens then) or a new body; `after(request)` may
    return a Response that takes the place of the real one, after everything happened.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.before: Callable[[Sent], Response | bytes | None] = lambda _: None
        self.after: Callable[[Sent], Response | None] = lambda _: None
        self.ignored = b""  # a header that this server does not look at

    def around(self, app: ASGIApp) -> ASGIApp:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            headers = b"\n".join(name + b": " + value for name, value in scope["headers"])
            address = scope["raw_path"].decode() + "?" + scope["query_string"].decode()
            request = Sent(scope["method"], address.removeprefix("/fhir").rstrip("?"), headers, body)
            instead: Response | bytes | None = None
            if BYSTANDER.encode() not in headers:
                self.sent.append(request)
                instead = await to_thread(self.before, request)  # which may ask this very server
            if isinstance(instead, Response):
                await instead(scope, receive, send)
                return
            waiting = [body if instead is None else instead]

            async def replay() -> Message:
                return {"type": "http.request", "body": waiting.pop(), "more_body": False} if waiting else {}

            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != self.ignored]
            late = None if BYSTANDER.encode() in headers else self.after(request)
            await app(scope, replay, send if late is None else _nowhere)
            if late is not None:
                await late(scope, receive, send)

        return call


async def _nowhere(_message: Message) -> None:
    return None


class Scene:
    """Our workspace and their server."""

    def __init__(self, folder: Path, url: str, wire: Wire, **hie: Any) -> None:
        self.folder, self.url, self.wire = folder, url, wire
        self.as_of = TODAY
        options = {"recipient": "demo-hie", "mode": "editor", "unmatched": "create", "attempts": 4}
        options |= {"identifier_systems": (MEMBER_SYSTEM,), "url": url, **hie}
        self.hie = HieSettings(**options)
        self.overlay: Path | None = None

    def set(self, **hie: Any) -> None:
        """Change the settings of the HIE."""
        self.hie = self.hie.model_copy(update=hie)

    def rules(self, *rules: Json) -> None:
        """Replace the release rules."""
        words = ['version = "test"\nrule = []' if not rules else 'version = "test"']
        for rule in rules:
            full = {"id": "r", "recipient": "demo-hie", "purpose": "operations", "from": "2026-01-01", **rule}
            words.append("[[rule]]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in full.items()))
        self._lay("policies/release.toml", "\n".join(words))

    def attest(self, **words: str) -> None:
        """What the HIE's attestation sheet says about its answers."""
        self._lay(f"partners/{HIE}/attestation.toml", "[fhir]\n" + "\n".join(f'{k} = "{v}"' for k, v in words.items()))

    def _lay(self, name: str, words: str) -> None:
        self.overlay = self.folder / "overlay"
        path = self.overlay / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words)

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        settings = Settings(
            partner=PARTNER,
            store=StoreSettings(url=str(self.folder / "equity.db")),
            mappings=MappingSettings(overlay=self.overlay),
            hie={HIE: self.hie},
        )
        with Workspace(settings, as_of=self.as_of) as opened:
            if self.overlay is None:
                opened._vocabularies = _BUILT_IN
            yield opened

    def survey(self, *rows: Json) -> None:
        """Ingest answers that members gave themselves."""
        path = self.folder / "survey.csv"
        base = {"survey_date": "2026-05-01", "answered_by": "self"}
        lines = [",".join(str((base | row).get(name, "")) for name in SURVEY) for row in rows]
        path.write_text("\n".join([",".join(SURVEY), *lines]) + "\n")
        self.ingest(path)

    def enroll(self, *people: Invented) -> None:
        """Ingest an 834, whose method is unstated."""
        path = self.folder / "enrollment.834"
        path.write_bytes(enrollment(list(people)))
        self.ingest(path)

    def ingest(self, path: Path) -> None:
        """Ingest any file."""
        with self.workspace() as opened:
            done = ingest(opened, [path])
        assert not done.failures
        assert done.members > 0

    def plan(self, *, dry: bool = False, **selection: Any) -> Plan:
        with self.workspace() as opened:
            return sync_plan(opened, HIE, Selection(**selection), dry=dry)

    def apply(self, **how: Any) -> Applied:
        with self.workspace() as opened:
            return sync_apply(opened, HIE, How(**how))

    def pull(self) -> PullResult:
        with self.workspace() as opened:
            return sync_pull(opened, HIE)

    def origins(self) -> list[tuple[str, str, str, str]]:
        """Everything in the store as (matter, partner, collector, method)."""
        with self.workspace() as opened:
            events = [pair for person in opened.store.people for pair in person.events]
        return sorted((m, e.origin.partner, e.origin.collector, e.origin.method) for m, e in events)

    def put(self, patient: Json) -> str:
        """Somebody else writes to the HIE; returns the id."""
        key = patient.get("id")
        method, path = ("PUT", f"Patient/{key}") if key else ("POST", "Patient")
        answer = self._other(method, path, patient)
        assert answer.status_code in (200, 201)
        return str(answer.json()["id"])

    def add(self, resource: Json) -> str:
        """Somebody else makes any resource; returns the id."""
        answer = self._other("POST", resource["resourceType"], resource)
        assert answer.status_code == 201
        return str(answer.json()["id"])

    def replace(self, resource: Json) -> None:
        """Somebody else replaces any resource."""
        answer = self._other("PUT", f"{resource['resourceType']}/{resource['id']}", resource)
        assert answer.status_code == 200

    def change(self, key: str, **elements: Any) -> bool:
        """Somebody else changes elements of a Patient under If-Match; whether they were in time."""
        there = self._other("GET", f"Patient/{key}")
        answer = self._other("PUT", f"Patient/{key}", there.json() | elements, match=there.headers["etag"])
        return answer.status_code == 200

    def opt_out(self, number: str = "M1", **kept: Any) -> None:
        """A member keeps something back."""
        with self.workspace() as opened:
            (found,) = opened.store.history.find(number)
            opened.store.opt_outs.record([Kept(found.id, "2026-01-01", **kept)])

    def get(self, key: str) -> Json:
        """What the HIE has."""
        return dict(self._other("GET", f"Patient/{key}").json())

    def delete(self, key: str) -> None:
        """Somebody else deletes a Patient."""
        assert self._other("DELETE", f"Patient/{key}").status_code == 204

    def observations(self) -> list[Json]:
        """All Observations of the HIE."""
        found = self._other("GET", "Observation?_count=1000").json()
        return [entry["resource"] for entry in found.get("entry", [])]

    def everybody(self) -> list[Json]:
        """All Patients of the HIE."""
        found = self._other("GET", "Patient?_count=1000").json()
        return [entry["resource"] for entry in found.get("entry", [])]

    def _other(self, method: str, path: str, body: Any = None, match: str = "") -> httpx.Response:
        headers = {BYSTANDER: "1"} | ({"If-Match": match} if match else {})
        return httpx.request(method, f"{self.url}/{path}", json=body, headers=headers, trust_env=False)

    def asked(self) -> list[Sent]:
        """The requests but for those that ask when anybody changed last, and for Consents."""
        about = [each for each in self.wire.sent if not each.path.startswith("/Consent")]
        return [each for each in about if b"_sort=" not in each.body]

    def writes(self) -> list[Sent]:
        """The requests that could change something."""
        return [each for each in self.wire.sent if each.method != "GET" and not each.path.endswith("/_search")]

    def store_bytes(self) -> bytes:
        """Everything that is on the disk of the store."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("equity.db*")))


@contextmanager
def opened(folder: Path, faults: str = "", **hie: Any) -> Iterator[Scene]:
    """A scene whose requests are repeated without waiting."""
    wire = Wire()
    app: Any = wire.around(create_app(folder / "hie.db", faults=faults))
    with stamina.set_testing(True, attempts=20, cap=True), running(app, "127.0.0.1", 0) as url:
        yield Scene(folder, url, wire, **hie)


def ada(**more: Any) -> Json:
    """A row of the survey: Ada says that she is White and speaks Spanish."""
    row = {"member_id": "M1", "first_name": "Ada", "last_name": "Ashgrove", "birth_date": "1980-01-02"}
    return row | {"race_ethnicity": "White", "language_spoken": "Spanish"} | more


def enrolled(**more: Any) -> Invented:
    """Ada in an 834: White, speaks Spanish."""
    said = {"number": "M1", "subscriber": "M1", "relationship": "18", "family": "Ashgrove", "given": "Ada"}
    said |= {"born": "1980-01-02", "sex": "F", "street": "1 Invented Way", "race": ":RET:2106-3"}
    return Invented(**(said | {"spoken": "SPA", "written": None} | more))


def theirs(race: str = "", language: str = "", number: str = "M1", **more: Any) -> Json:
    """Ada as the HIE knows her."""
    patient: Json = {
        "resourceType": "Patient",
        "identifier": [{"system": MEMBER_SYSTEM, "value": number}],
        "name": [{"family": "Ashgrove", "given": ["Ada"]}],
        "birthDate": "1980-01-02",
    }
    if race:
        patient["extension"] = [omb("race", race)]
    if language:
        patient["communication"] = [{"language": {"coding": [{"system": BCP47, "code": language}]}, "preferred": True}]
    return patient | more


def omb(kind: str, *words: str) -> Json:
    """A US Core race or ethnicity extension."""
    codings = [{"system": CDCREC, "code": RACES[word], "display": word} for word in words if word in RACES]
    inner: list[Json] = [{"url": "ombCategory", "valueCoding": coding} for coding in codings]
    return {
        "url": f"{US_CORE}us-core-{kind}",
        "extension": [*inner, {"url": "text", "valueString": "; ".join(words)}],
    }


def race_of(patient: Json) -> list[str]:
    """The race codes of a Patient."""
    found = [each for each in patient.get("extension", []) if each["url"].endswith("us-core-race")]
    return [part["valueCoding"]["code"] for each in found for part in each["extension"] if "valueCoding" in part]


def languages_of(patient: Json) -> list[str]:
    """The preferred languages of a Patient."""
    return [each["language"]["coding"][0]["code"] for each in patient.get("communication", []) if each.get("preferred")]
