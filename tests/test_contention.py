"""What becomes a case and what does not, of answers that say the same in more and in less detail."""

from __future__ import annotations

import pytest

from fhir_equity.contention import contentions
from fhir_equity.model import Event
from fhir_equity.survivorship import Policy
from tests.survivorship.said import ASIAN, CASES, CHINESE, EVERY, SAMOAN, event, meaning, policy, settle


def kinds(*events: Event, by: Policy) -> list[str]:
    found = {"race_ethnicity": settle(*events, by=by)}
    return [each.kind for each in contentions(events, found, found, lambda _: "race_ethnicity", meaning)]


@pytest.mark.parametrize("rule", ["combined", "detail"])
def test_what_says_the_same_in_less_detail_contradicts_nothing(rule: str) -> None:
    events, *_ = CASES[rule]
    assert kinds(*events, by=policy(**EVERY)) == []


def test_without_the_rule_it_does() -> None:
    (combined, pair), *_ = CASES["combined"]
    assert kinds(combined, pair, by=policy(**EVERY, rules={"combined": False})) == ["self_against_self"]


def test_what_others_say_beside_it_still_does() -> None:
    told = event(CHINESE, collected="2020-01-01"), event(ASIAN, collected="2025-01-01")
    other = event(SAMOAN, partner="other", collected="2019-01-01")
    assert kinds(*told, other, by=policy()) == ["source_against_source"]
