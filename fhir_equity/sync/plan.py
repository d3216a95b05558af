"""plan: what would change at the HIE, member by member, and what we leave alone and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
from msgspec import Struct, field

from fhir_equity.errors import UsageError
from fhir_equity.model import State
from fhir_equity.sync.client import Versioned
from fhir_equity.sync.exchange import Exchange, Ours, Theirs, same_person
from fhir_equity.sync.search import token

SENT_WHEN_THEY_HAVE_NOTHING = (State.ANSWERED, State.DECLINED)


class Change(Struct, frozen=True):
    """One change: what to do (``create`` or ``update``) about which matters of one member."""

    member_id: int
    pseudonym: str
    action: str
    matters: tuple[tuple[str, str], ...]  # (matter, "add" or "replace")
    resource_id: str = ""
    etag: str = ""
    said: str = ""


class Left(Struct, frozen=True):
    """Something left alone that a person should look at."""

    pseudonym: str
    matter: str
    reason: str


class Plan(Struct):
    """A plan and what it leaves alone. `name` is set when it is in the journal."""

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

    Raises RemoteError, StoreError, and UsageError for an HIE whose mode is read-only.
    """
    if exchange.settings.mode == "read-only":
        raise UsageError(f"[hie.{exchange.name}] is read-only; set its mode to contributor or editor to send")
    if not exchange.settings.recipient:
        raise UsageError(f"[hie.{exchange.name}] names no recipient, so nothing may be sent to it")
    memory = exchange.store.hie(exchange.name)
    links, written = memory.links(), memory.written()
    made = Plan()
    for person in exchange.store.people:
        made.members += 1
        ours = exchange.ours(person)
        for matter, reason in ours.withheld.items():
            made.withheld[(matter, reason)] += 1
        if not ours.said:
            continue
        found = list(_find(exchange, ours, links.get(person.id)))
        if len(found) > 1:
            made.conflicts.append(Left(person.pseudonym, "", "several_matches"))
        elif not found:
            _unknown_there(exchange, ours, made)
        else:
            memory.link(person.id, str(found[0].resource["id"]), found[0].etag)
            _known_there(exchange, ours, found[0], written, made)
    made.name = memory.begin_plan([_row(change) for change in made.changes], exchange.release.version)
    return made


def _find(exchange: Exchange, ours: Ours, link: tuple[str, str] | None) -> Iterator[Versioned]:
    """The Patients there who are this person: by the remembered link, else by identifier."""
    if link is not None:
        linked = exchange.client.read("Patient", link[0])
        if linked is not None:
            yield linked
            return
    for system, value in exchange.tokens(ours.patient):
        found = {r["id"]: r for r in exchange.client.search("Patient", {"identifier": token(system, value)})}
        for key in found:
            read = exchange.client.read("Patient", key)  # a search result carries no tag of its version
            if read is not None:
                yield read
        if found:
            return


def _unknown_there(exchange: Exchange, ours: Ours, made: Plan) -> None:
    sendable = any(ours.resolutions[m].state is State.ANSWERED for m in ours.said if m != "sex")
    if exchange.settings.unmatched == "create" and sendable and exchange.tokens(ours.patient):
        matters = tuple((matter, "add") for matter in ours.said)
        made.changes.append(
            Change(ours.person.id, ours.person.pseudonym, "create", matters, said=_said(ours, ours.said))
        )
    else:
        made.unmatched += 1


def _known_there(
    exchange: Exchange, ours: Ours, there: Versioned, written: dict[tuple[int, str], str], made: Plan
) -> None:
    theirs = exchange.theirs(there.resource)
    if not same_person(ours.person.member, theirs.member):
        made.conflicts.append(Left(ours.person.pseudonym, "", "name_or_birth_date_differ"))
        return
    matters: list[tuple[str, str]] = []
    for matter in ours.said:
        if matter == "sex":  # administrative sex is what the HIE's own registration says
            continue
        last = written.get((ours.person.id, matter))
        verdict = _verdict(exchange, ours, theirs, matter, last)
        if verdict == "replace" and _would_remove(exchange, ours, theirs, matter):
            verdict = "would_remove_part"
        if verdict in ("add", "replace"):
            matters.append((matter, verdict))
        elif verdict == "agreed":
            made.agreed += 1
        elif verdict == "theirs":
            made.theirs_kept[matter] += 1
        elif verdict:
            made.conflicts.append(Left(ours.person.pseudonym, matter, verdict))
    if matters:
        said = _said(ours, dict(matters))
        key = str(there.resource["id"])
        made.changes.append(
            Change(ours.person.id, ours.person.pseudonym, "update", tuple(matters), key, there.etag, said)
        )


def _verdict(exchange: Exchange, ours: Ours, theirs: Theirs, matter: str, last: str | None) -> str:
    """``agreed``, ``add``, ``replace``, ``theirs``, empty (nothing to say), or why it is a conflict."""
    resolution, event = ours.resolutions[matter], theirs.events.get(matter)
    said = theirs.said.get(matter)
    if said == ours.said[matter]:
        return "agreed"
    if event is None:
        return "add" if resolution.state in SENT_WHEN_THEY_HAVE_NOTHING else ""
    if theirs.states[matter] is not State.ANSWERED:
        return "add" if resolution.state is State.ANSWERED else ""
    if resolution.state is not State.ANSWERED or resolution.winner is None:
        return "theirs"
    if said == last:  # what stands there is our own earlier word
        return "replace"
    origin = resolution.winner.origin
    if origin.partner == exchange.partner:  # theirs has moved on since we took it over
        return "theirs"
    mine, other = exchange.ranks[origin.method], exchange.ranks[event.origin.method]
    if mine != other:
        return "replace" if mine < other else "theirs"
    if origin.collected_on and event.origin.collected_on and origin.collected_on != event.origin.collected_on:
        return "replace" if origin.collected_on > event.origin.collected_on else "theirs"
    return "same_standing"


def _would_remove(exchange: Exchange, ours: Ours, theirs: Theirs, matter: str) -> bool:
    """Whether they answer a part that our answer has no word about: Hispanic alone states no race.

    Taking their race away is for a person to decide, and leaving it beside our ethnicity would make
    an answer that nobody gave.
    """
    said = {e.topic for e in ours.outgoing.expressed if exchange.matter_of(e.topic) == matter}
    received = theirs.events[matter].received
    return any(exchange.vocabulary.meaning(r).state is State.ANSWERED and r.topic not in said for r in received)


def _said(ours: Ours, matters: dict[str, str]) -> str:
    return msgspec.json.encode({matter: ours.said[matter] for matter in sorted(matters)}).decode()


def _row(change: Change) -> dict[str, str | int]:
    return {
        "member_id": change.member_id,
        "matters": " ".join(matter for matter, _ in change.matters),
        "action": change.action,
        "resource_id": change.resource_id,
        "etag": change.etag,
        "said": change.said,
    }
