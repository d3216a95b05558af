"""Which answer wins, why, and what it beat. Deterministic and independent of arrival order.

The policy is data (mappings/policies/survivorship.toml): rank of method, then the newest (collected,
else first seen). A known answer is never overwritten by an unknown one, nor one that says several
things by one that could say one only. A tie between different
answers goes to the earliest, provisionally, and is not sent anywhere until somebody decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from fhir_equity.errors import TableError
from fhir_equity.model import CHOSEN, Event, Meaning, Method, Received, Resolution, State


class Policy(Struct, frozen=True):
    """The survivorship policy: ranks (0 is best) of methods and of absent states.

    `one_only` are words of a question to which one thing could be answered, `why` a sentence for each
    rule, `telling` the rules that tell whether there is an answer.
    """

    version: str
    methods: dict[str, int]
    absent: dict[State, int]
    one_only: tuple[str, ...] = ()
    why: dict[str, str] = {}
    telling: frozenset[str] = frozenset()


def policy_from(document: dict[str, Any]) -> Policy:
    """Read policies/survivorship.toml. Raises TableError when it misses a method or state."""
    methods, absent = document.get("methods", []), document.get("absent", [])
    if sorted(methods) != sorted(Method) or sorted(absent) != sorted(set(State) - {State.ANSWERED}):
        raise TableError("policies/survivorship.toml must rank every method and every absent state once")
    return Policy(
        version=str(document.get("version", "")),
        methods={name: rank for rank, name in enumerate(methods)},
        absent={State(name): rank for rank, name in enumerate(absent)},
        one_only=tuple(document.get("one_only", ())),
        why={str(rule): str(sentence) for rule, sentence in document.get("why", {}).items()},
        telling=frozenset(document.get("telling", ())),
    )


def resolve(matter: str, events: Iterable[Event], meaning: Callable[[Received], Meaning], policy: Policy) -> Resolution:
    """Choose the winning event of one matter of one person; no event at all resolves to unknown.

    An event that somebody decided for wins over every rule.

    Raises TableError for an origin whose method the policy does not rank (a broken attestation).
    """
    weighed = [_Weighed(event, meaning, policy) for event in dict.fromkeys(events)]
    if not weighed:
        return Resolution(matter, State.UNKNOWN, (), None, rule="no_answer")
    chosen = next((w for w in weighed if w.event.decided == CHOSEN), None)
    if chosen is not None:
        return _decided(matter, weighed, chosen)
    answered = [w for w in weighed if w.state is State.ANSWERED]
    if not answered:
        return _least_unknown(matter, weighed, policy)
    able = _able(answered)
    best = min(w.rank for w in able)
    front = [w for w in able if w.rank == best]
    newest = max(w.date for w in front)
    latest = [w for w in front if w.date == newest]
    winner = latest[0] if len(latest) == 1 else min(latest, key=_Weighed.order)
    provisional = any(w.said != winner.said for w in latest)
    return Resolution(
        matter=matter,
        state=State.ANSWERED,
        meanings=winner.meanings,
        winner=winner.event,
        beaten=_others(weighed, winner),
        rule=_reason(weighed, answered, able, front, latest, provisional=provisional),
        provisional=provisional,
        refused=any(w.state is State.DECLINED and w.date > winner.date for w in weighed),
    )


class _Weighed:
    """An event with everything that decides its place."""

    __slots__ = ("date", "event", "meanings", "one_only", "rank", "said", "state")

    def __init__(self, event: Event, meaning: Callable[[Received], Meaning], policy: Policy) -> None:
        self.event = event
        self.meanings = tuple(meaning(received) for received in event.received)
        self.state = event_state(self.meanings, policy)
        if event.origin.method not in policy.methods:
            raise TableError("policies/survivorship.toml does not rank the method that an attestation names")
        self.rank = policy.methods[event.origin.method]
        self.one_only = any(words in event.origin.question for words in policy.one_only)
        self.date = _date(event)
        self.said = what_is_said(event, self.meanings)

    def order(self) -> tuple[str, str, str, str, tuple[int, ...]]:
        """Earliest first, and a fixed order among those of one day."""
        event = self.event
        return self.date, event.first_seen, _digest(event), event.origin.artefact, event.identity


def _decided(matter: str, weighed: list[_Weighed], chosen: _Weighed) -> Resolution:
    """Somebody decided; what was said since and says otherwise asks them again, and until then nothing is sent."""
    stands = all(w.event.decided or w.state is not State.ANSWERED or w.said == chosen.said for w in weighed)
    return Resolution(
        matter=matter,
        state=chosen.state,
        meanings=chosen.meanings,
        winner=chosen.event,
        beaten=_others(weighed, chosen),
        rule="decided" if stands else "decided_before",
        provisional=not stands,
        refused=any(w.state is State.DECLINED and w.date > chosen.date for w in weighed),
    )


def _date(event: Event) -> str:
    """When it was collected, else first seen. Nobody collects after it was seen: such a date is wrong."""
    dates = [date for date in (event.origin.collected_on, event.first_seen) if date]
    return min(dates, default="")


def event_state(meanings: Sequence[Meaning], policy: Policy) -> State:
    """The state of an event: answered when any of its answers is, else the most telling absence."""
    states = {meaning.state for meaning in meanings}
    if State.ANSWERED in states:
        return State.ANSWERED
    return min(states, key=lambda state: policy.absent[state], default=State.UNKNOWN)


def _least_unknown(matter: str, weighed: list[_Weighed], policy: Policy) -> Resolution:
    most_telling = min(policy.absent[w.state] for w in weighed)
    front = [w for w in weighed if policy.absent[w.state] == most_telling]
    winner = front[0] if len(front) == 1 else min(front, key=lambda w: (w.rank, w.order()))
    return Resolution(matter, winner.state, winner.meanings, winner.event, _others(weighed, winner), "nothing_known")


def _able(answered: list[_Weighed]) -> list[_Weighed]:
    """Who may win: where somebody says several things, nobody who could say one only."""
    several = any(len(w.said) > 1 and not w.one_only for w in answered)
    return [w for w in answered if not (several and w.one_only)]


def _others(weighed: list[_Weighed], winner: _Weighed) -> tuple[Event, ...]:
    others = [w for w in weighed if w is not winner]
    if len(others) > 1:
        others.sort(key=lambda w: (w.rank, w.order()))
    return tuple([w.event for w in others])


def _reason(
    weighed: list[_Weighed],
    answered: list[_Weighed],
    able: list[_Weighed],
    front: list[_Weighed],
    latest: list[_Weighed],
    *,
    provisional: bool,
) -> str:
    if provisional:
        return "tie_earliest"
    if len(latest) < len(front):
        return "newest"
    if len(front) < len(able):
        return "method"
    if len(able) < len(answered):
        return "several_over_one"
    if len(answered) < len(weighed):
        return "known_over_unknown"
    return "only_answer" if len(weighed) == 1 else "same_answer"


def what_is_said(event: Event, meanings: Sequence[Meaning]) -> frozenset[tuple[str, str]]:
    """What an event says, apart from how: canonical codes and unmapped words, else what was received."""
    said: set[tuple[str, str]] = set()
    for received, meaning in zip(event.received, meanings, strict=True):
        said |= {(c.coding.system, c.coding.code) for c in meaning.concepts}
        if meaning.text:
            said.add(("text", meaning.text.casefold()))
        if meaning.state is State.ANSWERED and not meaning.concepts and not meaning.text:
            said |= {(coding.system, coding.code) for coding in received.codings}
    return frozenset(said)


def known_words(event: Event, meaning: Callable[[Received], Meaning]) -> frozenset[tuple[str, str]]:
    """What an event says, apart from how; empty where it gives no known answer."""
    meanings = [meaning(received) for received in event.received]
    answered = any(each.state is State.ANSWERED for each in meanings)
    return (what_is_said(event, meanings) or frozenset({("", "answered")})) if answered else frozenset()


def _digest(event: Event) -> str:
    """A stable order for events that nothing else tells apart, whatever order they arrived in.

    The artefact is left out: a statement has one digest in the file and in the store.
    """
    origin, received = event.origin, event.received
    words = [str(getattr(origin, name)) for name in origin.__struct_fields__ if name != "artefact"]
    words += sorted(
        "\x1e".join((r.topic, r.element, r.text, r.raw, *(f"{c.system}|{c.code}|{c.display}" for c in r.codings)))
        for r in received
    )
    return hashlib.sha256("\x1f".join(words).encode("utf-8", "backslashreplace")).hexdigest()
