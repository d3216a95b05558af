"""A tally -> the audit document ``fhir-equity/audit/1`` (the contract of ``audit --json``).

Beside `body`, the whole document has ``strata`` (each ``by`` with one or several names, and a body), ``programs``
(rows also with ``stale``, ``rule`` and, of a dissimilarity, ``reference``), ``groups`` (code -> ``group``,
``category``), ``scorecard`` (see `Sources`), ``concordance`` (matter -> sources with ``people``, ``exact``, ``overlap``
and ``categories``; see `concordance`), ``population_comparison`` (counties with ``people``, ``population``,
``dissimilarity`` and ``categories``; see `benchmark`), ``rules`` (rule of survivorship -> why it decides),
``controls`` (``control``, ``checked``, ``found``, ``passed``), ``trend`` (with `audit --since`; see `trend`) and
``snapshot`` (with `audit --snapshot`: ``name``, ``same``, ``differs``, ``tables_changed``). Of a store also ``cases``
(``waiting`` by ``days``, ``decided``), ``disclosures`` and ``kept_back``. ``run`` has ``as_of``, ``partner``, ``by``,
``versions`` and ``inputs``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_equity.model import State
from fhir_equity.quality.tally import RACE, Tally

SCHEMA = "fhir-equity/audit/1"
ALWAYS = (RACE, "language_spoken", "language_written")


def body(tally: Tally, matters: Iterable[str]) -> dict[str, Any]:
    """`population`, `topics` and `views` of one tally; each topic's states add up to the population.

    Of each topic: `states`, `methods`, `sources`, `ages` (whole years since the answer was collected, else
    first seen; `undated` of them have no date of collection; both of those who answered), `provisional`,
    `questions` (of whom something was said, to which question with which wording; empty where nobody says),
    `settled` (of whom there was more than one event, by the rule that decided), and `detailed` (race and ethnicity)
    or `values` and `unmapped`. Of the views: `omb2024` with `categories` (``any`` alone or in combination,
    ``alone``), `combinations` (most frequent first, they add up to `multiracial_or_multiethnic`); ``alone``,
    `multiracial_or_multiethnic` and `without_category` add up to `answered`. `omb1997` beside it from the same
    answers; `detailed` by CDCREC code, which `groups` of the document names.
    """
    seen = {key[1] for key in tally if key[0] == "state" and key[2] != State.UNKNOWN}
    shown = [matter for matter in matters if matter in ALWAYS or matter in seen]
    return {
        "population": tally[("population",)],
        "topics": {matter: _topic(tally, matter) for matter in shown},
        "views": {"omb2024": _omb2024(tally), "omb1997": _omb1997(tally), "detailed": _under(tally, "group")},
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
    topic["ages"] = dict(sorted(_under(tally, "age", matter).items()))
    topic["undated"] = tally[("undated", matter)]
    topic["provisional"] = tally[("provisional", matter)]
    topic["sources"] = _sources(tally, matter)
    topic["questions"] = _under(tally, "question", matter)
    topic["settled"] = _under(tally, "settled", matter)
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
        "combinations": _combinations(tally),
        "multiracial_or_multiethnic": tally[("omb2024", "multiracial_or_multiethnic")],
        "without_category": tally[("omb2024", "without_category")],
    }


def _combinations(tally: Tally) -> list[dict[str, Any]]:
    """Several categories of one person, the most frequent first; together they are the multiracial."""
    found = {key[2:]: n for key, n in tally.items() if key[:2] == ("omb2024", "combination") and n}
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [{"categories": [*categories], "count": n} for categories, n in ordered]


def _omb1997(tally: Tally) -> dict[str, Any]:
    return {
        "race": _under(tally, "omb1997", "race"),
        "alone": _under(tally, "omb1997", "alone"),
        "more_than_one_race": tally[("omb1997", "more_than_one_race")],
        "ethnicity": _under(tally, "omb1997", "ethnicity"),
        "bridged": tally[("omb1997", "bridged")],
        "cannot_be_bridged": tally[("omb1997", "cannot_be_bridged")],
        "lost_multiracial": tally[("omb1997", "lost_multiracial")],
        "other_race": tally[("omb1997", "other_race")],
    }
