"""Every rule of the policy: what it decides where it holds, and what happens where a policy leaves it out."""

from __future__ import annotations

import pytest

from fhir_equity.model import State
from fhir_equity.survivorship.policy import RULES
from tests.survivorship.said import (
    ARAB,
    ASIAN,
    CASES,
    CHINESE,
    EUROPEAN,
    EVERY,
    GERMAN,
    HISPANIC,
    LEBANESE,
    MENA,
    MEXICAN,
    NOT_HISPANIC,
    POLICY,
    SAMOAN,
    TONGAN,
    WHITE,
    event,
    policy,
    settle,
)

PLAN, HIE = {"partner": "plan", "collector": "plan"}, {"partner": "plan", "collector": "hie"}
(COMBINED, PAIR), *_ = CASES["combined"]
REFUSAL = event("declined", collected="2025-03-01", method="self", **PLAN)
TOLD = event(SAMOAN, seen="2026-02-01", collected="2020-01-01", method="self", **HIE)


def test_every_rule_that_can_be_left_out_has_its_case() -> None:
    assert tuple(CASES) == RULES
    assert POLICY.rules == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_holds_until_a_policy_leaves_it_out(rule: str) -> None:
    events, winner, without, why = CASES[rule]
    for order in (events, events[::-1]):
        found = settle(*order, by=policy(**EVERY))
        assert (found.winner, found.rule, found.provisional) == (events[winner], rule, False)
        assert found.beaten == (events[1 - winner],)
        other = settle(*order, by=policy(**EVERY, rules={rule: False}))
        assert (other.winner, other.rule, other.provisional) == (events[without], why, why == "tie_earliest")


def test_a_later_refusal_keeps_what_was_known_as_history_or_replaces_it() -> None:
    known = event(SAMOAN, collected="2020-01-01", method="self", **PLAN)
    kept = settle(known, REFUSAL)
    assert (kept.winner, kept.rule, kept.refused) == (known, "known_over_unknown", True)
    for said in ({"race_ethnicity": "replace"}, {"default": "replace"}):
        found = settle(known, REFUSAL, by=policy(declined=said))
        assert (found.state, found.winner, found.beaten) == (State.DECLINED, REFUSAL, (known,))
        assert (found.rule, found.refused) == ("refused_later", False)
    elsewhere = policy(declined={"sexual_orientation": "replace"})
    assert settle(known, REFUSAL, by=elsewhere) == kept
    apart = policy(declined={"default": "replace", "race_ethnicity": "keep"})
    assert settle(known, REFUSAL, by=apart) == kept


@pytest.mark.parametrize("day", ["2025-03-01", "2025-03-02"])
def test_only_a_refusal_after_every_known_answer_replaces_them(day: str) -> None:
    since = event(TONGAN, collected=day, **PLAN)
    found = settle(
        since, REFUSAL, event(SAMOAN, collected="2020-01-01", **PLAN), by=policy(declined={"default": "replace"})
    )
    assert (found.winner, found.rule) == (since, "newest")


def test_a_refusal_is_not_filled_from_another_source_whatever_it_has() -> None:
    for other in (HIE, {"partner": "state", "collector": "plan"}):
        for method in ("self", "proxy", "observed"):
            told = event(SAMOAN, seen="2026-02-01", collected="2026-01-31", method=method, **other)
            found = settle(told, REFUSAL)
            assert (found.state, found.winner, found.beaten) == (State.DECLINED, REFUSAL, (told,))
            assert (found.rule, found.refused, found.provisional) == ("never_filled", False, False)


def test_what_was_known_before_the_refusal_fills_nothing_and_stands() -> None:
    known = event(SAMOAN, seen="2025-02-28", **HIE)
    assert (settle(known, REFUSAL).winner, settle(known, REFUSAL).refused) == (known, True)
    on_that_day = event(SAMOAN, seen="2025-03-01", **HIE)
    assert settle(on_that_day, REFUSAL).winner == REFUSAL


def test_whoever_declined_may_still_answer() -> None:
    own = event(TONGAN, collected="2025-03-01", **PLAN)
    assert settle(own, REFUSAL).winner == own
    again = settle(own, REFUSAL, TOLD)  # who answered there is no longer refusing: the others count again
    assert (again.winner, again.rule) == (TOLD, "method")
    before = event(TONGAN, collected="2020-01-01", **PLAN)
    still = settle(before, REFUSAL, TOLD)
    assert (still.winner, still.rule, still.refused) == (before, "never_filled", True)


