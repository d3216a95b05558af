"""Sources beside self-report: worked out by hand for a few people, and mergeable for any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from fhir_equity.model import Coding, Event, Origin, Received, Resolution
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.concordance import Concordance

WORKSPACE = Workspace(as_of="2026-01-01")
WHITE, BLACK, AIAN, DECLINED = "2106-3", "2054-5", "1002-5", "asked-declined"
SOURCE = "plan/plan/unstated"


def said(method: str, *codes: str, topic: str = "race_ethnicity") -> Event:
    system = "bcp47" if topic.startswith("language") else "cdcrec"
    received = tuple(Received(topic, "test", (Coding(system, code),), "", code) for code in codes)
    return Event(received, Origin("plan", "", "plan", method), "2026-01-01")


def resolve(events: Sequence[Event]) -> Mapping[str, Resolution]:
    return WORKSPACE.resolutions("", events)


def compared(*people: tuple[int, list[Event]]) -> dict[str, list[dict[str, Any]]]:
    concordance = Concordance(WORKSPACE.vocabulary())
    for count, events in people:
        concordance.add("plan", events, resolve, count)
    return concordance.document()


def test_worked_out_by_hand() -> None:
    found = compared(
        (6, [said("self", WHITE), said("unstated", WHITE)]),
        (3, [said("self", AIAN), said("unstated", WHITE)]),
        (1, [said("self", WHITE, AIAN), said("unstated", WHITE, AIAN)]),
        (2, [said("self", BLACK), said("unstated", BLACK, WHITE)]),
    )
    (source,) = found.pop("race_ethnicity")
    assert not found
    assert [source[name] for name in ("source", "people", "exact", "overlap")] == [SOURCE, 12, 7, 9]
    rows = {row["category"]: row for row in source["categories"]}
    white, aian = rows["White"], rows["American Indian or Alaska Native"]
    assert [white[name] for name in ("both", "self_only", "source_only", "neither")] == [7, 0, 5, 0]
    assert (white["sensitivity"], white["ppv"], white["specificity"], white["kappa"]) == (1, 7 / 12, 0, 0)
    assert [aian[name] for name in ("both", "self_only", "source_only", "neither")] == [1, 3, 0, 8]
    assert (aian["sensitivity"], aian["ppv"], aian["specificity"]) == (0.25, 1, 1)
    assert aian["kappa"] == pytest.approx((12 * 9 - (4 * 1 + 8 * 11)) / (144 - (4 * 1 + 8 * 11)))
    assert rows["Black or African American"]["sensitivity_interval"] == pytest.approx((0.3424, 1), abs=1e-4)


def test_aian_is_shown_though_nobody_says_it() -> None:
    (source,) = compared((1, [said("self", WHITE), said("unstated", WHITE)]))["race_ethnicity"]
    rows = {row["category"]: row for row in source["categories"]}
    assert list(rows) == ["American Indian or Alaska Native", "White"]
    row = rows["American Indian or Alaska Native"]
    assert (row["neither"], row["sensitivity"], row["ppv"], row["kappa"]) == (1, None, None, None)


def test_only_who_is_known_by_both_is_compared() -> None:
    assert compared((5, [said("self", WHITE)]), (5, [said("unstated", WHITE), said("proxy", BLACK)]), (1, [])) == {}
    assert compared((5, [said("self", WHITE), said("unstated", "es", topic="language_spoken")])) == {}


def test_sources_and_matters_are_apart_and_a_region_is_the_same_language() -> None:
    spoken = [said("self", "es", topic="language_spoken"), said("observed", "es-MX", topic="language_spoken")]
    race = [said("self", WHITE), said("proxy", WHITE)]
    found = compared((4, [*spoken, *race]))
    assert {matter: [each["source"] for each in sources] for matter, sources in found.items()} == {
        "language_spoken": ["plan/plan/observed"],
        "race_ethnicity": ["plan/plan/proxy"],
    }
    assert found["language_spoken"][0]["exact"] == 4
    assert [row["category"] for row in found["language_spoken"][0]["categories"]] == ["es"]
