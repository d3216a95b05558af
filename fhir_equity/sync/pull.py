"""pull: what the HIE knows about our members, as answers with its own origin, echoes left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, field

from fhir_equity.model import Answer, Member, State
from fhir_equity.store import Person
from fhir_equity.sync.exchange import REGISTRATION, Exchange, Resource, Theirs, id_of, is_active, same_person, tokens_of

# https://hl7.org/fhir/R4/datatypes.html#instant: a time zone is required.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Pulled(Struct):
    """What was looked at: Patients there, those who are our members, echoes, people who differ.

    `not_active` are our members' Patients out of use, `refused` answers about what the member
    declined to tell us, `malformed` what is no Patient. `since` is how far the pull has come.
    """

    patients: int = 0
    members: int = 0
    echoes: int = 0
    unknown_here: int = 0
    differ: int = 0
    not_active: int = 0
    refused: int = 0
    malformed: int = 0
    topics: Counter[str] = field(default_factory=Counter)
    since: str = ""


def pull(exchange: Exchange, pulled: Pulled) -> Iterator[Member]:
    """Yield our members with the HIE's answers; counts go to `pulled`.

    Only Patients changed since the last pull are asked for. People who are not our members are
    counted and forgotten. Call `HieMemory.pulled(pulled.since)` when all was stored. Raises
    RemoteError, StoreError.
    """
    memory = exchange.memory
    linked, echoes = memory.members_linked(), memory.echoes()
    people = _findable(exchange, set().union(*linked.values()))
    find = _finder(exchange, people.values())
    asked = pulled.since = memory.since()
    for resource in exchange.client.search("Patient", {"_lastUpdated": f"ge{asked}"} if asked else {}):
        pulled.patients += 1
        if resource.get("resourceType") != "Patient":
            pulled.malformed += 1
            continue
        pulled.since = _later(pulled.since, resource)
        theirs = exchange.theirs(resource, pulled.patients)
        found = [people[key] for key in linked.get(id_of(resource)) or find(theirs) if key in people]
        same = [person for person in found if same_person(person.member, theirs.member)]
        if not found:
            pulled.unknown_here += 1
        elif not same:
            pulled.differ += 1
        elif not is_active(resource):
            pulled.not_active += 1
        else:
            yield from _members(exchange, same, theirs, echoes, pulled)


def _members(
    exchange: Exchange, same: list[Person], theirs: Theirs, echoes: Mapping[tuple[int, str], set[str]], pulled: Pulled
) -> Iterator[Member]:
    """The people here who are one Patient there: several where partners each have a record of them."""
    for person in same:
        answers = list(_answers(exchange, person, theirs, echoes, pulled))
        if answers:
            pulled.members += 1
            pulled.topics.update(answer.topic for answer in answers)
            yield _about(person.member, theirs.member, answers)


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


def _later(since: str, resource: Resource) -> str:
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
    if not isinstance(words, str) or not _INSTANT.fullmatch(words):
        return None
    try:
        return datetime.fromisoformat(words)
    except ValueError:
        return None


def _answers(
    exchange: Exchange, person: Person, theirs: Theirs, echoes: Mapping[tuple[int, str], set[str]], pulled: Pulled
) -> Iterator[Answer]:
    declined = _declined(exchange, person)
    for answer in theirs.member.answers:
        matter = exchange.matter_of(answer.topic)
        if matter == REGISTRATION:
            continue
        if theirs.said[matter] in echoes.get((person.id, matter), ()):
            pulled.echoes += 1
        elif matter in declined:
            pulled.refused += 1
        else:
            yield answer


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


def _finder(exchange: Exchange, people: Iterable[Person]) -> Callable[[Theirs], set[int]]:
    """Find our members by the identifiers that the HIE knows people by, in the order of preference."""
    known: dict[tuple[str, str], set[int]] = {}
    for person in people:
        for pair in _identifiers(exchange, person):
            known.setdefault(pair, set()).add(person.id)

    def find(theirs: Theirs) -> set[int]:
        pairs = tokens_of(theirs.member.identifiers, exchange.settings.identifier_systems)
        return next((known[pair] for pair in pairs if pair in known), set())

    return find


def _identifiers(exchange: Exchange, person: Person) -> Iterator[tuple[str, str]]:
    """(system, value) of a person's identifiers in the systems that the HIE knows people by."""
    systems = exchange.contexts(person.member.partner).guide.get("identifier_systems", {})
    for identifier in person.member.identifiers:
        system = identifier.system or systems.get(identifier.kind, "")
        if system in exchange.settings.identifier_systems and identifier.use != "ssn":
            yield system, identifier.value
