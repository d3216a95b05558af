"""Which event of a member wins, kept beside the answers and written in the transaction that changes them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, delete, select

from fhir_equity.model import Event, Origin, Received, Resolution
from fhir_equity.store.changed import touch
from fhir_equity.store.rows import among, insert_new, slices
from fhir_equity.store.schema import Beaten, ReceivedValue, StoredOrigin, StoredResolution, core

MOST = 50_000  # what is remembered within a run before it starts afresh
Stated = tuple[str, int, int, int, str, int]  # matter, event, origin id, received id, first seen, answer id
Shape = tuple[tuple[str, int, int, tuple[int, ...], str], ...]  # events as ids, without whose they are

_decode = msgspec.json.Decoder(Received).decode


class Judge(Struct, frozen=True):
    """Who decides: the version of a policy, and what it says about the events of one person, by matter."""

    policy: str
    decide: Callable[[Sequence[Event]], Mapping[str, Resolution]]


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
        self.beaten = [answers[place] for place in outcome.beaten]


class Resolutions:
    """Keeps the resolutions of the members whose answers a run changes. People who said the same are decided once."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._outcomes: dict[Shape, tuple[Outcome, ...]] = {}
        self._received: dict[int, Received] = {}
        self._origins: dict[int, Origin] = {}

    def afresh(self) -> Resolutions:
        """The same, remembering nothing."""
        return Resolutions(self._judge)

    def decided(self, connection: Connection, stated: Mapping[int, Iterable[Stated]]) -> dict[int, list[Decided]]:
        """What wins for members, given everything they stated."""
        if max(len(self._outcomes), len(self._received), len(self._origins)) > MOST:
            self._outcomes, self._received, self._origins = {}, {}, {}
        shapes = {member: _shape(said) for member, said in stated.items()}
        self._learn(connection, [shape for shape, _ in shapes.values() if shape not in self._outcomes])
        return {
            member: [Decided(outcome, answers) for outcome in self._outcomes[shape]]
            for member, (shape, answers) in shapes.items()
        }

    def write(self, connection: Connection, stated: Mapping[int, Iterable[Stated]], new: Container[int]) -> None:
        """Write what wins for members, given everything they stated; who is not `new` may have older resolutions."""
        self.keep(connection, self.decided(connection, stated), new)

    def keep(self, connection: Connection, decided: Mapping[int, Iterable[Decided]], new: Container[int]) -> None:
        """Write what was decided."""
        touch(connection, [member for member in decided if member not in new])
        for some in slices(sorted(member for member in decided if member not in new)):
            for model in (StoredResolution, Beaten):
                table = core(model)
                connection.execute(delete(table).where(table.c.member_id.in_(some)))
        won: list[dict[str, Any]] = []
        lost: list[dict[str, Any]] = []
        for member, found in decided.items():
            for each in found:
                whose = {"member_id": member, "matter": each.outcome.matter}
                won.append({**whose, **self._row(each.outcome), "winner": each.winner})
                lost += [{**whose, "place": place, "answer_id": answer} for place, answer in enumerate(each.beaten)]
        insert_new(connection, StoredResolution, won)
        insert_new(connection, Beaten, lost)

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        names = ("state", "rule", "provisional", "refused")
        return {"policy": self._judge.policy, **{name: getattr(outcome, name) for name in names}}

    def _learn(self, connection: Connection, shapes: Iterable[Shape]) -> None:
        new = dict.fromkeys(shapes)
        said = {number for shape in new for *_, received, _ in shape for number in received} - self._received.keys()
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
        self._outcomes.update((shape, self._decide(shape)) for shape in new)

    def _decide(self, shape: Shape) -> tuple[Outcome, ...]:
        events = [
            Event(tuple(self._received[number] for number in received), self._origins[origin], first_seen)
            for _, _, origin, received, first_seen in shape
        ]
        places = {event: place for place, event in enumerate(events)}
        return tuple(
            Outcome(
                matter=matter,
                state=str(found.state),
                rule=found.rule,
                provisional=found.provisional,
                refused=found.refused,
                winner=-1 if found.winner is None else places[found.winner],
                beaten=tuple(places[event] for event in found.beaten),
            )
            for matter, found in sorted(self._judge.decide(events).items())
        )


def _shape(said: Iterable[Stated]) -> tuple[Shape, list[int]]:
    """The events of a member without whose they are, and the first answer of each."""
    events: dict[tuple[str, int, int], list[Stated]] = {}
    for stated in sorted(said, key=itemgetter(5)):
        events.setdefault(stated[:3], []).append(stated)
    shape = tuple(
        (*event, tuple(stated[3] for stated in parts), min(stated[4] for stated in parts))
        for event, parts in events.items()
    )
    return shape, [parts[0][5] for parts in events.values()]
