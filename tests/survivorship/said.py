"""Answers for the tests of survivorship: real CDCREC codes, words and states, with made-up origins."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fhir_equity.model import (
    Coding,
    Collector,
    Concept,
    Event,
    Meaning,
    Method,
    Origin,
    Received,
    Relationship,
    Resolution,
    State,
)
from fhir_equity.survivorship import Policy, policy_from, resolve
from fhir_equity.vocabulary import Vocabulary

DOCUMENT = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "mappings/policies/survivorship.toml").read_text(encoding="utf-8")
)
VOCABULARY = Vocabulary()
CODES, DETAIL = VOCABULARY.codes, VOCABULARY.detail
POLICY = policy_from(DOCUMENT, CODES)
ABSENT = {state.value: state for state in State if state is not State.ANSWERED}
ONE = "form-7 one race only DMG11 2"  # a question to which one thing could be answered

WHITE, EUROPEAN, GERMAN, MENA, LEBANESE, ARAB = "2106-3", "2108-9", "2111-3", "2118-8", "2123-8", "2129-5"
ASIAN, CHINESE, SAMOAN, TONGAN = "2028-9", "2034-7", "2080-0", "2082-6"
HISPANIC, MEXICAN, NOT_HISPANIC = "2135-2", "2148-5", "2186-5"


def meaning(received: Received) -> Meaning:
    """A raw value that names a state has it; ``bare:`` is answered without a code; others are codes or words."""
    raw = received.raw
    if raw in ABSENT:
        return Meaning(received.topic, ABSENT[raw])
    if raw.startswith("bare:"):
        return Meaning(received.topic, State.ANSWERED)
    if raw.startswith("text:"):
        return Meaning(received.topic, State.ANSWERED, text=raw[5:])
    concept = Concept(Coding("cdcrec", raw), Relationship.EQUIVALENT, raw)
    return Meaning(received.topic, State.ANSWERED, (concept,))


def received(raw: str, topic: str = "race", element: str = "x") -> Received:
    return Received(topic, element, (Coding("own", raw),), "", raw)


def event(*raw: str, method: str = "unstated", collected: str = "", seen: str = "2026-01-01", **origin: str) -> Event:
    """What was said about race, or about ``topic/value``."""
    said = [each.partition("/") for each in raw]
    values = tuple(received(value, topic) if slash else received(topic) for topic, slash, value in said)
    return Event(values, Origin(method=method, collected_on=collected, **origin), seen)


def policy(**otherwise: Any) -> Policy:
    """The policy of the package with what is said otherwise; a table is merged row by row."""
    merged = {name: {**DOCUMENT[name], **said} if isinstance(said, dict) else said for name, said in otherwise.items()}
    return policy_from({**DOCUMENT, **merged}, CODES)


def settle(*events: Event, by: Policy = POLICY) -> Resolution:
    return resolve("race_ethnicity", events, meaning, by, DETAIL)


# A policy in which every rule has something to ask, and for each rule: answers, which of them wins by it, which
# without it, and by what then.
EVERY = {
    "version": "every rule",
    "partners": {"race_ethnicity": ["state"]},
    "collectors": {"default": ["state", "provider"]},
    "currency": {"race_ethnicity": 3650},
}
CASES: dict[str, tuple[tuple[Event, ...], int, int, str]] = {
    "never_filled": (
        (
            event("declined", method="self", collected="2025-03-01", partner="plan", collector="plan"),
            event(SAMOAN, method="self", collected="2020-01-01", partner="plan", collector="hie"),
        ),
        *(0, 1, "known_over_unknown"),
    ),
    "several_over_one": (
        (event(ASIAN, WHITE, collected="2020-01-01"), event(SAMOAN, question=ONE, collected="2025-01-01")),
        *(0, 1, "newest"),
    ),
    "own_word": (
        (
            event(SAMOAN, method="self", collected="2010-01-01"),
            event(TONGAN, method="observed", collected="2025-01-01"),
        ),
        *(0, 1, "current"),
    ),
    "current": (
        (
            event(SAMOAN, method="proxy", collected="2010-01-01"),
            event(TONGAN, method="observed", collected="2025-01-01"),
        ),
        *(1, 0, "method"),
    ),
    "method": (
        (event(SAMOAN, method="proxy", collected="2020-01-01"), event(TONGAN, collected="2025-01-01")),
        *(0, 1, "newest"),
    ),
    "partner": (
        (
            event(SAMOAN, partner="state", collected="2020-01-01"),
            event(TONGAN, partner="plan", collected="2025-01-01"),
        ),
        *(0, 1, "newest"),
    ),
    "collector": (
        (event(SAMOAN, collector="provider", collected="2020-01-01"), event(TONGAN, collected="2025-01-01")),
        *(0, 1, "newest"),
    ),
    "newest": (
        (event(SAMOAN, collected="2020-01-01"), event(TONGAN, collected="2025-01-01")),
        *(1, 0, "tie_earliest"),
    ),
    "combined": (
        (
            event(f"race_ethnicity/{MENA}", method="self", standard="omb2024", collected="2024-05-01"),
            event(f"race/{WHITE}", f"ethnicity/{NOT_HISPANIC}", method="self", partner="hie", collected="2025-05-01"),
        ),
        *(0, 1, "newest"),
    ),
    "detail": (
        (event(CHINESE, collected="2020-01-01"), event(ASIAN, collected="2025-01-01")),
        *(0, 1, "newest"),
    ),
}

RAW = st.sampled_from(["A", WHITE, EUROPEAN, LEBANESE, NOT_HISPANIC, "bare:X", "bare:Y", "text:hmong", *ABSENT])
DATES = st.sampled_from(["2024-01-01", "2025-01-01", "2025-06-01", "2099-01-01"])
ORIGINS = st.builds(
    Origin,
    partner=st.sampled_from(["p1", "p2"]),
    artefact=st.sampled_from(["1.834", "2.834"]),
    collector=st.sampled_from([collector.value for collector in Collector][:3]),
    method=st.sampled_from([method.value for method in Method]),
    standard=st.sampled_from(["", "omb1997", "omb2024"]),
    question=st.sampled_from(["", "q1"]),  # one_only breaks the rule that a better method wins, and has its own tests
    collected_on=st.just("") | DATES,
)
RECEIVED = st.builds(
    received, RAW, st.sampled_from(["race", "ethnicity", "race_ethnicity"]), st.sampled_from(["x", "y"])
)
EVENTS = st.builds(
    Event,
    st.lists(RECEIVED, min_size=1, max_size=3, unique=True).map(tuple),
    ORIGINS,
    DATES,
    st.just(()) | st.tuples(st.integers(1, 9)),
)
