"""The RESTful interactions of the sandbox, without HTTP: a Call in, a Reply out.

Behaviour follows https://hl7.org/fhir/R4/http.html; batch and transaction run the same interactions.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

import orjson
from msgspec import Struct

from fhir_equity.sandbox.capability import RESOURCES, capability
from fhir_equity.sandbox.outcome import RefusedError
from fhir_equity.sandbox.records import Condition, Session, Stored
from fhir_equity.sandbox.search import Parameters, parse
from fhir_equity.sandbox.validity import check

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


class Call(Struct, frozen=True):
    """One request: `path` is split and relative to `base`; header names are in lower case.

    `new_id` is the id that a transaction has chosen for what this call creates.
    """

    method: str
    path: tuple[str, ...]
    base: str
    params: Parameters = ()
    headers: Mapping[str, str] = {}
    body: Any = None
    new_id: str = ""


class Reply(Struct, frozen=True):
    """The answer to a Call; no body where `resource` is None."""

    status: int
    resource: dict[str, Any] | None = None
    headers: Mapping[str, str] = {}


def perform(session: Session, call: Call) -> Reply:
    """Carry out one interaction. Raises RefusedError."""
    if call.path == ("metadata",):
        return _one_of(session, call, {"GET": _metadata})
    if not call.path or call.path[0] not in RESOURCES:
        raise RefusedError(404, "not-found", f"there are {' and '.join(RESOURCES)} here")
    rest = call.path[1:]
    if not rest:
        return _one_of(session, call, {"GET": _search, "POST": _create})
    if rest == ("_search",):
        return _one_of(session, call, {"POST": _search})
    if not _ID.fullmatch(rest[0]):
        raise RefusedError(404, "not-found", "that is no id of a resource")
    if len(rest) == 1:
        return _one_of(session, call, {"GET": _read, "PUT": _update, "DELETE": _delete})
    if len(rest) == 3 and rest[1] == "_history":
        return _one_of(session, call, {"GET": _vread})
    raise RefusedError(404, "not-found", "there is nothing at this address")


def _one_of(session: Session, call: Call, steps: Mapping[str, Callable[[Session, Call], Reply]]) -> Reply:
    if call.method not in steps:
        allowed = ", ".join(steps)
        raise RefusedError(405, "not-supported", f"only {allowed} here", {"Allow": allowed})
    return steps[call.method](session, call)


def _metadata(_session: Session, call: Call) -> Reply:
    return Reply(200, capability(call.base))


def _create(session: Session, call: Call) -> Reply:
    kind = call.path[0]
    resource = check(kind, call.body)
    found = matching(session, call)
    if found is not None:
        return _described(found, call, 200)
    stored = session.put(kind, call.new_id or str(uuid.uuid4()), resource)
    return _described(stored, call, 201)


def matching(session: Session, call: Call) -> Stored | None:
    """The resource that If-None-Exist names (http.html#ccreate). Raises RefusedError (412) for several."""
    query = call.headers.get("if-none-exist")
    if query is None:
        return None
    # The header holds what would follow the question mark of a search; some senders add the rest.
    parameters = parse_qsl(query.rpartition("?")[2], keep_blank_values=True)
    search = parse(call.path[0], parameters, call.base)
    if not search.conditions:
        raise RefusedError(412, "incomplete", "If-None-Exist has no criteria")
    found = session.find(call.path[0], search.conditions, 2)
    if len(found) > 1:
        raise RefusedError(412, "multiple-matches", "several resources match If-None-Exist")
    return found[0] if found else None


def _read(session: Session, call: Call) -> Reply:
    stored = _present(session.current(*call.path))
    if call.headers.get("if-none-match") in (_etag(stored), "*"):
        return Reply(304, None, {"ETag": _etag(stored)})
    return _described(stored, call, 200)


def _vread(session: Session, call: Call) -> Reply:
    kind, key, _, number = call.path
    known = re.fullmatch(r"[0-9]{1,9}", number)
    return _described(_present(session.version(kind, key, int(number)) if known else None), call, 200)


def _update(session: Session, call: Call) -> Reply:
    kind, key = call.path
    resource = check(kind, call.body)
    if resource.get("id") != key:
        raise RefusedError(400, "invalid", "the id in the resource is not the one in the address")
    existing = session.current(kind, key)
    _unmoved(existing, call)
    stored = session.put(kind, key, resource)
    return _described(stored, call, 201 if existing is None or existing.deleted else 200)


def _delete(session: Session, call: Call) -> Reply:
    kind, key = call.path
    existing = session.current(kind, key)
    if existing is None:
        raise RefusedError(404, "not-found", "there is no such resource")
    _unmoved(existing, call)
    references = (f"{kind}/{key}", f"{call.base}/{kind}/{key}")
    if kind == "Patient" and session.count("Observation", [Condition("c.subject in (?, ?)", references)]):
        raise RefusedError(409, "conflict", "an Observation refers to this Patient")
    if not existing.deleted:
        session.delete(kind, key)
    return Reply(204)


def _unmoved(existing: Stored | None, call: Call) -> None:
    """Hold If-Match (http.html#concurrency): a weak or strong tag of the newest version."""
    wanted = call.headers.get("if-match")
    if wanted is None:
        return
    current = "" if existing is None or existing.deleted else str(existing.number)
    if wanted.removeprefix("W/").strip('"') != current or not current:
        raise RefusedError(412, "conflict", "the version has moved on")


def _search(session: Session, call: Call) -> Reply:
    """One page. The next link carries an opaque cursor, so that no identifier gets into an address."""
    pages = [value for name, value in call.params if name == "_page"]
    if pages:
        kept = session.cursor(pages[0])
        if kept is None:
            raise RefusedError(410, "expired", "this page is no longer known; search again")
        kind, parameters, after = orjson.loads(kept)
    else:
        kind, parameters, after = call.path[0], list(call.params), None
    search = parse(kind, parameters, call.base)
    beyond = "c.updated < ?" if search.newest_first else "c.updated > ?"
    position = [Condition(beyond, (after,))] if after is not None else []
    conditions, most = [*search.conditions, *position], search.count + 1
    found = session.find(kind, conditions, most, newest_first=search.newest_first) if search.count else []
    page = found[: search.count]
    # A self link with the parameters would repeat the identifier, so it names the type only.
    links = [{"relation": "self", "url": f"{call.base}/{kind}"}]
    if len(found) > len(page):
        token = secrets.token_urlsafe(18)
        session.keep_cursor(token, orjson.dumps([kind, parameters, page[-1].updated]))
        links.append({"relation": "next", "url": f"{call.base}/{kind}?_page={token}"})
    total = session.count(kind, search.conditions)
    return Reply(200, _searchset(page, total, links, call.base))


def _searchset(page: list[Stored], total: int, links: list[dict[str, str]], base: str) -> dict[str, Any]:
    entries = [
        {"fullUrl": f"{base}/{item.type}/{item.id}", "resource": item.resource, "search": {"mode": "match"}}
        for item in page
    ]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": total, "link": links}
    # An empty array is not valid FHIR JSON.
    return bundle | ({"entry": entries} if entries else {})


def _present(stored: Stored | None) -> Stored:
    if stored is None:
        raise RefusedError(404, "not-found", "there is no such resource")
    if stored.deleted:
        raise RefusedError(410, "deleted", "the resource has been deleted")
    return stored


def _described(stored: Stored, call: Call, status: int) -> Reply:
    headers = {"ETag": _etag(stored), "Last-Modified": formatdate(stored.updated / 1000, usegmt=True)}
    if call.method in ("POST", "PUT"):
        headers["Location"] = f"{call.base}/{stored.type}/{stored.id}/_history/{stored.number}"
    return Reply(status, stored.resource, headers)


def _etag(stored: Stored) -> str:
    return f'W/"{stored.number}"'
