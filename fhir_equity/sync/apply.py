"""apply: do exactly the plan, one conditional write at a time, and read back what arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from time import monotonic

from msgspec import Struct, field, structs

from fhir_equity.errors import StoreError, UsageError
from fhir_equity.store.hie import QUARANTINED, UNVERIFIED, VERIFIED, Known, Planned, Settled
from fhir_equity.sync import telling, write_observations, write_patient
from fhir_equity.sync.client import Versioned
from fhir_equity.sync.consents import Consents
from fhir_equity.sync.disclosures import disclosures
from fhir_equity.sync.exchange import Exchange, Ours, Resource, id_of, is_as_sent
from fhir_equity.sync.making import registration
from fhir_equity.sync.patients import Patients
from fhir_equity.sync.recall import WITHDRAW, withdraw
from fhir_equity.sync.replies import is_same_version
from fhir_equity.sync.search import Token
from fhir_equity.sync.stages import Ended, Staged, Together, carry_out, unwritten_as
from fhir_equity.sync.telling import TELL, marked, to_tell
from fhir_equity.sync.told import Told
from fhir_equity.sync.transactions import Part, Transactions

READY = "ready"  # what a rehearsal would send
LONG = 1.0  # seconds after which what we hold of those who wait to be sent is read again
GROUP = 50  # changes that are looked at, written into the journal and closed together


class Applied(Struct):
    """What became of the plan: how many changes ended in which status.

    ``verified``: read back and as sent. ``moved``: somebody changed or made the Patient since the
    plan. ``stale``: our own answer, the release or the settings changed since the plan, or another of ours who
    is made just before has one of their identifiers.
    ``unverified``: it is not known what became of it. ``quarantined``: what was read back is not what was sent,
    and sending it again did not mend that. ``invalid``: what we would have sent is not valid, or would not read
    as planned. ``forbidden``: it had something in it that may not leave. ``refused``: the server does not take
    it. ``ready``: a rehearsal would send it. `consents_refused` is whether the server did not let Consents be searched
    of those who are written to.
    """

    plan: str = ""
    statuses: Counter[str] = field(default_factory=Counter)
    repaired: int = 0
    consents_refused: bool = False

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


def apply(exchange: Exchange, told: Told, how: How = NEWEST) -> Applied:
    """Carry out what is left of the newest plan. Safe to run again after any interruption.

    Raises RemoteError when the HIE is unavailable; what was done until then is in the journal.
    Raises UsageError for an HIE whose settings do not let anything be sent and for a plan that is not the newest,
    StoreError, also where the journal is not what was planned.
    """
    check = exchange.check_sending if how.dry else exchange.check_writing
    check()
    journal = exchange.memory.journal
    name, changes = journal.latest_plan()
    if how.plan not in ("", name):
        raise UsageError(f"that is not the newest plan for {exchange.name}, which is {name or 'none'}")
    if not journal.is_as_planned(name):
        raise StoreError(f"the journal of {name} is not what was planned; plan again")
    wanted = changes[: how.limit] if how.limit else changes
    applying = _Applying(exchange, how, Applied(name), lambda number: told(exchange.name, number, len(wanted)))
    # What was read is written at once where nothing but haste is known to keep others' words.
    size = GROUP if exchange.profile.if_match else 1
    waiting = iter(wanted)
    while group := list(islice(waiting, size)):
        applying.group(group)
    return applying.done


class _Applying:
    """A plan being carried out, some changes at a time."""

    def __init__(self, exchange: Exchange, how: How, done: Applied, told: Callable[[int], None]) -> None:
        self._began, self._how, self.done, self._told = exchange, how, done, told
        self._memory, self._journal = exchange.memory, exchange.memory.journal
        self._patients = Patients(exchange.client, exchange.settings.identifier_systems)
        self._consents = Consents(exchange, dry=how.dry)
        self._ours: dict[int, Ours] = {}  # as their group began
        self._today, self._looked = self._ours, 0.0  # as it was looked at last, and when
        self._transactions = Transactions(exchange)
        self._fresh: dict[str, Versioned] = {}  # what was read back together
        self._back: dict[str, Versioned] = {}  # what was read back in this group
        self._known: dict[int, Known] = {}

    @property
    def _exchange(self) -> Exchange:
        """The HIE, as of today: what a rule or a member lets out until midnight does not leave after it."""
        day = self._began.day()
        return self._began if day == self._began.as_of else structs.replace(self._began, as_of=day)

    def group(self, changes: Sequence[Planned]) -> None:
        """Do some changes and record what became of them; a Patient before what is about it."""
        self._back.clear()
        self._remember(changes)
        self._carry_out([c for c in changes if c.action in ("create", "update")], self._patient)
        if rest := [c for c in changes if c.action not in ("create", "update")]:
            self._known = self._memory.known(sorted({change.member_id for change in rest}))
            self._carry_out([c for c in rest if c.action == "observe"], self._observe)
            self._tell([c for c in rest if c.action == TELL])
            for change in rest:
                if change.action == WITHDRAW:
                    self._ended(self._withdraw(change))

    def _ended(self, status: str) -> None:
        self.done.statuses[status] += 1
        self._told(self.done.statuses.total())

    def _remember(self, changes: Sequence[Planned]) -> None:
        """What we hold of these members today, and what the HIE has of them now."""
        exchange = self._exchange
        members = sorted({change.member_id for change in changes})
        self._ours = self._held_of(members, self._kept_back(changes, members))
        self._looked, self._today = monotonic(), self._ours
        made = [self._ours[c.member_id] for c in changes if c.action == "create" and c.member_id in self._ours]
        keys = [change.resource_id for change in changes if change.action == "update"]
        self._patients.look_up(keys, [exchange.tokens(ours.patient) for ours in made])

    def _held_of(self, members: Sequence[int], kept: Mapping[int, Collection[str]]) -> dict[int, Ours]:
        people, choices = self._exchange.store.people.some(members), self._memory.choices(members)
        return {p.id: self._exchange.ours(p, kept.get(p.id, ()), choices.get(p.id, ())) for p in people}

    def _may_go(self, change: Planned) -> bool:
        """Whether we would still say it as it was prepared; asked anew where the others of its group took long."""
        if monotonic() - self._looked >= LONG:
            members = list(self._ours)
            self._today, self._looked = self._held_of(members, self._exchange.kept_back(members)), monotonic()
        then, now = self._ours[change.member_id], self._today.get(change.member_id)
        return now is then or (now is not None and now.choices == then.choices and self._is_as_planned(now, change))

    def _kept_back(self, changes: Sequence[Planned], members: Sequence[int]) -> dict[int, set[str]]:
        """What these members keep back, also by what the Consents of those who are written to say by now."""
        memory, spoken_of = self._memory, {c.member_id for c in changes if c.action in ("update", "observe", TELL)}
        links = [known.link[0] for known in memory.known(sorted(spoken_of)).values() if known.link is not None]
        denied = self._consents.of_linked(links, self._exchange.as_of)
        self.done.consents_refused = self._consents.refused
        kept = self._exchange.kept_back(members)
        for person, keeper in memory.keepers(members).items():
            kept.setdefault(person, set()).update(denied.get(keeper, ()))
        return kept

    def _carry_out(self, changes: Iterable[Planned], prepare: Callable[[Planned, Ours], Staged | str]) -> None:
        staged: list[Staged] = []
        unwritten: list[Ended] = []
        made: set[Token] = set()  # identifiers of those who are not there yet
        for change in changes:
            ours = self._ours.get(change.member_id)
            tokens = set(self._exchange.tokens(ours.patient)) if ours and change.action == "create" else set()
            twice = not made.isdisjoint(tokens)  # two of ours who are one: the next plan sees that
            made |= tokens
            as_planned = ours is not None and not twice and self._is_as_planned(ours, change)
            found = prepare(change, ours) if ours is not None and as_planned else "stale"
            if isinstance(found, str):
                unwritten.append(unwritten_as(change, found))
            else:
                staged.append(found)
        for each in unwritten:
            self._ended(each.status)
        if self._how.dry:
            for _ in staged:
                self._ended(READY)
            return
        self._journal.settle([each.settled for each in unwritten if each.settled is not None])
        carry_out(self._journal, staged, self._ended, self._transactions, self._may_go)

    def _is_as_planned(self, ours: Ours, change: Planned) -> bool:
        if change.action == TELL:
            (matter,) = change.matters
            return change.said == {marked(matter): to_tell(self._exchange, ours, matter)}
        return all(ours.said.get(matter) == said for matter, said in change.said.items())

    def _tell(self, changes: Sequence[Planned]) -> None:
        """Who told what stands there by now."""
        if not changes:
            return
        self._known = self._memory.known(sorted({change.member_id for change in changes}))
        if self._how.dry:  # what it would be about may not be there yet
            for _ in changes:
                self._ended(READY)
            return
        links = [known.link[0] for known in self._known.values() if known.link is not None]
        self._patients.look_up([key for key in links if key not in self._back], ())
        self._carry_out(changes, self._told_by)

    def _told_by(self, change: Planned, ours: Ours) -> Staged | str:
        exchange, known = self._exchange, self._known[change.member_id]
        key = known.link[0] if known.link is not None else ""
        there = self._back.get(key) or (self._patients.read(key) if key else None)
        ready = telling.prepare(exchange, change, ours, known, there.resource if there is not None else None)
        if isinstance(ready, str):
            return ready
        return Staged(
            change, lambda: Ended(*telling.send(exchange, change, ready)), disclosures(self._exchange, change, ours)
        )

    def _withdraw(self, change: Planned) -> str:
        if self._how.dry:
            return READY
        ours = self._ours.get(change.member_id)
        if change.id not in self._journal.sending([change]):
            return "stale"  # somebody has decided otherwise since
        status = withdraw(self._exchange, change, self._known[change.member_id], ours)
        self._journal.withdrawn(change, status)
        return status

    def _patient(self, change: Planned, ours: Ours) -> Staged | str:
        exchange = self._exchange
        ready = write_patient.prepare(exchange, change, ours, self._patients)
        if isinstance(ready, str):
            return ready
        if isinstance(ready, Versioned):  # an interrupted write of ours arrived
            return Staged(change, lambda: self._read_back(change, ours, id_of(ready.resource), None, ready.etag))

        if ready.condition:
            change = structs.replace(change, etag=registration(ready.body))

        def landed(written: Versioned | str) -> Ended:
            if isinstance(written, str):
                return unwritten_as(change, written)
            sent = ready.body if ready.etag else None
            return self._read_back(change, ours, id_of(written.resource), sent, written.ours)

        def together(written: Versioned | str) -> Ended:
            if isinstance(written, Versioned):  # and so read back already
                self._fresh[id_of(written.resource)] = written
            return landed(written)

        joined = Together(Part(change, ready), together) if self._transactions.size > 1 else None
        send = partial(write_patient.send, exchange, change, ready)
        return Staged(change, lambda: landed(send()), disclosures(self._exchange, change, ours), joined)

    def _read_back(self, change: Planned, ours: Ours, key: str, sent: Resource | None, version: str) -> Ended:
        """Fetch what the server has and compare the canonical form of our topics; mend a difference once.

        What is there word for word as it was `sent` was found to say what was planned before it left. What is not
        known to be the `version` that we wrote may be somebody else's word by now: the next plan sees whose is better.
        What a server keeps without any version cannot be mended: an update could overwrite what nobody saw.
        """
        back = self._fetched(key)
        whole = back is not None and sent is not None and is_as_sent(back.resource, sent)
        held = change.said if whole else self._held(change, back)
        if back is not None and held != change.said and not is_same_version(back.etag, version):
            return Ended(UNVERIFIED)
        if back is not None and back.etag and held != change.said:
            back = self._mended(change, ours, back)
            held = self._held(change, back)
        if back is None:
            return Ended(UNVERIFIED)
        status = VERIFIED if held == change.said else QUARANTINED
        return Ended(status, Settled(change, status, held, (key, back.etag)))

    def _held(self, change: Planned, back: Versioned | None) -> dict[str, str]:
        """What a Patient holds of what was to be said."""
        there = self._exchange.theirs(back.resource).said if back is not None else {}
        return {matter: said for matter, said in change.said.items() if there.get(matter) == said}

    def _fetched(self, key: str) -> Versioned | None:
        back = self._fresh.pop(key, None) or (self._exchange.client.read("Patient", key) if key else None)
        if back is not None:
            self._patients.saw(back.resource)
            self._back[key] = back
        return back

    def _mended(self, change: Planned, ours: Ours, back: Versioned) -> Versioned | None:
        """Send once more what did not arrive, on what arrived; the Patient as it is then."""
        key = id_of(back.resource)
        ready = write_patient.merged(self._exchange, change, ours, back)
        if not isinstance(ready, write_patient.Ready):
            return back
        sent = write_patient.send(self._exchange, structs.replace(change, resource_id=key), ready)
        self.done.repaired += isinstance(sent, Versioned)
        return self._fetched(key)

    def _observe(self, change: Planned, ours: Ours) -> Staged | str:
        exchange, known = self._exchange, self._known[change.member_id]
        ready = write_observations.prepare(exchange, change, ours, known, self._patients)
        if isinstance(ready, str):
            return ready

        def send() -> Ended:
            problem = write_observations.send(exchange, ready)
            held, observed = write_observations.read_back(exchange, change, ready, known)
            status = VERIFIED if held else problem or UNVERIFIED
            return Ended(status, Settled(change, status, held, None, observed))

        return Staged(change, send, disclosures(self._exchange, change, ours))
