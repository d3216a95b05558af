"""One request to an HIE's endpoint, repeated where that is safe; every error of a library ends here.

Messages name the host and the status, never an address, a header or a body.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import stamina
from msgspec import Struct

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.settings import HieSettings
from fhir_equity.sync.auth import login
from fhir_equity.sync.pace import Pace
from fhir_equity.sync.wire import HttpxWire, Incoming, What, Wire, WireError

T = TypeVar("T")

MEDIA_TYPE = "application/fhir+json"
FORM = "application/x-www-form-urlencoded"
UNAUTHORISED = 401
LIMIT = 50 * 1024 * 1024
LONGEST_WAIT = 60.0

# The server is too busy or a gateway in front of it gave up: RFC 6585 and RFC 9110.
_PASSING = (429, 502, 503, 504)
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
    """What to send. `repeatable` when sending it twice does no more than sending it once.

    A request that is `anonymous` goes without our log-in: to another server than the HIE's endpoint.
    """

    method: str
    url: str
    headers: Mapping[str, str] = {}
    content: bytes | None = None
    repeatable: bool = True
    anonymous: bool = False

    def __repr__(self) -> str:
        return f"Request({self.method})"

    @property
    def writes(self) -> bool:
        """Whether it may change something there; a search is posted and changes nothing."""
        asks = self.method in ("GET", "HEAD") or self.url.endswith(("/_search", "/$match"))
        return not asks and not self.anonymous


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

    `wire` takes the place of the library that the settings name. Raises UsageError when the log-in is
    missing or cannot be sent, and outside loopback when there is none.
    """

    def __init__(self, settings: HieSettings, wire: Wire | None = None) -> None:
        self.host = urlsplit(settings.url).hostname or ""
        self.told_when_busy: bool | None = None  # whether 429 and 503 came with Retry-After
        self.requests = 0
        self._attempts = settings.attempts
        self._pace = Pace(settings.limits)
        self._wire = wire or _wire(settings)
        self._login = login(settings, self._token_reply)

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()

    def send(self, request: Request) -> Reply:
        """Send, and repeat after 429, 502, 503, 504 and connection errors, as long as that is safe.

        A request that is not repeatable is sent again only if the first certainly came to nothing.
        Retry-After is honoured up to a minute; redirects are not followed. After a 401 the log-in is
        renewed once where that is possible. Raises UnavailableError, RemoteError for a request that
        cannot be sent, and RemoteContentError for an answer that is too large or garbled.
        """
        reply, unsure = self._exchange(lambda: request, self._whole)
        return Reply(reply.status, reply.headers, reply.content, unsure)

    def fetch(self, make: Callable[[], Request], handle: Callable[[Incoming], T]) -> T:
        """Like `send`, for a body that `handle` takes piece by piece; each attempt sends what `make` makes."""
        return self._exchange(make, handle)[0]

    def _token_reply(self, make: Callable[[], tuple[str, bytes | None]]) -> Reply:
        """Ask for something that is needed to log in: `make` gives the address and the form of each attempt."""

        def request() -> Request:
            url, form = make()
            headers = {"Accept": "application/json"} | ({"Content-Type": FORM} if form is not None else {})
            return Request("GET" if form is None else "POST", url, headers, form, anonymous=True)

        return self._exchange(request, self._whole)[0]

    def _exchange(self, make: Callable[[], Request], handle: Callable[[Incoming], T]) -> tuple[T, bool]:
        if self._pace.resting:
            message = f"{self.host} is left alone for a while: too many requests in a row came to nothing"
            raise UnavailableError(message, unsure=False)
        try:
            result = self._repeated(make, handle)
        except UnavailableError:
            self._pace.ended(well=False)
            raise
        self._pace.ended(well=True)
        return result

    def _repeated(self, make: Callable[[], Request], handle: Callable[[Incoming], T]) -> tuple[T, bool]:
        unsure, repeatable, since = False, True, 0.0

        def again(error: Exception) -> bool | float:
            nonlocal unsure, since
            if not isinstance(error, UnavailableError):
                return False
            unsure = error.unsure = unsure or error.unsure
            if (unsure and not repeatable) or not self._pace.patient:
                return False
            since = time.monotonic()
            return True if error.delay is None else error.delay

        for attempt in stamina.retry_context(
            on=again, attempts=self._attempts, timeout=None, wait_initial=0.5, wait_max=20.0
        ):
            with attempt:
                if attempt.num > 1:
                    self._pace.waited(time.monotonic() - since)
                    _log.info("repeating a request", extra={"attempt": attempt.num})
                request = make()
                repeatable = request.repeatable
                result = self._once(request, handle)
        return result, unsure

    def _once(self, request: Request, handle: Callable[[Incoming], T]) -> T:
        words = "" if request.anonymous else self._login.words()
        try:
            with self._open(request, words) as incoming:
                if incoming.status != UNAUTHORISED or request.anonymous:
                    return handle(incoming)
                refused = handle(incoming)
            if not self._login.renewed_after(words):
                return refused
            with self._open(request, self._login.words()) as incoming:
                return handle(incoming)
        except WireError as error:
            raise self._failure(error) from None

    @contextmanager
    def _open(self, request: Request, words: str) -> Iterator[Incoming]:
        self.requests += 1
        headers = {"Accept": MEDIA_TYPE, "Accept-Encoding": "gzip", "User-Agent": "fhir-equity", **request.headers}
        if words:
            headers["Authorization"] = words
        with (
            self._pace.turn(write=request.writes),
            self._wire.open(request.method, request.url, headers, request.content) as incoming,
        ):
            if incoming.status in _PASSING:
                # Only 429 says that nothing was done; behind the others a server may have gone on.
                unsure, delay = incoming.status != 429, retry_after(incoming.headers)
                if incoming.status in (429, 503):
                    self.told_when_busy = delay is not None and self.told_when_busy is not False
                raise UnavailableError(f"{self.host} answered {incoming.status}", unsure=unsure, delay=delay)
            yield incoming

    def _failure(self, error: WireError) -> RemoteError:
        if error.what is What.GARBLED:
            return RemoteContentError(f"{self.host} sent an answer that cannot be decompressed")
        if error.what is What.NOT_SENT:
            return UnavailableError(f"{self.host} cannot be reached ({error.kind})", unsure=False)
        if error.what is What.UNSENDABLE:
            return RemoteError(f"a request to {self.host} cannot be sent ({error.kind})")
        return UnavailableError(f"the connection to {self.host} failed ({error.kind})", unsure=True)

    def _whole(self, incoming: Incoming) -> Reply:
        """The whole body, decompressed, read only as far as the limit."""
        content = bytearray()
        for block in incoming.blocks():
            content += block
            if len(content) > LIMIT:
                raise RemoteContentError(f"{self.host} sent an answer of more than {LIMIT} bytes")
        return Reply(incoming.status, incoming.headers, bytes(content))


def _wire(settings: HieSettings) -> Wire:
    if settings.library == "httpx":
        return HttpxWire(settings)
    try:
        from fhir_equity.sync.session import SessionWire
    except ImportError:
        raise UsageError("library = \"requests\" needs: pip install 'fhir-equity[requests]'") from None
    return SessionWire(settings)


def retry_after(headers: Mapping[str, str]) -> float | None:
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
