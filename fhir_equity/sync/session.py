"""The same through a session of requests, for shops whose gateway needs an adapter of that library."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
import urllib3
from msgspec import Struct
from requests.adapters import HTTPAdapter

from fhir_equity.settings import HieSettings
from fhir_equity.sync.silence import silence
from fhir_equity.sync.wire import Incoming, What, WireError, tls_context

_BLOCK = 65536


class SessionWire:
    """Connections through a session: the one that is given, with its adapters, else one that the settings describe."""

    def __init__(self, settings: HieSettings, session: requests.Session | None = None) -> None:
        self._session = session if session is not None else _session(settings)
        self._timeout = settings.timeout

    def close(self) -> None:
        """Close all connections."""
        with silence():
            self._session.close()

    @contextmanager
    def open(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Iterator[Incoming]:
        """Send, and read while the context lasts. Raises WireError."""
        with _translated(), silence():
            response = self._session.request(
                method,
                url,
                headers=dict(headers),
                data=content,
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            )
            with response:
                yield _SessionIncoming(response.status_code, response.headers, response)


class _SessionIncoming(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    response: Any

    def blocks(self) -> Iterator[bytes]:
        return self._read(decode=True)

    def raw(self) -> Iterator[bytes]:
        return self._read(decode=False)

    def _read(self, *, decode: bool) -> Iterator[bytes]:
        found: Iterator[bytes] = self.response.raw.stream(_BLOCK, decode_content=decode)
        return found


class _Adapter(HTTPAdapter):
    """An adapter that trusts whom the settings trust, and says who we are."""

    def __init__(self, context: ssl.SSLContext, connections: int) -> None:
        self._context = context
        super().__init__(pool_maxsize=connections, pool_block=True)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> Any:
        """Hand the context to the connections."""
        return super().init_poolmanager(*arguments, **options, ssl_context=self._context)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        """Hand the context to the connections through a proxy."""
        return super().proxy_manager_for(*arguments, **options, ssl_context=self._context)


def _session(settings: HieSettings) -> requests.Session:
    session = requests.Session()
    session.trust_env = not settings.on_loopback
    if settings.tls.ca_file is not None:
        session.verify = str(settings.tls.ca_file)
    session.auth = _as_it_is  # without one, requests takes a log-in from ~/.netrc over ours
    for name in ("Accept-Encoding", "User-Agent", "Accept"):
        session.headers.pop(name, None)
    adapter = _Adapter(tls_context(settings.tls), settings.limits.connections)
    session.mount("https://", adapter)
    session.mount("http://", HTTPAdapter(pool_maxsize=settings.limits.connections, pool_block=True))
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


_NOT_SENT = (requests.ConnectTimeout, requests.exceptions.ProxyError, requests.exceptions.SSLError)
_UNSENDABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
    requests.exceptions.MissingSchema,
)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except urllib3.exceptions.DecodeError as error:
        raise WireError(What.GARBLED, type(error).__name__) from None
    except (*_NOT_SENT, urllib3.exceptions.NewConnectionError) as error:
        raise WireError(What.NOT_SENT, type(error).__name__) from None
    except _UNSENDABLE as error:
        raise WireError(What.UNSENDABLE, type(error).__name__) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise WireError(_what(error), type(error).__name__) from None


def _what(error: Exception) -> What:
    """A connection that was refused is wrapped twice; any other failure may have come after the request."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return What.NOT_SENT if isinstance(reason, urllib3.exceptions.NewConnectionError) else What.BROKEN
