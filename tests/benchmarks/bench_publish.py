"""Measure suppression and its attack on audits with many strata: CPU time, beside that of taking the counts in.

``python -m tests.benchmarks.bench_publish [strata ...]`` from the repository root; 10, 50 and 200 counties unless told.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from random import Random
from typing import Any

from msgspec import Struct

from fhir_equity.quality.publish.body import Body
from fhir_equity.quality.publish.counts import Counts
from fhir_equity.quality.publish.document import publish
from fhir_equity.quality.publish.strata import take_strata
from tests.quality.publish.audits import RULE, document, stratum, topic

STATES = {"answered": 0.62, "declined": 0.05, "blank": 0.03, "unknown": 0.3}
CATEGORIES = {"White": 0.6, "Black or African American": 0.2, "Asian": 0.12, "American Indian or Alaska Native": 0.08}
TOPICS = ("race_ethnicity", "language_spoken")


class Measured(Struct, frozen=True):
    """What publishing an audit took: CPU seconds in all, and of them for taking the counts in; what came of it."""

    strata: int
    seconds: float
    taken: float
    release: dict[str, Any]


def audit_of(strata: int, seed: int = 0) -> dict[str, Any]:
    """An audit of so many counties of 20 to 900 people, whose counts add up to those of everybody."""
    random = Random(seed)
    parts = [_body(random, random.randint(20, 900)) for _ in range(strata)]
    whole = _sum(parts)
    given = document(whole["population"], whole["topics"], views=whole["views"])
    for number, part in enumerate(parts):
        given["strata"].append({**stratum({"county": f"{number:03}"}, part["population"], part["topics"]), **part})
    return given


def _body(random: Random, people: int) -> dict[str, Any]:
    topics = {name: topic(_spread(random, people, STATES)) for name in TOPICS}
    answered = topics["race_ethnicity"]["states"].get("answered", 0)
    alone = _spread(random, answered, CATEGORIES)
    return {"population": people, "topics": topics, "views": {"omb2024": _view(answered, alone)}}


def _view(answered: int, alone: dict[str, int]) -> dict[str, Any]:
    categories = {name: {"any": count, "alone": count} for name, count in alone.items()}
    return {
        "answered": answered,
        "categories": categories,
        "multiracial_or_multiethnic": 0,
        "without_category": answered - sum(alone.values()),
    }


def _spread(random: Random, people: int, shares: dict[str, float]) -> dict[str, int]:
    return dict(Counter(random.choices([*shares], [*shares.values()], k=people)))


def _sum(parts: list[dict[str, Any]]) -> dict[str, Any]:
    topics: dict[str, Counter[str]] = {name: Counter() for name in TOPICS}
    alone: Counter[str] = Counter()
    for part in parts:
        for name in TOPICS:
            topics[name].update(part["topics"][name]["states"])
        alone.update({name: given["alone"] for name, given in part["views"]["omb2024"]["categories"].items()})
    return {
        "population": sum(part["population"] for part in parts),
        "topics": {name: topic(dict(states)) for name, states in topics.items()},
        "views": {"omb2024": _view(topics["race_ethnicity"]["answered"], dict(alone))},
    }


def measure(strata: int) -> Measured:
    """Publish such an audit. Raises ValueError where the attacker found anything."""
    given = audit_of(strata)
    start = time.process_time()
    counts = Counts(RULE.least)
    Body(counts, (), (), given, [*TOPICS])
    take_strata(counts, given["strata"])
    taken = time.process_time() - start
    start = time.process_time()
    done = publish(given, RULE)
    if not done.held:
        raise ValueError(f"{len(done.found)} counts of {strata} strata could be found out")
    return Measured(strata, time.process_time() - start, taken, done.document["release"])


def line(found: Measured) -> str:
    """One line of the table."""
    release = found.release
    return (
        f"{found.strata:6,} strata {found.seconds:8.2f} s ({found.taken:.2f} s to take the counts in) "
        f"{release['hidden_small']:6,} small {release['hidden_to_protect']:6,} to protect "
        f"{release['attacked']:6,} attacked {release['rounds']:4,} rounds"
    )


def main(arguments: list[str]) -> None:
    """Measure and print."""
    for strata in map(int, arguments or ("10", "50", "200")):
        sys.stdout.write(line(measure(strata)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
