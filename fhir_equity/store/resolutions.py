"""Which event of a member wins, kept beside the answers and written in the transaction that changes them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, delete, select

from fhir_equity.model import Contention, Event, Origin, Received, Resolution, Side
from fhir_equity.store.changed import touch
from fhir_equity.store.merged import merged_among
from fhir_equity.store.patterns import forget_cases, pattern_id
from fhir_equity.store.rows import among, insert_new, insert_tuples, slices
from fhir_equity.store.schema import (
    Beaten,
    ReceivedValue,
    StoredCase,
    StoredMember,
    StoredOrigin,
    StoredResolution,
    core,
)
from fhir_equity.store.settlements import marks_of, strongest

MOST = 20_000  # what is remembered within a run before it starts afresh
T = TypeVar("T")
Stated = tuple[str, int, int, int, str, int]  # matter, event, origin id, received id, first seen, answer id
Shape = tuple[tuple[str, int, int, tuple[int, ...], str, str], ...]  # events as ids and what was decided, not whose

_WON = ("member_id", "matter", "winner", "state", "rule", "policy", "provisional", "refused")
_LOST = ("member_id", "matter", "place", "answer_id")

_decode = msgspec.json.Decoder(Received).decode


def _nothing_to_decide(_: Sequence[Event], __: Mapping[str, Resolution]) -> Sequence[Contention]:
    return ()


class Judge(Struct, frozen=True):
    """Who decides about the people of a partner: the version of a policy, what it says about the events of one
    person by matter, and what it leaves to people. `judges` are those of other partners.
    """

    policy: str
    decide: Callable[[Sequence[Event]], Mapping[str, Resolution]]
    contend: Callable[[Sequence[Event], Mapping[str, Resolution]], Sequence[Contention]] = _nothing_to_decide
    partner: str = ""
    judges: Callable[[str], Judge] | None = None


class Outcome(Struct, frozen=True):
    """What was decided about one matter; `winner` (-1 for none) and `beaten` count in the events of a shape."""

    matter: str
    state: str
    rule: str
    provisional: bool
    refused: bool
    winner: int
    beaten: tuple[int, ...]


class Decided:
    """An outcome for one member: the first answers of the events that won and lost."""

    __slots__ = ("beaten", "outcome", "winner")

    def __init__(self, outcome: Outcome, answers: Sequence[int]) -> None:
        self.outcome = outcome
        self.winner = answers[outcome.winner] if outcome.winner >= 0 else None
        self.beaten = [answers[place] for place in outcome.beaten] if outcome.beaten else []


class Resolutions:
    """Keeps the resolutions of the members whose answers a run changes. People who said the same are decided once."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._outcomes: dict[Shape, tuple[Outcome, ...]] = {}
        self._contended: dict[Shape, tuple[Contention, ...]] = {}
        self._parts: dict[Any, Any] = {}  # of shapes and outcomes, which have most of them in common
        self._patterns: dict[tuple[str, str, tuple[Side, ...]], int] = {}
        self._looked_at: dict[int, tuple[Shape, list[int]]] = {}
        self._received: dict[int, Received] = {}
        self._origins: dict[int, Origin] = {}
        self._others: dict[str, Resolutions] = {}

    def afresh(self) -> Resolutions:
        """The same, remembering nothing."""
        return Resolutions(self._judge)

    def decided(self, connection: Connection, stated: Mapping[int, Iterable[Stated]]) -> dict[int, list[Decided]]:
        """What wins for members, given everything they stated."""
        if max(len(self._outcomes), len(self._received), len(self._origins)) > MOST:
            self._outcomes, self._contended, self._received, self._origins, self._patterns = {}, {}, {}, {}, {}
            self._parts = {}
        self._looked_at = self._shapes(connection, stated)
        return {
            member: [Decided(outcome, answers) for outcome in self._outcomes[shape]]
            for member, (shape, answers) in self._looked_at.items()
        }

    def write(self, connection: Connection, stated: Mapping[int, Iterable[Stated]], new: Container[int]) -> None:
        """Write what wins for members, given everything they stated; who is not `new` may have older resolutions.

        A person who was merged may be another partner's: then theirs decides.
        """
        for partner, theirs in self._apart(connection, stated).items():
            judges = self._others.get(partner, self)
            judges.keep(connection, judges.decided(connection, theirs), new)

    def _apart(self, connection: Connection, stated: Mapping[int, T]) -> dict[str, Mapping[int, T]]:
        """By whose people they are, with who decides about others' in `_others`."""
        own, judges = self._judge.partner, self._judge.judges
        merged = merged_among(connection, list(stated)) if judges is not None else {}
        if judges is None or not merged:
            return {own: stated}
        table = core(StoredMember)
        query = select(table.c.id, table.c.partner).where(table.c.partner != own)
        whose = dict(among(connection, query, table.c.id, sorted(set(merged.values()) & stated.keys())))
        for partner in sorted(set(whose.values()) - self._others.keys()):
            self._others[partner] = Resolutions(judges(partner))
        found: dict[str, dict[int, T]] = {}
        for member, said in stated.items():
            found.setdefault(whose.get(member, own), {})[member] = said
        return dict(found)

    def keep(self, connection: Connection, decided: Mapping[int, Iterable[Decided]], new: Container[int]) -> None:
        """Write what was decided of some that were looked at last, and their cases."""
        touch(connection, [member for member in decided if member not in new])
        for some in slices(sorted(member for member in decided if member not in new)):
            for model in (StoredResolution, Beaten):
                table = core(model)
                connection.execute(delete(table).where(table.c.member_id.in_(some)))
        won: list[tuple[Any, ...]] = []
        lost: list[tuple[Any, ...]] = []
        policy = self._judge.policy
        for member, found in decided.items():
            for each in found:
                told, matter = each.outcome, each.outcome.matter
                won.append((member, matter, each.winner, told.state, told.rule, policy, told.provisional, told.refused))
                lost += [(member, matter, place, answer) for place, answer in enumerate(each.beaten)]
        insert_tuples(connection, StoredResolution, _WON, won)
        insert_tuples(connection, Beaten, _LOST, lost)
        self.keep_cases(connection, decided, new)

    def chosen(
        self, connection: Connection, stated: Mapping[int, Iterable[Stated]], pattern: int, side: int
    ) -> dict[int, tuple[int, str, list[int]]]:
        """Of members to whom a pattern applies: the answer that one side is, the matter, and all answers on it."""
        found: dict[int, tuple[int, str, list[int]]] = {}
        for member, (shape, answers) in self._shapes(connection, stated).items():
            for each in self._contended.get(shape, ()):
                if self._pattern(connection, each) == pattern:
                    on_it = [number for event, number in zip(shape, answers, strict=True) if event[0] == each.matter]
                    found[member] = (answers[each.places[side][0]], each.matter, on_it)
        return found

    def _shapes(
        self, connection: Connection, stated: Mapping[int, Iterable[Stated]]
    ) -> dict[int, tuple[Shape, list[int]]]:
        marks = marks_of(connection, list(stated))
        shapes = {member: _shape(said, marks.get(member, {})) for member, said in stated.items()}
        self._learn(connection, [shape for shape, _ in shapes.values() if shape not in self._outcomes])
        return shapes

    def keep_cases(self, connection: Connection, members: Iterable[int], new: Container[int] = ()) -> None:
        """Write the cases of some members that were looked at last, also where nobody else wins."""
        whose = list(members)
        for some in slices([member for member in whose if member not in new]):
            forget_cases(connection, some)
        rows = [
            {
                "member_id": member,
                "pattern_id": self._pattern(connection, each),
                "source": "",
                "state": each.state,
                "since": each.since,
            }
            for member in whose
            for each in self._contended.get(self._looked_at[member][0], ())
        ]
        insert_new(connection, StoredCase, rows)

    def _pattern(self, connection: Connection, each: Contention) -> int:
        key = (each.kind, each.matter, each.sides)
        if key not in self._patterns:
            self._patterns[key] = pattern_id(connection, *key)
        return self._patterns[key]

    def _learn(self, connection: Connection, shapes: Iterable[Shape]) -> None:
        new = dict.fromkeys(shapes)
        said = {number for shape in new for *_, received, _, _ in shape for number in received} - self._received.keys()
        values = core(ReceivedValue)
        query = select(values.c.id, values.c.value)
        rows = among(connection, query, values.c.id, sorted(said))
        self._received.update((number, _decode(value)) for number, value in rows)
        origins = core(StoredOrigin)
        missing = {origin for shape in new for _, _, origin, *_ in shape} - self._origins.keys()
        names = [name for name in Origin.__struct_fields__ if name != "artefact"]
        query = select(origins.c.id, *(origins.c[name] for name in names))
        for number, *parts in among(connection, query, origins.c.id, sorted(missing)):
            self._origins[number] = Origin(**dict(zip(names, parts, strict=True)))
        for shape in new:
            outcomes, contended = self._decide(shape)
            shape = tuple([self._parts.setdefault(part, part) for part in shape])
            outcomes = tuple([self._parts.setdefault(part, part) for part in outcomes])
            self._outcomes[shape] = self._parts.setdefault(outcomes, outcomes)
            if contended:
                self._contended[shape] = contended

    def _decide(self, shape: Shape) -> tuple[tuple[Outcome, ...], tuple[Contention, ...]]:
        events = [
            Event(tuple(self._received[n] for n in received), self._origins[origin], first_seen, (), decided)
            for _, _, origin, received, first_seen, decided in shape
        ]
        places = {event: place for place, event in enumerate(events)}
        decided = self._judge.decide(events)
        outcomes = tuple(
            Outcome(
                matter=matter,
                state=str(found.state),
                rule=found.rule,
                provisional=found.provisional,
                refused=found.refused,
                winner=-1 if found.winner is None else places[found.winner],
                beaten=tuple(places[event] for event in found.beaten),
            )
            for matter, found in sorted(decided.items())
        )
        return outcomes, tuple(self._judge.contend(events, decided))


def _shape(said: Iterable[Stated], marks: Mapping[int, str]) -> tuple[Shape, list[int]]:
    """The events of a member without whose they are, and the first answer of each."""
    events: dict[tuple[str, int, int], list[Stated]] = {}
    for stated in sorted(said, key=itemgetter(5)):
        events.setdefault(stated[:3], []).append(stated)
    shape = tuple([(*event, *_together(parts, marks)) for event, parts in events.items()])
    return shape, [parts[0][5] for parts in events.values()]


def _together(parts: Sequence[Stated], marks: Mapping[int, str]) -> tuple[tuple[int, ...], str, str]:
    """The received values of an event, when it was first seen, and what was decided about it."""
    decided = strongest(marks, [part[5] for part in parts]) if marks else ""
    if len(parts) == 1:
        return (parts[0][3],), parts[0][4], decided
    received = dict.fromkeys([part[3] for part in parts])  # a merged person may have said the same under two keys
    return tuple(received), min([part[4] for part in parts]), decided
