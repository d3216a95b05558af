"""Answers as elements of a Patient and as what stands beside it; equal answers are written once per run."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from fhir_equity.adapters.fhir.express import OMB_URLS, entries_for, extensions_of, is_extension, marked, omb_extension
from fhir_equity.adapters.fhir.languages import SPOKEN, WRITTEN
from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.fhir.write_observations import is_observed, observation_of, sensitivity_of
from fhir_equity.adapters.fhir.write_person import gender_code
from fhir_equity.adapters.fhir.write_provenance import Provenances
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Expressed, Loss, Origin, Relationship

MOST = 50_000  # what is remembered before the memory starts afresh
_LANGUAGES = (SPOKEN, WRITTEN)

Group = tuple[Expressed, ...]  # the answers to one topic


class Told(Struct, frozen=True, gc=False):
    """The elements of a Patient, by their ids, whose answers have one origin; of a labelled topic apart from others."""

    origin: Origin
    labelled: str
    ids: tuple[str, ...]


class Said(Struct, frozen=True, gc=False):
    """What answers are on a Patient and beside it, and what was lost; shared by everybody who gave them."""

    extension: list[Json]
    communication: list[Json]
    gender: str
    observations: tuple[tuple[Expressed, Json], ...]
    told: tuple[Told, ...]
    losses: tuple[Loss, ...]


class Answers:
    """Writes the answers of one run in the version of its context.

    `alone` is for a Patient by itself: nothing stands beside it, so that no element needs an id.
    """

    def __init__(self, context: Context, provenances: Provenances, *, alone: bool, named: bool) -> None:
        self._context, self._provenances, self._alone, self._named = context, provenances, alone, named
        places: dict[str, Any] = context.guide.get("places", {})
        self._gender_required = places.get("sex", {}).get("least") != "0"
        self._said: dict[Group, Said] = {}
        self._elements: dict[tuple[Group, bool], tuple[list[Json], tuple[Loss, ...]]] = {}

    def __call__(self, expressed: tuple[Expressed, ...]) -> Said:
        """What the answers of one member are written as."""
        found = self._said.get(expressed)
        if found is None:
            if len(self._said) >= MOST:
                self._said.clear()
                self._elements.clear()
            found = self._said[expressed] = self._written(expressed)
        return found

    def _written(self, expressed: tuple[Expressed, ...]) -> Said:
        groups: dict[str, Group] = {}
        for each in expressed:
            groups[each.topic] = (*groups.get(each.topic, ()), each)
        others = [topic for topic in groups if topic not in OMB_URLS and is_extension(topic, self._context)]
        losses: list[Loss] = []
        elements: dict[str, list[Json]] = {}
        for topic in (*OMB_URLS, *others, *_LANGUAGES):
            if topic in groups:
                elements[topic], lost = self._of_topic(groups[topic], marked=marked(topic, groups))
                losses += lost
        gender = gender_code(groups.get("sex"), losses, required=self._gender_required)
        observed = [] if self._alone else [each for each in expressed if is_observed(each.topic, self._context)]
        placed = {*elements, "sex", *(each.topic for each in observed)}
        losses += [Loss("fhir.no_place", Relationship.UNMATCHED, topic) for topic in groups if topic not in placed]
        return Said(
            [each for topic, found in elements.items() if topic not in _LANGUAGES for each in found],
            [each for topic in _LANGUAGES for each in elements.get(topic, ())],
            gender,
            tuple((each, observation_of(each, self._context)) for each in observed),
            self._told(groups, elements),
            tuple(losses),
        )

    def _of_topic(self, group: Group, *, marked: bool) -> tuple[list[Json], tuple[Loss, ...]]:
        """The extensions or entries of one topic, with an id where it can be told who told them."""
        found = self._elements.get((group, marked))
        if found is None:
            losses: list[Loss] = []
            made = self._make(group, losses, marked=marked)
            if self._tells(group[0].origin):
                topic = group[0].topic
                for number, element in enumerate(made, start=1):
                    element["id"] = topic if number == 1 else f"{topic}-{number}"
            found = self._elements[(group, marked)] = made, tuple(losses)
        return found

    def _make(self, group: Group, losses: list[Loss], *, marked: bool) -> list[Json]:
        topic = group[0].topic
        if topic in OMB_URLS:
            extension = omb_extension(group[0], self._context, losses)
            return [extension] if extension else []
        if topic in _LANGUAGES:
            return entries_for(group[0], self._context, losses, marked=marked)
        return extensions_of(group, self._context, losses)

    def _tells(self, origin: Origin) -> bool:
        return self._named and self._provenances.tells(origin)

    def _told(self, groups: dict[str, Group], elements: dict[str, list[Json]]) -> tuple[Told, ...]:
        told: dict[tuple[Origin, str], list[str]] = {}
        for topic, found in elements.items():
            origin = groups[topic][0].origin
            if found and self._tells(origin):
                labelled = topic if sensitivity_of(topic, self._context) else ""
                told.setdefault((origin, labelled), []).extend(each["id"] for each in found)
        return tuple(Told(origin, labelled, tuple(ids)) for (origin, labelled), ids in told.items())
