"""What is asked of a conversion, what may leave with it, and what is told of everything that came through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct, field

from fhir_equity.adapters.protocol import Piece
from fhir_equity.model import Locator, Loss, Meaning, Member, Relationship, Resolution
from fhir_equity.pipeline.change import Purpose
from fhir_equity.pipeline.patients import Form
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.release import discloses, is_sensitive
from fhir_equity.vocabulary import US_CORE

Omb = Literal["faithful", "rollup-1997"]
KeptBack = Mapping[tuple[str, str], frozenset[str]]  # partner and key of a member -> matters, an empty one is all
Lost = tuple[str, bytes]  # the rule, and the line of the ledger (empty where there is none)


class Wish(Struct, frozen=True):
    """How to convert: names of formats (empty = recognised), partner, recipient, OMB strategy, US Core version.

    `form` is for FHIR: a resource a line, a transaction a line, or a folder as of a Bulk Data export. `purpose` and
    `control_number` are for an 834; 0 is the next number.
    """

    from_: str = ""
    to: str = ""
    partner: str = ""
    recipient: str = ""
    omb: Omb = "faithful"
    us_core: str = US_CORE
    form: Form = "ndjson"
    include_sensitive: bool = False
    validate: bool = False
    purpose: Purpose = "as-guide"
    control_number: int = 0


class Leaves(Struct, frozen=True, gc=False):
    """What a recipient is told of one member: each matter with the release rule that lets it out.

    `member` is who they are, without what they answered: two people may be under one key.
    """

    member: Member
    matters: tuple[tuple[str, str], ...]


class Made(Struct, gc=False):
    """What came of one item: a piece to be written, if any, and what is told of it."""

    piece: Piece | None = None
    losses: tuple[Lost, ...] = ()
    findings: tuple[str, ...] = ()
    invalid: int = 0  # resources
    unchanged: bool = False
    leaves: Leaves | None = None


class Converted(Struct):
    """What a conversion wrote and what it could not carry, by rule."""

    members: int = 0
    rejected: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    findings: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    invalid: int = 0
    unchanged: int = 0  # left out of a change file: the store knows them so


class Told:
    """What all that was made tells together; counts of several processes add up."""

    def __init__(self) -> None:
        self.losses: Counter[str] = Counter()
        self.findings: Counter[str] = Counter()
        self.members = self.rejected = self.invalid = self.unchanged = 0

    def add(self, made: Made) -> None:
        """What is told of one item."""
        self.losses.update(rule for rule, _ in made.losses)
        self.findings.update(made.findings)
        self.invalid += made.invalid
        self.unchanged += made.unchanged

    def take(self, other: Told) -> None:
        """What another one was told."""
        self.losses.update(other.losses)
        self.findings.update(other.findings)
        self.members += other.members
        self.rejected += other.rejected
        self.invalid += other.invalid
        self.unchanged += other.unchanged

    def converted(self, failures: list[str]) -> Converted:
        """As it is told to whoever asked, the most first."""
        losses, found = dict(self.losses.most_common()), dict(self.findings.most_common())
        return Converted(self.members, self.rejected, losses, found, failures, self.invalid, self.unchanged)


class Leaving:
    """Decides what of a member may leave, and writes down what is lost; `ledger` is whether lines are made for one."""

    def __init__(self, workspace: Workspace, wish: Wish, *, ledger: bool, kept_back: KeptBack | None = None) -> None:
        self._workspace, self._wish, self._ledger = workspace, wish, ledger
        self._kept_back = kept_back or {}

    def kept_back(self, member: Member) -> frozenset[str]:
        """The matters that a member keeps from the recipient; an empty one is all."""
        return self._kept_back.get((member.partner, member.key), frozenset())

    def released(
        self, member: Member, resolutions: dict[str, Resolution]
    ) -> tuple[dict[str, Resolution], list[Loss], tuple[tuple[str, str], ...]]:
        """The matters that may leave, a loss for each answer that stays here, and the rules that let answers out."""
        released, losses, rules = {}, [], []
        for matter, resolution in resolutions.items():
            allowed, reason = self._decided(member, resolution)
            if allowed:
                released[matter] = resolution
                if reason and resolution.winner is not None:
                    rules.append((matter, reason))
            elif resolution.winner is not None:
                losses.append(Loss(f"release.{reason}", Relationship.UNMATCHED, matter))
        return released, losses, tuple(rules)

    def _decided(self, member: Member, resolution: Resolution) -> tuple[bool, str]:
        """Whether a matter may go, and by which rule or why not; within the house there is no rule."""
        if self._wish.recipient:
            on, kept = self._workspace.as_of, self.kept_back(member)
            decision = self._workspace.release.decide(self._wish.recipient, member, resolution, on, kept)
            return decision.allowed, decision.reason
        sensitive = is_sensitive(self._workspace.vocabulary().codes, resolution)
        withheld = sensitive and not self._wish.include_sensitive
        return not withheld, "sensitive_left_out" if withheld else ""

    def withheld(self, matter: str, meaning: Meaning) -> bool:
        """Whether one answer stays here within the house, whatever was decided about its matter."""
        return not self._wish.include_sensitive and discloses(self._workspace.vocabulary().codes, matter, meaning)

    def lost(self, loss: Loss, member: Member | None = None) -> Lost:
        """A loss by its rule, and as a line of the ledger: one JSON object with its place in `member`."""
        if not self._ledger:
            return loss.rule, b""
        place = loss.locator or self._place(loss.topic, member)
        entry = {"rule": loss.rule, "relationship": loss.relationship.value, "topic": loss.topic}
        entry["locator"] = str(place) if place else ""
        return loss.rule, msgspec.json.encode(entry) + b"\n"

    def _place(self, topic: str, member: Member | None) -> Locator | None:
        """Where the answer of a topic stands in a member, else where their first one does."""
        answers = member.answers if member else ()
        matter_of = self._workspace.matter_of
        of_topic = [a for a in answers if topic and matter_of(a.topic) == matter_of(topic)]
        return next((answer.locator for answer in (*of_topic, *answers)), None)
