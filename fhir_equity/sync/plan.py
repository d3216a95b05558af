"""plan: what would change at the HIE, member by member, and what we leave alone and why."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

from fhir_equity.model import State
from fhir_equity.store import Person
from fhir_equity.store.hie import Planned
from fhir_equity.sync.client import Versioned
from fhir_equity.sync.exchange import REGISTRATION, Exchange, Ours, Theirs, id_of, is_active, is_as_sent, same_person

SENT_WHEN_THEY_HAVE_NOTHING = (State.ANSWERED, State.DECLINED)


class Change(Struct, frozen=True):
    """One change: what to do (``create`` or ``update``) about which matters of one member.

    `said` maps each matter to the fingerprint of what will be said.
    """

    member_id: int
    pseudonym: str
    action: str
    matters: tuple[tuple[str, str], ...]  # (matter, "add" or "replace")
    said: dict[str, str]
    resource_id: str = ""
    etag: str = ""

    def __repr__(self) -> str:
        return f"Change({self.pseudonym}, {self.action}, {dict(self.matters)})"


class Left(Struct, frozen=True):
    """Something left alone that a person should look at.

    About the Patient: ``several_matches``, ``several_members`` (of ours are this Patient),
    ``name_or_birth_date_differ``, ``not_active`` (or replaced by another), ``no_id``, ``no_version``.
    About a matter: ``same_standing`` (neither answer is better), ``declined_there``,
    ``would_remove_part``, ``contributor_only`` (the Patient is not of our making).
    """

    pseudonym: str
    matter: str
    reason: str


class Plan(Struct):
    """A plan and what it leaves alone. `name` is its name in the journal."""

    name: str = ""
    changes: list[Change] = field(default_factory=list)
    conflicts: list[Left] = field(default_factory=list)
    withheld: Counter[tuple[str, str]] = field(default_factory=Counter)
    theirs_kept: Counter[str] = field(default_factory=Counter)
    members: int = 0
    agreed: int = 0
    unmatched: int = 0


def plan(exchange: Exchange) -> Plan:
    """Look at every person here and there and write the plan to the journal; nothing is sent.

    Raises RemoteError (nothing was planned then), StoreError, and UsageError for an HIE whose
    settings do not let anything be sent.
    """
    exchange.check_sending()
    planning = _Planning(exchange)
    for person in exchange.store.people:
        planning.person(person)
    return planning.finish()


class _Planning:
    """A plan in the making, with what the store remembers about the HIE."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._memory = exchange.memory
        self._links, self._written = self._memory.links(), self._memory.written()
        self._created = self._memory.created()
        self._sent = {change.member_id: change for change in self._memory.sent()}
        self._found: dict[int, tuple[str, str]] = {}
        self._claimed: dict[int, str] = {}  # which Patient, there or to be made, our members are
        self._made = Plan()

    def person(self, person: Person) -> None:
        """Decide about one person."""
        self._made.members += 1
        ours = self._exchange.ours(person)
        for matter, reason in ours.withheld.items():
            self._made.withheld[(matter, reason)] += 1
        if not _to_say(ours):  # nobody is looked up for whom there is nothing to send
            return
        there = self._there(ours)
        if isinstance(there, str):
            self._leave(person, "", there)
        elif there is None:
            self._unknown(ours)
        else:
            self._known(ours, there)

    def finish(self) -> Plan:
        """Take out what several members claim, and write the rest to the journal."""
        made, claims = self._made, Counter(self._claimed.values())
        shared = [change for change in made.changes if claims[self._claimed[change.member_id]] > 1]
        made.changes = [change for change in made.changes if claims[self._claimed[change.member_id]] == 1]
        made.conflicts += [Left(change.pseudonym, "", "several_members") for change in shared]
        made.name = self._memory.begin_plan(map(_planned, made.changes), self._exchange.release.version, self._found)
        return made

    def _leave(self, person: Person, matter: str, reason: str) -> None:
        self._made.conflicts.append(Left(person.pseudonym, matter, reason))

    def _there(self, ours: Ours) -> Versioned | str | None:
        """The Patient there who is this person, or why none can be taken, or None where there is none."""
        client = self._exchange.client
        link = self._links.get(ours.person.id)
        linked = client.read("Patient", link[0]) if link is not None else None
        if linked is not None and is_active(linked.resource):
            return linked
        found = self._exchange.known_as(ours.patient)
        if len(found) > 1:
            return "several_matches"
        if not found:
            return linked
        key = id_of(found[0])
        return client.read("Patient", key) if key else "no_id"  # a search result carries no tag of its version

    def _unknown(self, ours: Ours) -> None:
        exchange, person = self._exchange, ours.person
        self._settle_sent(ours, None)
        tokens = exchange.tokens(ours.patient)
        answered = any(ours.resolutions[matter].state is State.ANSWERED for matter in _to_say(ours))
        if exchange.settings.unmatched != "create" or not tokens or not answered:
            self._made.unmatched += 1
            return
        self._claimed[person.id] = "|".join(tokens[0])
        matters = tuple((matter, "add") for matter in ours.said)
        self._made.changes.append(Change(person.id, person.pseudonym, "create", matters, ours.said))

    def _known(self, ours: Ours, there: Versioned) -> None:
        person, theirs = ours.person, self._exchange.theirs(there.resource)
        problem = _unusable(there) or ("" if same_person(person.member, theirs.member) else "name_or_birth_date_differ")
        if problem:
            self._leave(person, "", problem)
            return
        key = id_of(there.resource)
        self._claimed[person.id] = key
        self._found[person.id] = (key, there.etag)
        self._settle_sent(ours, there)
        matters = [(matter, verdict) for matter in _to_say(ours) if (verdict := self._outcome(ours, theirs, matter))]
        if matters and self._exchange.settings.mode == "contributor" and key not in self._created:
            for matter, _ in matters:
                self._leave(person, matter, "contributor_only")
        elif matters:
            said = {matter: ours.said[matter] for matter, _ in matters}
            change = Change(person.id, person.pseudonym, "update", tuple(matters), said, key, there.etag)
            self._made.changes.append(change)

    def _settle_sent(self, ours: Ours, there: Versioned | None) -> None:
        """A write of ours that was interrupted before we could read it back: what stands there decides."""
        person, exchange = ours.person, self._exchange
        sent = self._sent.get(person.id)
        if sent is None:
            return
        said = exchange.theirs(there.resource).said if there else {}
        held = {matter: word for matter, word in sent.said.items() if said.get(matter) == word}
        status = "verified" if held == sent.said else "unverified"
        # Only a Patient that is as we sent it is taken for one of our making.
        mine = sent.action != "create" or (
            there is not None and is_as_sent(there.resource, exchange.patient(ours, sent.matters))
        )
        self._memory.settle(sent, status, held, self._found.get(person.id) if mine else None)
        self._written.update({(person.id, matter): word for matter, word in held.items()})

    def _outcome(self, ours: Ours, theirs: Theirs, matter: str) -> str:
        """``add`` or ``replace``, or empty for what is counted and left alone."""
        verdict = self._verdict(ours, theirs, matter)
        if verdict == "replace" and self._would_remove(ours, theirs, matter):
            verdict = "would_remove_part"
        if verdict in ("add", "replace"):
            return verdict
        if verdict == "agreed":
            self._made.agreed += 1
        elif verdict == "theirs":
            self._made.theirs_kept[matter] += 1
        elif verdict:
            self._leave(ours.person, matter, verdict)
        return ""

    def _verdict(self, ours: Ours, theirs: Theirs, matter: str) -> str:
        """``agreed``, ``add``, ``replace``, ``theirs``, empty (nothing to say), or why it is a conflict."""
        resolution, said = ours.resolutions[matter], theirs.said.get(matter)
        if said == ours.said[matter]:
            return "agreed"
        if said is None:
            return "add"
        there = theirs.states[matter]
        if resolution.state is not State.ANSWERED:
            return "theirs" if there is State.ANSWERED else ""
        if said == self._last(ours.person, matter):  # what stands there is our own earlier word
            return "replace" if there is State.ANSWERED else "add"
        if there is State.DECLINED:  # a refusal is not ours to undo
            return "declined_there"
        return "add" if there is not State.ANSWERED else self._better(ours, theirs, matter)

    def _last(self, person: Person, matter: str) -> str | None:
        """What we last wrote about a matter into the very Patient that is looked at."""
        before, now = self._links.get(person.id), self._found[person.id]
        sent = self._sent.get(person.id)
        same = (before is not None and before[0] == now[0]) or sent is not None
        return self._written.get((person.id, matter)) if same else None

    def _better(self, ours: Ours, theirs: Theirs, matter: str) -> str:
        """Whose answer stands: the better method's. A Patient dates no answer, so the rest is for a person."""
        winner = ours.resolutions[matter].winner
        if winner is None or winner.origin.partner == self._exchange.partner:
            return "theirs"  # theirs has moved on since we took it over
        methods = self._exchange.policy.methods
        mine, other = methods[winner.origin.method], methods[theirs.events[matter].origin.method]
        if mine == other:
            return "same_standing"
        return "replace" if mine < other else "theirs"

    def _would_remove(self, ours: Ours, theirs: Theirs, matter: str) -> bool:
        """Whether they answer a part that our answer has no word about: Hispanic alone states no race.

        Taking their race away is for a person to decide, and leaving it beside our ethnicity would
        make an answer that nobody gave.
        """
        exchange = self._exchange
        said = {each.topic for each in ours.outgoing.expressed if exchange.matter_of(each.topic) == matter}
        received = theirs.events[matter].received
        return any(exchange.vocabulary.meaning(r).state is State.ANSWERED and r.topic not in said for r in received)


def _to_say(ours: Ours) -> list[str]:
    """The matters that we may send and that say something."""
    states = {matter: ours.resolutions[matter].state for matter in ours.said if matter != REGISTRATION}
    return [matter for matter, state in states.items() if state in SENT_WHEN_THEY_HAVE_NOTHING]


def _unusable(there: Versioned) -> str:
    if not is_active(there.resource):
        return "not_active"
    return "" if there.etag else "no_version"  # without a version an update could overwrite what nobody saw


def _planned(change: Change) -> Planned:
    matters = tuple(matter for matter, _ in change.matters)
    return Planned(0, change.member_id, matters, change.action, change.resource_id, change.etag, change.said)
