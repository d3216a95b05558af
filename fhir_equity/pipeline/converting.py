"""A member on the way from one format into another: what is written of them, and what is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from fhir_equity.adapters import adapter_named
from fhir_equity.adapters.fhir import Writer, validate
from fhir_equity.adapters.protocol import Context, Read
from fhir_equity.model import Event, Expressed, Finding, Loss, Member, Outgoing, Rejected
from fhir_equity.pipeline.change import completed, is_change
from fhir_equity.pipeline.leaving import KeptBack, Leaves, Leaving, Made, Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import Pseudonyms
from fhir_equity.quality.people import events_of
from fhir_equity.quality.rules import findings

if TYPE_CHECKING:  # the store loads SQLAlchemy, which files alone do not need
    from fhir_equity.store import Person

_Outgoing = tuple[Outgoing, tuple[Loss, ...], tuple[tuple[str, str], ...]]
_Expressed = tuple[tuple[Expressed, ...], tuple[Loss, ...], tuple[tuple[str, str], ...]]  # and (matter, rule)
MOST = 50_000  # groups of equal answers remembered as expressed before the memory starts afresh


class Conversion:
    """Makes pieces of members; equal answers are expressed once. `ledger` is whether lines are made for one."""

    def __init__(
        self,
        workspace: Workspace,
        wish: Wish,
        context: Context,
        *,
        ledger: bool = False,
        correcting: bool = False,
        kept_back: KeptBack | None = None,
    ) -> None:
        self._workspace, self._wish, self._correcting = workspace, wish, correcting
        self._leaving = Leaving(workspace, wish, ledger=ledger, kept_back=kept_back)
        self._partner = workspace.partner(wish.partner)
        self._piece_of = adapter_named(wish.to).pieces(context)
        self._checked = Writer(context) if wish.validate and wish.to == "fhir" else None
        self._expressed: dict[tuple[object, ...], _Expressed] = {}

    def made(self, item: Read) -> Made:
        """What comes of one item of a reader."""
        if isinstance(item, Member):
            return self._member(item)
        if isinstance(item, Rejected):
            return Made(findings=(item.finding.code,))
        if isinstance(item, Finding):
            return Made(findings=(item.code,))
        return Made(losses=(self._leaving.lost(item),)) if isinstance(item, Loss) else Made()

    def _member(self, member: Member) -> Made:
        meaning = self._workspace.vocabulary(member.partner).meaning
        found = tuple(f.code for f in findings(member, meaning, self._workspace.as_of))
        person = self._workspace.store.people.known(member.partner, member.key) if self._correcting else None
        if person:
            record, lost, rules = self._corrected(member, person)
        else:
            record, lost, rules = self._as_it_comes(member)
        if not is_change(record):
            return Made(findings=found, unchanged=True)
        piece, invalid = self._piece_of(record), 0
        if self._checked is not None:
            resources, _ = self._checked.resources(record)
            invalid = sum(bool(validate(each, each["resourceType"])) for each in resources)
        losses = tuple(self._leaving.lost(loss, member) for loss in (*member.losses, *lost, *piece.losses))
        who = Member(member.partner, member.key, name=member.name, birth_date=member.birth_date)
        leaves = Leaves(who, rules) if rules else None
        return Made(msgspec.structs.replace(piece, losses=()), losses, found, invalid, leaves=leaves)

    def _as_it_comes(self, member: Member) -> _Outgoing:
        kept = self._leaving.kept_back(member)
        key = (member.enrollment.restricted, kept, *[part for a in member.answers for part in (a.received, a.origin)])
        known = self._expressed.get(key)
        if known is None:
            if len(self._expressed) >= MOST:
                self._expressed.clear()
            known = self._expressed[key] = self._express(member, self._events(member))
        return Outgoing(member, known[0]), known[1], known[2]

    def _corrected(self, member: Member, person: Person) -> _Outgoing:
        """A member with all that is known of them, and as they were known before."""
        known = tuple(event for _, event in person.events)
        before, *_ = self._express(person.member, known)
        whole = completed(member, person.member)
        expressed, lost, rules = self._express(whole, (*known, *self._events(member)))
        return Outgoing(whole, expressed, Outgoing(person.member, before)), lost, rules

    def _events(self, member: Member) -> tuple[Event, ...]:
        return events_of(member.answers, self._workspace.matter_of, self._workspace.as_of)

    def _express(self, member: Member, events: Iterable[Event]) -> _Expressed:
        resolutions = self._workspace.resolutions(member.partner, events)
        released, losses, rules = self._leaving.released(member, resolutions)
        express = self._workspace.vocabulary(member.partner).express
        if self._wish.to == "fhir":
            expressed, lost = express.us_core(released, self._wish.omb, self._wish.us_core)
        elif self._wish.to == "edi834":
            guide = self._workspace.vocabulary(self._partner).tables.document("guides/edi834.toml")
            expressed, lost = express.x12(released, guide["write"]["race"], self._wish.omb)
        else:
            expressed, lost = express.plain(released)
        return tuple(expressed), (*losses, *lost), rules


class Elsewhere(Struct, frozen=True):
    """How another process begins the same conversion; `key` is that of the ids of Patients."""

    wish: Wish
    guide: Mapping[str, Any]
    created: str
    key: bytes
    ledger: bool
    kept_back: KeptBack = {}

    def __call__(self, workspace: Workspace) -> Callable[[Read], Made]:
        """What makes a piece of each item."""
        context = workspace.context(workspace.partner(self.wish.partner), self.wish.to)
        context = msgspec.structs.replace(context, guide=self.guide, created=self.created)
        if self.key:
            context = msgspec.structs.replace(context, uuid=Pseudonyms(self.key).uuid)
        return Conversion(workspace, self.wish, context, ledger=self.ledger, kept_back=self.kept_back).made
