"""How far a source agrees with what members say of themselves, by category. Nothing is concluded for a person.

Of everybody of whom both a self-report and another source are known, the two are compared: each category as
yes or no, the whole set, and whether anything is shared. American Indian or Alaska Native is always shown,
because sources miss it more than any other category (policy facts, 3.4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_equity.model import Event, Method, Resolution, State
from fhir_equity.quality.intervals import kappa, wilson
from fhir_equity.quality.tally import RACE, Tally
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.codes import LANGUAGE

SPOKEN, WRITTEN = "language_spoken", "language_written"
COMPARED = (RACE, SPOKEN, WRITTEN)
ALWAYS = {RACE: ("American Indian or Alaska Native",)}
Resolve = Callable[[Sequence[Event]], Mapping[str, Resolution]]


class Concordance:
    """Counts people by what a source says and what they say themselves. Mergeable; keys of the tally are words."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._schema = vocabulary.schema
        self._matter = {name: topic.matter for name, topic in vocabulary.codes.topics.items()}
        self._counts: Tally = Counter()

    def add(self, partner: str, events: Sequence[Event], resolve: Resolve, count: int) -> None:
        """Count `count` people of whom these events tell; `resolve` decides among some of them."""
        if len(events) < 2:
            return
        own = [event for event in events if event.origin.method == Method.SELF]
        if not own or len(own) == len(events):
            return
        others: dict[str, list[Event]] = {}
        for event in events:
            if event.origin.method != Method.SELF:
                source = f"{event.origin.partner or partner}/{event.origin.collector}/{event.origin.method}"
                others.setdefault(source, []).append(event)
        said = self._values(resolve(own))
        for source, told in others.items():
            for matter, values in self._values(resolve(told)).items():
                if matter in said:
                    for key in _compared(said[matter], values):
                        self._counts[(matter, source, *key)] += count

    def _values(self, resolutions: Mapping[str, Resolution]) -> dict[str, frozenset[str]]:
        """The categories of each matter that is compared, where any are known."""
        found = {matter: self._of(matter, resolutions.get(matter)) for matter in COMPARED}
        return {matter: values for matter, values in found.items() if values}

    def _of(self, matter: str, resolution: Resolution | None) -> frozenset[str]:
        if resolution is None or resolution.winner is None or resolution.state is not State.ANSWERED:
            return frozenset()
        if matter == RACE:
            return frozenset(self._schema.omb2024(resolution.meanings, resolution.winner.origin.standard).categories)
        codes = {c.coding for meant in resolution.meanings for c in meant.concepts}
        return frozenset(coding.code.partition("-")[0] for coding in codes if coding.system == LANGUAGE)

    def document(self) -> dict[str, list[dict[str, Any]]]:
        """By matter, a comparison for each source that there is one of, in a fixed order."""
        found: dict[str, list[dict[str, Any]]] = {}
        for matter, source in sorted({key[:2] for key in self._counts}):
            counts = {key[2:]: count for key, count in self._counts.items() if key[:2] == (matter, source)}
            found.setdefault(matter, []).append({"source": source, **_comparison(matter, counts)})
        return found


def _compared(own: frozenset[str], told: frozenset[str]) -> list[tuple[str, ...]]:
    keys: list[tuple[str, ...]] = [("people",)]
    if own == told:
        keys.append(("exact",))
    if own & told:
        keys.append(("overlap",))
    keys += [("both", value) for value in own & told]
    keys += [("self_only", value) for value in own - told]
    keys += [("source_only", value) for value in told - own]
    return keys


def _comparison(matter: str, counts: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    people = counts.get(("people",), 0)
    values = sorted({key[1] for key in counts if len(key) == 2} | set(ALWAYS.get(matter, ())))
    return {
        "people": people,
        "exact": counts.get(("exact",), 0),
        "overlap": counts.get(("overlap",), 0),
        "categories": [_category(value, people, counts) for value in values],
    }


def _category(value: str, people: int, counts: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    """True positives are `both`, misses `self_only`, false positives `source_only`; shares are None of nobody."""
    both, missed, added = (counts.get((kind, value), 0) for kind in ("both", "self_only", "source_only"))
    neither = people - both - missed - added
    return {
        "category": value,
        "both": both,
        "self_only": missed,
        "source_only": added,
        "neither": neither,
        "sensitivity": _share(both, both + missed),
        "sensitivity_interval": wilson(both, both + missed),
        "ppv": _share(both, both + added),
        "ppv_interval": wilson(both, both + added),
        "specificity": _share(neither, neither + added),
        "kappa": kappa(both, missed, added, neither),
    }


def _share(count: int, whole: int) -> float | None:
    return count / whole if whole else None
