"""Batch and transaction (https://hl7.org/fhir/R4/http.html#transaction)."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from msgspec import structs

from fhir_equity.sandbox.capability import RESOURCES
from fhir_equity.sandbox.interactions import Call, Reply, matching, perform
from fhir_equity.sandbox.outcome import RefusedError
from fhir_equity.sandbox.records import Session

# The order in which a transaction is carried out, whatever the order of its entries.
_ORDER = ("DELETE", "POST", "PUT", "GET")
# Header of the single interaction and the element of Bundle.entry.request that stands for it.
_CONDITIONS = (
    ("if-match", "ifMatch"),
    ("if-none-match", "ifNoneMatch"),
    ("if-none-exist", "ifNoneExist"),
)


def run(session: Session, bundle: object, base: str) -> Reply:
    """Carry out a batch or a transaction.

    Entries of a batch fail one by one; a transaction raises RefusedError for the first that fails,
    and the session must then be undone.
    """
    kind = bundle.get("type") if isinstance(bundle, dict) and bundle.get("resourceType") == "Bundle" else None
    entries = bundle.get("entry", []) if isinstance(bundle, dict) else []
    if kind not in ("batch", "transaction") or not isinstance(entries, list):
        raise RefusedError(400, "invalid", "only a Bundle of type batch or transaction is taken here")
    if kind == "batch":
        answers = [_batched(session, entry, base) for entry in entries]
    else:
        answers = [_answer(reply) for reply in _transact(session, entries, base)]
    result: dict[str, Any] = {"resourceType": "Bundle", "type": f"{kind}-response"}
    return Reply(200, result | ({"entry": answers} if answers else {}))


def _batched(session: Session, entry: object, base: str) -> dict[str, Any]:
    # An interaction that is refused has written nothing, so there is nothing to undo.
    try:
        return _answer(perform(session, _call(entry, base)))
    except RefusedError as refused:
        return {"response": {"status": _status(refused.status), "outcome": refused.outcome}}


def _transact(session: Session, entries: list[Any], base: str) -> list[Reply]:
    calls = [_call(entry, base) for entry in entries]
    targets = [call.path for call in calls if call.method in ("PUT", "DELETE")]
    if len(set(targets)) < len(targets):
        raise RefusedError(400, "invalid", "a transaction names the same resource twice")
    calls = [_with_id(session, call) for call in calls]
    names = {
        entry["fullUrl"]: "/".join((call.path[0], call.new_id or call.path[1]))
        for entry, call in zip(entries, calls, strict=True)
        if "fullUrl" in entry and (call.new_id or (call.method == "PUT" and len(call.path) == 2))
    }
    calls = [structs.replace(call, body=_renamed(call.body, names)) for call in calls]
    replies: dict[int, Reply] = {}
    # Patients go after the Observations that refer to them.
    order = sorted(
        range(len(calls)), key=lambda at: (_ORDER.index(calls[at].method), calls[at].path[:1] == ("Patient",))
    )
    for at in order:
        replies[at] = perform(session, calls[at])
        made = (replies[at].resource or {}).get("id")
        if calls[at].new_id not in ("", made):
            raise RefusedError(412, "duplicate", "two entries of the transaction are the same resource")
    return [replies[at] for at in range(len(calls))]


def _call(entry: object, base: str) -> Call:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(request, dict):
        raise RefusedError(400, "invalid", "an entry has no request")
    method, url = request.get("method"), request.get("url")
    if method not in _ORDER or not isinstance(url, str) or not isinstance(entry.get("fullUrl", ""), str):
        raise RefusedError(400, "invalid", "the request of an entry has no method and url that are taken here")
    path, _, query = url.removeprefix(base).strip("/").partition("?")
    headers = {header: str(request[name]) for header, name in _CONDITIONS if name in request}
    return Call(
        method=method,
        path=tuple(path.split("/")),
        base=base,
        params=parse_qsl(query, keep_blank_values=True),
        headers=headers,
        body=entry.get("resource"),
    )


def _with_id(session: Session, call: Call) -> Call:
    """Choose the id of what a POST makes beforehand, so that other entries can refer to it."""
    if call.method != "POST" or len(call.path) != 1:
        return call
    existing = matching(session, call) if call.path[0] in RESOURCES else None
    return structs.replace(call, new_id=existing.id if existing else str(uuid.uuid4()))


def _renamed(element: Any, names: dict[str, str]) -> Any:
    """Replace references to the fullUrl of another entry by what it becomes here."""
    if isinstance(element, list):
        return [_renamed(item, names) for item in element]
    if isinstance(element, dict):
        return {
            name: names.get(value, value) if name == "reference" and isinstance(value, str) else _renamed(value, names)
            for name, value in element.items()
        }
    return element


def _answer(reply: Reply) -> dict[str, Any]:
    response = {"status": _status(reply.status)}
    if "Location" in reply.headers:
        response["location"] = reply.headers["Location"]
    if "ETag" in reply.headers:
        response["etag"] = reply.headers["ETag"]
    if reply.resource is None:
        return {"response": response}
    changed = reply.resource.get("meta", {}).get("lastUpdated")
    return {"resource": reply.resource, "response": response | ({"lastModified": changed} if changed else {})}


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
