"""Words of a FHIR search: tokens, query strings, and what a page of results holds.

Source: https://hl7.org/fhir/R4/search.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from fhir_equity.errors import RemoteContentError, RemoteError

# https://hl7.org/fhir/R4/datatypes.html#instant: a time zone is required.
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

Token = tuple[str, str]  # system, value
Params = Mapping[str, str | Sequence[str]]

_PORTS = (("http", 80), ("https", 443))


def token(system: str, value: str) -> str:
    """``system|value`` for a token parameter, escaped (search.html#escaping)."""
    return f"{_escaped(system)}|{_escaped(value)}"


def query(params: Params) -> str:
    """A query string, for a form body or If-None-Exist. A sequence repeats its parameter (AND)."""
    return urlencode(params, doseq=True)


class Page(NamedTuple):
    """One page of results: its resources, and the server's own clock when it made it (ISO, else empty)."""

    resources: tuple[dict[str, Any], ...]
    moment: str


def moment_of(bundle: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The server's clock: Bundle.meta.lastUpdated, else the Date header (RFC 9110, 6.6.1); empty for neither."""
    meta = bundle.get("meta")
    said = meta.get("lastUpdated") if isinstance(meta, dict) else None
    if isinstance(said, str) and INSTANT.fullmatch(said):
        return said
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return ""
    return moment.replace(tzinfo=moment.tzinfo or UTC).isoformat()


def matches(bundle: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The resources of one page of results.

    Raises RemoteContentError for an entry without a resource, and RemoteError where the server
    says in the page that the results are not complete: taking them for all there is would make a
    known person look unknown.
    """
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise RemoteContentError("a page of search results is not a FHIR Bundle")
    for entry in entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            raise RemoteContentError("an entry of the search results has no resource")
        if resource.get("resourceType") != "OperationOutcome":
            yield resource
        elif _failed(resource):
            raise RemoteError("the server reports an error inside the search results")


def matched(bundle: Mapping[str, Any]) -> int:
    """How many entries of a page are matches: no includes, no words about the search (Bundle.entry.search.mode)."""
    return sum(_is_match(entry) for entry in bundle.get("entry", []))


def _is_match(entry: Mapping[str, Any]) -> bool:
    said = entry.get("search")
    mode = said.get("mode", "match") if isinstance(said, dict) else "match"
    return bool(mode == "match" and entry["resource"].get("resourceType") != "OperationOutcome")


def promised(bundle: Mapping[str, Any]) -> int:
    """How many matches there are on all pages together (Bundle.total); 0 where the server does not say."""
    total = bundle.get("total")
    return total if isinstance(total, int) else 0


def is_same_origin(url: str, here: str) -> bool:
    """Whether an address is on the same server as `here`: only there our log-in has any business."""
    try:
        return _origin(url) == _origin(here)
    except ValueError:
        return False


def next_page(bundle: Mapping[str, Any], here: str) -> str:
    """The address of the next page, or empty on the last one; `here` is the base URL.

    Raises RemoteError when the link leads to another origin, where our token has no business.
    """
    links = bundle.get("link", [])
    urls = [link.get("url") for link in links if isinstance(link, dict) and link.get("relation") == "next"]
    if not urls:
        return ""
    if not isinstance(urls[0], str):
        raise RemoteContentError("the link to the next page has no address")
    try:
        there = urljoin(here + "/", urls[0])
    except ValueError:
        there = ""
    if not is_same_origin(there, here):
        raise RemoteError("the link to the next page leads to another server; it was not followed")
    return there


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port as https://www.rfc-editor.org/rfc/rfc6454#section-4 compares them."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials in an address")
    return parts.scheme, (parts.hostname or "").lower(), parts.port or dict(_PORTS).get(parts.scheme, 0)


def _failed(outcome: Mapping[str, Any]) -> bool:
    issues = outcome.get("issue", [])
    return any(isinstance(issue, dict) and issue.get("severity") in ("fatal", "error") for issue in issues)


def _escaped(words: str) -> str:
    return re.sub(r"([\\,|$])", r"\\\1", words)
