"""Mergeable counts: the same numbers from one process, a pool, a resumed run or a cluster.

A tally is one Counter; its keys are tuples that start with the section of the audit document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from fhir_equity.model import Event, Meaning, Received, Resolution, State
from fhir_equity.quality.ages import Ages
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.schema import OTHER_RACE

RACE = "race_ethnicity"
Tally = Counter[tuple[str, ...]]
Meant = Callable[[Received], Meaning]
Reads = Callable[[Event], Meant]  # how the values of an event are read
MOST = 50_000  # resolutions remembered before the memory starts afresh
_STATES = list(State)  # answered first, then by how much the state tells


class Counting:
    """Turns the resolutions of a person into counts on an ISO date; what a resolution counts for is found once."""

    def __init__(self, vocabulary: Vocabulary, as_of: str) -> None:
        self._ages = Ages(vocabulary.tables, as_of)
        self._schema = vocabulary.schema
        topics = vocabulary.codes.topics.values()
        self._systems = {topic.matter: topic.code_system for topic in topics}
        # By identity, for equal resolutions are mostly one object; they are held so that no other takes their place.
        self._known: dict[tuple[str, int], tuple[Resolution, list[tuple[str, ...]]]] = {}

    def add(self, tally: Tally, resolutions: Mapping[str, Resolution], read: Reads, count: int) -> None:
        """Count `count` people who all have these resolutions; `read` says what the values of an event mean."""
        tally[("population",)] += count
        for matter, resolution in resolutions.items():
            for key in self._keys(matter, resolution, read):
                tally[key] += count

    def _keys(self, matter: str, resolution: Resolution, read: Reads) -> list[tuple[str, ...]]:
        known = self._known.get((matter, id(resolution)))
        if known is None:
            if len(self._known) >= MOST:
                self._known.clear()
            keys = [*self._matter(matter, resolution, read)]
            if matter == RACE and resolution.state is State.ANSWERED:
                keys += self._views(resolution)
            known = self._known[(matter, id(resolution))] = resolution, keys
        return known[1]

    def _matter(self, matter: str, resolution: Resolution, read: Reads) -> Iterator[tuple[str, ...]]:
        yield ("state", matter, resolution.state.value)
        if resolution.winner is None:
            return
        for source, state in _sources(resolution, read).items():
            yield ("source", matter, source, state.value)
        if len({_told(event) for event in (resolution.winner, *resolution.beaten)}) > 1:
            yield ("settled", matter, resolution.rule)
        if resolution.state is not State.UNKNOWN:
            yield ("method", matter, resolution.winner.origin.method)
            yield ("question", matter, resolution.winner.origin.question)
        if resolution.provisional:
            yield ("provisional", matter)
        if resolution.state is State.ANSWERED:
            yield ("age", matter, self._ages.band(resolution.winner))
            if not resolution.winner.origin.collected_on:
                yield ("undated", matter)
        if resolution.state is State.ANSWERED and matter != RACE:
            system = self._systems[matter]
            codes = {c.coding.code for m in resolution.meanings for c in m.concepts if c.coding.system == system}
            for code in codes:
                yield ("value", matter, code)
            if not codes:
                yield ("unmapped", matter)

    def _views(self, resolution: Resolution) -> Iterator[tuple[str, ...]]:
        standard = resolution.winner.origin.standard if resolution.winner else ""
        new = self._schema.omb2024(resolution.meanings, standard)
        yield ("omb2024", "answered")
        for category in new.categories:
            yield ("omb2024", "any", category)
        if len(new.categories) == 1:
            yield ("omb2024", "alone", new.categories[0])
        if len(new.categories) > 1:
            yield ("omb2024", "multiracial_or_multiethnic")
            yield ("omb2024", "combination", *new.categories)
        if not new.categories:
            yield ("omb2024", "without_category")
        if new.detailed:
            yield ("detailed", RACE)
        for code in self._schema.details(resolution.meanings):
            yield ("group", code)
        old = self._schema.omb1997(resolution.meanings, standard)
        for race in old.race:
            yield ("omb1997", "race", race)
        if len(old.race) + old.other_race == 1:
            yield ("omb1997", "alone", *(old.race or (self._schema.races_1997[OTHER_RACE],)))
        if len(old.race) + old.other_race > 1:
            yield ("omb1997", "more_than_one_race")
        if old.ethnicity:
            yield ("omb1997", "ethnicity", old.ethnicity)
        for name in ("bridged", "cannot_be_bridged", "lost_multiracial", "other_race"):
            if getattr(old, name):
                yield ("omb1997", name)


def _told(event: Event) -> tuple[object, ...]:
    """What an event tells, whatever file it stood in: the same in two files is told once, as in a store."""
    origin = event.origin
    return event.received, origin.collector, origin.method, origin.standard, origin.question, origin.collected_on


def _sources(resolution: Resolution, read: Reads) -> dict[str, State]:
    """What each source by itself says about the matter: a person counts once in each that spoke."""
    said: dict[str, State] = {}
    for event in (resolution.winner, *resolution.beaten):
        if event is None:
            continue
        source = f"{event.origin.collector}/{event.origin.method}"
        meaning = read(event)
        for received in event.received:
            state = meaning(received).state
            said[source] = min(said.get(source, state), state, key=_STATES.index)
    return said
