"""Mergeable counts: the same numbers from one process, a pool, a resumed run or a cluster.

A tally is one Counter; its keys are tuples that start with the section of the audit document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from fhir_equity.model import Resolution, State
from fhir_equity.vocabulary import Vocabulary

RACE = "race_ethnicity"
Tally = Counter[tuple[str, ...]]
_STATES = list(State)  # answered first, then by how much the state tells


class Counting:
    """Turns the resolutions of a person into counts, once for each distinct set of resolutions."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._schema = vocabulary.schema
        self._meaning = vocabulary.meaning
        topics = vocabulary.codes.topics.values()
        self._systems = {topic.matter: topic.code_system for topic in topics}

    def add(self, tally: Tally, resolutions: Mapping[str, Resolution], count: int) -> None:
        """Count `count` people who all have these resolutions."""
        tally[("population",)] += count
        for matter, resolution in resolutions.items():
            self._matter(tally, matter, resolution, count)
        race = resolutions.get(RACE)
        if race is not None and race.state is State.ANSWERED:
            self._views(tally, race, count)

    def _matter(self, tally: Tally, matter: str, resolution: Resolution, count: int) -> None:
        tally[("state", matter, resolution.state.value)] += count
        if resolution.winner is None:
            return
        origin = resolution.winner.origin
        for source, state in self._sources(resolution).items():
            tally[("source", matter, source, state.value)] += count
        if resolution.state is not State.UNKNOWN:
            tally[("method", matter, origin.method)] += count
        if resolution.provisional:
            tally[("provisional", matter)] += count
        if resolution.state is State.ANSWERED and matter != RACE:
            system = self._systems[matter]
            codes = {c.coding.code for m in resolution.meanings for c in m.concepts if c.coding.system == system}
            for code in codes:
                tally[("value", matter, code)] += count
            if not codes:
                tally[("unmapped", matter)] += count

    def _sources(self, resolution: Resolution) -> dict[str, State]:
        """What each source by itself says about the matter: a person counts once in each that spoke."""
        said: dict[str, State] = {}
        for event in (resolution.winner, *resolution.beaten):
            if event is None:
                continue
            source = f"{event.origin.collector}/{event.origin.method}"
            for received in event.received:
                state = self._meaning(received).state
                said[source] = min(said.get(source, state), state, key=_STATES.index)
        return said

    def _views(self, tally: Tally, resolution: Resolution, count: int) -> None:
        standard = resolution.winner.origin.standard if resolution.winner else ""
        new = self._schema.omb2024(resolution.meanings, standard)
        tally[("omb2024", "answered")] += count
        for category in new.categories:
            tally[("omb2024", "any", category)] += count
        if len(new.categories) == 1:
            tally[("omb2024", "alone", new.categories[0])] += count
        if len(new.categories) > 1:
            tally[("omb2024", "multiracial_or_multiethnic")] += count
        if not new.categories:
            tally[("omb2024", "without_category")] += count
        if new.detailed:
            tally[("detailed", RACE)] += count
        old = self._schema.omb1997(resolution.meanings, standard)
        for race in old.race:
            tally[("omb1997", "race", race)] += count
        if old.ethnicity:
            tally[("omb1997", "ethnicity", old.ethnicity)] += count
        for name in ("bridged", "cannot_be_bridged", "lost_multiracial", "other_race"):
            if getattr(old, name):
                tally[("omb1997", name)] += count
