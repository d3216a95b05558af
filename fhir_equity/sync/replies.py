"""What an HIE's endpoint answered: the resource that was asked for, or an error without a value of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from msgspec import Struct

from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.sync.transport import Reply

Resource = dict[str, Any]

# What of an OperationOutcome is shown: where an element is said to be wrong, without any value, and the codes of
# https://hl7.org/fhir/R4/valueset-issue-type.html.
_PLACE = re.compile(r"[A-Z][A-Za-z]{1,40}(?:\.[a-z][A-Za-z]{0,40}(?:\[\d{1,4}\])?){0,12}")
_VERSION = re.compile(r"/_history/([A-Za-z0-9\-.]{1,64})$")
_ISSUES = frozenset(
    (
        *("invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired"),
        *("forbidden", "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found"),
        *("deleted", "too-long", "code-invalid", "extension", "too-costly", "business-rule", "conflict"),
        *("transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled", "informational"),
    )
)


class Versioned(Struct, frozen=True):
    """A resource as the server has it, the tag of its version, and the status it came with.

    `later` is one that was read after a write of ours and may be of somebody else by then: it is not known to be the
    version that we made.
    """

    resource: Resource
    etag: str
    status: int
    later: bool = False

    @property
    def ours(self) -> str:
        """The tag of the version that our write made; empty where that is not known."""
        return "" if self.later else self.etag

    def __repr__(self) -> str:
        return f"Versioned({self.resource.get('resourceType')}, status={self.status})"


def found_version(resource: Resource) -> Versioned | None:
    """A resource of a search as a read would give it; None for one without a version, or that is not whole.

    The tag of a version is ``W/"id"`` (https://hl7.org/fhir/R4/http.html#versioning); what is not whole says
    so (``SUBSETTED``, https://hl7.org/fhir/R4/search.html#summary).
    """
    meta = resource.get("meta")
    version, tags = (meta.get("versionId"), meta.get("tag")) if isinstance(meta, dict) else (None, None)
    codes = [each.get("code") for each in tags if isinstance(each, dict)] if isinstance(tags, list) else []
    return None if not version or "SUBSETTED" in codes else Versioned(resource, f'W/"{version}"', 200)


def is_same_version(one: str, other: str) -> bool:
    """Whether two tags name the same version; some servers leave out that theirs are weak."""
    return one.removeprefix("W/") == other.removeprefix("W/")


def version_made(headers: Mapping[str, str]) -> str:
    """The tag of the version that a write made, as its answer names it; empty where it does not.

    By ETag, else by the Location with a version (https://hl7.org/fhir/R4/http.html#create).
    """
    place = _VERSION.search(headers.get("location") or headers.get("content-location") or "")
    return headers.get("etag") or (f'W/"{place[1]}"' if place else "")


class Replies:
    """Reads what one host answers."""

    def __init__(self, host: str) -> None:
        self._host = host

    def accepted(self, reply: Reply) -> Reply:
        """The reply, if the request was accepted. Raises RemoteError, which tells codes and places at most."""
        if 200 <= reply.status < 300:
            return reply
        if 300 <= reply.status < 400:
            raise RemoteError(f"{self._host} redirects ({reply.status}); configure the address it redirects to")
        raise self.refusal(reply)

    def refusal(self, reply: Reply) -> RemoteError:
        """The error of a request that was not accepted; codes and places at most."""
        return RemoteError(f"{self._host} refused a request with {reply.status}{self._why(reply)}")

    def is_full(self, reply: Reply) -> bool:
        """Whether a write was answered with the resource, as asked, and not with less."""
        return bool(reply.content) and self.parsed(reply).get("resourceType") != "OperationOutcome"

    def versioned(self, reply: Reply, resource_type: str, key: str = "") -> Versioned:
        """The resource with its version. Raises RemoteContentError for another than was asked for."""
        resource = self.resource(reply, resource_type)
        if key and resource.get("id") != key:
            raise RemoteContentError(f"{self._host} answered with another {resource_type} than was asked for")
        meta = resource.get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else None
        etag = reply.headers.get("etag") or (f'W/"{version}"' if version else "")
        return Versioned(resource, etag, reply.status)

    def resource(self, reply: Reply, resource_type: str) -> Resource:
        """A resource of a type. Raises RemoteContentError for anything else."""
        resource = self.parsed(reply)
        if resource.get("resourceType") != resource_type:
            raise RemoteContentError(f"{self._host} answered {reply.status} with something else than {resource_type}")
        return resource

    def parsed(self, reply: Reply) -> Resource:
        """The body as JSON object; anything else, such as XML or a log-in page, is refused."""
        resource = _json(reply)
        if resource is None:
            raise RemoteContentError(f"{self._host} answered {reply.status} with something that is not FHIR JSON")
        return resource

    def _why(self, reply: Reply) -> str:
        """Codes and places of an OperationOutcome; never its words, which may quote what was sent."""
        issues = (_json(reply) or {}).get("issue")
        said = dict.fromkeys(filter(None, map(_said, issues if isinstance(issues, list) else [])))
        return f" ({'; '.join(list(said)[:5])})" if said else ""


def issue_code(issue: Any) -> str:
    """The code of an issue where it is one of the standard's, else ``unknown``."""
    code = issue.get("code") if isinstance(issue, dict) else None
    return code if isinstance(code, str) and code in _ISSUES else "unknown"


def _said(issue: Any) -> str:
    if not isinstance(issue, dict):
        return ""
    code, places = issue.get("code"), issue.get("expression")
    where = [p for p in places if isinstance(p, str) and _PLACE.fullmatch(p)] if isinstance(places, list) else []
    return " ".join([code, *where[:1]]) if isinstance(code, str) and code in _ISSUES else ""


def _json(reply: Reply) -> Resource | None:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("", "text/json") or re.fullmatch(r"application/(?:[\w.-]+\+)?json(?:\+fhir)?", kind):
        try:
            resource = orjson.loads(reply.content)
        except orjson.JSONDecodeError:
            return None
        return resource if isinstance(resource, dict) else None
    return None
