"""One change of a plan for an HIE, and what is remembered there about one member."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec import Struct, field

from fhir_equity.store.rows import digest

PLANNED = "planned"
SENT = "sent"  # a request has left, or was about to, and its outcome was not recorded yet
VERIFIED = "verified"  # read back, and as sent
UNVERIFIED = "unverified"  # sent, and what was looked at afterwards did not tell that it arrived
QUARANTINED = "quarantined"  # read back, not as sent, and mending it did not help
UNSEEN = "?"  # stands for the id of a Patient of our making whom nobody saw
There = tuple[str, str]  # resource id, etag


class Planned(Struct, frozen=True):
    """One change of a plan: what to do about which matters of one member, and what it rests on.

    `said` maps each matter to the fingerprint of what will be said; `etag` is the version of the
    HIE's resource that was looked at, or the digest by which a Patient of our making is known again (`sync.making`).
    `status` is ``planned`` or ``sent``.
    """

    id: int
    member_id: int
    matters: tuple[str, ...]
    action: str
    resource_id: str
    etag: str
    said: dict[str, str]
    status: str = PLANNED

    def __repr__(self) -> str:
        return f"Planned({self.id}, {self.action}, {self.status})"


class Settled(Struct, frozen=True):
    """What became of a change, what the HIE holds from us since (matter -> fingerprint), and where.

    `there` is the Patient, `observed` are our Observations by matter and number.
    """

    change: Planned
    status: str
    held: dict[str, str] = {}
    there: There | None = None
    observed: dict[tuple[str, int], There] = {}


class Known(Struct):
    """What is remembered about one member: who they are there, what we wrote, and a write that was interrupted.

    `written` has a fingerprint by matter, `observed` our Observations by matter and number, and `unkept` the
    fingerprint of what they did not keep when it was sent last; `tries` counts what was written, by matter. `lost` are
    creates of which no plan found what they may have made.
    """

    link: There | None = None
    written: dict[str, str] = field(default_factory=dict)
    observed: dict[tuple[str, int], There] = field(default_factory=dict)
    sent: list[Planned] = field(default_factory=list)
    lost: list[Planned] = field(default_factory=list)
    unkept: dict[str, str] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)


def digest_of(changes: Iterable[Planned]) -> str:
    """The SHA-256 of everything that changes want done, in order.

    Of what is yet to be made the id, and of a Patient the digest of what is sent, are no part: they are learnt when
    that is done.
    """
    made = ("create", "observe", "tell")
    rests = ((c, "" if c.action in made else c.resource_id, "" if c.action == "create" else c.etag) for c in changes)
    parts = [(c.member_id, c.matters, c.action, key, etag, sorted(c.said.items())) for c, key, etag in rests]
    return digest(msgspec.json.encode(parts))