def test_a_refusal_that_others_tell_of_is_less_than_the_persons_own_word() -> None:
    told = event("declined", collected="2025-03-01", method="relayed", **HIE)
    own = event(SAMOAN, seen="2026-02-01", method="self", **PLAN)
    other = event(TONGAN, seen="2026-02-01", method="proxy", **PLAN)
    assert settle(told, own).winner == own
    assert settle(told, other).winner == told
    assert settle(told, own, by=policy(own_word=[])).winner == told
    assert settle(event("dont_know", collected="2025-03-01", **HIE), other).winner == other


def test_of_several_refusals_the_one_told_best_stands() -> None:
    worse = event("declined", collected="2020-01-01", method="observed", **PLAN)
    found = settle(worse, event("blank", method="self"), TOLD, REFUSAL)
    assert (found.winner, found.rule) == (REFUSAL, "never_filled")


def test_own_words_are_out_of_date_beside_own_words() -> None:
    old, new = event("A", method="self", collected="2010-01-01"), event("B", method="self", collected="2025-01-01")
    found = settle(old, new, by=policy(currency={"default": 30}))
    assert (found.winner, found.rule) == (new, "current")


def test_own_words_win_over_a_method_that_a_policy_ranks_higher() -> None:
    other = ["observed", "proxy", "relayed", "unstated", "self"]
    own, seen = event("A", method="self"), event("B", method="observed")
    assert settle(own, seen, by=policy(methods=other)).winner == own
    assert settle(own, seen, by=policy(methods=other)).rule == "own_word"
    assert settle(own, seen, by=policy(methods=other, own_word=["observed"])).winner == seen
    assert settle(own, seen, by=policy(methods=other, own_word=[])).rule == "method"
    assert settle(own, seen).rule == "method"  # the lock is no reason where nothing threatens


@pytest.mark.parametrize(("days", "rule"), [(364, "current"), (365, "method"), (0, "method")])
def test_an_answer_is_out_of_date_after_so_many_days(days: int, rule: str) -> None:
    old, new = event("A", method="proxy", collected="2023-01-01"), event("B", collected="2024-01-01")
    assert settle(old, new, by=policy(currency={"race_ethnicity": days, "default": 1})).rule == rule
    assert settle(old, new, by=policy(currency={"language_spoken": 1})).rule == "method"


def test_what_has_no_date_is_never_out_of_date() -> None:
    undated = event("A", method="proxy", seen="")
    found = settle(undated, event("B", collected="2024-01-01"), by=policy(currency={"default": 1}))
    assert (found.winner, found.rule) == (undated, "method")


def test_ranks_are_by_topic_and_the_unnamed_are_alike() -> None:
    a, b, c = (event(said, partner=said, collected=f"2024-01-0{day}") for day, said in enumerate("ABC", 1))
    ranked = policy(partners={"race_ethnicity": ["B"], "default": ["A"]})
    assert settle(a, b, c, by=ranked).winner == b
    assert settle(a, c, by=ranked).rule == "newest"
    assert settle(a, b, c, by=policy(partners={"default": ["A", "B"]})).winner == a
    assert settle(a, b, c, by=policy(partners={"language_spoken": ["A"]})).winner == c
    asked = [event(said, collector=said, collected=f"2024-01-0{day}") for day, said in enumerate(("cms", "hie"), 1)]
    assert settle(*asked, by=policy(collectors={"race_ethnicity": ["cms"], "default": ["hie"]})).winner == asked[0]
    assert settle(*asked, by=policy(partners={"default": ["A"]}, collectors={"default": ["cms"]})).rule == "collector"


def test_partners_come_before_collectors() -> None:
    one, other = event("A", partner="p"), event("B", partner="q", collector="cms", seen="2026-02-02")
    found = settle(one, other, by=policy(partners={"default": ["p"]}, collectors={"default": ["cms"]}))
    assert (found.winner, found.rule) == (one, "partner")


@pytest.mark.parametrize(
    "change",
    [
        {"partner": "q"},  # another source
        {"collector": "hie"},
        {"standard": "omb1997"},  # another standard
        {"method": "proxy"},  # a better method
    ],
)
def test_detail_counts_within_one_source_standard_and_method_only(change: dict[str, str]) -> None:
    fine, coarse = event(CHINESE, collected="2020-01-01"), event(ASIAN, collected="2025-01-01", **change)
    assert settle(fine, coarse).winner == coarse


def test_what_contradicts_the_detail_is_no_repetition_of_it() -> None:
    fine, other = event(CHINESE, collected="2020-01-01"), event(SAMOAN, collected="2025-01-01")
    assert settle(fine, other).winner == other
    between = event(ASIAN, collected="2022-01-01")  # said before the newest, it brings no detail back
    assert settle(fine, between, other).winner == other
    more = event(ASIAN, WHITE, collected="2025-01-01")
    assert settle(fine, more).winner == more


