"""apply: do exactly the plan, one conditional write at a time, and read back what arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby, islice

from msgspec import Struct, field, structs

from fhir_equity.errors import StoreError, UsageError
from fhir_equity.store import Disclosure, Person
from fhir_equity.store.hie import QUARANTINED, SENT, VERIFIED, Planned
from fhir_equity.sync import write_observations, write_patient
from fhir_equity.sync.client import Versioned
from fhir_equity.sync.exchange import Exchange, Ours, id_of
from fhir_equity.sync.looking import PORTION
from fhir_equity.sync.recall import WITHDRAW, withdraw

READY = "ready"  # what a rehearsal would send


class Applied(Struct):
    """What became of the plan: how many changes ended in which status.

    ``verified``: read back and as sent. ``moved``: somebody changed or made the Patient since the
    plan. ``stale``: our own answer, the release or the settings changed since the plan.
    ``unverified``: it is not known what became of it. ``quarantined``: what was read back is not what was sent,
    and sending it again did not mend that. ``invalid``: what we would have sent is not valid, or would not read
    as planned. ``forbidden``: it had something in it that may not leave. ``refused``: the server does not take
    it. ``ready``: a rehearsal would send it.
    """

    plan: str = ""
    statuses: Counter[str] = field(default_factory=Counter)
    repaired: int = 0

    @property
    def left(self) -> int:
        """Changes that somebody should look at."""
        return sum(n for status, n in self.statuses.items() if status not in (VERIFIED, READY))


class How(Struct, frozen=True):
    """Which plan (its name; empty: the newest), at most how many of its changes, and whether it is a rehearsal."""

    plan: str = ""
    limit: int = 0
    dry: bool = False


NEWEST = How()


def apply(exchange: Exchange, told: Callable[[str, int], None], how: How = NEWEST) -> Applied:
    """Carry out what is left of the newest plan. Safe to run again after any interruption.

    Raises RemoteError when the HIE is unavailable; what was done until then is in the journal.
    Raises UsageError for an HIE whose settings do not let anything be sent and for a plan that is not the newest,
    StoreError, also where the journal is not what was planned.
    """
    check = exchange.check_sending if how.dry else exchange.check_writing
    check()
    name, changes = exchange.memory.latest_plan()
    if how.plan not in ("", name):
        raise UsageError(f"that is not the newest plan for {exchange.name}, which is {name or 'none'}")
    if not exchange.memory.is_as_planned(name):
        raise StoreError(f"the journal of {name} is not what was planned; plan again")
    applying = _Applying(exchange, how, Applied(name))
    wanted = changes[: how.limit] if how.limit else changes
    for number, (change, person) in enumerate(_with_people(exchange, wanted), start=1):
        applying.change(change, person)
        told(exchange.name, number)
    return applying.done


def _with_people(exchange: Exchange, changes: list[Planned]) -> Iterator[tuple[Planned, Person | None]]:
    """Each change with its member, a portion of them at a time."""
    waiting = iter(changes)
    while portion := list(islice(waiting, PORTION)):
        ids = sorted({change.member_id for change in portion})
        people = {person.id: person for person in exchange.store.people.some(ids)}
        for member, found in groupby(portion, key=lambda change: change.member_id):
            yield from ((change, people.get(member)) for change in found)


class _Applying:
    """A plan being carried out."""

    def __init__(self, exchange: Exchange, how: How, done: Applied) -> None:
        self._exchange, self._how, self.done = exchange, how, done
        self._memory = exchange.memory

    def change(self, change: Planned, person: Person | None) -> None:
        """Do one change and record what became of it."""
        status = self._carry_out(change, person)
        self.done.statuses[status] += 1

    def _carry_out(self, change: Planned, person: Person | None) -> str:
        exchange = self._exchange
        if change.action == WITHDRAW:
            return self._withdraw(change, person)
        ours = None if person is None else exchange.ours(person, exchange.kept_back(person.id))
        if ours is None or any(ours.said.get(matter) != said for matter, said in change.said.items()):
            return self._without_writing(change, "stale")
        return self._observe(change, ours) if change.action == "observe" else self._patient(change, ours)

    def _withdraw(self, change: Planned, person: Person | None) -> str:
        known = self._memory.known([change.member_id])[change.member_id]
        if self._how.dry:
            return READY
        self._memory.sending(change)
        status = withdraw(self._exchange, change, known)
        self._memory.withdrawn(change, status, person.pseudonym if person else "")
        return status

    def _disclosed(self, change: Planned, ours: Ours) -> list[Disclosure]:
        """What the recipient is told by a change, a record for each rule that lets it out."""
        exchange, member = self._exchange, ours.person.member
        found = []
        for rule in {id_: exchange.release.rule(id_) for id_ in map(ours.rules.get, change.matters) if id_}.values():
            topics = tuple(matter for matter in change.matters if ours.rules[matter] == rule.id)
            found.append(
                Disclosure(
                    pseudonym=ours.person.pseudonym,
                    partner=member.partner,
                    recipient=exchange.settings.recipient,
                    transmission=self._memory.transmission(change),
                    purpose=rule.purpose,
                    basis=rule.basis,
                    topics=topics,
                    rule=rule.id,
                    policy=exchange.release.version,
                )
            )
        return found

    def _without_writing(self, change: Planned, status: str) -> str:
        """Record that nothing was written. What may have been stays open: the next plan settles it by looking."""
        if change.status != SENT and status != "unverified" and not self._how.dry:
            self._memory.settle(change, status)
        return status

    def _patient(self, change: Planned, ours: Ours) -> str:
        exchange = self._exchange
        ready = write_patient.prepare(exchange, change, ours)
        if isinstance(ready, write_patient.Ready):
            if self._how.dry:
                return READY
            self._memory.sending(change, self._disclosed(change, ours))
            written = write_patient.send(exchange, change, ready)
        else:
            written = ready
        if isinstance(written, str):
            return self._without_writing(change, written)
        return VERIFIED if self._how.dry else self._read_back(change, ours, id_of(written.resource))

    def _read_back(self, change: Planned, ours: Ours, key: str) -> str:
        """Fetch what the server has and compare the canonical form of our topics; mend a difference once."""
        back = self._fetched(key)
        held = self._held(change, back)
        if back is not None and held != change.said:
            back = self._mended(change, ours, back)
            held = self._held(change, back)
        if back is None:
            return "unverified"
        status = VERIFIED if held == change.said else QUARANTINED
        self._memory.settle(change, status, held, (key, back.etag))
        return status

    def _held(self, change: Planned, back: Versioned | None) -> dict[str, str]:
        """What a Patient holds of what was to be said."""
        there = self._exchange.theirs(back.resource).said if back is not None else {}
        return {matter: said for matter, said in change.said.items() if there.get(matter) == said}

    def _fetched(self, key: str) -> Versioned | None:
        return self._exchange.client.read("Patient", key) if key else None

    def _mended(self, change: Planned, ours: Ours, back: Versioned) -> Versioned | None:
        """Send once more what did not arrive, on what arrived; the Patient as it is then."""
        key = id_of(back.resource)
        ready = write_patient.merged(self._exchange, change, ours, back)
        if not isinstance(ready, write_patient.Ready):
            return back
        sent = write_patient.send(self._exchange, structs.replace(change, resource_id=key), ready)
        self.done.repaired += isinstance(sent, Versioned)
        return self._fetched(key)

    def _observe(self, change: Planned, ours: Ours) -> str:
        exchange, memory = self._exchange, self._memory
        known = memory.known([change.member_id])[change.member_id]
        ready = write_observations.prepare(exchange, change, ours, known)
        if isinstance(ready, str):
            return self._without_writing(change, ready)
        if self._how.dry:
            return READY
        memory.sending(change, self._disclosed(change, ours))
        problem = write_observations.send(exchange, ready)
        held, observed = write_observations.read_back(exchange, change, ready, known)
        status = VERIFIED if held else problem or "unverified"
        memory.settle(change, status, held, None, observed)
        return status
