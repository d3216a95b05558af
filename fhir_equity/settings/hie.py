"""``[hie.NAME]``: one FHIR endpoint to synchronise with, how to log in there and how much to ask of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from fhir_equity.settings.strict import Strict, is_loopback, secret


def safe_url(url: str) -> str:
    """A URL that may be asked: https, or plain http on loopback, without credentials. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the URL must start with https://")
    if parts.username or parts.password:
        raise ValueError("credentials do not belong in the URL")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is refused except on loopback; use https")
    return url


class BasicSettings(Strict):
    """``[hie.NAME.basic]``: user name and password (https://www.rfc-editor.org/rfc/rfc7617)."""

    username: str = Field(pattern=r"^[^:]+$")
    password_env: str = ""
    password_file: Path | None = None

    def password(self) -> str:
        """The password. Raises UsageError when none is named or it is missing."""
        return secret("password", self.password_file, self.password_env)


class SmartSettings(Strict):
    """``[hie.NAME.smart]``: SMART Backend Services, https://hl7.org/fhir/smart-app-launch/backend-services.html.

    `key_file` is our private key as JWKS, JWK or PEM. `key_id` is the ``kid`` under which the server
    knows it; a key set says it itself. Without `algorithm` an RSA key signs RS384 and a P-384 key ES384.
    Without `token_url` the endpoint's ``.well-known/smart-configuration`` says where tokens are.
    Without `scopes` those of the mode are asked for, which have neither Consents nor deleting (`sync.scopes`).
    """

    client_id: str = Field(min_length=1)
    key_file: Path
    key_id: str = ""
    algorithm: Literal["", "RS384", "ES384"] = ""
    scopes: tuple[str, ...] = ()
    token_url: str = ""

    @field_validator("token_url")
    @classmethod
    def _safe(cls, url: str) -> str:
        return safe_url(url) if url else url


class TlsSettings(Strict):
    """``[hie.NAME.tls]``: our certificate (mTLS), and the authorities to trust in place of the usual ones."""

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password_env: str = ""


class LimitSettings(Strict):
    """``[hie.NAME.limits]``: how much is asked of one server; 0 is no limit.

    `budget` is for how many seconds one run may wait for a busy server in all. After `failures`
    requests in a row that came to nothing the server is left alone for `rest` seconds.
    """

    connections: int = Field(default=4, ge=1, le=100)
    requests_per_minute: int = Field(default=0, ge=0)
    writes_per_minute: int = Field(default=0, ge=0)
    budget: float = Field(default=900.0, ge=0)
    failures: int = Field(default=5, ge=1)
    rest: float = Field(default=60.0, ge=0)


class HieSettings(Strict):
    """``[hie.NAME]``: one FHIR endpoint to synchronise with.

    `recipient` names the rule set of ``policies/release.toml``. `identifier_systems` are tried in
    order to find a person; `match` lets ``$match`` be asked where none of them finds anybody. `us_core`
    is the version that Patients are written in, or ``none``. `accept_lost_update`: write although a
    probe found that the server overwrites what others wrote meanwhile. `mode`: ``read-only`` never writes;
    ``contributor`` keeps our own Patients there; ``editor`` updates theirs. `unmatched` says what to do
    with a person the HIE does not know. `sandbox` says that it is a test endpoint without real people.
    `provenance`: whether who told an answer is sent too; where nothing is said, if a probe found that the server
    has Provenance. `transactions`: false sends one by one also where a probe found that many may go as one. `overlap`
    is how many seconds before the last pull's end the next one begins.
    """

    url: str
    recipient: str = ""
    partner: str = ""
    identifier_systems: tuple[str, ...] = ()
    match: bool = False
    us_core: str = "6.1.0"
    omb: Literal["faithful", "rollup-1997"] = "faithful"
    mode: Literal["read-only", "contributor", "editor"] = "read-only"
    accept_lost_update: bool = False
    unmatched: Literal["create", "skip", "review"] = "skip"
    sandbox: bool = False
    provenance: bool | None = None
    transactions: bool = True
    token_env: str = ""
    token_file: Path | None = None
    basic: BasicSettings | None = None
    smart: SmartSettings | None = None
    tls: TlsSettings = TlsSettings()
    limits: LimitSettings = LimitSettings()
    library: Literal["httpx", "requests"] = "httpx"
    http2: bool = True
    timeout: float = Field(default=30.0, gt=0)
    attempts: int = Field(default=4, ge=1, le=20)
    page_size: int = Field(default=100, ge=1, le=1000)
    overlap: int = Field(default=300, ge=0)

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        return safe_url(url).rstrip("/")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = [bool(self.token_env or self.token_file), self.basic is not None, self.smart is not None]
        if sum(ways) > 1:
            raise ValueError("a token, basic and smart are three ways to log in; give one")
        if self.tls.key_file is not None and self.tls.certificate_file is None:
            raise ValueError("the key file of tls needs a certificate_file")
        return self

    @property
    def on_loopback(self) -> bool:
        """Whether the endpoint is on this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")

    @property
    def has_login(self) -> bool:
        """Whether the settings name any way to say who we are."""
        token = bool(self.token_env or self.token_file)
        return token or any((self.basic, self.smart, self.tls.certificate_file))

    def token(self) -> str:
        """The bearer token from its file or environment variable; empty when none is configured.

        Raises UsageError when one is configured and missing.
        """
        return secret("token", self.token_file, self.token_env)

    def anchored(self, folder: Path) -> HieSettings:
        """The same with its relative paths taken from `folder`."""

        def place(table: Strict | None) -> Strict | None:
            if table is None:
                return None
            paths = {name: folder / value for name, value in table if isinstance(value, Path)}
            return table.model_copy(update=paths)

        tables = {name: place(value) for name, value in self if isinstance(value, Strict)}
        file = None if self.token_file is None else folder / self.token_file
        return self.model_copy(update=tables | {"token_file": file})
