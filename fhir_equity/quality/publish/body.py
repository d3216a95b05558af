"""Population, topics and views of an audit document (or of one stratum) as cells that hang together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_equity.quality.publish.alike import SILENT
from fhir_equity.quality.publish.cells import Key
from fhir_equity.quality.publish.counts import Counts, Path, nest, nest_alike

ANSWERED, UNKNOWN = "answered", "unknown"
RACE = "race_ethnicity"


class Body:
    """One body taken in; `topics` are those of which anything may be told there.

    Of a stratum (not `whole`) the states and the categories of OMB 2024 are, and no more: small tables would take
    each other away.
    """

    def __init__(
        self, counts: Counts, key: Key, path: Path, body: Mapping[str, Any], topics: list[str], *, whole: bool = True
    ) -> None:
        self._whole = whole
        self._counts, self._cells = counts, counts.cells
        self._key, self._path = key, path
        self.population = counts.take((*key, "population"), (*path, "population"), body["population"], counts.floor(""))
        self.states: dict[str, list[Key]] = {}  # of each topic, those that its programs are compared with
        self.views: list[Key] = []
        for topic in topics:
            self._topic(topic, body["topics"][topic])
        if RACE in topics:
            self._views(body.get("views", {}))

    def _at(self, *words: str) -> tuple[Key, Path]:
        return (*self._key, *words), (*self._path, *words)

    def _topic(self, topic: str, given: Mapping[str, Any]) -> None:
        counts, cells, floor = self._counts, self._cells, self._counts.floor(topic)
        key, path = self._at("topics", topic)
        states = counts.take_all((*key, "states"), (*path, "states"), given["states"], floor)
        cells.adds_up(self.population, states)
        if counts.is_silent(path):
            for state in states:
                self._never_all(state)
            return
        self.states[topic] = states
        if self._whole:
            self._details(topic, given)

    def _never_all(self, state: Key) -> None:
        """Nobody may find out that everybody is in a state, but one of those who said nothing."""
        others = self._cells.within(state, self.population)
        if state[-1] not in SILENT:
            self._cells.never_none(others)

    def _details(self, topic: str, given: Mapping[str, Any]) -> None:
        """How the answers came about, how old they are, and which values they have."""
        counts, cells, floor = self._counts, self._cells, self._counts.floor(topic)
        here = ("topics", topic)
        key, path = self._at(*here)
        for name in ("methods", "ages"):
            if given.get(name):
                self._parts(topic, counts.take_all((*key, name), (*path, name), given[name], floor))
        answered = (*key, "states", ANSWERED)
        for name in ("detailed", "unmapped", "provisional", "undated"):
            if name in given:
                part = counts.take((*key, name), (*path, name), given[name], floor)
                cells.within(part, self.population)
                self._of_the_answers(name, part, answered)
        for number, source in enumerate(given.get("sources", ())):
            self._source(topic, number, source, floor)
        if given.get("values") and answered in cells.cells:
            values = counts.take_all((*key, "values"), (*path, "values"), given["values"], floor)
            cells.adds_up(answered, [*values, (*key, "unmapped")])
            for value in values:
                cells.within(value, answered)

    def _of_the_answers(self, name: str, part: Key, answered: Key) -> None:
        """What some of the answers are; a tie that is provisional may also be one of absences."""
        if answered not in self._cells.cells:
            return
        if name == "provisional":
            nest(self._cells, ([part], [answered]))
        else:
            self._cells.within(part, answered)

    def _parts(self, topic: str, parts: list[Key]) -> None:
        """People in one of these parts, or in none; how many those are may be a state, which says the same."""
        others = self._cells.adds_up(self.population, parts)
        if others is not None:
            nest(self._cells, (self.states[topic],), [others])

    def _source(self, topic: str, number: int, source: Mapping[str, Any], floor: int) -> None:
        key, _ = self._at("topics", topic, "sources", source["source"])
        path: Path = (*self._path, "topics", topic, "sources", number)
        people = self._counts.take((*key, "population"), (*path, "population"), source["population"], floor)
        states = self._counts.take_all((*key, "states"), (*path, "states"), source["states"], floor)
        self._cells.adds_up(people, states)
        self._cells.within(people, self.population)
        answered, of_all = (*key, "states", ANSWERED), (*self._key, "topics", topic, "states", ANSWERED)
        if {answered, of_all} <= set(self._cells.cells):
            nest(self._cells, ([answered], [of_all]))

    def _views(self, views: Mapping[str, Any]) -> None:
        answered = (*self._key, "topics", RACE, "states", ANSWERED)
        if answered not in self._cells.cells:
            return
        new = self._omb2024(views.get("omb2024", {}), answered)
        self.views = [*new]
        if not self._whole:
            return
        old = self._omb1997(views.get("omb1997", {}), answered)
        floor = self._counts.floor(RACE)
        groups = self._counts.take_all(*self._at("views", "detailed"), views.get("detailed", {}), floor)
        for key in groups:
            self._cells.within(key, answered)
        self.views = [*new, *old]
        nest_alike(self._cells, self.views)

    def _omb2024(self, view: Mapping[str, Any], answered: Key) -> list[Key]:
        if not view:
            return []
        counts, cells, floor = self._counts, self._cells, self._counts.floor(RACE)
        key, path = self._at("views", "omb2024")
        cells.same(counts.take((*key, ANSWERED), (*path, ANSWERED), view[ANSWERED], floor), answered)
        several, none = (
            counts.take((*key, name), (*path, name), view[name], floor)
            for name in ("multiracial_or_multiethnic", "without_category")
        )
        wide, alone = {}, {}
        for name, given in view.get("categories", {}).items():
            at = ("categories", name)
            wide[name] = counts.take((*key, *at, "any"), (*path, *at, "any"), given["any"], floor)
            alone[name] = counts.take((*key, *at, "alone"), (*path, *at, "alone"), given["alone"], floor)
            cells.within(wide[name], answered)
            cells.within(cells.within(alone[name], wide[name]), several)
        cells.adds_up(answered, [*alone.values(), several, none])
        self._combinations(view, wide, alone, several)
        return [*wide.values(), several, none]

    def _combinations(self, view: Mapping[str, Any], wide: dict[str, Key], alone: dict[str, Key], several: Key) -> None:
        """Who has several categories: as the document lists them, or by what alone and in combination tell."""
        given = view.get("combinations")
        if given is None or not self._whole:
            both = [(*wide[name], "without", *alone[name]) for name in wide]
            if both:
                self._cells.adds_up(several, both)
            return
        key, path = self._at("views", "omb2024", "combinations")
        floor = self._counts.floor(RACE)
        found = {
            tuple(entry["categories"]): self._counts.take(
                (*key, *entry["categories"]), (*path, number, "count"), entry["count"], floor
            )
            for number, entry in enumerate(given)
        }
        self._cells.adds_up(several, found.values())
        for name in wide:
            parts = [combination for categories, combination in found.items() if name in categories]
            self._cells.adds_up(wide[name], [alone[name], *parts])

    def _omb1997(self, view: Mapping[str, Any], answered: Key) -> list[Key]:
        if not view:
            return []
        counts, cells, floor = self._counts, self._cells, self._counts.floor(RACE)
        key, path = self._at("views", "omb1997")
        found: dict[str, list[Key]] = {}
        for name, given in view.items():
            if isinstance(given, Mapping):
                found[name] = counts.take_all((*key, name), (*path, name), given, floor)
            else:
                found[name] = [counts.take((*key, name), (*path, name), given, floor)]
            for each in found[name]:
                cells.within(each, answered)
        if found.get("ethnicity"):
            cells.adds_up(answered, found["ethnicity"])
        if found.get("alone"):
            cells.adds_up(answered, [*found["alone"], *found.get("more_than_one_race", ())])
            for each in found["alone"]:
                if (wide := (*key, "race", each[-1])) in cells.cells:
                    cells.within(each, wide)
        return [each for name in ("race", "ethnicity", "more_than_one_race") for each in found.get(name, ())]
