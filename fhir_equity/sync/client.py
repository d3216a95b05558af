"""The client of an HIE's FHIR endpoint: read, search, create, update, and nothing by accident.

Interactions follow https://hl7.org/fhir/R4/http.html. Searches are posted, so that no identifier is
part of an address; an update always names the version it changes. Every error is a RemoteError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote

import orjson

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.settings import HieSettings
from fhir_equity.sync.replies import Replies, Resource, Versioned, is_same_version, version_made
from fhir_equity.sync.search import Page, Params, matched, matches, moment_of, next_page, promised, query
from fhir_equity.sync.transport import MEDIA_TYPE, Reply, Request, Transport, UnavailableError
from fhir_equity.sync.wire import Incoming, Wire

PAGES = 10_000

_TYPE = re.compile(r"[A-Z][A-Za-z]+")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # https://hl7.org/fhir/R4/datatypes.html#id
_GONE = (404, 410)
_MOVED = (409, 412)

# A server may answer a search from an earlier one's results unless it is told not to (RFC 9111, 5.2.1.4); HAPI does.
_FRESH = {"Cache-Control": "no-cache"}

PATCH = "application/json-patch+json"

__all__ = ["Client", "Conflict", "OutcomeUnknownError", "Resource", "Versioned"]


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


class Client:
    """A connection to the endpoint that `settings` describe; use it as a context manager.

    `wire` takes the place of the library that the settings name, such as a `SessionWire` around a
    session with adapters of your own. Safe to use from several threads. Raises UsageError for settings
    that cannot be used.
    """

    def __init__(self, settings: HieSettings, wire: Wire | None = None) -> None:
        self._base = self.url = settings.url
        self._page_size = settings.page_size
        self._transport = Transport(settings, wire)
        self._host = self.host = self._transport.host
        self._replies = Replies(self._host)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    @property
    def told_when_busy(self) -> bool | None:
        """Whether a refusal for being busy said how long to wait; None while there was none."""
        return self._transport.told_when_busy

    @property
    def requests(self) -> int:
        """How many requests were sent, repeated ones too."""
        return self._transport.requests

    def capability(self) -> Resource:
        """The CapabilityStatement. Raises RemoteError."""
        reply = self._replies.accepted(self._transport.send(Request("GET", f"{self._base}/metadata")))
        return self._replies.resource(reply, "CapabilityStatement")

    def read(self, resource_type: str, key: str) -> Versioned | None:
        """A resource, or None where there is none or it was deleted.

        Raises RemoteError, and RemoteContentError when what answers is no FHIR server: a gateway's
        page that says "not found" does not tell that the resource is missing.
        """
        reply = self._transport.send(Request("GET", self._address(resource_type, key)))
        if reply.status in _GONE:
            if reply.content:
                self._replies.resource(reply, "OperationOutcome")
            return None
        return self._replies.versioned(self._replies.accepted(reply), resource_type, key)

    def search(self, resource_type: str, params: Params) -> Iterator[Resource]:
        """All resources that match, and what the search includes; `params` as `sync.search.query` takes them.

        Raises RemoteError, also when the server's links go round in circles or lead elsewhere.
        """
        for page in self.pages(resource_type, params):
            yield from page.resources

    def pages(self, resource_type: str, params: Params) -> Iterator[Page]:
        """The same page by page, with the server's own clock.

        Raises RemoteError too where the last page comes before all that the server says there is: some keep no more
        than the first page, and what is missing would look as if it were not there.
        """
        content = query({"_count": str(self._page_size), **params}).encode()
        # A server that ignores a parameter would answer with everyone (search.html#errors).
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Prefer": "handling=strict", **_FRESH}
        request = Request("POST", f"{self._address(resource_type)}/_search", headers, content)
        seen: set[str] = set()
        found = 0
        while True:
            reply = self._replies.accepted(self._transport.send(request))
            bundle = self._replies.resource(reply, "Bundle")
            yield Page(tuple(matches(bundle)), moment_of(bundle, reply.headers))
            found += matched(bundle)
            url = next_page(bundle, self._base)
            if not url and found < promised(bundle):
                raise RemoteError(
                    f"{self._host} has {promised(bundle)} matches, gives {found} of them and no next page; "
                    "a larger page_size may help"
                )
            if not url:
                return
            if url in seen or len(seen) >= PAGES:
                raise RemoteError(f"the pages of {self._host} do not come to an end")
            seen.add(url)
            request = Request("GET", url)

    def create(self, resource: Resource, if_none_exist: str = "", *, proven: bool = True) -> Versioned:
        """Create a resource, or find the one that `if_none_exist` describes (a query string).

        Status 201 means created, 200 found. Without `if_none_exist`, or where it is not `proven` that the server looks
        at it, a create whose answer got lost is not repeated. Raises Conflict when several match,
        OutcomeUnknownError, RemoteError, and RemoteContentError for an answer that is not FHIR, which leaves the
        outcome unknown as well.
        """
        resource_type = str(resource.get("resourceType", ""))
        headers = {"If-None-Exist": quote(if_none_exist, safe="%=&|:/?,.~$;@!*'()+")} if if_none_exist else {}
        request = self._write(
            "POST", self._address(resource_type), resource, headers, repeatable=bool(if_none_exist) and proven
        )
        reply = self._written(request)
        if self._replies.is_full(reply):
            return self._replies.versioned(reply, resource_type)
        # The server sent nothing or an OperationOutcome; where the resource is, it has to say.
        found = re.search(rf"(?:^|/){resource_type}/([A-Za-z0-9\-.]{{1,64}})(?:/|$)", reply.headers.get("location", ""))
        if found is None:
            raise RemoteContentError(f"{self._host} does not say what it created")
        return self._read_back(resource_type, found[1], reply)

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
        if self._replies.is_full(reply):
            return self._replies.versioned(reply, resource_type, key)
        return self._read_back(resource_type, key, reply)

    def patch(self, resource_type: str, key: str, operations: list[Resource], etag: str) -> Versioned:
        """Apply a JSON Patch (https://hl7.org/fhir/R4/http.html#patch) to the version `etag` of a resource.

        Raises as `update` does. Only where the server's profile says that it keeps nested extensions whole.
        """
        if not (etag and etag.isascii() and etag.isprintable()):
            raise UsageError("a patch needs the tag of the version it changes")
        headers = {"Content-Type": PATCH, "Prefer": "return=representation", "If-Match": etag}
        request = Request("PATCH", self._address(resource_type, key), headers, orjson.dumps(operations))
        reply = self._written(request)
        if self._replies.is_full(reply):
            return self._replies.versioned(reply, resource_type, key)
        return self._read_back(resource_type, key, reply)

    def delete(self, resource_type: str, key: str, etag: str = "") -> None:
        """Delete a resource, of the version `etag` where it is given; one that is gone is as good.

        Raises Conflict, OutcomeUnknownError, RemoteError.
        """
        conditions = {"If-Match": etag} if etag else {}
        request = Request("DELETE", self._address(resource_type, key), conditions)
        try:
            reply = self._transport.send(request)
        except UnavailableError as error:
            if error.unsure:
                raise OutcomeUnknownError(f"{error}; the deletion may have been carried out") from None
            raise
        if reply.status in _MOVED:
            raise Conflict(f"{self._host} answered {reply.status}", status=reply.status, repeated=reply.unsure)
        if reply.status not in _GONE:
            self._replies.accepted(reply)

    def transaction(self, bundle: Resource) -> Resource:
        """Send a Bundle of type transaction or batch once and return the server's Bundle.

        Raises Conflict, OutcomeUnknownError, RemoteError, RemoteContentError. Only where the server's
        profile says that a transaction that fails leaves nothing behind.
        """
        request = Request("POST", self._base, {"Content-Type": MEDIA_TYPE}, orjson.dumps(bundle), repeatable=False)
        return self._replies.resource(self._written(request), "Bundle")

    def operation(self, resource_type: str, name: str, parameters: Resource) -> Resource:
        """Ask for an operation that changes nothing, such as ``$match``. Raises RemoteError, RemoteContentError."""
        url = f"{self._address(resource_type)}/{name}"
        reply = self._transport.send(Request("POST", url, {"Content-Type": MEDIA_TYPE}, orjson.dumps(parameters)))
        return self._replies.parsed(self._replies.accepted(reply))

    def asked(self, method: str, url: str, headers: Mapping[str, str]) -> Reply:
        """Ask an address that the server named; the caller looks at the status. Raises RemoteError."""
        return self._transport.send(Request(method, url, headers))

    def fetch(self, make: Callable[[], Request], handle: Callable[[Incoming], None]) -> None:
        """Take a body piece by piece: each attempt sends what `make` makes. Raises RemoteError."""
        self._transport.fetch(make, handle)

    def parsed(self, reply: Reply) -> Resource:
        """A body as JSON object. Raises RemoteContentError."""
        return self._replies.parsed(reply)

    def refusal(self, reply: Reply) -> RemoteError:
        """The error of a request that was not accepted."""
        return self._replies.refusal(reply)

    def tried(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Reply:
        """Send once what may well be refused, and return whatever comes back. Only a probe asks this way.

        Raises RemoteError where nothing comes back.
        """
        content = None if body is None else orjson.dumps(body)
        url = f"{self._base}/{path}" if path else self._base
        kinds = {"Content-Type": MEDIA_TYPE} if body is not None else {}
        return self._transport.send(Request(method, url, {**kinds, **headers}, content, repeatable=False))

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
        return self._replies.accepted(reply)

    def _read_back(self, resource_type: str, key: str, reply: Reply) -> Versioned:
        found = self.read(resource_type, key)
        if found is None:
            raise OutcomeUnknownError(f"{self._host} accepted a write and does not have what was written")
        later = not is_same_version(version_made(reply.headers), found.etag)
        return Versioned(found.resource, found.etag, reply.status, later)
