"""Settings: built-in defaults, one TOML file (equity.toml), then the environment.

Secrets are never settings themselves: a setting names the environment variable (``token_env``) or
the file (``token_file``) that holds one.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import Field, ValidationError

from fhir_equity.errors import UsageError
from fhir_equity.settings.hie import BasicSettings, HieSettings, LimitSettings, SmartSettings, TlsSettings
from fhir_equity.settings.strict import Strict, secret

__all__ = [
    "AuditSettings",
    "BasicSettings",
    "BreakerSettings",
    "HieSettings",
    "LimitSettings",
    "LimitsSettings",
    "MappingSettings",
    "PrivacySettings",
    "PublishSettings",
    "Settings",
    "SmartSettings",
    "StoreSettings",
    "TlsSettings",
    "TrailSettings",
    "load",
]

KEY = "FHIR_EQUITY_STORE_KEY"  # holds the key of an encrypted store where the settings name no other place
WHO = 200  # characters of a name on the trail


class StoreSettings(Strict):
    """``[store]``: where answers are kept. `url` is a file name or a SQLAlchemy URL of SQLite or PostgreSQL.

    A SQLite file is encrypted where a key is named: `key_file`, or `key_env` for an environment variable.
    """

    url: str = "equity.db"
    key_file: Path | None = None
    key_env: str = ""

    def key(self) -> str:
        """The key of the store; empty where none is named. Raises UsageError when one is named and missing."""
        return secret("store key", self.key_file, self.key_env)

    @property
    def file(self) -> Path | None:
        """The file of a store in SQLite; None for one on a server or in memory."""
        scheme, separator, rest = self.url.partition("://")
        if not separator:
            return None if self.url == ":memory:" else Path(self.url)
        name = rest.partition("?")[0].removeprefix("/")
        return Path(name) if scheme.startswith("sqlite") and name not in ("", ":memory:") else None


class MappingSettings(Strict):
    """``[mappings]``: the user's own tables, laid over the built-in ones."""

    overlay: Path | None = None


class PrivacySettings(Strict):
    """``[privacy]``: where the pseudonym key is; default ``equity.key`` beside the store."""

    key_file: Path | None = None


class AuditSettings(Strict):
    """``[audit]``: what `audit` counts under when no program is named: names, or files ending in .toml."""

    programs: tuple[str, ...] = ("base",)


class LimitsSettings(Strict):
    """How much of a partner's one ingest may drop, flip or erase, as shares, before it is stopped.

    Fewer than `at_least` of a kind never stop it: a small partner's few changes are no accident.
    """

    members_dropped: float = Field(default=0.2, ge=0, le=1)
    statements_dropped: float = Field(default=0.2, ge=0, le=1)
    flipped: float = Field(default=0.1, ge=0, le=1)
    erased: float = Field(default=0.1, ge=0, le=1)
    at_least: int = Field(default=20, ge=1)


class BreakerSettings(LimitsSettings):
    """``[breaker]``: the limits of the circuit breaker; ``[breaker.partner.NAME]`` those of one partner."""

    partner: dict[str, LimitsSettings] = Field(default_factory=dict)

    def of(self, partner: str) -> LimitsSettings:
        """The limits of a partner."""
        return self.partner.get(partner, self)


class PublishSettings(Strict):
    """``[publish]``: what `audit --publish` may tell; every limit may only be stricter than it is.

    Counts of 1 to `floor` - 1 are hidden, of `sensitive_floor` - 1 for SOGI; what a reader can find out of a hidden
    count is `width` apart at least.
    """

    floor: int = Field(default=11, ge=11)
    sensitive_floor: int = Field(default=20, ge=20)
    width: int = Field(default=5, ge=5, le=9)


class TrailSettings(Strict):
    """``[trail]``: who acts, where the user of the operating system does not say it (a service, a container)."""

    who: str = Field(default="", max_length=WHO)


class Settings(Strict):
    """Everything equity.toml may say."""

    partner: str = ""
    store: StoreSettings = StoreSettings()
    mappings: MappingSettings = MappingSettings()
    privacy: PrivacySettings = PrivacySettings()
    audit: AuditSettings = AuditSettings()
    publish: PublishSettings = PublishSettings()
    trail: TrailSettings = TrailSettings()
    breaker: BreakerSettings = Field(default_factory=BreakerSettings)
    hie: dict[str, HieSettings] = Field(default_factory=dict)
    spark: dict[str, str] = Field(default_factory=dict)  # of `--engine spark`: settings by Spark's own names

    @property
    def pseudonym_key(self) -> Path:
        """Where the pseudonym key is: as set, else beside the store's file or in the working folder."""
        beside = self.store.file.parent if self.store.file is not None else Path()
        return self.privacy.key_file or beside / "equity.key"

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
            document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError:
            raise UsageError(f"{path.name} is not UTF-8 text") from None
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path.name}: {error}") from None
        except OSError as error:
            raise UsageError(f"{path.name} cannot be read: {error.strerror}") from None
    elif named is not None:
        raise UsageError(f"the configuration file {named} {'is no file' if named.exists() else 'does not exist'}")
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        why = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise UsageError(f"{path.name}: {where}: {why.removeprefix('Value error, ')}") from None
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
            "store": settings.store.model_copy(update={"url": url, "key_file": place(settings.store.key_file)}),
            "mappings": MappingSettings(overlay=place(settings.mappings.overlay)),
            "privacy": PrivacySettings(key_file=place(settings.privacy.key_file)),
            "audit": AuditSettings(
                programs=tuple(
                    str(folder / name) if name.endswith(".toml") else name for name in settings.audit.programs
                )
            ),
            "hie": {name: hie.anchored(folder) for name, hie in settings.hie.items()},
        }
    )


def _from_environment(settings: Settings, store: str | None) -> Settings:
    given = {"url": store or os.environ.get("FHIR_EQUITY_STORE") or settings.store.url}
    if KEY in os.environ and not (settings.store.key_file or settings.store.key_env):
        given["key_env"] = KEY
    who = os.environ.get("FHIR_EQUITY_WHO") or settings.trail.who
    kept = settings.store.model_copy(update=given)
    return settings.model_copy(update={"store": kept, "trail": TrailSettings(who=who[:WHO])})
