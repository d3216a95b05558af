"""pull: what the HIE knows about our members, as answers with its own origin, echoes left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec
from msgspec import Struct, field

from fhir_equity.model import Answer, Member
from fhir_equity.store import Person
from fhir_equity.sync.exchange import Exchange, Theirs, same_person, tokens_of


class Pulled(Struct):
    """What was looked at: Patients there, those who are our members, echoes, people who differ."""

    patients: int = 0
    members: int = 0
    echoes: int = 0
    unknown_here: int = 0
    differ: int = 0
    topics: Counter[str] = field(default_factory=Counter)
    since: str = ""


def pull(exchange: Exchange, pulled: Pulled) -> Iterator[Member]:
    """Yield our members with the HIE's answers; counts go to `pulled`.

    Only Patients changed since the last pull are asked for. People who are not our members are
    counted and forgotten. Call `HieMemory.pulled(pulled.since)` when all was stored.
    """
    memory = exchange.store.hie(exchange.name)
    people = {person.id: person for person in exchange.store.people}
    linked, written = memory.members_linked(), memory.written()
    find = _finder(exchange, people.values())
    pulled.since = memory.since()
    params = {"_lastUpdated": f"ge{pulled.since}"} if pulled.since else {}
    for resource in exchange.client.search("Patient", params):
        pulled.patients += 1
        pulled.since = max(pulled.since, str(resource.get("meta", {}).get("lastUpdated", "")))
        theirs = exchange.theirs(resource)
        member_id = linked.get(str(resource.get("id"))) or find(theirs)
        if member_id is None or member_id not in people:
            pulled.unknown_here += 1
            continue
        person = people[member_id]
        if not same_person(person.member, theirs.member):
            pulled.differ += 1
            continue
        answers = list(_answers(exchange, person, theirs, written, pulled))
        if answers:
            pulled.members += 1
            pulled.topics.update(answer.topic for answer in answers)
            # Only the answers are taken over: who the person is, is for our own sources to say.
            yield msgspec.structs.replace(
                theirs.member,
                partner=person.member.partner,
                key=person.member.key,
                identifiers=(),
                name=person.member.name,
                birth_date=person.member.birth_date,
                address=person.member.address,
                enrollment=person.member.enrollment,
                answers=tuple(answers),
                resource=None,
            )


def _answers(
    exchange: Exchange, person: Person, theirs: Theirs, written: dict[tuple[int, str], str], pulled: Pulled
) -> Iterator[Answer]:
    for answer in theirs.member.answers:
        matter = exchange.matter_of(answer.topic)
        if matter == "sex":  # their registration's, not an answer about equity
            continue
        if written.get((person.id, matter)) == theirs.said.get(matter):
            pulled.echoes += 1
            continue
        yield answer


def _finder(exchange: Exchange, people: Iterable[Person]) -> Callable[[Theirs], int | None]:
    """Find our member by the identifiers that the HIE knows people by; one match or none."""
    known: dict[tuple[str, str], set[int]] = {}
    for person in people:
        systems = exchange.contexts(person.member.partner).guide.get("identifier_systems", {})
        for identifier in person.member.identifiers:
            system = identifier.system or systems.get(identifier.kind, "")
            if system and identifier.use != "ssn":
                known.setdefault((system, identifier.value), set()).add(person.id)

    def find(theirs: Theirs) -> int | None:
        for pair in tokens_of(theirs.member.identifiers, exchange.settings.identifier_systems):
            found = known.get(pair, set())
            if len(found) == 1:
                return next(iter(found))
        return None

    return find
