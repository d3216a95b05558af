"""pull: what the HIE knows about our members, as answers with its own origin, echoes left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, field

from fhir_equity.model import Answer, Identifier, Member, State
from fhir_equity.store import Person
from fhir_equity.sync.arrivals import Arrived
from fhir_equity.sync.deciding import is_accepted
from fhir_equity.sync.echo import is_echo
from fhir_equity.sync.exchange import (
    REGISTRATION,
    Exchange,
    Resource,
    Theirs,
    called,
    id_of,
    is_active,
    same_person,
    tokens_of,
)
from fhir_equity.sync.inbound import Inbound
from fhir_equity.sync.matching import replaces
from fhir_equity.sync.search import INSTANT


class Pulled(Struct):
    """What was looked at: Patients there, those who are our members, echoes, people who differ.

    `not_active` are our members' Patients out of use, `refused` answers about what the member
    declined to tell us, `malformed` what is no Patient. `not_accepted` are answers, by topic, that no
    inbound rule lets in, `part_2` resources marked as from a Part 2 programme. `since` is how far the pull
    has come.
    """

    patients: int = 0
    members: int = 0
    echoes: int = 0
    unknown_here: int = 0
    differ: int = 0
    not_active: int = 0
    refused: int = 0
    malformed: int = 0
    part_2: int = 0
    topics: Counter[str] = field(default_factory=Counter)
    not_accepted: Counter[str] = field(default_factory=Counter)
    since: str = ""


class Ours:
    """Our members whom the HIE can know, found by link or by identifier."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._linked = exchange.memory.members_linked()
        self._people = _findable(exchange, set().union(*self._linked.values()))
        self._find = _finder(exchange, self._people.values())

    def of(self, resource: Resource, theirs: Theirs) -> list[Person]:
        """The members who are a Patient there."""
        found = self._linked.get(id_of(resource)) or self._find(theirs.member.identifiers)
        if not found:  # one that took the place of a Patient of ours
            found = next((self._linked[key] for key in replaces(resource) if key in self._linked), set())
        return [self._people[key] for key in found if key in self._people]

    def may_be(self, resource: Resource) -> bool:
        """Whether a Patient, of which perhaps only the id is known, may be one of our members."""
        known = {id_of(resource), *replaces(resource)} & set(self._linked)
        return bool(known or self._find(_identifiers_of(resource)))


def pull(
    exchange: Exchange, inbound: Inbound, ours: Ours, arrivals: Iterable[Arrived], pulled: Pulled
) -> Iterator[Member]:
    """Yield our members with the HIE's answers; counts go to `pulled`.

    People who are not our members are counted and forgotten. Call `HieMemory.pulled(pulled.since)` when
    all was stored. Raises RemoteError, StoreError.
    """
    taking = _Taking(exchange, inbound, exchange.memory.echoes(), pulled)
    for arrived in arrivals:
        pulled.patients += 1
        resource = arrived.patient
        if resource.get("resourceType") != "Patient":
            pulled.malformed += 1
            continue
        pulled.since = later(pulled.since, resource)
        if inbound.is_part_2(resource):
            pulled.part_2 += 1
            continue
        beside = [each for each in arrived.beside if not inbound.is_part_2(each)]
        pulled.part_2 += len(arrived.beside) - len(beside)
        theirs = exchange.theirs(resource, pulled.patients, beside)
        found = ours.of(resource, theirs)
        same = [person for person in found if _is_same(exchange, person, theirs, resource)]
        if not found:
            pulled.unknown_here += 1
        elif not same:
            pulled.differ += 1
        elif not is_active(resource):
            pulled.not_active += 1
        else:
            yield from taking.members(same, theirs, id_of(resource))


class _Taking:
    """Takes in answers, as far as policy, echoes and refusals let them in."""

    def __init__(
        self, exchange: Exchange, inbound: Inbound, echoes: Mapping[tuple[int, str], set[str]], pulled: Pulled
    ) -> None:
        self._exchange, self._inbound, self._echoes, self._pulled = exchange, inbound, echoes, pulled
        self._several = exchange.store.people.several()

    def members(self, same: list[Person], theirs: Theirs, patient: str) -> Iterator[Member]:
        """The people here who are one Patient there: several where partners each have a record of them."""
        for person in same:
            answers = list(self._answers(person, theirs))
            if answers:
                self._pulled.members += 1
                self._pulled.topics.update(answer.topic for answer in answers)
                yield _about(self._whose(person, patient), theirs.member, answers)

    def _whose(self, person: Person, patient: str) -> Member:
        """Of who was merged the very member whom the HIE knows: it stays theirs when the merge is undone.

        One without name and birth date, who was split off another of the same key, would be taken for that one.
        """
        if person.id not in self._several:
            return person.member
        memory, parts = self._exchange.memory, self._exchange.store.people.apart(person.id)
        linked = parts.keys() & memory.kept_under([patient]).get(patient, set())
        keeper = parts[min(linked) if linked else memory.keepers({person.id})[person.id]]
        return next(filter(_is_called, (keeper, *parts.values())), keeper)

    def _answers(self, person: Person, theirs: Theirs) -> Iterator[Answer]:
        exchange, pulled = self._exchange, self._pulled
        declined = _declined(exchange, person)
        for answer in theirs.member.answers:
            matter = exchange.matter_of(answer.topic)
            if matter == REGISTRATION:
                continue
            own = self._echoes.get((person.id, matter), ())
            if is_echo(theirs.said[matter], own, exchange.vocabulary.codes):
                pulled.echoes += 1
            elif matter in declined:
                pulled.refused += 1
            elif not self._inbound.accepts(exchange.name, matter, answer.origin.method, exchange.as_of):
                pulled.not_accepted[matter] += 1
            else:
                yield answer


