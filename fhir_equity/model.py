"""The nouns every part shares: Member, Answer, Coding, Origin, Finding, Loss, Rejected, Frame, Resolution.

A Member holds Answers. An Answer keeps what was *received*, verbatim, and its *origin*. What it
means is computed by `fhir_equity.vocabulary` and never stored over what was received.

The structs are slotted and untracked by the garbage collector because millions of them pass
through one process; pydantic validates at the borders (settings, tables, JSON in and out).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from msgspec import Struct, structs

from fhir_equity.lists import Collector as Collector
from fhir_equity.lists import Method as Method
from fhir_equity.lists import Relationship as Relationship
from fhir_equity.lists import Severity as Severity
from fhir_equity.lists import State as State
from fhir_equity.person import Address as Address
from fhir_equity.person import Coverage as Coverage
from fhir_equity.person import Enrollment as Enrollment
from fhir_equity.person import Identifier as Identifier
from fhir_equity.person import Name as Name
from fhir_equity.person import Spans as Spans


class Coding(Struct, frozen=True, gc=False, cache_hash=True):
    """A code of a code system. `system` is a key of mappings/codes/systems.csv or what was received."""

    system: str
    code: str
    display: str = ""


class Received(Struct, frozen=True, gc=False, cache_hash=True):
    """What arrived for one topic, verbatim; equal values are interned once per run and store.

    `element` names where such values live in the source (``x12.dmg05``, ``fhir.us-core-race``) and
    starts the code of every finding about it. `codings` are in the sender's own systems. `text` is
    the sender's wording where there is one. `raw` is the exact source text.
    """

    topic: str
    element: str
    codings: tuple[Coding, ...] = ()
    text: str = ""
    raw: str = ""


class Origin(Struct, frozen=True, gc=False, cache_hash=True):
    """Where answers come from: who collected them, how, to which question, in which artefact.

    `collected_on` is an ISO date or empty. `question` identifies wording and response options.
    `standard` is ``omb1997``, ``omb2024`` or empty (unspecified).
    """

    partner: str = ""
    artefact: str = ""
    collector: str = Collector.OTHER.value
    method: str = Method.UNSTATED.value
    standard: str = ""
    question: str = ""
    collected_on: str = ""


class Locator(Struct, frozen=True, gc=False):
    """A position in an artefact, safe to log: no value of a record is part of it.

    `number` counts from 1 in `unit` (segment, row, line, resource); `offset` is in bytes from the
    start of the artefact, -1 where it has no meaning; `path` is an element (``DMG05:1:2``,
    ``Patient.extension[0]``). Of an 834, `loop` is the loop of the segment and `within` its number
    in the transaction set, ST being 1.
    """

    artefact: str
    unit: str = ""
    number: int = 0
    offset: int = -1
    path: str = ""
    loop: str = ""
    within: int = 0

    def __str__(self) -> str:
        words = [self.artefact]
        if self.unit:
            words.append(f"{self.unit} {self.number}" + (f" ({self.within} of its set)" if self.within else ""))
        if self.loop:
            words.append(f"loop {self.loop}")
        if self.offset >= 0:
            words.append(f"byte {self.offset}")
        if self.path:
            words.append(self.path)
        return ", ".join(words)


class Answer(Struct, frozen=True, gc=False):
    """One received value with its origin and its position in the artefact."""

    received: Received
    origin: Origin
    unit: str = ""
    number: int = 0
    offset: int = -1
    path: str = ""

    @property
    def topic(self) -> str:
        """The slot that was asked about (mappings/codes/topics.csv)."""
        return self.received.topic

    @property
    def locator(self) -> Locator:
        """Where the value stands in its artefact."""
        return Locator(self.origin.artefact, self.unit, self.number, self.offset, self.path)


class Finding(Struct, frozen=True, gc=False):
    """A problem met and survived: a stable code, a severity and where. Never a value."""

    code: str
    severity: Severity
    locator: Locator
    message: str = ""


class Loss(Struct, frozen=True, gc=False, cache_hash=True):
    """Something a hop could not carry over, by rule, so that every difference can be explained."""

    rule: str
    relationship: Relationship
    topic: str = ""
    locator: Locator | None = None


class Rejected(Struct, frozen=True, gc=False):
    """Bytes that could not be read as a member, verbatim, for the quarantine."""

    raw: bytes
    finding: Finding


class Frame(Struct, frozen=True, gc=False):
    """What the records after it stand in (an interchange, a survey's header row), to read one of them alone.

    `control` is what a sender never gives twice: sender and control number of an interchange, else empty.
    """

    raw: bytes
    locator: Locator
    control: str = ""


class Member(Struct, gc=False):
    """A person as one partner knows them, with the answers of one record of one artefact.

    `key` identifies the person within `partner` (never across partners): it is made from the
    record by the partner's guide. `key_rule` names the recipe that made it.
    """

    partner: str
    key: str
    key_rule: str = ""
    identifiers: tuple[Identifier, ...] = ()
    name: Name = Name()
    birth_date: str = ""
    address: Address = Address()
    enrollment: Enrollment = Enrollment()
    answers: tuple[Answer, ...] = ()
    findings: tuple[Finding, ...] = ()
    losses: tuple[Loss, ...] = ()
    # The record as it came, as JSON, where a writer may return it (a FHIR Patient); empty otherwise.
    record: bytes = b""
    # Where the record starts in its artefact, as in Locator.
    unit: str = ""
    number: int = 0
    offset: int = -1

    @property
    def resource(self) -> dict[str, Any] | None:
        """The record, parsed anew each time: most readers never look at it."""
        found: dict[str, Any] | None = json.loads(self.record) if self.record else None
        return found


class Concept(Struct, frozen=True, gc=False, cache_hash=True):
    """A canonical coding, how it relates to what was received, and the table row that said so."""

    coding: Coding
    relationship: Relationship
    rule: str


class Meaning(Struct, frozen=True, gc=False):
    """What a received value means under one edition of the tables.

    `text` is what the person said that no code carries (a write-in); `wording` is the whole text
    that came with the codes. `problems` are (name, severity) pairs
    that become findings ``<element>.<name>``.
    """

    topic: str
    state: State
    concepts: tuple[Concept, ...] = ()
    text: str = ""
    wording: str = ""
    problems: tuple[tuple[str, Severity], ...] = ()


CHOSEN, KNOWN = "chosen", "known"
_LABELLED = "; labelled "


def labels_in(origin: Origin) -> frozenset[str]:
    """The labels by which a sender restricted what may be done with an answer; they stand after its question."""
    return frozenset(origin.question.partition(_LABELLED)[2].split())


def with_labels(origin: Origin, labels: Collection[str]) -> Origin:
    """An origin with labels that restrict what may be done with an answer, beside those that it has."""
    every = sorted(labels_in(origin) | set(labels))
    question = origin.question.partition(_LABELLED)[0]
    return structs.replace(origin, question=f"{question}{_LABELLED}{' '.join(every)}") if every else origin


class Event(Struct, frozen=True, gc=False, cache_hash=True):
    """The answers of one source about one matter on one occasion.

    A 1997 event carries race and ethnicity together. `first_seen` is an ISO date, the earliest on
    which this very statement was seen; `identity` refers to stored answers where there is a store.
    `decided` is `CHOSEN` where somebody decided for it, `KNOWN` where they decided in its knowledge.
    """

    received: tuple[Received, ...]
    origin: Origin
    first_seen: str = ""
    identity: tuple[int, ...] = ()
    decided: str = ""


class Resolution(Struct, frozen=True, gc=False):
    """Which event wins for one matter of one person, why, and what it beat.

    `provisional` marks a tie settled by the fixed order; such a resolution is not sent anywhere.
    `refused` marks a refusal later than the winner; for sensitive topics it stops release at once.
    """

    matter: str
    state: State
    meanings: tuple[Meaning, ...]
    winner: Event | None
    beaten: tuple[Event, ...] = ()
    rule: str = ""
    provisional: bool = False
    refused: bool = False


class Side(Struct, frozen=True, gc=False):
    """Who says what in a case: a partner's collector by a method, and codes (system, code) or words (``text``)."""

    partner: str
    collector: str
    method: str
    said: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"Side({self.partner}, {self.collector}, {self.method})"


class Contention(Struct, frozen=True, gc=False):
    """What somebody should decide about one matter of one person: the sides, and which events are theirs.

    `places` count in the events that were looked at. `state` is ``open``, ``decided`` or ``reopened``;
    `since` the ISO date of what was seen last of it.
    """

    kind: str
    matter: str
    sides: tuple[Side, ...]
    places: tuple[tuple[int, ...], ...]
    state: str
    since: str


class Expressed(Struct, frozen=True, gc=False, cache_hash=True):
    """A resolution in a target's own codes, ready for an adapter to write.

    `categories` and `details` are split as the target splits them (US Core: ombCategory and
    detailed; X12: all in `details`). `text` is deterministic and present whenever the target has a
    place for it. `origin` is that of the answer where the target has a place for that too.
    """

    topic: str
    state: State
    categories: tuple[Coding, ...] = ()
    details: tuple[Coding, ...] = ()
    text: str = ""
    origin: Origin = Origin()


class Outgoing(Struct, frozen=True, gc=False):
    """A member with what may be written about them; `before` is the person as the receiver knew them until now."""

    member: Member
    expressed: tuple[Expressed, ...]
    before: Outgoing | None = None
