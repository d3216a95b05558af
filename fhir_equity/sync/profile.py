"""What an HIE's server really does, and how it is therefore written to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from fhir_equity.store.endpoint import EndpointMemory


class Profile(Struct, frozen=True, omit_defaults=True):
    """What is known about a server; None where nothing is, and then the most careful way is taken.

    Found by writing: `if_match` and `conditional_if_match` (an update, or a conditional update, of a
    version that has moved on is refused), `conditional_create` (If-None-Exist makes one, not two),
    `patch` (a JSON Patch leaves nested extensions whole and a failed ``test`` stops it), `rollback` (of
    a transaction that fails nothing stays), `entries` (the largest batch it took of those tried; 1
    means not tried), `paging`. `retry_after` is whether a refusal for being busy says how long.
    Declared by the server: `match` (``Patient/$match``), `exports` (levels of ``$export``) and `includes`
    (Observations and Provenance come with their Patient: ``_revinclude``), `consents` (it has FHIR Consents, which
    are asked for unless it has none), `provenance` (it has Provenance), `by_code`
    (Observations are found by what they are about and of whom).
    """

    software: str = ""
    version: str = ""
    fhir: str = ""
    probed_at: str = ""
    wrote: bool = False
    if_match: bool | None = None
    conditional_if_match: bool | None = None
    conditional_create: bool | None = None
    patch: bool | None = None
    rollback: bool | None = None
    paging: bool | None = None
    retry_after: bool | None = None
    entries: int = 1
    match: bool | None = None
    exports: tuple[str, ...] = ()
    includes: bool = False
    consents: bool | None = None
    provenance: bool | None = None
    by_code: bool = False
    quirks: tuple[str, ...] = ()

    @property
    def loses_updates(self) -> bool:
        """Whether it is known to overwrite what somebody else wrote meanwhile: `accept_lost_update` is needed."""
        return self.if_match is False

    @property
    def may_patch(self) -> bool:
        """Whether a JSON Patch may be sent; else an update puts the whole resource."""
        return self.patch is True and self.if_match is True

    @property
    def may_bundle(self) -> bool:
        """Whether several writes may go as one transaction; else they go one after the other."""
        return self.rollback is True and self.entries > 1


TRAITS = ("if_match", "conditional_if_match", "conditional_create", "patch", "rollback", "paging", "match")

_decoder = msgspec.json.Decoder(Profile)


def stored_profile(memory: EndpointMemory) -> Profile:
    """The profile of the last probe; of a server that was never probed nothing is known."""
    document = memory.profile()
    return _decoder.decode(document) if document else Profile()


def with_quirks(profile: Profile, rows: Iterable[Mapping[str, str]]) -> Profile:
    """The profile with what is known of this software: it stands where no canary found out better."""
    fitting = [row for row in rows if _fits(row, profile)]
    known = {row["trait"]: row["works"] == "yes" for row in fitting}
    changed = {trait: works for trait, works in known.items() if not profile.wrote or getattr(profile, trait) is None}
    ids = tuple(row["id"] for row in fitting if row["trait"] in changed)
    return msgspec.structs.replace(profile, **changed, quirks=ids)


def _fits(row: Mapping[str, str], profile: Profile) -> bool:
    if row["trait"] not in TRAITS or row["software"].casefold() not in profile.software.casefold():
        return False
    version = _numbers(profile.version)
    first, last = _numbers(row["from"]), _numbers(row["below"])
    return not (first and version < first) and not (last and version and version >= last)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
