"""One matter of one Patient, three ways: what was agreed last, what we have now, what they have now."""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.model import KNOWN, State
from fhir_equity.survivorship import DECIDED, event_state
from fhir_equity.sync.deciding import THEIRS_BETTER
from fhir_equity.sync.exchange import REGISTRATION, Exchange, Ours, Theirs, fingerprint

SENT_WHEN_THEY_HAVE_NOTHING = (State.ANSWERED, State.DECLINED)
CHANGES = ("add", "replace")


class Last(Struct, frozen=True):
    """What is remembered about one matter of this very Patient: our own last word, and what both sides said last."""

    written: str | None = None
    agreed: str | None = None


def to_say(ours: Ours) -> list[str]:
    """The matters that we may send and that say something. An Observation says an answer or nothing."""
    states = {matter: ours.resolutions[matter].state for matter in ours.said if matter != REGISTRATION}
    return [
        matter
        for matter, state in states.items()
        if state is State.ANSWERED or (state in SENT_WHEN_THEY_HAVE_NOTHING and matter not in ours.observed)
    ]


def verdict(exchange: Exchange, ours: Ours, theirs: Theirs, matter: str, last: Last) -> str:
    """``agreed``, ``add``, ``replace``, ``theirs`` (to be pulled), empty (nothing to say), or what a person decides."""
    found = _verdict(exchange, ours, theirs, matter, last)
    return "would_remove_part" if found == "replace" and _would_remove(exchange, ours, theirs, matter) else found


def _verdict(exchange: Exchange, ours: Ours, theirs: Theirs, matter: str, last: Last) -> str:
    resolution, said = ours.resolutions[matter], theirs.said.get(matter)
    if said == ours.said[matter]:
        return "agreed"
    if said is None:
        return "add"
    there = theirs.states[matter]
    if resolution.state is not State.ANSWERED:
        return "theirs" if there is State.ANSWERED else ""
    if said == last.written:  # what stands there is our own earlier word
        return "replace" if there is State.ANSWERED else "add"
    if there is State.DECLINED:  # a refusal is not ours to undo
        return "declined_there"
    return "add" if there is not State.ANSWERED else _better(exchange, ours, theirs, matter, last)


def _better(exchange: Exchange, ours: Ours, theirs: Theirs, matter: str, last: Last) -> str:
    """Whose answer stands: the better method's, else that of the only side that moved since both agreed.

    A Patient dates no answer, so the rest is for a person.
    """
    winner = ours.resolutions[matter].winner
    if winner is None or winner.origin.partner == exchange.partner:
        return "theirs"  # theirs has moved on since we took it over
    methods = exchange.policy.methods
    mine, other = methods[winner.origin.method], methods[theirs.events[matter].origin.method]
    told_before = ours.said[matter] in (last.agreed, last.written)
    decided = ours.resolutions[matter].rule == DECIDED and not told_before
    if decided and _was_known(exchange, ours, theirs, matter):
        return "replace"  # whoever decided for our answer knew theirs
    if mine != other:
        return "replace" if mine < other else THEIRS_BETTER
    if last.agreed == theirs.said[matter]:
        return "replace"
    return "theirs" if last.agreed == ours.said[matter] else "same_standing"


def _was_known(exchange: Exchange, ours: Ours, theirs: Theirs, matter: str) -> bool:
    """Whether what they say was known here when somebody decided for another answer."""
    for about, event in ours.person.events:
        if about == matter and event.decided == KNOWN and event.origin.partner == exchange.partner:
            meanings = [exchange.vocabulary.meaning(received) for received in event.received]
            if fingerprint(meanings, event_state(meanings, exchange.policy)) == theirs.said[matter]:
                return True
    return False


def _would_remove(exchange: Exchange, ours: Ours, theirs: Theirs, matter: str) -> bool:
    """Whether they answer a part that our answer has no word about: Hispanic alone states no race.

    Taking their race away is for a person to decide, and leaving it beside our ethnicity would
    make an answer that nobody gave.
    """
    said = {each.topic for each in ours.outgoing.expressed if exchange.matter_of(each.topic) == matter}
    received = theirs.events[matter].received
    return any(exchange.vocabulary.meaning(r).state is State.ANSWERED and r.topic not in said for r in received)