def test_of_two_details_the_newer_stands_and_its_own_detail_too() -> None:
    german, european = event(GERMAN, collected="2019-01-01"), event(EUROPEAN, collected="2021-01-01")
    lebanese, white = event(LEBANESE, collected="2020-01-01"), event(WHITE, collected="2025-01-01")
    assert settle(german, european, lebanese, white).winner == german
    assert settle(european, lebanese, white).winner == european
    assert settle(lebanese, white).winner == lebanese
    both = settle(event(LEBANESE, collected="2021-01-01"), european, white)
    assert (both.rule, both.provisional) == ("tie_earliest", True)


def test_detail_settles_a_tie_of_one_day() -> None:
    fine, coarse = event(CHINESE, collected="2025-01-01"), event(ASIAN, collected="2025-01-01")
    assert (settle(fine, coarse).winner, settle(fine, coarse).rule) == (fine, "detail")


@pytest.mark.parametrize(("standard", "detail"), [("omb2024", False), ("omb1997", True), ("", True)])
def test_lebanese_is_a_detail_of_white_but_not_under_the_standard_of_2024(standard: str, *, detail: bool) -> None:
    fine = event(LEBANESE, collected="2020-01-01", standard=standard)
    coarse = event(WHITE, collected="2025-01-01", standard=standard)
    assert settle(fine, coarse).winner == (fine if detail else coarse)
    mena = event(MENA, collected="2025-01-01", standard=standard)
    assert settle(fine, mena).winner == fine


@pytest.mark.parametrize(
    ("combined", "pair", "holds"),
    [
        ((MENA,), (f"race/{WHITE}", f"ethnicity/{NOT_HISPANIC}"), True),
        ((ARAB,), (f"race/{WHITE}",), True),
        ((WHITE,), (f"race/{WHITE}", f"ethnicity/{NOT_HISPANIC}"), True),
        ((MEXICAN,), (f"ethnicity/{HISPANIC}",), True),
        ((MEXICAN, WHITE), (f"race/{WHITE}", f"ethnicity/{HISPANIC}"), True),
        ((MEXICAN, WHITE), (f"race/{WHITE}",), True),
        ((MENA,), (f"ethnicity/{NOT_HISPANIC}",), True),
        ((MENA,), (f"race/{ASIAN}", f"ethnicity/{NOT_HISPANIC}"), False),
        ((MENA,), (f"race/{WHITE}", f"ethnicity/{HISPANIC}"), False),
        ((MEXICAN, WHITE), (f"race/{WHITE}", f"ethnicity/{NOT_HISPANIC}"), False),
        ((MEXICAN,), (f"ethnicity/{NOT_HISPANIC}",), False),
        ((MEXICAN,), (f"race/{WHITE}", f"ethnicity/{HISPANIC}"), False),
        ((WHITE,), (f"race/{LEBANESE}",), False),
        ((WHITE, ASIAN), (f"race/{WHITE}",), False),
        ((WHITE,), (f"race_ethnicity/{WHITE}",), False),
    ],
)
def test_a_pair_of_1997_that_says_nothing_else_does_not_replace_the_combined_answer(
    combined: tuple[str, ...], pair: tuple[str, ...], *, holds: bool
) -> None:
    older = event(*(f"race_ethnicity/{code}" for code in combined), standard="omb2024", collected="2024-05-01")
    newer = event(*pair, partner="hie", collected="2025-05-01")
    found = settle(older, newer)
    assert (found.winner, found.rule) == ((older, "combined") if holds else (newer, "newest"))


def test_only_an_answer_to_the_question_of_2024_stands_so() -> None:
    listed = event(f"race_ethnicity/{MENA}", method="self", collected="2024-05-01")
    assert settle(listed, PAIR).winner == PAIR
    same_day = event(f"race/{WHITE}", method="self", partner="hie", collected="2024-05-01")
    assert (settle(COMBINED, same_day).winner, settle(COMBINED, same_day).rule) == (COMBINED, "combined")
    newer = event(f"race_ethnicity/{MENA}", method="self", standard="omb2024", collected="2026-01-01")
    assert (settle(PAIR, newer).winner, settle(PAIR, newer).rule) == (newer, "newest")
    asked = event(f"race/{WHITE}", method="self", standard="omb2024", collected="2025-05-01")
    assert settle(COMBINED, asked).winner == asked


def test_several_answers_are_united_within_one_occasion_only() -> None:
    together = event(ASIAN, WHITE, collected="2025-01-01")
    assert [c.coding.code for m in settle(together).meanings for c in m.concepts] == [ASIAN, WHITE]
    apart = settle(event(ASIAN, collected="2025-01-01"), event(WHITE, collected="2025-01-01"))
    assert [c.coding.code for m in apart.meanings for c in m.concepts] in ([ASIAN], [WHITE])
    assert apart.provisional
