"""One request and what comes back, through httpx; every error of the library ends here as a WireError."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Protocol

import httpx
from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.settings import HieSettings, TlsSettings
from fhir_equity.sync.silence import silence


class What(StrEnum):
    """What a failure says about the request."""

    NOT_SENT = "not_sent"  # it certainly came to nothing
    BROKEN = "broken"  # it may have been carried out
    GARBLED = "garbled"  # the answer cannot be decompressed
    UNSENDABLE = "unsendable"  # it is no request


class WireError(Exception):
    """A request that got no whole answer; `kind` is the class of the library's error, without its words."""

    def __init__(self, what: What, kind: str) -> None:
        super().__init__(kind)
        self.what = what
        self.kind = kind


class Incoming(Protocol):
    """An answer whose body is still on its way."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in any case."""

    def blocks(self) -> Iterator[bytes]:
        """The body, decompressed. Raises WireError."""

    def raw(self) -> Iterator[bytes]:
        """The body as it was sent. Raises WireError."""


class Wire(Protocol):
    """Connections to one HIE through some library; safe to use from several threads."""

    def open(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> AbstractContextManager[Incoming]:
        """Send, and read while the context lasts. Raises WireError; redirects are not followed."""

    def close(self) -> None:
        """Close all connections."""


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Whom to trust and who we are. Raises UsageError for files that cannot be used; it quotes none."""
    try:
        if tls.ca_file is not None:
            context = ssl.create_default_context(cafile=tls.ca_file)
        else:
            context = httpx.create_ssl_context()
        if tls.certificate_file is not None:
            words = _password(tls.key_password_env)
            context.load_cert_chain(tls.certificate_file, tls.key_file, words)
    except (OSError, ValueError):  # also what no certificate is, or a key of another
        raise UsageError("a certificate, its key or the CA file of [hie.NAME.tls] cannot be used") from None
    return context


def _password(variable: str) -> str:
    if not variable:
        return ""  # never None: OpenSSL would ask on the terminal
    words = os.environ.get(variable, "")
    if not words:
        raise UsageError(f"the environment variable {variable} is not set")
    return words


class HttpxWire:
    """Connections through httpx, with HTTP/2 where the server has it."""

    def __init__(self, settings: HieSettings) -> None:
        # Proxies of the environment are honoured, but what is meant for this machine stays on it.
        self._http = httpx.Client(
            http2=settings.http2,
            verify=tls_context(settings.tls),
            timeout=settings.timeout,
            trust_env=not settings.on_loopback,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=settings.limits.connections),
        )
        for name in ("accept-encoding", "user-agent", "accept"):
            self._http.headers.pop(name, None)

    def close(self) -> None:
        """Close all connections."""
        with silence():
            self._http.close()

    @contextmanager
    def open(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Iterator[Incoming]:
        """Send, and read while the context lasts. Raises WireError."""
        with _translated(), silence(), self._http.stream(method, url, headers=dict(headers), content=content) as got:
            yield _HttpxIncoming(got.status_code, got.headers, got)


class _HttpxIncoming(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    response: httpx.Response

    def blocks(self) -> Iterator[bytes]:
        return self.response.iter_bytes()

    def raw(self) -> Iterator[bytes]:
        return self.response.iter_raw()


# Errors before the first byte of a request has left.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_UNSENDABLE = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.DecodingError as error:
        raise WireError(What.GARBLED, type(error).__name__) from None
    except _NOT_SENT as error:
        raise WireError(What.NOT_SENT, type(error).__name__) from None
    except _UNSENDABLE as error:
        raise WireError(What.UNSENDABLE, type(error).__name__) from None
    except httpx.HTTPError as error:
        raise WireError(What.BROKEN, type(error).__name__) from None
