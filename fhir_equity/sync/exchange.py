"""What plan, apply and pull share: our side of a person, their side, and whether the two agree."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from fhir_equity.adapters.fhir import PatientReader, Writer, observed_in
from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import UsageError
from fhir_equity.model import Event, Identifier, Meaning, Member, Name, Origin, Outgoing, Resolution, State
from fhir_equity.quality.people import events_of
from fhir_equity.release import Release
from fhir_equity.settings import HieSettings
from fhir_equity.store import Choice, Person, Store
from fhir_equity.store.hie import HieMemory
from fhir_equity.survivorship import Policy, event_state
from fhir_equity.sync.client import Client, Versioned
from fhir_equity.sync.inbound import Inbound
from fhir_equity.sync.profile import Profile
from fhir_equity.sync.search import token
from fhir_equity.vocabulary import Vocabulary

Resource = dict[str, Any]
Resolver = Callable[[str, Iterable[Event]], dict[str, Resolution]]

# Administrative sex is what the HIE's own registration says: it goes into Patients that we make and
# is neither changed there nor taken from there.
REGISTRATION = "sex"
LOINC = "http://loinc.org"
FULL_DATE = len("YYYY-MM-DD")
OF_THE_SERVER = ("id", "meta", "text")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # https://hl7.org/fhir/R4/datatypes.html#id


class Ours(Struct, frozen=True):
    """Our side of one person: what may be sent, as what we would write, and what is withheld.

    `said` maps each matter that may be sent to the fingerprint of what is written about it: in the Patient, or
    in the Observations of `observed`. `rules` names the release rule of each, `withheld` why one may not be sent.
    `choices` is what was decided about them and this HIE.
    """

    person: Person
    resolutions: dict[str, Resolution]
    outgoing: Outgoing
    patient: Resource
    observed: dict[str, tuple[Resource, ...]]
    said: dict[str, str]
    rules: dict[str, str]
    withheld: dict[str, str]
    choices: Sequence[Choice] = ()

    def __repr__(self) -> str:
        return f"Ours({self.person.pseudonym})"


class Theirs(Struct, frozen=True):
    """Their side: the events that a resource holds, their states and fingerprints by matter."""

    member: Member
    events: dict[str, Event]
    states: dict[str, State]
    said: dict[str, str]

    def __repr__(self) -> str:
        return f"Theirs({', '.join(self.said)})"


class Writers(Protocol):
    """The writer of a partner's members, made once: of Patients `alone`, or of what stands beside them too."""

    def __call__(self, partner: str, *, alone: bool = False) -> Writer:
        """The writer of a partner's members."""


