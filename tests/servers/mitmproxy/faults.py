"""An HIE's bad days as an addon of mitmproxy: told by POST /__faults__ on the proxy's port, listed by GET.

What is told is {"rules": [...]}; it replaces what was told before and empties the list. A rule has
`kinds`, of which the seeded chance picks one each time, and may have

- `methods`: GET, SEARCH, POST, PUT, PATCH, DELETE; without it every request
- `skip` and `times`: how many requests pass first, how often it happens then; without `times` always
- `share`: of the requests that are its own, drawn by `seed`; without it all
- `seconds`, and `pid`: whom to kill

Before the server sees the request: 429, 503, 503-date (Retry-After as a date), reset, 401, overtaken (somebody
else changes the resource first), unconditional (If-Match is taken away), overtaken-unconditional (both), kill. After
the server has done it: lost, slow, truncated, html, gateway (504), killed-after.

With {"issuer": URL, "uses": N} beside the rules the HIE wants a bearer token of that issuer: one that has not ended,
N times at most. Its signature is not looked at: it is the client that is tried. In the list each request has the
number of its token, in the order in which they came, and one that was refused for it has the kind "refused".
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import urllib.request as web
from email.utils import formatdate
from time import time
from typing import Any

from mitmproxy import http

CONTROL = "/__faults__"
FHIR = "application/fhir+json"


class Rule:
    """One rule and how often it happened."""

    def __init__(self, words: dict[str, Any]) -> None:
        self._words = words
        self._chance = random.Random(words.get("seed", 0))
        self._seen = self._done = 0

    def kind(self, method: str) -> str:
        """What happens to this request; empty for nothing."""
        methods = self._words.get("methods")
        if methods and method not in methods:
            return ""
        self._seen += 1
        times = self._words.get("times", self._seen)
        if self._seen <= self._words.get("skip", 0) or self._done >= times:
            return ""
        if self._chance.random() >= self._words.get("share", 1.0):
            return ""
        kinds = self._words["kinds"]
        self._done += 1
        return str(kinds[(self._done - 1) % len(kinds)])

    def get(self, name: str, otherwise: Any) -> Any:
        """A word of the rule."""
        return self._words.get(name, otherwise)


class Guard:
    """Who asks for a token, and how often each was used."""

    def __init__(self, issuer: str, uses: int) -> None:
        self._issuer, self._uses = issuer, uses
        self._used: dict[str, int] = {}

    def refused(self, request: http.Request) -> http.Response | None:
        """Where the tokens are, or 401, or None for a request that may pass."""
        if request.path.endswith("/.well-known/smart-configuration"):
            words = {"token_endpoint": f"{self._issuer}/token", "capabilities": ["client-confidential-asymmetric"]}
            words["token_endpoint_auth_signing_alg_values_supported"] = ["RS384", "ES384"]
            return http.Response.make(200, json.dumps(words), {"Content-Type": "application/json"})
        token = _token(request)
        claims = _claims(token)
        self._used[token] = self._used.get(token, 0) + 1
        good = claims.get("iss") == self._issuer and claims.get("exp", 0) > time() and claims.get("scope")
        if good and self._used[token] <= self._uses:
            return None
        return http.Response.make(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})

    def number(self, request: http.Request) -> int:
        """Which of the tokens it is, counted from 1; 0 for one that was never used."""
        return [*self._used].index(_token(request)) + 1 if _token(request) in self._used else 0


def _token(request: http.Request) -> str:
    return str(request.headers.get("Authorization", "")).removeprefix("Bearer ")


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    try:
        return dict(json.loads(base64.urlsafe_b64decode(parts[1] + "=="))) if len(parts) == 3 else {}
    except ValueError:
        return {}


class Faults:
    """The rules and the list of what went through, for each port of the proxy."""

    def __init__(self) -> None:
        self._rules: dict[int, list[Rule]] = {}
        self._went: dict[int, list[dict[str, Any]]] = {}
        self._guards: dict[int, Guard] = {}

    async def request(self, flow: http.HTTPFlow) -> None:
        """Before the server sees it."""
        port = flow.client_conn.sockname[1]
        if flow.request.path == CONTROL:
            self._told(port, flow)
            return
        method = "SEARCH" if flow.request.path.endswith("/_search") else flow.request.method
        entry = {"method": method, "path": flow.request.path, "kind": "", "body": flow.request.get_text() or ""}
        if (guard := self._guards.get(port)) is not None:
            flow.response = guard.refused(flow.request)
            entry["token"] = guard.number(flow.request)
        if flow.response is not None:
            entry["kind"] = "refused" if flow.response.status_code == 401 else "discovery"
            self._went.setdefault(port, []).append(entry)
            return
        rules = self._rules.get(port, [])
        rule, kind = next(((rule, kind) for rule in rules if (kind := rule.kind(method))), (None, ""))
        flow.metadata["rule"], flow.metadata["kind"] = rule, kind
        self._went.setdefault(port, []).append(entry | {"kind": kind})
        if rule is not None:
            await _before(flow, rule, kind)

    async def response(self, flow: http.HTTPFlow) -> None:
        """After the server has done it."""
        rule, kind = flow.metadata.get("rule"), flow.metadata.get("kind")
        if rule is not None and flow.response is not None:
            await _after(flow, flow.response, rule, str(kind))

    def _told(self, port: int, flow: http.HTTPFlow) -> None:
        if flow.request.method == "POST":
            told = json.loads(flow.request.get_text() or "{}")
            self._rules[port] = [Rule(words) for words in told["rules"]]
            self._went[port] = []
            self._guards.pop(port, None)
            if "issuer" in told:
                self._guards[port] = Guard(told["issuer"], told["uses"])
        flow.response = http.Response.make(200, json.dumps(self._went.get(port, [])), {"Content-Type": FHIR})


async def _before(flow: http.HTTPFlow, rule: Rule, kind: str) -> None:
    moment = formatdate(time() + rule.get("seconds", 1), usegmt=True)
    waits = {"429": str(rule.get("seconds", 1)), "503": str(rule.get("seconds", 1)), "503-date": moment}
    if kind in waits:
        flow.response = http.Response.make(int(kind[:3]), b"", {"Retry-After": waits[kind]})
    elif kind == "401":
        flow.response = http.Response.make(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    elif kind == "reset":
        flow.kill()
    elif kind == "kill":
        os.kill(rule.get("pid", 0), signal.SIGKILL)
    elif kind in ("overtaken", "overtaken-unconditional"):
        await asyncio.to_thread(_overtake, flow.request.url)

    if kind.endswith("unconditional"):
        flow.request.headers.pop("If-Match", None)


async def _after(flow: http.HTTPFlow, response: http.Response, rule: Rule, kind: str) -> None:
    if kind == "lost":
        flow.kill()
    elif kind == "slow":
        await asyncio.sleep(rule.get("seconds", 1))
    elif kind == "truncated":
        response.raw_content = (response.raw_content or b"")[:40]  # the length that was said stays
        response.headers["Connection"] = "close"
    elif kind == "html":
        flow.response = http.Response.make(200, b"<html>Please log in.</html>", {"Content-Type": "text/html"})
    elif kind == "gateway":
        flow.response = http.Response.make(504, b"", {})
    elif kind == "killed-after":
        os.kill(rule.get("pid", 0), signal.SIGKILL)
        flow.kill()


def _overtake(url: str) -> None:
    """Somebody else adds a telephone number to the resource."""
    headers = {"Accept": FHIR, "Content-Type": FHIR}
    with web.urlopen(web.Request(url, headers=headers)) as answer:  # noqa: S310 - the HIE's own http
        resource = json.load(answer)
    resource.setdefault("telecom", []).append({"system": "phone", "value": f"555-{len(resource['telecom']):04}"})
    body = json.dumps(resource).encode()
    web.urlopen(web.Request(url, body, headers, method="PUT")).close()  # noqa: S310


addons = [Faults()]
