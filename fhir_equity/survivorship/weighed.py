"""An answer with everything that decides its place among those to the same matter."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from fhir_equity.errors import TableError
from fhir_equity.model import Event, Meaning, Received, State
from fhir_equity.survivorship.policy import FILE, Policy

Meant = Callable[[Received], Meaning]
Elsewhere = Mapping[str, Meant]  # how other partners' answers are read, by partner


class Weighed:
    """An event of a matter as a policy sees it: ranks (0 is best), date, state and what is said."""

    __slots__ = ("collector", "date", "event", "meanings", "one_only", "own", "partner", "rank", "said", "state")

    def __init__(self, matter: str, event: Event, meaning: Meant, policy: Policy, elsewhere: Elsewhere) -> None:
        origin = event.origin
        self.event = event
        self.meanings = meanings_of(event, meaning, elsewhere)
        self.state = event_state(self.meanings, policy)
        if origin.method not in policy.methods:
            raise TableError(f"{FILE} does not rank the method that an attestation names")
        self.rank = policy.methods[origin.method]
        self.partner = policy.partner(matter, origin.partner)
        self.collector = policy.collector(matter, origin.collector)
        self.own = origin.method in policy.own_word
        self.one_only = any(words in origin.question for words in policy.one_only)
        self.date = _date(event)
        self.said = what_is_said(event, self.meanings)

    @property
    def source(self) -> tuple[str, str]:
        """Who asked, and through whom it came."""
        return self.event.origin.partner, self.event.origin.collector

    def order(self) -> tuple[str, str, str, str, tuple[int, ...]]:
        """Earliest first, and a fixed order among those of one day."""
        event = self.event
        return self.date, event.first_seen, _digest(event), event.origin.artefact, event.identity


def _date(event: Event) -> str:
    """When it was collected, else first seen. Nobody collects after it was seen: such a date is wrong."""
    dates = [date for date in (event.origin.collected_on, event.first_seen) if date]
    return min(dates, default="")


def meanings_of(event: Event, meaning: Meant, elsewhere: Elsewhere) -> tuple[Meaning, ...]:
    """What an event says by the tables of the partner whom it came through, where they are `elsewhere`."""
    read = elsewhere.get(event.origin.partner, meaning)
    return tuple(read(received) for received in event.received)


def event_state(meanings: Sequence[Meaning], policy: Policy) -> State:
    """The state of an event: answered when any of its answers is, else the most telling absence."""
    states = {meaning.state for meaning in meanings}
    if State.ANSWERED in states:
        return State.ANSWERED
    return min(states, key=lambda state: policy.absent[state], default=State.UNKNOWN)


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