class Exchange(Struct, frozen=True):
    """One HIE with everything that deciding about it takes. `contexts` are those of reading and writing, by partner."""

    name: str
    settings: HieSettings
    client: Client
    store: Store
    vocabulary: Vocabulary
    release: Release
    resolve: Resolver
    contexts: Callable[[str], Context]
    writer: Writers
    reader: PatientReader  # of what the HIE says
    as_of: str
    policy: Policy
    profile: Profile  # what is known of the server
    inbound: Inbound  # what is taken in from it, and how its Consents deny
    tells: bool  # whether who told an answer is sent, too
    edition: str  # what decides what is planned: tables, policies, rules in force, settings
    day: Callable[[], str]  # `as_of`, and the next day once a run that began today has gone on past midnight

    @property
    def observed_codes(self) -> list[str]:
        """What Observations of ours are about, as tokens of a search."""
        topics = self.contexts(self.partner).guide.get("observation", {}).get("topics", {})
        return sorted(token(LOINC, row["code"]) for row in topics.values())

    @property
    def partner(self) -> str:
        """The name under which the HIE's answers are kept."""
        return self.settings.partner or self.name

    @property
    def memory(self) -> HieMemory:
        """What the store remembers about this HIE."""
        return self.store.hie(self.name)

    def create(self, resource: Resource, condition: str) -> Versioned:
        """Create a resource where none meets the condition; sent again only where a probe saw that it makes one then.

        Raises as `Client.create` does.
        """
        return self.client.create(resource, condition, proven=self.profile.conditional_create is True)

    def check_sending(self) -> None:
        """Raise UsageError where the settings do not let anything be sent or anybody be found."""
        place = f"[hie.{self.name}]"
        if self.settings.mode == "read-only":
            raise UsageError(f"{place} is read-only; set its mode to contributor or editor to send")
        if not self.settings.recipient:
            raise UsageError(f"{place} names no recipient, so nothing may be sent to it")
        if not self.settings.identifier_systems:
            raise UsageError(f"{place} has no identifier_systems, so nobody can be found there")

    def ours(self, person: Person, kept_back: Collection[str] = (), choices: Sequence[Choice] = ()) -> Ours:
        """What we hold and may send about a person today; `kept_back` are the matters that they opted out of."""
        resolutions = self.resolve(person.member.partner, [event for _, event in person.events])
        released, rules, withheld = {}, {}, {}
        for matter, resolution in resolutions.items():
            decision = self.release.decide(self.settings.recipient, person.member, resolution, self.as_of, kept_back)
            if decision.allowed:
                released[matter], rules[matter] = resolution, decision.reason
            elif resolution.state is State.ANSWERED:
                withheld[matter] = decision.reason
        expressed, _ = self.vocabulary.express.us_core(released, self.settings.omb, self.settings.us_core)
        outgoing = Outgoing(person.member, tuple(expressed))
        patient = self._patient(outgoing)
        observed = self._observed(outgoing)
        said = self.theirs(patient).said | {m: self.observations_say(found)[1] for m, found in observed.items()}
        kept = {matter: word for matter, word in said.items() if matter in released}
        return Ours(person, resolutions, outgoing, patient, observed, kept, rules, withheld, choices)

    def check_writing(self) -> None:
        """As `check_sending`, and raise UsageError where a probe found that others' words would be overwritten."""
        self.check_sending()
        if self.profile.loses_updates and not self.settings.accept_lost_update:
            does = f"[hie.{self.name}] does not honour If-Match, so that others' changes would be lost"
            raise UsageError(f"{does}; nothing is written unless accept_lost_update is set")

    def kept_back(self, members: Sequence[int]) -> dict[int, set[str]]:
        """The matters (an empty one: all) that members keep from this recipient today."""
        return self.store.opt_outs.in_force(members, self.settings.recipient, self.as_of)

    def _observed(self, outgoing: Outgoing) -> dict[str, tuple[Resource, ...]]:
        found: dict[str, tuple[Resource, ...]] = {}
        for topic, observation in self.writer(outgoing.member.partner).observations(outgoing):
            matter = self.matter_of(topic)
            found[matter] = (*found.get(matter, ()), observation)
        return found

    def observations_say(self, observations: Iterable[Resource]) -> tuple[State, str]:
        """The state and the fingerprint of what Observations on one matter say together."""
        member = observed_in(observations, self.name, self.contexts(self.partner))
        meanings = [self.vocabulary.meaning(answer.received) for answer in member.answers]
        state = event_state(meanings, self.policy) if meanings else State.UNKNOWN
        return state, fingerprint(meanings, state) if meanings else ""

    def theirs(self, resource: Resource, number: int = 0, beside: Collection[Resource] = ()) -> Theirs:
        """What a resource of theirs, the `number`-th of this look, and what is `beside` it say in our own terms."""
        member = self.reader.in_hand(resource, number, beside)
        events = {}
        for event in events_of(member.answers, self.matter_of, self.as_of):
            events[self.matter_of(event.received[0].topic)] = event
        meanings = {m: [self.vocabulary.meaning(r) for r in e.received] for m, e in events.items()}
        states = {matter: event_state(found, self.policy) for matter, found in meanings.items()}
        said = {matter: fingerprint(found, states[matter]) for matter, found in meanings.items()}
        return Theirs(member, events, states, said)

    def matter_of(self, topic: str) -> str:
        """What is decided together with a topic."""
        return self.vocabulary.codes.topic(topic).matter

    def told_by(self, ours: Ours, matter: str) -> Origin | None:
        """Where an answer of ours comes from, where that is to be told beside it."""
        found = self.only(ours, [matter]).expressed if self.tells else ()
        told = found and self.writer(ours.person.member.partner).tells(found[0].origin)
        return found[0].origin if told else None

    def topics_of(self, matters: Collection[str]) -> list[str]:
        """The topics that are decided together in some matters."""
        return [name for name in self.vocabulary.codes.topics if self.matter_of(name) in matters]

    def only(self, ours: Ours, matters: Collection[str]) -> Outgoing:
        """What we would write about some matters only."""
        kept = [each for each in ours.outgoing.expressed if self.matter_of(each.topic) in matters]
        return Outgoing(ours.outgoing.member, tuple(kept))

    def patient(self, ours: Ours, matters: Collection[str]) -> Resource:
        """The Patient we would make that speaks of some matters only."""
        return self._patient(self.only(ours, matters))

    def _patient(self, outgoing: Outgoing) -> Resource:
        return self.writer(outgoing.member.partner, alone=True).patient(outgoing)[0]

    def tokens(self, patient: Resource) -> list[tuple[str, str]]:
        """(system, value) of our identifiers that the HIE knows people by, in the order of preference."""
        found = dict.fromkeys((i.get("system", ""), i.get("value", "")) for i in patient.get("identifier", []))
        return [pair for system in self.settings.identifier_systems for pair in found if pair[0] == system]


