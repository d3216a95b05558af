"""A tally -> the audit document ``fhir-equity/audit/1`` (the contract of ``audit --json``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_equity.model import State
from fhir_equity.quality.tally import RACE, Tally

SCHEMA = "fhir-equity/audit/1"
ALWAYS = (RACE, "language_spoken", "language_written")


def body(tally: Tally, matters: Iterable[str]) -> dict[str, Any]:
    """`population`, `topics` and `views` of one tally; each topic's states add up to the population."""
    seen = {key[1] for key in tally if key[0] == "state" and key[2] != State.UNKNOWN}
    shown = [matter for matter in matters if matter in ALWAYS or matter in seen]
    return {
        "population": tally[("population",)],
        "topics": {matter: _topic(tally, matter) for matter in shown},
        "views": {"omb2024": _omb2024(tally), "omb1997": _omb1997(tally)},
    }


def _topic(tally: Tally, matter: str) -> dict[str, Any]:
    states = {state.value: tally[("state", matter, state)] for state in State if tally[("state", matter, state)]}
    missing = tally[("population",)] - sum(states.values())
    if missing:
        states[State.UNKNOWN.value] = states.get(State.UNKNOWN.value, 0) + missing
    topic: dict[str, Any] = {"states": states, "methods": _under(tally, "method", matter)}
    if matter == RACE:
        topic["detailed"] = tally[("detailed", RACE)]
    else:
        topic["values"] = _under(tally, "value", matter)
        topic["unmapped"] = tally[("unmapped", matter)]
    topic["provisional"] = tally[("provisional", matter)]
    topic["sources"] = _sources(tally, matter)
    return topic


def _sources(tally: Tally, matter: str) -> list[dict[str, Any]]:
    found: dict[str, dict[str, int]] = {}
    for key, count in sorted(tally.items()):
        if key[0] == "source" and key[1] == matter:
            found.setdefault(key[2], {})[key[3]] = count
    return [{"source": name, "population": sum(s.values()), "states": s} for name, s in found.items()]


def _under(tally: Tally, *prefix: str) -> dict[str, int]:
    size = len(prefix)
    found = {key[size]: n for key, n in tally.items() if key[:size] == prefix and len(key) == size + 1 and n}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _omb2024(tally: Tally) -> dict[str, Any]:
    alone = _under(tally, "omb2024", "alone")
    any_ = _under(tally, "omb2024", "any")
    return {
        "answered": tally[("omb2024", "answered")],
        "categories": {name: {"any": n, "alone": alone.get(name, 0)} for name, n in any_.items()},
        "multiracial_or_multiethnic": tally[("omb2024", "multiracial_or_multiethnic")],
        "without_category": tally[("omb2024", "without_category")],
    }


def _omb1997(tally: Tally) -> dict[str, Any]:
    return {
        "race": _under(tally, "omb1997", "race"),
        "ethnicity": _under(tally, "omb1997", "ethnicity"),
        "bridged": tally[("omb1997", "bridged")],
        "cannot_be_bridged": tally[("omb1997", "cannot_be_bridged")],
        "lost_multiracial": tally[("omb1997", "lost_multiracial")],
        "other_race": tally[("omb1997", "other_race")],
    }
