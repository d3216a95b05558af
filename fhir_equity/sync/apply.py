"""apply: do exactly the plan, one conditional write at a time, and read back what arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct, field

from fhir_equity.adapters.fhir import merge, validate
from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.store import Person
from fhir_equity.store.hie import SENT, Planned
from fhir_equity.sync.client import Conflict, OutcomeUnknownError, Versioned
from fhir_equity.sync.exchange import Exchange, Ours, Resource, id_of, is_as_sent, same_person
from fhir_equity.sync.search import query, token
from fhir_equity.sync.transport import UnavailableError


class Applied(Struct):
    """What became of the plan: how many changes ended in which status.

    ``verified``: read back and as sent. ``moved``: somebody changed or made the Patient since the
    plan. ``stale``: our own answer, the release or the settings changed since the plan.
    ``unverified``: what was read back is not what was sent. ``invalid``: what we would have sent is
    no valid Patient, or would not read as planned. ``refused``: the server does not take it.
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
    Raises UsageError for an HIE whose settings do not let anything be sent, StoreError.
    """
    exchange.check_sending()
    name, changes = exchange.memory.latest_plan()
    done = Applied(name)
    wanted = {change.member_id for change in changes}
    people = {person.id: person for person in exchange.store.people if person.id in wanted} if wanted else {}
    for number, change in enumerate(changes, start=1):
        done.statuses[_carry_out(exchange, change, people.get(change.member_id))] += 1
        told(exchange.name, number)
    return done


def _carry_out(exchange: Exchange, change: Planned, person: Person | None) -> str:
    """Do one change and record what became of it."""
    ours = None if person is None else exchange.ours(person)
    if ours is None or any(ours.said.get(matter) != said for matter, said in change.said.items()):
        return _without_writing(exchange, change, "stale")
    written = _create(exchange, change, ours) if change.action == "create" else _update(exchange, change, ours)
    if isinstance(written, str):
        return _without_writing(exchange, change, written)
    return _read_back(exchange, change, id_of(written.resource))


def _without_writing(exchange: Exchange, change: Planned, status: str) -> str:
    """Record that nothing was written. What may have been stays open: the next plan settles it by looking."""
    if change.status != SENT and status != "unverified":
        exchange.memory.settle(change, status)
    return status


def _read_back(exchange: Exchange, change: Planned, key: str) -> str:
    """Ask for what was written, whatever the write was answered with, and record what is there."""
    back = exchange.client.read("Patient", key) if key else None
    if back is None:
        return "unverified"
    there = exchange.theirs(back.resource).said
    held = {matter: said for matter, said in change.said.items() if there.get(matter) == said}
    status = "verified" if held == change.said else "unverified"
    exchange.memory.settle(change, status, held, (key, back.etag))
    return status


def _create(exchange: Exchange, change: Planned, ours: Ours) -> Versioned | str:
    patient = exchange.patient(ours, change.matters)
    tokens = exchange.tokens(patient)
    if not tokens:
        return "stale"
    if validate(patient):
        return "invalid"
    if found := exchange.known_as(patient):  # also by those of our identifiers that the condition below leaves out
        return _made_before(exchange, found, patient) if change.status == SENT else "moved"
    exchange.memory.sending(change)
    condition = query({"identifier": token(*tokens[0])})
    try:
        made = exchange.client.create(patient, if_none_exist=condition)
    except Conflict:
        return "moved"
    except OutcomeUnknownError:
        found = exchange.known_as(patient)
        return _made_before(exchange, found, patient) if found else "unverified"
    except RemoteError as error:
        return _refused(error, lambda: exchange.known_as(patient))
    # Status 200 is a Patient that was there: ours if an earlier attempt of this very request made it.
    return made if made.status == 201 or is_as_sent(made.resource, patient) else "moved"


def _made_before(exchange: Exchange, found: list[Resource], patient: Resource) -> Versioned | str:
    """The Patient that an interrupted create of ours made, if that is what was found."""
    if len(found) != 1 or not id_of(found[0]) or not is_as_sent(found[0], patient):
        return "moved"
    return exchange.client.read("Patient", id_of(found[0])) or "moved"


def _update(exchange: Exchange, change: Planned, ours: Ours) -> Versioned | str:
    now = exchange.client.read("Patient", change.resource_id)
    if now is None:
        return "moved"
    if now.etag != change.etag:
        return now if change.status == SENT and _says(exchange, now, change) else "moved"
    if not _may_change(exchange, change, ours, now):
        return "stale"
    merged = _merged(exchange, change, ours, now.resource)
    if merged is None:
        return "invalid"
    exchange.memory.sending(change)
    try:
        return exchange.client.update(merged, change.etag)
    except Conflict as conflict:
        return _found(exchange, change, "moved") if conflict.repeated else "moved"
    except OutcomeUnknownError:
        return _found(exchange, change, "unverified")
    except RemoteError as error:
        return _refused(error, lambda: exchange.client.read("Patient", change.resource_id))


def _may_change(exchange: Exchange, change: Planned, ours: Ours, now: Versioned) -> bool:
    """Whether the settings, and who our member is, still allow what was planned."""
    if exchange.settings.mode == "contributor" and change.resource_id not in exchange.memory.created():
        return False
    return same_person(ours.person.member, exchange.theirs(now.resource).member)


def _merged(exchange: Exchange, change: Planned, ours: Ours, now: Resource) -> Resource | None:
    """The Patient with our answers in it, or None where that would be invalid or not read as planned."""
    try:
        merged, _ = merge(now, exchange.only(ours, change.matters), exchange.contexts(ours.person.member.partner))
    except RecursionError:  # somebody nested it deeper than can be copied
        return None
    said = exchange.theirs(merged).said
    as_planned = all(said.get(matter) == planned for matter, planned in change.said.items())
    return merged if as_planned and not set(validate(merged)) - set(validate(now)) else None


def _says(exchange: Exchange, there: Versioned, change: Planned) -> bool:
    said = exchange.theirs(there.resource).said
    return all(said.get(matter) == planned for matter, planned in change.said.items())


def _found(exchange: Exchange, change: Planned, otherwise: str) -> Versioned | str:
    """After an update whose answer got lost: what stands there decides."""
    there = exchange.client.read("Patient", change.resource_id)
    return there if there is not None and _says(exchange, there, change) else otherwise


def _refused(error: RemoteError, look: Callable[[], object]) -> str:
    """One Patient that the server does not take must not stop the others; anything else must.

    Raises the error again when the server is unavailable, and another when it refuses to be read too.
    """
    if isinstance(error, UnavailableError | RemoteContentError):
        raise error
    look()
    return "refused"
