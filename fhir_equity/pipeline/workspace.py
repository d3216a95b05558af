"""What every verb needs: settings, the tables of each partner, the policies, the store, the key."""

from __future__ import annotations

import getpass
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from fhir_equity.adapters.protocol import Context
from fhir_equity.contention import contentions
from fhir_equity.errors import TableError, UsageError
from fhir_equity.model import Collector, Contention, Event, Method, Resolution, State
from fhir_equity.privacy import Pseudonyms, key_from
from fhir_equity.release import Release
from fhir_equity.settings import Settings, StoreSettings
from fhir_equity.survivorship import Elsewhere, Policy, policy_from, resolve
from fhir_equity.sync.told import Told
from fhir_equity.tables import Tables, fingerprint
from fhir_equity.vocabulary import Meanings, Vocabulary

if TYPE_CHECKING:  # the store loads SQLAlchemy, which files alone do not need
    from fhir_equity.store import Judge, Judgement, RunWriter, Store

DEFAULT_PARTNER = "local"
SURVIVORSHIP = "policies/survivorship.toml"
MOST = 50_000  # resolutions remembered before the memory starts afresh


def software() -> str:
    """Name and version of this program."""
    try:
        return f"fhir-equity {version('fhir-equity')}"
    except PackageNotFoundError:  # run from a folder that was never installed
        return "fhir-equity (not installed)"


def calendar() -> str:
    """Today, as an ISO date."""
    return date.today().isoformat()  # noqa: DTZ011 - the user's own calendar day


def require_day(text: str, otherwise: str) -> None:
    """Raise UsageError with these words for anything but a day as YYYY-MM-DD."""
    try:
        whole = date.fromisoformat(text).isoformat() == text
    except ValueError:
        whole = False
    if not whole:
        raise UsageError(otherwise)


