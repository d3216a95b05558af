"""The sandbox as an ASGI application: HTTP in, an interaction, HTTP out."""

from __future__ import annotations

import asyncio
import hmac
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fhir_equity.sandbox.bundles import run
from fhir_equity.sandbox.faults import Fault, Faults
from fhir_equity.sandbox.interactions import Call, Reply, perform
from fhir_equity.sandbox.outcome import RefusedError
from fhir_equity.sandbox.records import Records

MEDIA_TYPE = "application/fhir+json"
ROOT = "/fhir"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_FORM = "application/x-www-form-urlencoded"
_JSON = (MEDIA_TYPE, "application/json", "application/json+fhir")


def create_app(path: str | Path, *, token: str, faults: str) -> Starlette:
    """See `fhir_equity.sandbox.create_app`."""
    endpoint = _Endpoint(Records(path), token, Faults(faults))
    routes = [Route(ROOT + tail, endpoint.answer, methods=list(_METHODS)) for tail in ("", "/{path:path}")]
    return Starlette(routes=routes, exception_handlers={HTTPException: _elsewhere, Exception: _broken})


class _Endpoint:
    """Answers every request below ROOT, one after the other: each is one SQLite transaction."""

    def __init__(self, records: Records, token: str, faults: Faults) -> None:
        self._records = records
        self._token = token
        self._faults = faults

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        path = tuple(filter(None, request.path_params.get("path", "").split("/")))
        write = request.method in ("POST", "PUT", "DELETE") and path[-1:] != ("_search",)
        fault = self._faults.draw(write=write)
        if fault is not None and (instead := _instead(fault)) is not None:
            return instead
        if fault is not None and fault.kind == "stale" and request.method == "PUT":
            self._overtake(path)
        try:
            reply = self._perform(request, path, body)
        except RefusedError as refused:
            response = _refusal(refused)
        else:
            response = _response(reply)
        return response if fault is None else await self._late(fault, response)

    async def _late(self, fault: Fault, response: Response) -> Response:
        """What comes back once the request was served."""
        if fault.kind == "lost":
            return _refusal(RefusedError(503, "transient", "a fault on purpose: the answer is lost"))
        if fault.kind == "truncated":
            return _Cut(bytes(response.body)[: len(response.body) // 2], len(response.body), response.status_code)
        if fault.kind == "slow":
            await asyncio.sleep(self._faults.seconds)
        return response

    def _overtake(self, path: tuple[str, ...]) -> None:
        """Somebody else writes the same resource once more."""
        with self._records.session() as session:
            there = session.current(*path) if len(path) == 2 else None
            if there is not None and not there.deleted:
                session.put(path[0], path[1], there.resource)

    def _perform(self, request: Request, path: tuple[str, ...], body: bytes) -> Reply:
        # Another name for this address comes from a web page that tries to reach us (DNS rebinding).
        if request.url.hostname not in _LOOPBACK:
            raise RefusedError(400, "security", "the sandbox answers to loopback names only")
        self._authorise(request, path)
        accept = request.headers.get("accept", "*/*")
        if not any(word in accept for word in ("json", "*/*", "application/*")):
            raise RefusedError(406, "not-supported", "the only format is JSON")
        call = Call(
            method=request.method,
            path=path,
            base=f"{request.url.scheme}://{request.url.netloc}{ROOT}",
            params=_params(request, path, body),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=_json(request, body) if request.method in ("POST", "PUT") and path[-1:] != ("_search",) else None,
        )
        with self._records.session() as session:
            if call.path:
                return perform(session, call)
            if call.method != "POST":
                raise RefusedError(405, "not-supported", "only POST here", {"Allow": "POST"})
            return run(session, call.body, call.base)

    def _authorise(self, request: Request, path: tuple[str, ...]) -> None:
        if not self._token or path == ("metadata",):
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise RefusedError(401, "login", "a bearer token is needed", {"WWW-Authenticate": "Bearer"})


class _Cut(Response):
    """Promise a body of a length and end before it is whole: the server then cuts the connection."""

    def __init__(self, content: bytes = b"", length: int = 100, status: int = 200) -> None:
        super().__init__(content, status)
        self._length = max(length, len(content) + 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", str(self._length).encode()), (b"content-type", MEDIA_TYPE.encode())]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        if self.body:
            await send({"type": "http.response.body", "body": bytes(self.body), "more_body": True})


def _instead(fault: Fault) -> Response | None:
    """What comes back before anything happened; None where the request is served."""
    text = "a fault on purpose, before anything happened"
    if fault.kind == "drop":
        return _Cut()
    if fault.kind == "html":
        return Response("<!DOCTYPE html><title>Log in</title>", 200, media_type="text/html")
    if fault.kind == "401":
        return _refusal(RefusedError(401, "expired", text, {"WWW-Authenticate": "Bearer"}))
    if fault.kind in ("429", "503"):
        return _refusal(RefusedError(int(fault.kind), "transient", text, {"Retry-After": str(fault.retry_after)}))
    if fault.kind == "503-date":
        moment = datetime.now(UTC) + timedelta(seconds=fault.retry_after)
        headers = {"Retry-After": format_datetime(moment, usegmt=True)}
        return _refusal(RefusedError(503, "transient", text, headers))
    return None


def _params(request: Request, path: tuple[str, ...], body: bytes) -> list[tuple[str, str]]:
    params = parse_qsl(request.url.query, keep_blank_values=True)
    if request.method != "POST" or path[-1:] != ("_search",):
        return params
    if body and _media_type(request) != _FORM:
        raise RefusedError(415, "not-supported", f"a search is posted as {_FORM}")
    try:
        return params + parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RefusedError(400, "structure", "the form is not URL-encoded UTF-8") from None


def _json(request: Request, body: bytes) -> Any:
    if _media_type(request) not in _JSON:
        raise RefusedError(415, "not-supported", f"a resource is sent as {MEDIA_TYPE}")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RefusedError(400, "structure", "the body is not JSON") from None


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _response(reply: Reply) -> Response:
    if reply.resource is None:
        return Response(status_code=reply.status, headers=dict(reply.headers))
    return Response(orjson.dumps(reply.resource), reply.status, dict(reply.headers), MEDIA_TYPE)


def _refusal(refused: RefusedError) -> Response:
    return Response(orjson.dumps(refused.outcome), refused.status, refused.headers, MEDIA_TYPE)


async def _elsewhere(_request: Request, error: Exception) -> Response:
    """Starlette's own refusals: an address outside ROOT or a method nobody knows."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _refusal(RefusedError(status, "not-found", f"the endpoint is at {ROOT}"))


async def _broken(_request: Request, _error: Exception) -> Response:
    """An error of ours; its words may hold values, so they stay here."""
    return _refusal(RefusedError(500, "exception", "the sandbox failed"))
