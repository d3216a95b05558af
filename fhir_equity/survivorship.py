"""Which answer wins, why, and what it beat. Deterministic and independent of arrival order.

The policy is data (mappings/policies/survivorship.toml): rank of method, then the newest (collected,
else first seen). A known answer is never overwritten by an unknown one. A tie between different
answers goes to the earliest, provisionally, and is not sent anywhere until somebody decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from fhir_equity.errors import TableError
from fhir_equity.model import Event, Meaning, Method, Received, Resolution, State


class Policy(Struct, frozen=True):
    """The survivorship policy: ranks (0 is best) of methods and of absent states."""

    version: str
    methods: dict[str, int]
    absent: dict[State, int]


def policy_from(document: dict[str, Any]) -> Policy:
    """Read policies/survivorship.toml. Raises TableError when it misses a method or state."""
    methods = {name: rank for rank, name in enumerate(document.get("methods", []))}
    absent = {State(name): rank for rank, name in enumerate(document.get("absent", []))}
    if set(methods) != {m.value for m in Method} or set(absent) != set(State) - {State.ANSWERED}:
        raise TableError("policies/survivorship.toml must rank every method and every absent state once")
    return Policy(str(document.get("version", "")), methods, absent)


def resolve(matter: str, events: Iterable[Event], meaning: Callable[[Received], Meaning], policy: Policy) -> Resolution:
    """Choose the winning event of one matter of one person; no event at all resolves to unknown."""
    weighed = [_Weighed(event, meaning, policy) for event in dict.fromkeys(events)]
    if not weighed:
        return Resolution(matter, State.UNKNOWN, (), None, rule="no_answer")
    answered = [w for w in weighed if w.state is State.ANSWERED]
    if not answered:
        return _least_unknown(matter, weighed, policy)
    best = min(w.rank for w in answered)
    front = [w for w in answered if w.rank == best]
    newest = max(w.date for w in front)
    latest = [w for w in front if w.date == newest]
    winner = min(latest, key=lambda w: w.order)
    provisional = any(w.said != winner.said for w in latest)
    return Resolution(
        matter=matter,
        state=State.ANSWERED,
        meanings=winner.meanings,
        winner=winner.event,
        beaten=_others(weighed, winner),
        rule=_reason(weighed, answered, front, latest, provisional=provisional),
        provisional=provisional,
        refused=any(w.state is State.DECLINED and w.date > winner.date for w in weighed),
    )


class _Weighed:
    """An event with everything that decides its place."""

    __slots__ = ("date", "event", "meanings", "order", "rank", "said", "state")

    def __init__(self, event: Event, meaning: Callable[[Received], Meaning], policy: Policy) -> None:
        self.event = event
        self.meanings = tuple(meaning(received) for received in event.received)
        self.state = event_state(self.meanings, policy)
        self.rank = policy.methods[event.origin.method]
        self.date = event.origin.collected_on or event.first_seen
        self.said = _said(self.meanings)
        self.order = (event.origin.collected_on or event.first_seen, event.first_seen, _digest(event))


def event_state(meanings: Sequence[Meaning], policy: Policy) -> State:
    """The state of an event: answered when any of its answers is, else the most telling absence."""
    states = {meaning.state for meaning in meanings}
    if State.ANSWERED in states:
        return State.ANSWERED
    return min(states, key=lambda state: policy.absent[state], default=State.UNKNOWN)


def _least_unknown(matter: str, weighed: list[_Weighed], policy: Policy) -> Resolution:
    most_telling = min(policy.absent[w.state] for w in weighed)
    front = [w for w in weighed if policy.absent[w.state] == most_telling]
    winner = min(front, key=lambda w: (w.rank, w.order))
    return Resolution(matter, winner.state, winner.meanings, winner.event, _others(weighed, winner), "nothing_known")


def _others(weighed: list[_Weighed], winner: _Weighed) -> tuple[Event, ...]:
    others = [w for w in weighed if w is not winner]
    return tuple(w.event for w in sorted(others, key=lambda w: (w.rank, w.order)))


def _reason(
    weighed: list[_Weighed],
    answered: list[_Weighed],
    front: list[_Weighed],
    latest: list[_Weighed],
    *,
    provisional: bool,
) -> str:
    if provisional:
        return "tie_earliest"
    if len(latest) < len(front):
        return "newest"
    if len(front) < len(answered):
        return "method"
    if len(answered) < len(weighed):
        return "known_over_unknown"
    return "only_answer" if len({w.said for w in weighed}) == 1 else "same_answer"


def _said(meanings: Sequence[Meaning]) -> frozenset[tuple[str, str]]:
    """What an event says, apart from how: canonical codes and unmapped words."""
    codes = {(c.coding.system, c.coding.code) for m in meanings for c in m.concepts}
    return frozenset(codes | {("text", m.text.casefold()) for m in meanings if m.text})


def _digest(event: Event) -> str:
    """A stable order for events that nothing else tells apart, whatever order they arrived in."""
    origin = event.origin
    words = [origin.partner, origin.collector, origin.method, origin.question]
    for received in event.received:
        words += [received.topic, received.text, *(f"{c.system}|{c.code}" for c in received.codings)]
    return hashlib.sha256("\x1f".join(words).encode()).hexdigest()