def _user() -> str:
    """The user of the operating system who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return f"user {os.getuid()}"


class Workspace:
    """Opened once for each command; use it as a context manager so that the store is released.

    `settings` are the defaults unless given: `fhir_equity.settings.load` reads equity.toml and the environment.
    `as_of` is the ISO date of the run (default today). `progress` is told a name and a count of members now and
    then. Raises UsageError for an `as_of` that is none: days are compared as they are written.
    """

    def __init__(self, settings: Settings | None = None, as_of: str = "", progress: Told | None = None) -> None:
        self.settings = settings or Settings()
        if as_of:
            require_day(as_of, "--as-of takes an ISO date such as 2026-01-31")
        self.as_of = as_of or calendar()
        self.progress = progress or (lambda _name, _count, _total=0: None)
        self._vocabularies: dict[str, Vocabulary] = {}
        self._matters: dict[str, str] = {}  # by topic
        self._resolved: dict[tuple[str, str, tuple[Event, ...]], Resolution] = {}
        self._store: Store | None = None

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._store is not None:
            self._store.close()

    def partner(self, given: str = "") -> str:
        """The partner of a run: as given, else of the settings, else ``local``.

        Raises UsageError for a name that cannot be a folder of sheets.
        """
        name = given or self.settings.partner or DEFAULT_PARTNER
        if not name.replace("-", "").replace("_", "").isalnum():
            raise UsageError("a partner's name has letters, digits, - and _ only")
        return name

    def partners(self, named: str) -> list[str] | None:
        """Whose people of the store are meant: those of the partner that was named; None is everybody's.

        Raises UsageError for one from whom nothing came: to find nobody would look like an answer.
        """
        if named and named not in (known := self.store.people.partners()):
            raise UsageError(f"nothing of partner {named} is in the store; there is: {', '.join(known) or 'nothing'}")
        return [named] if named else None

    def vocabulary(self, partner: str = "") -> Vocabulary:
        """The tables as one partner's sheet and the user's overlay leave them; without a sheet those of everybody."""
        if partner not in self._vocabularies:
            tables = Tables(partner, self.settings.mappings.overlay)
            own = not partner or len(tables.layers) > len(self.vocabulary().tables.layers)
            self._vocabularies[partner] = Vocabulary(tables) if own else self.vocabulary()
        return self._vocabularies[partner]

    def meaning_of(self, partner: str) -> Meanings:
        """What values mean by the tables of a partner."""
        return self.vocabulary(partner).meaning

    def tables_changed(self) -> None:
        """Read the tables anew when they are next asked for."""
        self._vocabularies.clear()
        self._matters.clear()
        self._resolved.clear()

    @cached_property
    def policy(self) -> Policy:
        """The survivorship policy. Raises TableError where an overlay says otherwise under the same version."""
        tables, codes = self.vocabulary().tables, self.vocabulary().codes
        policy = policy_from(tables.document(SURVIVORSHIP), codes)
        if tables.overlaid(SURVIVORSHIP):
            policy.require_version_of_its_own(policy_from(Tables().document(SURVIVORSHIP), codes))
        return policy

    def decide_by(self, file: Path) -> None:
        """Decide by the policy in force with what a file says differently, under a version of its own.

        Raises UsageError, TableError.
        """
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):  # of which the message may quote the file
            raise UsageError(f"{file.name} is not TOML") from None
        except OSError as error:
            raise UsageError(f"{file.name} cannot be read: {error.strerror}") from None
        tables, codes = self.vocabulary().tables, self.vocabulary().codes
        policy = policy_from(tables.under(SURVIVORSHIP, document), codes)
        policy.require_version_of_its_own(self.policy)
        self.policy = policy
        self._resolved.clear()

    @cached_property
    def release(self) -> Release:
        """The release policy."""
        vocabulary = self.vocabulary()
        return Release(vocabulary.tables.document("policies/release.toml"), vocabulary.codes)

    @property
    def store(self) -> Store:
        """The store, opened (and made) on first use."""
        if self._store is None:
            from fhir_equity.store import Signature, Store

            key = self.settings.store.key()
            self._store = Store(self.settings.store.url, Signature(self.who, self.versions), key)
        return self._store

    @property
    def who(self) -> str:
        """Who acts, for the record."""
        return self.settings.trail.who or _user()

    def versions(self) -> dict[str, str]:
        """What decides what is done: this program, its policies, and the digest of all its tables."""
        return {
            "software": software(),
            "survivorship": self.policy.version,
            "release": self.release.version,
            "tables": fingerprint(self.settings.mappings.overlay),
        }

    def run(
        self,
        partner: str,
        as_of: str = "",
        inputs: str = "",
        action: str = "ingest",
        judgement: Judgement | None = None,
    ) -> RunWriter:
        """Begin a run of a partner in the store, or go on with an interrupted one of the same `inputs`.

        `action` is what the trail calls it, `judgement` what the circuit breaker found.
        """
        day, judge = as_of or self.as_of, self.judge(partner)
        return self.store.run(partner, day, software(), self.pseudonyms, inputs, judge, action, judgement)

    def judge(self, partner: str) -> Judge:
        """Who decides about the people of a partner: the policy, with the partner's tables."""
        from fhir_equity.store import Judge

        decide, contend = partial(self.resolutions, partner), partial(self.contentions, partner)
        return Judge(self.policy.version, decide, contend, partner, self.judge)

    def contentions(
        self, partner: str, events: Sequence[Event], decided: Mapping[str, Resolution]
    ) -> tuple[Contention, ...]:
        """What somebody should decide about the events of one person, given how they are resolved."""
        undecided = decided
        if any(event.decided for event in events):
            undecided = self.resolutions(partner, [msgspec.structs.replace(event, decided="") for event in events])
        return contentions(
            events,
            decided,
            undecided,
            self.matter_of,
            self.vocabulary(partner).meaning,
            self._elsewhere(partner, events),
        )

    def _elsewhere(self, partner: str, events: Iterable[Event]) -> Elsewhere:
        """Who reads what came through other partners: their own tables."""
        others = {event.origin.partner for event in events} - {partner, ""}
        return {other: self.vocabulary(other).meaning for other in others}

    @property
    def has_store(self) -> bool:
        """Whether there is a store, or one was named by the option, the environment or the settings."""
        store = self.settings.store
        return store.url != StoreSettings().url or (store.file is not None and store.file.exists())

    def require_store(self, instead: str = "ingest files first") -> None:
        """Raise UsageError where there is no store yet: reading an empty one would look like an answer."""
        path = self.settings.store.file
        if path is not None and not path.exists():
            raise UsageError(f"there is no store {path.name} here; {instead}")

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """Keyed hashes with the key where the settings say, else beside the store's file or in the working folder."""
        return Pseudonyms(key_from(self.settings.pseudonym_key))

    def context(self, partner: str, format_: str) -> Context:
        """What an adapter is handed: guide and attestation of the partner, date, system URIs."""
        tables = self.vocabulary(partner).tables
        return Context(
            partner=partner,
            guide=tables.document(f"guides/{format_}.toml"),
            attestation=_attested(tables.document("attestation.toml").get(format_, {})),
            systems=self.vocabulary(partner).codes.uris,
            as_of=self.as_of,
        )

    def matter_of(self, topic: str) -> str:
        """What is decided together with a topic."""
        found = self._matters.get(topic)
        if found is None:
            found = self._matters[topic] = self.vocabulary().codes.topic(topic).matter
        return found

    def resolutions(self, partner: str, events: Iterable[Event]) -> dict[str, Resolution]:
        """The winner of every matter that these events of one person speak of, each by its partner's tables."""
        by_matter: dict[str, list[Event]] = {}
        for event in events:
            by_matter.setdefault(self.matter_of(event.received[0].topic), []).append(event)
        return {matter: self._resolution(partner, matter, tuple(found)) for matter, found in by_matter.items()}

    def _resolution(self, partner: str, matter: str, events: tuple[Event, ...]) -> Resolution:
        """Equal events of many people are resolved once."""
        key = (partner, matter, events)
        found = self._resolved.get(key)
        if found is None:
            if len(self._resolved) >= MOST:
                self._resolved.clear()
            vocabulary = self.vocabulary(partner)
            elsewhere = self._elsewhere(partner, events)
            found = resolve(matter, events, vocabulary.meaning, self.policy, vocabulary.detail, elsewhere)
            self._resolved[key] = found
        return found


def answered(resolutions: Mapping[str, Resolution]) -> set[str]:
    """The matters with a known answer."""
    return {matter for matter, resolution in resolutions.items() if resolution.state is State.ANSWERED}


def _attested(sheet: Mapping[str, str]) -> Mapping[str, str]:
    """The section of an attestation sheet, its closed lists checked. Raises TableError."""
    for name, allowed in (("method", list(Method)), ("collector", list(Collector))):
        if name in sheet and sheet[name] not in allowed:
            raise TableError(f"attestation.toml: {sheet[name]!r} is no {name}; there are: {', '.join(allowed)}")
    return sheet
