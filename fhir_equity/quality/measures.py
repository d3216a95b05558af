"""Counts people under programs: mergeable, like every tally; the same numbers however the work is cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from fhir_equity.model import Resolution, State
from fhir_equity.quality.populations import Place, Standing
from fhir_equity.quality.programs import SEVERAL, Criterion, Measure, Program, Table
from fhir_equity.quality.said import Reading, Said
from fhir_equity.quality.tally import Tally
from fhir_equity.vocabulary import Vocabulary

ALL = "*"  # the line of everybody, each once
MOST = 20_000  # combinations remembered before the memory starts afresh
Answers = Mapping[str, Said]  # by question


class Measuring:
    """Counts people under one program. Keys of the tally start with the program's name."""

    def __init__(self, program: Program, vocabulary: Vocabulary, as_of: str) -> None:
        self.program = program
        self.standing = Standing(program, as_of)
        self._reading = Reading(vocabulary, program.standard, program.hispanic_alone)
        self._as_of = date.fromisoformat(as_of)
        self._column = {method.value: name for name, methods in program.columns.items() for method in methods}
        asked = {measure.topic for measure in program.measure.values()}
        asked |= {measure.among.topic for measure in program.measure.values() if measure.among is not None}
        self._questions = tuple(sorted(asked | {table.topic for table in program.table.values()}))
        self._known: dict[tuple[Place, tuple[Said, ...]], list[tuple[str, ...]]] = {}

    def add(
        self, tally: Tally, words: Sequence[Sequence[str]], resolutions: Mapping[str, Resolution], count: int
    ) -> None:
        """Count `count` people with these resolutions, whose records say these words of their place."""
        place = self.standing.place(words)
        if not place.lines:
            tally[(self.program.name, "left_out", place.reason)] += count
            return
        said = tuple([self._reading.said(question, resolutions) for question in self._questions])
        known = self._known.get((place, said))
        if known is None:
            if len(self._known) >= MOST:
                self._known.clear()
            answers = dict(zip(self._questions, said, strict=True))
            lines = (ALL, *(place.lines if self.program.population.line else ()))
            found = [*self._keys(place, answers)]
            known = [(self.program.name, line, *key) for line in lines for key in found]
            self._known[place, said] = known
        for key in known:
            tally[key] += count

    def _keys(self, place: Place, answers: Answers) -> Iterator[tuple[str, ...]]:
        """What a person counts for, in each line."""
        yield ("population",)
        if place.assumed:
            yield ("assumed",)
        for question, said in answers.items():
            if said.bridged:
                yield ("bridged", question)
            if said.cannot_be_bridged:
                yield ("cannot_be_bridged", question)
        for name, measure in self.program.measure.items():
            yield from self._measured(name, measure, place, answers)
        for name, table in self.program.table.items():
            yield ("table", name, *self._cell(table, answers[table.topic]))

    def _measured(self, name: str, measure: Measure, place: Place, answers: Answers) -> Iterator[tuple[str, ...]]:
        if measure.kind == "not_computed":
            return
        said = answers[measure.topic]
        if measure.among is not None and not self._meets(measure.among, answers[measure.among.topic]):
            return
        if said.state in measure.excluded:
            yield ("excluded", name, said.state.value)
            return
        if place.age is not None and not _of_age(measure, place.age):
            yield ("excluded", name, "age")
            return
        yield ("denominator", name)
        if measure.kind == "share":
            if self._meets(measure, said):
                yield ("numerator", name)
            elif self._old(measure, said):
                yield ("stale", name)
        elif said.state is State.ANSWERED:
            for category in said.categories:
                yield ("value", name, category)

    def _meets(self, asked: Criterion, said: Said) -> bool:
        categories = set(said.categories)
        return (
            said.state in asked.states
            and (not asked.methods or said.method in asked.methods)
            and (not asked.categories or not categories.isdisjoint(asked.categories))
            and (not asked.except_categories or bool(categories - {*asked.except_categories}))
            and categories.isdisjoint(asked.without_categories)
            and (not asked.several or len(categories) > 1)
            and (not asked.detailed or said.detailed)
            and (not asked.undated or not said.collected_on)
            and (not asked.wordless or not said.written)
            and (asked.within_days is None or self._recent(said.collected_on, asked.within_days))
        )

    def _recent(self, collected_on: str, days: int) -> bool:
        first = (self._as_of - timedelta(days=days)).isoformat()
        return first <= collected_on <= self._as_of.isoformat()  # a later day is not believed

    def _old(self, measure: Measure, said: Said) -> bool:
        """Whether only its age keeps an answer out."""
        past = "" < said.collected_on <= self._as_of.isoformat()
        return measure.within_days is not None and past and self._meets(_of_any_age(measure), said)

    def _cell(self, table: Table, said: Said) -> tuple[str, str]:
        """The row and the column of a person: exactly one, so that all cells add up to the population."""
        unknown = said.state in table.unknown
        column = self.program.unknown_column if unknown else self._column[said.method]
        return self._row(table, said), column

    def _row(self, table: Table, said: Said) -> str:
        labels = table.labels
        if table.by == "state" or said.state is not State.ANSWERED or not said.categories:
            return labels.get(said.state.value, said.state.value)
        rows = {labels.get(category, labels.get("*", category)) for category in said.categories}
        return rows.pop() if len(rows) == 1 else labels.get(SEVERAL, SEVERAL)


def _of_any_age(measure: Measure) -> Measure:
    return measure.model_copy(update={"within_days": None})


def _of_age(measure: Measure, age: int) -> bool:
    return measure.age_from <= age and (measure.age_to is None or age <= measure.age_to)
