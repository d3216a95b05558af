"""Settings: built-in defaults, one TOML file (equity.toml), then the environment.

Secrets are never settings themselves: a setting names the environment variable (``token_env``) or
the file (``token_file``) that holds one.
"""

from __future__ import annotations

import os
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fhir_equity.errors import UsageError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Strict):
    """``[store]``: where answers are kept. `url` is a file name or a SQLAlchemy URL of SQLite or PostgreSQL."""

    url: str = "equity.db"

    @property
    def file(self) -> Path | None:
        """The file of a store in SQLite; None for one on a server or in memory."""
        scheme, separator, rest = self.url.partition("://")
        if not separator:
            return None if self.url == ":memory:" else Path(self.url)
        name = rest.partition("?")[0].removeprefix("/")
        return Path(name) if scheme.startswith("sqlite") and name not in ("", ":memory:") else None


class MappingSettings(_Strict):
    """``[mappings]``: the user's own tables, laid over the built-in ones."""

    overlay: Path | None = None


class PrivacySettings(_Strict):
    """``[privacy]``: where the pseudonym key is; default ``equity.key`` beside the store."""

    key_file: Path | None = None


class AuditSettings(_Strict):
    """``[audit]``: what `audit` counts under when no program is named: names, or files ending in .toml."""

    programs: tuple[str, ...] = ("base",)


class HieSettings(_Strict):
    """``[hie.NAME]``: one FHIR endpoint to synchronise with.

    `recipient` names the rule set of ``policies/release.toml``. `identifier_systems` are tried in
    order to find a person. `us_core` is the version that Patients are written in, or ``none``.
    `mode`: ``read-only`` never writes; ``contributor`` keeps our own Patients there; ``editor``
    updates theirs. `unmatched` says what to do with a person the HIE does not know.
    """

    url: str
    recipient: str = ""
    partner: str = ""
    identifier_systems: tuple[str, ...] = ()
    us_core: str = "6.1.0"
    omb: Literal["faithful", "rollup-1997"] = "faithful"
    mode: Literal["read-only", "contributor", "editor"] = "read-only"
    unmatched: Literal["create", "skip"] = "skip"
    token_env: str = ""
    token_file: Path | None = None
    timeout: float = Field(default=30.0, gt=0)
    attempts: int = Field(default=4, ge=1, le=20)
    page_size: int = Field(default=100, ge=1, le=1000)

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL must start with https://")
        if parts.username or parts.password:
            raise ValueError("credentials do not belong in the URL")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("plain http is refused except on loopback; use https")
        return url.rstrip("/")

    def token(self) -> str:
        """The bearer token from its file or environment variable; empty when none is configured.

        Raises UsageError when one is configured and missing.
        """
        if self.token_file is not None:
            try:
                value = self.token_file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise UsageError(f"the token file cannot be read: {error.strerror}") from None
            except UnicodeDecodeError:  # of which the message quotes the file
                raise UsageError("the token file is not text") from None
            if not value:
                raise UsageError("the token file is empty")
            return value
        if self.token_env:
            value = os.environ.get(self.token_env, "").strip()
            if not value:
                raise UsageError(f"the environment variable {self.token_env} is not set")
            return value
        return ""


class Settings(_Strict):
    """Everything equity.toml may say."""

    partner: str = ""
    store: StoreSettings = StoreSettings()
    mappings: MappingSettings = MappingSettings()
    privacy: PrivacySettings = PrivacySettings()
    audit: AuditSettings = AuditSettings()
    hie: dict[str, HieSettings] = {}

    def hie_named(self, name: str) -> HieSettings:
        """The settings of one HIE. Raises UsageError when equity.toml has no ``[hie.NAME]``."""
        if name not in self.hie:
            known = ", ".join(sorted(self.hie)) or "none"
            raise UsageError(f"equity.toml has no [hie.{name}] (configured: {known})")
        return self.hie[name]


def load(config: Path | None = None, store: str | None = None) -> Settings:
    """Read the settings: `config`, else FHIR_EQUITY_CONFIG, else ./equity.toml, else the defaults.

    `store` (the --store option) wins over FHIR_EQUITY_STORE, which wins over the file. Relative
    paths in the file are taken from the file's folder. Raises UsageError.
    """
    named = config or (Path(os.environ["FHIR_EQUITY_CONFIG"]) if "FHIR_EQUITY_CONFIG" in os.environ else None)
    path = named or Path("equity.toml")
    document: dict[str, object] = {}
    if path.is_file():
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise UsageError(f"{path.name} is not UTF-8 text") from None
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path.name}: {error}") from None
        except OSError as error:
            raise UsageError(f"{path.name} cannot be read: {error.strerror}") from None
    elif named is not None:
        raise UsageError(f"the configuration file {named} does not exist")
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path.name}: {where}: {first['msg']}") from None
    return _from_environment(_anchored(settings, path.parent), store)


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Take the file's relative paths from the file's own folder, not from where we stand."""

    def place(path: Path | None) -> Path | None:
        return path if path is None else folder / path

    url = settings.store.url
    if "://" not in url:
        url = str(folder / url)
    return settings.model_copy(
        update={
            "store": StoreSettings(url=url),
            "mappings": MappingSettings(overlay=place(settings.mappings.overlay)),
            "privacy": PrivacySettings(key_file=place(settings.privacy.key_file)),
            "audit": AuditSettings(
                programs=tuple(
                    str(folder / name) if name.endswith(".toml") else name for name in settings.audit.programs
                )
            ),
            "hie": {
                name: hie.model_copy(update={"token_file": place(hie.token_file)}) for name, hie in settings.hie.items()
            },
        }
    )


def _from_environment(settings: Settings, store: str | None) -> Settings:
    url = store or os.environ.get("FHIR_EQUITY_STORE") or settings.store.url
    return settings.model_copy(update={"store": StoreSettings(url=url)})


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