def _is_same(exchange: Exchange, person: Person, theirs: Theirs, resource: Resource) -> bool:
    """Whether a Patient is a member of ours, also where somebody decided so; of nobody in particular it is not."""
    if same_person(person.member, theirs.member):
        return True
    if not _is_called(person.member):
        return False
    choices = exchange.memory.choices([person.id]).get(person.id, ())
    return bool(choices) and is_accepted(exchange, exchange.ours(person, choices=choices), resource, theirs.member)


def _is_called(member: Member) -> bool:
    """Whether a member has anything by which the store tells them from others of their key."""
    return any((*called(member.name), member.birth_date))


def _about(ours: Member, theirs: Member, answers: list[Answer]) -> Member:
    """Our member with their answers: who the person is, is for our own sources to say."""
    return msgspec.structs.replace(
        theirs,
        partner=ours.partner,
        key=ours.key,
        key_rule=ours.key_rule,
        identifiers=(),
        name=ours.name,
        birth_date=ours.birth_date,
        address=ours.address,
        enrollment=ours.enrollment,
        answers=tuple(answers),
        record=b"",
    )


def later(since: str, resource: Resource) -> str:
    """The later of two instants, as the server wrote it.

    One that is no instant, or in the future, is passed over: nothing would ever be pulled after it.
    """
    meta = resource.get("meta")
    found = meta.get("lastUpdated") if isinstance(meta, dict) else None
    moment = _moment(found)
    if moment is None or moment > datetime.now(UTC):
        return since
    before = _moment(since)
    return str(found) if before is None or moment > before else since


def _moment(words: object) -> datetime | None:
    if not isinstance(words, str) or not INSTANT.fullmatch(words):
        return None
    try:
        return datetime.fromisoformat(words)
    except ValueError:
        return None


def _declined(exchange: Exchange, person: Person) -> set[str]:
    """The matters that the member declined to tell us: a refusal is never filled from elsewhere."""
    resolutions = exchange.resolve(person.member.partner, [event for _, event in person.events])
    winners = {m: r.winner for m, r in resolutions.items() if r.state is State.DECLINED}
    return {matter for matter, winner in winners.items() if winner and winner.origin.partner != exchange.partner}


def _findable(exchange: Exchange, linked: Collection[int]) -> dict[int, Person]:
    """Our people whom the HIE can know: linked, or with an identifier of a system of its."""
    return {
        person.id: person
        for person in exchange.store.people
        if person.id in linked or any(True for _ in _identifiers(exchange, person))
    }


def _finder(exchange: Exchange, people: Iterable[Person]) -> Callable[[Iterable[Identifier]], set[int]]:
    """Find our members by the identifiers that the HIE knows people by, in the order of preference."""
    known: dict[tuple[str, str], set[int]] = {}
    for person in people:
        for pair in _identifiers(exchange, person):
            known.setdefault(pair, set()).add(person.id)

    def find(identifiers: Iterable[Identifier]) -> set[int]:
        pairs = tokens_of(identifiers, exchange.settings.identifier_systems)
        return next((known[pair] for pair in pairs if pair in known), set())

    return find


def _identifiers_of(resource: Resource) -> Iterator[Identifier]:
    """The identifiers of a Patient that was not read yet; what is malformed is passed over."""
    held = resource.get("identifier")
    for each in held if isinstance(held, list) else ():
        system, value = (each.get("system"), each.get("value")) if isinstance(each, dict) else (None, None)
        if isinstance(system, str) and isinstance(value, str):
            yield Identifier(value=value, system=system)


def _identifiers(exchange: Exchange, person: Person) -> Iterator[tuple[str, str]]:
    """(system, value) of a person's identifiers in the systems that the HIE knows people by."""
    systems = exchange.contexts(person.member.partner).guide.get("identifier_systems", {})
    for identifier in person.member.identifiers:
        system = identifier.system or systems.get(identifier.kind, "")
        if system in exchange.settings.identifier_systems and identifier.use != "ssn":
            yield system, identifier.value
