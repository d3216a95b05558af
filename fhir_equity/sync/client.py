"""The client of an HIE's FHIR endpoint: read, search, create, update, and nothing by accident.

Interactions follow https://hl7.org/fhir/R4/http.html. Searches are posted, so that no identifier is
part of an address; an update always names the version it changes. Every error is a RemoteError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import orjson
from msgspec import Struct

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.settings import HieSettings
from fhir_equity.sync.search import Params, matches, next_page, query
from fhir_equity.sync.transport import MEDIA_TYPE, Reply, Request, Transport, UnavailableError
from fhir_equity.sync.wire import Wire

PAGES = 10_000

_TYPE = re.compile(r"[A-Z][A-Za-z]+")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # https://hl7.org/fhir/R4/datatypes.html#id
_GONE = (404, 410)
_MOVED = (409, 412)

Resource = dict[str, Any]


class Conflict(RemoteError):  # noqa: N818 -- named after what happened, like the status
    """The version has moved on, or several resources meet If-None-Exist (409, 412).

    `repeated` means that an earlier attempt of this very write may have been carried out, and may
    be what moved the version: read back before deciding.
    """

    def __init__(self, message: str, *, status: int, repeated: bool) -> None:
        super().__init__(message)
        self.status = status
        self.repeated = repeated


class OutcomeUnknownError(RemoteError):
    """A write may or may not have been carried out: read back before deciding."""


class Versioned(Struct, frozen=True):
    """A resource as the server has it, the tag of its version, and the status it came with."""

    resource: Resource
    etag: str
    status: int

    def __repr__(self) -> str:
        return f"Versioned({self.resource.get('resourceType')}, status={self.status})"


class Client:
    """A connection to the endpoint that `settings` describe; use it as a context manager.

    `wire` takes the place of the library that the settings name, such as a `SessionWire` around a
    session with adapters of your own. Safe to use from several threads. Raises UsageError for settings
    that cannot be used.
    """

    def __init__(self, settings: HieSettings, wire: Wire | None = None) -> None:
        self._base = settings.url
        self._page_size = settings.page_size
        self._transport = Transport(settings, wire)
        self._host = self._transport.host

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def capability(self) -> Resource:
        """The CapabilityStatement. Raises RemoteError."""
        reply = self._accepted(self._transport.send(Request("GET", f"{self._base}/metadata")))
        return self._resource(reply, "CapabilityStatement")

    def read(self, resource_type: str, key: str) -> Versioned | None:
        """A resource, or None where there is none or it was deleted.

        Raises RemoteError, and RemoteContentError when what answers is no FHIR server: a gateway's
        page that says "not found" does not tell that the resource is missing.
        """
        reply = self._transport.send(Request("GET", self._address(resource_type, key)))
        if reply.status in _GONE:
            if reply.content:
                self._resource(reply, "OperationOutcome")
            return None
        return self._versioned(self._accepted(reply), resource_type, key)

    def search(self, resource_type: str, params: Params) -> Iterator[Resource]:
        """All resources that match, page by page; `params` as `sync.search.query` takes them.

        Raises RemoteError, also when the server's links go round in circles or lead elsewhere.
        """
        content = query({"_count": str(self._page_size), **params}).encode()
        # A server that ignores a parameter would answer with everyone (search.html#errors).
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Prefer": "handling=strict"}
        request = Request("POST", f"{self._address(resource_type)}/_search", headers, content)
        seen: set[str] = set()
        while True:
            bundle = self._resource(self._accepted(self._transport.send(request)), "Bundle")
            yield from matches(bundle)
            url = next_page(bundle, self._base)
            if not url:
                return
            if url in seen or len(seen) >= PAGES:
                raise RemoteError(f"the pages of {self._host} do not come to an end")
            seen.add(url)
            request = Request("GET", url)

    def create(self, resource: Resource, if_none_exist: str = "") -> Versioned:
        """Create a resource, or find the one that `if_none_exist` describes (a query string).

        Status 201 means created, 200 found. Without `if_none_exist` a create whose answer got lost
        is not repeated. Raises Conflict when several match, OutcomeUnknownError, RemoteError, and
        RemoteContentError for an answer that is not FHIR, which leaves the outcome unknown as well.
        """
        resource_type = str(resource.get("resourceType", ""))
        headers = {"If-None-Exist": quote(if_none_exist, safe="%=&|:/?,.~$;@!*'()+")} if if_none_exist else {}
        request = self._write("POST", self._address(resource_type), resource, headers, repeatable=bool(if_none_exist))
        reply = self._written(request)
        if self._is_full(reply):
            return self._versioned(reply, resource_type)
        # The server sent nothing or an OperationOutcome; where the resource is, it has to say.
        found = re.search(rf"(?:^|/){resource_type}/([A-Za-z0-9\-.]{{1,64}})(?:/|$)", reply.headers.get("location", ""))
        if found is None:
            raise RemoteContentError(f"{self._host} does not say what it created")
        return self._read_back(resource_type, found[1], reply.status)

    def update(self, resource: Resource, etag: str) -> Versioned:
        """Replace the version `etag` of a resource; may be repeated, because the version decides.

        Raises Conflict when the version has moved on, OutcomeUnknownError, RemoteError,
        RemoteContentError for an answer that is not FHIR, which leaves the outcome unknown as well,
        and UsageError without an `etag`: nothing is overwritten unseen.
        """
        if not (etag and etag.isascii() and etag.isprintable()):
            raise UsageError("an update needs the tag of the version it replaces")
        resource_type, key = str(resource.get("resourceType", "")), str(resource.get("id", ""))
        address = self._address(resource_type, key)
        reply = self._written(self._write("PUT", address, resource, {"If-Match": etag}, repeatable=True))
        if self._is_full(reply):
            return self._versioned(reply, resource_type, key)
        return self._read_back(resource_type, key, reply.status)

    def _address(self, resource_type: str, key: str | None = None) -> str:
        if not _TYPE.fullmatch(resource_type):
            raise UsageError("that is no type of a FHIR resource")
        if key is None:
            return f"{self._base}/{resource_type}"
        if not _ID.fullmatch(key) or not key.strip("."):
            raise UsageError("that is no id of a FHIR resource")
        return f"{self._base}/{resource_type}/{key}"

    def _write(
        self, method: str, url: str, resource: Resource, conditions: Mapping[str, str], *, repeatable: bool
    ) -> Request:
        headers = {"Content-Type": MEDIA_TYPE, "Prefer": "return=representation", **conditions}
        return Request(method, url, headers, orjson.dumps(resource), repeatable)

    def _written(self, request: Request) -> Reply:
        try:
            reply = self._transport.send(request)
        except UnavailableError as error:
            if error.unsure:
                raise OutcomeUnknownError(f"{error}; the write may have been carried out") from None
            raise
        if reply.status in _MOVED:
            message = f"{self._host} answered {reply.status}: the version has moved on or several match"
            raise Conflict(message, status=reply.status, repeated=reply.unsure)
        if reply.status >= 500 or (reply.status >= 300 and reply.unsure):
            raise OutcomeUnknownError(f"{self._host} answered {reply.status}; the write may have been carried out")
        return self._accepted(reply)

    def _read_back(self, resource_type: str, key: str, status: int) -> Versioned:
        found = self.read(resource_type, key)
        if found is None:
            raise OutcomeUnknownError(f"{self._host} accepted a write and does not have what was written")
        return Versioned(found.resource, found.etag, status)

    def _accepted(self, reply: Reply) -> Reply:
        if 200 <= reply.status < 300:
            return reply
        if 300 <= reply.status < 400:
            raise RemoteError(f"{self._host} redirects ({reply.status}); configure the address it redirects to")
        raise RemoteError(f"{self._host} refused a request with {reply.status}")

    def _is_full(self, reply: Reply) -> bool:
        """Whether a write was answered with the resource, as asked, and not with less."""
        return bool(reply.content) and self._parsed(reply).get("resourceType") != "OperationOutcome"

    def _versioned(self, reply: Reply, resource_type: str, key: str = "") -> Versioned:
        resource = self._resource(reply, resource_type)
        if key and resource.get("id") != key:
            raise RemoteContentError(f"{self._host} answered with another {resource_type} than was asked for")
        meta = resource.get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else None
        etag = reply.headers.get("etag") or (f'W/"{version}"' if version else "")
        return Versioned(resource, etag, reply.status)

    def _resource(self, reply: Reply, resource_type: str) -> Resource:
        resource = self._parsed(reply)
        if resource.get("resourceType") != resource_type:
            raise RemoteContentError(f"{self._host} answered {reply.status} with something else than {resource_type}")
        return resource

    def _parsed(self, reply: Reply) -> Resource:
        """The body as JSON object; anything else, such as XML or a log-in page, is refused."""
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        resource: object = None
        if kind in ("", "text/json") or re.fullmatch(r"application/(?:[\w.-]+\+)?json(?:\+fhir)?", kind):
            try:
                resource = orjson.loads(reply.content)
            except orjson.JSONDecodeError:
                resource = None
        if not isinstance(resource, dict):
            raise RemoteContentError(f"{self._host} answered {reply.status} with something that is not FHIR JSON")
        return resource
