"""apply: do exactly the plan, one conditional write at a time, and read back what arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
from msgspec import Struct, field

from fhir_equity.adapters.fhir import merge, validate
from fhir_equity.store import Person
from fhir_equity.store.hie import HieMemory, Planned
from fhir_equity.sync.client import Conflict, OutcomeUnknownError, Versioned
from fhir_equity.sync.exchange import Exchange, Ours
from fhir_equity.sync.search import query, token


class Applied(Struct):
    """What became of the plan: how many changes ended in which status.

    ``verified``: read back and as sent. ``moved``: somebody changed the resource since the plan.
    ``stale``: our own answer or the release changed since the plan. ``unverified``: what was read
    back is not what was sent. ``invalid``: what we would have sent is no valid Patient.
    """

    plan: str = ""
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def left(self) -> int:
        """Changes that somebody should look at."""
        return sum(n for status, n in self.statuses.items() if status != "verified")


def apply(exchange: Exchange, told: Callable[[str, int], None]) -> Applied:
    """Carry out what is left of the latest plan. Safe to run again after any interruption.

    Raises RemoteError when the HIE is unavailable; what was done until then is in the journal.
    """
    memory = exchange.store.hie(exchange.name)
    name, changes = memory.latest_plan()
    done = Applied(name)
    if not changes:
        return done
    wanted = {change.member_id for change in changes}
    people = {person.id: person for person in exchange.store.people if person.id in wanted}
    for number, change in enumerate(changes, start=1):
        done.statuses[_carry_out(exchange, memory, change, people[change.member_id])] += 1
        told(exchange.name, number)
    return done


def _carry_out(exchange: Exchange, memory: HieMemory, change: Planned, person: Person) -> str:
    ours = exchange.ours(person)
    planned: dict[str, str] = msgspec.json.decode(change.said, type=dict[str, str])
    if any(ours.said.get(matter) != said for matter, said in planned.items()):
        memory.settle(change, "stale", {})
        return "stale"
    try:
        sent = _create(exchange, ours) if change.action == "create" else _update(exchange, change, ours)
    except Conflict as conflict:
        sent = "moved" if not conflict.repeated else _found(exchange, change)
    except OutcomeUnknownError:
        sent = _found(exchange, change)
    if isinstance(sent, str):
        memory.settle(change, sent, {})
        return sent
    back = exchange.client.read("Patient", str(sent.resource["id"]))
    status = "unverified"
    if back is not None:
        memory.link(person.id, str(back.resource["id"]), back.etag)
        said = exchange.theirs(back.resource).said
        if all(said.get(matter) == wanted for matter, wanted in planned.items()):
            status = "verified"
    memory.settle(change, status, planned if status == "verified" else {})
    return status


def _create(exchange: Exchange, ours: Ours) -> Versioned | str:
    if validate(ours.patient):
        return "invalid"
    system, value = exchange.tokens(ours.patient)[0]
    created = exchange.client.create(ours.patient, if_none_exist=query({"identifier": token(system, value)}))
    return created if created.status == 201 else "moved"  # somebody else made the Patient meanwhile


def _update(exchange: Exchange, change: Planned, ours: Ours) -> Versioned | str:
    now = exchange.client.read("Patient", change.resource_id)
    if now is None or now.etag != change.etag:
        return "moved"
    outgoing = exchange.only(ours, change.matters)
    merged, _ = merge(now.resource, outgoing, exchange.contexts(ours.person.member.partner))
    if set(validate(merged)) - set(validate(now.resource)):
        return "invalid"
    return exchange.client.update(merged, change.etag)


def _found(exchange: Exchange, change: Planned) -> Versioned | str:
    """After a write whose answer got lost: what stands there decides, whoever wrote it."""
    there = exchange.client.read("Patient", change.resource_id) if change.resource_id else None
    return there or "unverified"
