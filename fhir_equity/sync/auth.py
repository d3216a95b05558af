"""Say who we are: not at all on loopback, by user name and password, by a token, or by SMART Backend Services.

Source: https://hl7.org/fhir/smart-app-launch/backend-services.html and its client-confidential-
asymmetric.html. No secret is part of any message, log line or repr.
"""

from __future__ import annotations

import base64
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import orjson
from joserfc import jwt

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.settings import HieSettings, SmartSettings
from fhir_equity.settings.hie import safe_url
from fhir_equity.sync.keys import Signer, signer
from fhir_equity.sync.scopes import SCOPES, missing

DISCOVERY = ".well-known/smart-configuration"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# SMART allows five minutes; a clock that is a minute behind ours must not see more than that.
LIFE = 240
# A token without `expires_in` is taken for one of the five minutes that SMART recommends at most.
USUAL_LIFE = 300.0
EARLY = 30.0  # renewed that many seconds before it ends, or after nine tenths of a short life
# https://www.rfc-editor.org/rfc/rfc6749#section-5.2: the only words of a refusal that are shown.
_REFUSALS = (
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
    "invalid_scope",
)


class Answered(Protocol):
    """What came back when asking for something that logging in needs."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def content(self) -> bytes:
        """The whole body."""


# Sends a form to an address, or asks for it where there is no form; each attempt takes a new pair.
Ask = Callable[[Callable[[], tuple[str, bytes | None]]], Answered]


class Login(Protocol):
    """How a request says who we are."""

    def words(self) -> str:
        """The Authorization header; empty for none. Raises RemoteError."""

    def renewed_after(self, words: str) -> bool:
        """Whether, these words having been refused, there are others now."""


def login(settings: HieSettings, ask: Ask) -> Login:
    """The log-in of an HIE. Raises UsageError for one that is missing or cannot be sent."""
    if settings.smart is not None:
        return Backend(settings.smart, settings.url, settings.mode, ask)
    if settings.basic is not None:
        pair = f"{settings.basic.username}:{settings.basic.password()}".encode()
        if pair.endswith(b":"):
            raise UsageError("basic needs a password_env or password_file")
        return Fixed(f"Basic {base64.b64encode(pair).decode()}")
    token = settings.token()
    if token:
        return Fixed(f"Bearer {_sendable(token)}")
    if not (settings.on_loopback or settings.has_login):
        raise UsageError("outside loopback a log-in is needed: a token, basic, smart, or a certificate of tls")
    return Fixed("")


class Fixed:
    """The same words with every request."""

    def __init__(self, words: str) -> None:
        self._words = words

    def words(self) -> str:
        """The Authorization header; empty for none."""
        return self._words

    def renewed_after(self, words: str) -> bool:
        """Never: there are no others."""
        return False


class Backend:
    """SMART Backend Services: a signed assertion for a token that is kept until shortly before it ends.

    Raises UsageError for a key that cannot be used.
    """

    def __init__(self, smart: SmartSettings, url: str, mode: str, ask: Ask) -> None:
        self._client = smart.client_id
        self._signer: Signer = signer(smart)
        self._scopes = smart.scopes or SCOPES["read-only" if mode == "read-only" else "writing"]
        self._token_url = smart.token_url
        self._url = url
        self._ask = ask
        self._lock = threading.Lock()
        self._words = ""
        self._until = 0.0

    def words(self) -> str:
        """A token that is good for a while. Raises RemoteError where none, or a smaller one, is granted."""
        with self._lock:
            if not self._words or time.monotonic() >= self._until:
                self._words, life = self._granted()
                self._until = time.monotonic() + max(life * 0.9, life - EARLY)
            return self._words

    def renewed_after(self, words: str) -> bool:
        """Forget a token that was refused, if that is still the one we have."""
        with self._lock:
            if self._words == words:
                self._words = ""
        return True

    def _granted(self) -> tuple[str, float]:
        """The header and its life in seconds."""
        url = self._token_url = self._token_url or self._discovered()
        reply = self._ask(lambda: (url, self._form(url)))
        host = urlsplit(url).hostname
        document = _parsed(reply.content)
        if not 200 <= reply.status < 300:
            code = document.get("error")
            why = f" ({code})" if code in _REFUSALS else ""
            raise RemoteError(f"{host} gave no token and answered {reply.status}{why}")
        token, kind = document.get("access_token"), document.get("token_type")
        if not (isinstance(token, str) and token) or str(kind).lower() != "bearer":
            raise RemoteContentError(f"{host} answered without a bearer token")
        scope = document.get("scope")
        if lacking := missing(self._scopes, scope.split() if isinstance(scope, str) else ()):
            raise RemoteError(f"{host} did not grant the scope {' '.join(lacking)}")
        life = document.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else USUAL_LIFE
        return f"Bearer {_sendable(token)}", seconds

    def _form(self, url: str) -> bytes:
        moment = int(time.time())
        claims = {"iss": self._client, "sub": self._client, "aud": url, "exp": moment + LIFE, "iat": moment}
        claims["jti"] = str(uuid.uuid4())
        header = {"alg": self._signer.algorithm, "kid": self._signer.key_id, "typ": "JWT"}
        words = jwt.encode(header, claims, self._signer.key, algorithms=[self._signer.algorithm])
        form = {"grant_type": "client_credentials", "scope": " ".join(self._scopes)}
        return urlencode(form | {"client_assertion_type": ASSERTION, "client_assertion": words}).encode()

    def _discovered(self) -> str:
        """The token endpoint as the HIE tells it."""
        reply = self._ask(lambda: (f"{self._url}/{DISCOVERY}", None))
        host = urlsplit(self._url).hostname
        if reply.status != 200:
            raise RemoteError(f"{host} has no {DISCOVERY} ({reply.status}); set token_url")
        document = _parsed(reply.content)
        algorithms = document.get("token_endpoint_auth_signing_alg_values_supported")
        if isinstance(algorithms, list) and algorithms and self._signer.algorithm not in algorithms:
            raise RemoteError(f"{host} does not take {self._signer.algorithm} from its clients")
        url = document.get("token_endpoint")
        try:
            return safe_url(url if isinstance(url, str) else "")
        except ValueError:
            raise RemoteContentError(f"{host} names no token endpoint that may be asked; set token_url") from None


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    return document if isinstance(document, dict) else {}


def _sendable(token: str) -> str:
    if not re.fullmatch(r"[!-~]+", token):
        raise UsageError("the bearer token has characters that cannot be sent")
    return token
