"""One request to an HIE's endpoint, repeated where that is safe; every httpx error ends here.

Messages name the host and the status, never an address, a header or a body.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx
import stamina
from msgspec import Struct

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.settings import HieSettings
from fhir_equity.sync.silence import silence

MEDIA_TYPE = "application/fhir+json"
LIMIT = 50 * 1024 * 1024
LONGEST_WAIT = 60.0

# The server is too busy or a gateway in front of it gave up: RFC 6585 and RFC 9110.
_PASSING = (429, 502, 503, 504)
# Errors before the first byte of a request has left.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

_log = logging.getLogger(__name__)


class UnavailableError(RemoteError):
    """The endpoint could not be reached or is too busy, and repeating did not help or was not safe.

    `unsure` means that the request may have been carried out all the same. `delay` is how long the
    server asks to wait, in seconds.
    """

    def __init__(self, message: str, *, unsure: bool, delay: float | None = None) -> None:
        super().__init__(message)
        self.unsure = unsure
        self.delay = delay


class Request(Struct, frozen=True, repr_omit_defaults=True):
    """What to send. `repeatable` when sending it twice does no more than sending it once."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    content: bytes | None = None
    repeatable: bool = True

    def __repr__(self) -> str:
        return f"Request({self.method})"


class Reply(Struct, frozen=True):
    """What came back. `unsure` when an earlier attempt may have been carried out already."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    unsure: bool = False

    def __repr__(self) -> str:
        return f"Reply({self.status})"


class Transport:
    """A pool of connections to one HIE; safe to use from several threads.

    Raises UsageError when the configured token is missing or cannot be sent.
    """

    def __init__(self, settings: HieSettings) -> None:
        self.host = urlsplit(settings.url).hostname or ""
        self._attempts = settings.attempts
        headers = {"Accept": MEDIA_TYPE, "User-Agent": "fhir-equity"}
        token = settings.token()
        if token:
            if not (token.isascii() and token.isprintable()):
                raise UsageError("the bearer token has characters that cannot be sent")
            headers["Authorization"] = f"Bearer {token}"
        # Proxies of the environment are honoured, but what is meant for this machine stays on it.
        self._http = httpx.Client(
            headers=headers,
            timeout=settings.timeout,
            trust_env=not _is_loopback(self.host),
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def send(self, request: Request) -> Reply:
        """Send, and repeat after 429, 502, 503, 504 and connection errors, as long as that is safe.

        A request that is not repeatable is sent again only if the first certainly came to nothing.
        Retry-After is honoured up to a minute; redirects are not followed. Raises UnavailableError,
        RemoteError for a request that cannot be sent, and RemoteContentError for an answer that is
        too large or garbled.
        """
        unsure = False

        def again(error: Exception) -> bool | float:
            nonlocal unsure
            if not isinstance(error, UnavailableError):
                return False
            unsure = error.unsure = unsure or error.unsure
            if unsure and not request.repeatable:
                return False
            return True if error.delay is None else error.delay

        for attempt in stamina.retry_context(
            on=again, attempts=self._attempts, timeout=None, wait_initial=0.5, wait_max=20.0
        ):
            with attempt:
                if attempt.num > 1:
                    _log.info("repeating a request", extra={"attempt": attempt.num})
                reply = self._once(request)
        return Reply(reply.status, reply.headers, reply.content, unsure)

    def _once(self, request: Request) -> Reply:
        try:
            with (
                silence(),
                self._http.stream(
                    request.method, request.url, headers=dict(request.headers), content=request.content
                ) as response,
            ):
                reply = Reply(response.status_code, response.headers, self._content(response))
        except httpx.DecodingError:
            raise RemoteContentError(f"{self.host} sent an answer that cannot be decompressed") from None
        except _NOT_SENT as error:
            raise UnavailableError(f"{self.host} cannot be reached ({_kind(error)})", unsure=False) from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise RemoteError(f"a request to {self.host} cannot be sent ({_kind(error)})") from None
        except httpx.HTTPError as error:
            raise UnavailableError(f"the connection to {self.host} failed ({_kind(error)})", unsure=True) from None
        return self._usable(reply)

    def _content(self, response: httpx.Response) -> bytes:
        """The body, decompressed, read only as far as the limit."""
        content = bytearray()
        for block in response.iter_bytes():
            content += block
            if len(content) > LIMIT:
                raise RemoteContentError(f"{self.host} sent an answer of more than {LIMIT} bytes")
        return bytes(content)

    def _usable(self, reply: Reply) -> Reply:
        if reply.status in _PASSING:
            # Only 429 says that nothing was done; behind the others a server may have gone on.
            raise UnavailableError(
                f"{self.host} answered {reply.status}", unsure=reply.status != 429, delay=_retry_after(reply.headers)
            )
        return reply


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by Retry-After: a number or an HTTP date (RFC 9110, 10.2.3); None without one."""
    words = headers.get("retry-after", "").strip()
    if words.isascii() and words.isdigit():
        return min(float(words), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(words)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT)


def _kind(error: Exception) -> str:
    return type(error).__name__


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
