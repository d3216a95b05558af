"""recall: what a recipient was sent and may not have any more: planned like any change, withdrawn, and read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from msgspec import Struct

from fhir_equity.adapters.fhir import merge
from fhir_equity.errors import RemoteError
from fhir_equity.model import Outgoing, State
from fhir_equity.store import Person
from fhir_equity.store.hie import UNSEEN, UNVERIFIED, VERIFIED, Known, Planned
from fhir_equity.sync.client import Conflict, OutcomeUnknownError, Versioned
from fhir_equity.sync.deciding import refused as refused_of
from fhir_equity.sync.exchange import REGISTRATION, Exchange, Ours, Resource, id_of
from fhir_equity.sync.making import is_of_our_making
from fhir_equity.sync.observations import find, is_active, withdrawn
from fhir_equity.sync.patients import Patients
from fhir_equity.sync.telling import is_mark, matter_of
from fhir_equity.sync.telling import withdraw as forget
from fhir_equity.sync.write_patient import refused

WITHDRAW = "withdraw"
RETRACTED = "retracted"
PORTION = 500


class Recall(Struct, frozen=True):
    """Something to withdraw: what we said about a matter in one resource, and why it may not stay.

    The reason is that of the release policy (``no_rule``, ``opted_out``, ``refused_later``, ...), or ``declined``,
    ``retracted`` (nobody says it any more) or ``wrong_match`` (that Patient is not our member).
    """

    change: Planned
    matter: str
    reason: str


def recalls(exchange: Exchange) -> Iterator[Recall]:
    """Everything that was sent to the HIE and must be withdrawn. Asks nobody. Raises StoreError."""
    held = exchange.memory.journal.held()
    members = sorted(held)
    for start in range(0, len(members), PORTION):
        some = members[start : start + PORTION]
        known = exchange.memory.known(some)
        people = {person.id: person for person in exchange.store.people.some(some)}
        kept, choices = exchange.kept_back(some), exchange.memory.choices(some)
        for member in some:
            reasons, said = _reasons(exchange, people.get(member), kept.get(member, ()))
            for change in held[member]:
                (matter,) = change.matters
                told, matter = is_mark(matter), matter_of(matter)
                # also that somebody declined; who told an answer that stays is no less true
                stays = matter in said if told else said.get(matter) == change.said[matter]
                reason = ("" if stays else reasons.get(matter, RETRACTED)) or _elsewhere(
                    change, known[member], refused_of(choices.get(member, ()))
                )
                if reason and matter != REGISTRATION:
                    yield Recall(change, matter, reason)


def _reasons(
    exchange: Exchange, person: Person | None, kept_back: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Why each matter of a member may not stay, empty where it may; and the fingerprints of what we would say today.

    What is not named is not answered any more. A tie is no reason to withdraw anything.
    """
    if person is None:
        return {}, {}
    ours = exchange.ours(person, kept_back)
    found: dict[str, str] = {}
    for matter, resolution in ours.resolutions.items():
        withheld = ours.withheld.get(matter, "")
        if resolution.state is State.ANSWERED:
            found[matter] = "" if withheld == "tie_undecided" else withheld
        elif resolution.state is State.DECLINED:
            found[matter] = "declined"
    return found, ours.said


def _elsewhere(change: Planned, known: Known, nobody: set[str]) -> str:
    if known.link is None and nobody:  # somebody decided that the Patient whom they were linked to is somebody else
        return "wrong_match" if change.resource_id in {"", *nobody} else ""
    moved = known.link is not None and change.resource_id not in ("", UNSEEN, known.link[0])
    return "wrong_match" if moved else ""


def withdraw(exchange: Exchange, change: Planned, known: Known, ours: Ours | None) -> str:
    """Withdraw one thing and look whether it is gone: ``verified``, or why not. Raises RemoteError.

    What nobody saw arrive is looked for by the identifiers of `ours`; of who is nobody any more, by those they had.
    """
    (matter,) = change.matters
    ours = ours or _retracted(exchange, change)
    if is_mark(matter):
        return forget(exchange, matter, known, ours)
    if change.resource_id == UNSEEN:
        return _made(exchange, change, known, ours)
    if change.resource_id:
        return _patient(exchange, change, known, change.resource_id)
    return _observations(exchange, change, known, ours)


def _made(exchange: Exchange, change: Planned, known: Known, ours: Ours | None) -> str:
    """Withdraw from the Patients with our identifiers: one of them may be whom we made, and nobody saw it.

    One with anything beside answers that we do not send is somebody else's, who may say the same as we do.
    """
    if ours is None:
        return VERIFIED
    (said,) = change.said.items()
    there = Patients(exchange.client).known_as(exchange.tokens(ours.patient))
    alike = [each for each in there if id_of(each) and said in exchange.theirs(each).said.items()]
    became = [
        _patient(exchange, change, known, id_of(each)) if is_of_our_making(each, change, ours) else "moved"
        for each in alike
    ]
    return next((status for status in became if status != VERIFIED), VERIFIED)


def _retracted(exchange: Exchange, change: Planned) -> Ours | None:
    """Our side of somebody whose every run was retracted: they say nothing, and have their identifiers still."""
    person = exchange.store.people.one(change.member_id)
    return exchange.ours(person) if person is not None else None


def _patient(exchange: Exchange, change: Planned, known: Known, key: str) -> str:
    (matter,) = change.matters
    now = exchange.client.read("Patient", key)
    if now is None or matter not in exchange.theirs(now.resource).said:
        return VERIFIED
    words = {change.said[matter]}
    if known.link is not None and known.link[0] == key:  # of two words, the later may not have arrived
        words.add(known.written.get(matter, change.said[matter]))
    if exchange.theirs(now.resource).said[matter] not in words or not now.etag:
        return "moved"  # somebody else's word by now, and not ours to take away
    nothing = Outgoing(exchange.theirs(now.resource).member, ())
    body, _ = merge(now.resource, nothing, exchange.contexts(exchange.partner), exchange.topics_of([matter]))
    if problem := _put(exchange, body, now):
        return problem
    back = exchange.client.read("Patient", key)
    gone = back is None or matter not in exchange.theirs(back.resource).said
    return VERIFIED if gone else UNVERIFIED


def _observations(exchange: Exchange, change: Planned, known: Known, ours: Ours | None) -> str:
    (matter,) = change.matters
    sent = _identified(exchange, change, ours) if ours is not None else []
    for each in find(exchange, known, matter, sent).values():
        if is_active(each.resource) and (problem := _put(exchange, withdrawn(each.resource), each)):
            return problem
    left = find(exchange, known, matter, sent).values()
    return UNVERIFIED if any(is_active(each.resource) for each in left) else VERIFIED


def _identified(exchange: Exchange, change: Planned, ours: Ours) -> list[Resource]:
    """As many Observations as there may be of what was said, as far as they are known without it."""
    member, words = ours.person.member, change.said[change.matters[0]].splitlines()
    known_as = exchange.writer(member.partner).observed_as
    topics = exchange.topics_of(change.matters)
    return [{"identifier": [known_as(member, topic, n)]} for topic in topics for n in range(1, len(words) + 1)]


def _put(exchange: Exchange, body: Resource, now: Versioned) -> str:
    try:
        exchange.client.update(body, now.etag)
    except (Conflict, OutcomeUnknownError):
        return ""  # what stands there decides, when it is read back
    except RemoteError as error:
        return refused(error, exchange.client.capability)
    return ""


def counted(found: list[Recall]) -> Counter[tuple[str, str]]:
    """How much is to be withdrawn, by matter and reason."""
    return Counter((each.matter, each.reason) for each in found)
