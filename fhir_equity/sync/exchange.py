"""What plan, apply and pull share: our side of a person, their side, and whether the two agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from fhir_equity.adapters.fhir import answers_of, patient_from
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Event, Expressed, Identifier, Meaning, Member, Outgoing, Resolution, State
from fhir_equity.quality.people import events_of
from fhir_equity.release import Release
from fhir_equity.settings import HieSettings
from fhir_equity.store import Person, Store
from fhir_equity.sync.client import Client
from fhir_equity.vocabulary import Vocabulary

Resource = dict[str, Any]
Resolver = Callable[[str, Iterable[Event]], dict[str, Resolution]]


class Ours(Struct, frozen=True):
    """Our side of one person: what may be sent, as the Patient we would write, and what is withheld.

    `said` maps each matter that may be sent to the fingerprint of what the Patient says about it.
    """

    person: Person
    resolutions: dict[str, Resolution]
    outgoing: Outgoing
    patient: Resource
    said: dict[str, str]
    withheld: dict[str, str]


class Theirs(Struct, frozen=True):
    """Their side: the events that a resource holds, its meanings and fingerprints by matter."""

    member: Member
    events: dict[str, Event]
    states: dict[str, State]
    said: dict[str, str]


class Exchange(Struct, frozen=True):
    """One HIE with everything that deciding about it takes. `ours` and `theirs` are reading contexts."""

    name: str
    settings: HieSettings
    client: Client
    store: Store
    vocabulary: Vocabulary
    release: Release
    resolve: Resolver
    contexts: Callable[[str], Context]
    as_of: str
    ranks: Mapping[str, int]

    @property
    def partner(self) -> str:
        """The name under which the HIE's answers are kept."""
        return self.settings.partner or self.name

    def ours(self, person: Person) -> Ours:
        """What we hold and may send about a person today."""
        resolutions = self.resolve(person.member.partner, [event for _, event in person.events])
        released, withheld = {}, {}
        for matter, resolution in resolutions.items():
            decision = self.release.decide(self.settings.recipient, person.member, resolution, self.as_of)
            if decision.allowed:
                released[matter] = resolution
            elif resolution.state is State.ANSWERED:
                withheld[matter] = decision.reason
        expressed, _ = self.vocabulary.express.us_core(released, self.settings.omb)
        outgoing = Outgoing(person.member, tuple(expressed))
        patient, _ = patient_from(outgoing, self.contexts(person.member.partner))
        said = self.theirs(patient).said
        return Ours(person, resolutions, outgoing, patient, {m: s for m, s in said.items() if m in released}, withheld)

    def theirs(self, resource: Resource) -> Theirs:
        """What a resource of theirs says, in our own terms."""
        member = answers_of(resource, self.name, self.contexts(self.partner))
        events = {}
        for event in events_of(member.answers, self.matter_of, self.as_of):
            events[self.matter_of(event.received[0].topic)] = event
        meanings = {m: [self.vocabulary.meaning(r) for r in e.received] for m, e in events.items()}
        return Theirs(
            member,
            events,
            {matter: _state(found) for matter, found in meanings.items()},
            {matter: fingerprint(found) for matter, found in meanings.items()},
        )

    def matter_of(self, topic: str) -> str:
        """What is decided together with a topic."""
        return self.vocabulary.codes.topic(topic).matter

    def only(self, ours: Ours, matters: Iterable[str]) -> Outgoing:
        """What we would write about some matters only."""
        kept: tuple[Expressed, ...] = tuple(
            e for e in ours.outgoing.expressed if self.matter_of(e.topic) in set(matters)
        )
        return Outgoing(ours.outgoing.member, kept)

    def tokens(self, patient: Resource) -> list[tuple[str, str]]:
        """(system, value) of our identifiers that the HIE knows people by, in the order of preference."""
        found = [(i.get("system", ""), i.get("value", "")) for i in patient.get("identifier", [])]
        return [pair for system in self.settings.identifier_systems for pair in found if pair[0] == system]

    def kinds(self, partner: str, system: str) -> list[str]:
        """Our names for the identifiers of a system (``NM109``), by the partner's guide."""
        systems = self.contexts(partner).guide.get("identifier_systems", {})
        return [kind for kind, uri in systems.items() if uri == system]


def fingerprint(meanings: Iterable[Meaning]) -> str:
    """What meanings say, whatever the order and the form: codes, words, else the state."""
    meanings = list(meanings)
    codes = {f"{c.coding.system}|{c.coding.code}" for m in meanings for c in m.concepts}
    words = {f"text|{m.text.casefold()}" for m in meanings if m.text}
    return "\n".join(sorted(codes | words)) or f"state|{_state(meanings).value}"


def _state(meanings: list[Meaning]) -> State:
    states = [meaning.state for meaning in meanings]
    return State.ANSWERED if State.ANSWERED in states else min(states, default=State.UNKNOWN)


def same_person(ours: Member, theirs: Member) -> bool:
    """Whether name and birth date agree: asked before anything is written about a person elsewhere.

    Never looks at race, ethnicity, language or SOGI.
    """
    given = [(m.name.given[0] if m.name.given else "").casefold() for m in (ours, theirs)]
    family = [m.name.family.casefold() for m in (ours, theirs)]
    born = [m.birth_date for m in (ours, theirs)]
    return bool(born[0]) and born[0] == born[1] and family[0] == family[1] and given[0] == given[1]


def tokens_of(identifiers: Iterable[Identifier], systems: Iterable[str]) -> list[tuple[str, str]]:
    """(system, value) of identifiers whose system is one of `systems`."""
    wanted = set(systems)
    return [(i.system, i.value) for i in identifiers if i.system in wanted and i.value]
