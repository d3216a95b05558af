"""What of an audit document may be told at all, before any count is hidden; what is left out is named with a reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from fhir_equity.quality.publish.alike import (
    alike_in_program,
    alike_in_states,
    alike_in_values,
    named,
    reason,
    topics_of,
)
from fhir_equity.quality.publish.body import ANSWERED, RACE
from fhir_equity.quality.publish.counts import Path
from fhir_equity.quality.publish.rule import Rule

SMALL_AREAS = frozenset({"county", "zip"})
VALUES = frozenset({"values", "unmapped"})


class Selection(Struct):
    """The document that is left, the parts of it that are counted but not printed, and what is left out, and why."""

    document: dict[str, Any]
    silent: set[Path]
    left_out: list[str]


def select(document: Mapping[str, Any], rule: Rule) -> Selection:
    """Leave out what is sensitive of a small area, and where too few people differ."""
    left_out: list[str] = []
    topics = _topics(document, rule, left_out)
    strata, silent = _strata(document.get("strata", ()), topics, rule, left_out)
    whole = [name for name, given in topics.items() if given is document["topics"][name]]
    programs = {
        name: _program(name, program, rule, whole, left_out) for name, program in document.get("programs", {}).items()
    }
    told = {"topics": topics, "views": _views(document), "strata": strata, "programs": programs}
    return Selection({**document, **told}, silent, left_out)


def _topics(document: Mapping[str, Any], rule: Rule, left_out: list[str]) -> dict[str, Any]:
    """What may be told of everybody, by topic."""
    found, why = {}, reason(rule.least_sensitive)
    for topic, given in document["topics"].items():
        if topic in rule.sensitive and alike_in_states(document["population"], given, rule.least_sensitive):
            left_out.append(f"{topic}: {why}")
        elif topic in rule.sensitive and alike_in_values(given, rule.least_sensitive):
            left_out.append(f"{topic}, its values: {why}")
            found[topic] = {name: part for name, part in given.items() if name not in VALUES}
        else:
            found[topic] = given
    return found


def _strata(
    strata: Collection[Mapping[str, Any]], of_all: Mapping[str, Any], rule: Rule, left_out: list[str]
) -> tuple[list[dict[str, Any]], set[Path]]:
    """What may be told of the strata; what is only not printed follows from others, which must not give it away."""
    found, silent = [], set[Path]()
    for number, stratum in enumerate(strata):
        topics = {}
        for topic, given in stratum["topics"].items():
            if why := _why_not(topic, stratum, of_all, rule):
                by = ", ".join(f"{name}={value}" for name, value in stratum["by"].items())
                left_out.append(f"{topic} of {by}: {why}")
                silent.add(("strata", number, "topics", topic))
            if not why or (topic in of_all and SMALL_AREAS.isdisjoint(stratum["by"])):
                states = dict.fromkeys(of_all[topic]["states"], 0) if why else {}  # all that a reader may subtract
                topics[topic] = {**given, "states": states | given["states"]}
        found.append({**stratum, "topics": topics, "views": _without_combinations(_views(stratum))})
    return found, silent


def _why_not(topic: str, stratum: Mapping[str, Any], of_all: Mapping[str, Any], rule: Rule) -> str:
    if topic not in rule.sensitive:
        return ""
    if not SMALL_AREAS.isdisjoint(stratum["by"]):
        return "small area"
    floor = rule.least_sensitive
    hidden = topic not in of_all or alike_in_states(stratum["population"], stratum["topics"][topic], floor)
    return reason(floor) if hidden else ""


def _views(body: Mapping[str, Any]) -> dict[str, Any]:
    """The views of the answers; none where there is no answer, as nothing could be told of their counts."""
    states = body["topics"].get(RACE, {}).get("states", {})
    return dict(body.get("views", {})) if ANSWERED in states else {}


def _without_combinations(views: Mapping[str, Any]) -> dict[str, Any]:
    """The views of a stratum, of which nobody attacks who has which categories together."""
    return {
        name: {part: given for part, given in view.items() if part != "combinations"} for name, view in views.items()
    }


def _program(
    name: str, program: Mapping[str, Any], rule: Rule, whole: Collection[str], left_out: list[str]
) -> dict[str, Any]:
    """A program without the rows and tables of what may not be told; of `whole` topics everything may.

    Whether it is met is not told where that would tell it of a row that is left out.
    """
    alike = alike_in_program(program, rule.sensitive, rule.least_sensitive)
    kept: dict[str, list[Any]] = {"rows": [], "tables": []}
    for part, entries in kept.items():
        for entry in program[part]:
            sensitive = topics_of(entry) & rule.sensitive
            if named(entry) in alike or any(rule.matters.get(topic, topic) not in whole for topic in sensitive):
                of = " of ".join(word for word in named(entry) if word)
                left_out.append(f"program {name}, {of}: {reason(rule.least_sensitive)}")
            else:
                entries.append(entry)
    told = all(row in kept["rows"] for row in program["rows"] if row["decides"])
    return {**program, **kept, "met": program["met"] if told else None}