def id_of(resource: Resource) -> str:
    """The id of a resource; empty for one that has none that can be asked for."""
    key = resource.get("id")
    return key if isinstance(key, str) and _ID.fullmatch(key) and key.strip(".") else ""


def is_active(patient: Resource) -> bool:
    """Whether a Patient is in use: neither inactive nor replaced by another.

    https://hl7.org/fhir/R4/patient-definitions.html: Patient.active and Patient.link.type.
    """
    links = patient.get("link")
    kinds = [each.get("type") for each in links if isinstance(each, dict)] if isinstance(links, list) else []
    return patient.get("active") is not False and "replaced-by" not in kinds


def is_as_sent(there: Resource, sent: Resource) -> bool:
    """Whether a resource is what we sent, apart from what a server adds: then we made it."""
    bodies = [{name: value for name, value in each.items() if name not in OF_THE_SERVER} for each in (there, sent)]
    return bodies[0] == bodies[1]


def fingerprint(meanings: Iterable[Meaning], state: State) -> str:
    """What meanings say, whatever the order and the form: codes, words, else their state."""
    meanings = list(meanings)
    codes = {f"{c.coding.system}|{c.coding.code}" for m in meanings for c in m.concepts}
    words = {f"text|{m.text.casefold()}" for m in meanings if m.text}
    return "\n".join(sorted(codes | words)) or f"state|{state.value}"


def same_person(ours: Member, theirs: Member) -> bool:
    """Whether name and whole birth date agree: asked before anything is written about a person elsewhere.

    What both sides lack does not agree. Never looks at race, ethnicity, language or SOGI.
    """
    return not differences(ours, theirs)


def differences(ours: Member, theirs: Member) -> list[str]:
    """What of ``birth_date``, ``family`` and ``given`` name does not agree."""
    mine, other = called(ours.name), called(theirs.name)
    found = ["family"] * (mine[0] != other[0]) + ["given"] * (mine[1] != other[1])
    if not any(mine):
        found = ["family", "given"]
    whole = len(ours.birth_date) == FULL_DATE and ours.birth_date == theirs.birth_date
    return found if whole else ["birth_date", *found]


def called(name: Name) -> tuple[str, str]:
    """Family and first given name, whatever the case, the spaces and the form of their letters."""
    words = (name.family, name.given[0] if name.given else "")
    family, given = (" ".join(unicodedata.normalize("NFKC", word).casefold().split()) for word in words)
    return family, given


def tokens_of(identifiers: Iterable[Identifier], systems: Iterable[str]) -> list[tuple[str, str]]:
    """(system, value) of identifiers, by the order of `systems`; others are left out."""
    found = [(each.system, each.value) for each in identifiers if each.value]
    return [pair for system in systems for pair in found if pair[0] == system]
