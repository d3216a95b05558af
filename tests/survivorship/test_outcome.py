"""Which answer wins by the policy of the package, and that arrival order never decides."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_equity.errors import TableError
from fhir_equity.model import Event, Meaning, Method, Origin, Resolution, State
from fhir_equity.survivorship import event_state
from tests.survivorship.said import (
    ABSENT,
    DATES,
    EVENTS,
    ONE,
    ORIGINS,
    POLICY,
    RAW,
    WHITE,
    event,
    meaning,
    received,
    settle,
)


def test_a_method_that_no_policy_ranks() -> None:
    with pytest.raises(TableError, match=r"does not rank the method"):
        settle(event("A", method="guessed"))


def test_nobody_said_anything() -> None:
    assert settle() == Resolution("race_ethnicity", State.UNKNOWN, (), None, rule="no_answer")


def test_one_answer() -> None:
    only = event("A", "B")
    assert settle(only) == Resolution(
        "race_ethnicity", State.ANSWERED, tuple(meaning(r) for r in only.received), only, rule="only_answer"
    )
    assert settle(only, only) == settle(only)


@pytest.mark.parametrize("better", range(4))
def test_method_decides_before_date(better: int) -> None:
    methods = [method.value for method in Method]
    winner = event("A", method=methods[better], collected="2001-01-01")
    loser = event("B", method=methods[better + 1], collected="2025-12-31")
    found = settle(loser, winner)
    assert (found.winner, found.beaten, found.rule, found.provisional) == (winner, (loser,), "method", False)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (event("A", collected="2024-05-01"), event("B", collected="2024-05-02")),
        (event("A", seen="2025-05-01"), event("B", seen="2025-05-02")),
        (event("A", collected="2025-05-01"), event("B", seen="2025-05-02")),
        (event("A", seen="2025-05-01"), event("B", collected="2025-05-02")),
        # What was collected long ago does not become newer because a full file sends it again.
        (event("A", collected="2020-01-01", seen="2026-01-01"), event("B", collected="2021-01-01", seen="2021-02-01")),
        # Nobody collects after it was seen: the date is wrong, and the day it was seen stands for it.
        (event("A", collected="2099-01-01", seen="2025-01-01"), event("B", seen="2025-01-02")),
    ],
)
def test_the_newest_wins_within_a_method(older: Event, newer: Event) -> None:
    found = settle(newer, older)
    assert (found.winner, found.beaten, found.rule, found.provisional) == (newer, (older,), "newest", False)


@pytest.mark.parametrize("state", ABSENT)
def test_a_known_answer_is_never_overwritten_by_an_unknown_one(state: str) -> None:
    known = event("A", method="observed", collected="1999-01-01")
    unknown = event(state, method="self", collected="2025-01-01")
    found = settle(unknown, known)
    assert (found.state, found.winner, found.beaten) == (State.ANSWERED, known, (unknown,))
    assert found.rule == "known_over_unknown"
    assert found.refused is (state == "declined")


@pytest.mark.parametrize("one", [{}, {"method": "self"}, {"collected": "2001-01-01"}, {"collected": "2025-12-31"}])
@pytest.mark.parametrize("raw", [("A",), ("C",), ("A", "E"), ("C", "D", "E")])
def test_what_could_say_one_thing_only_never_wins_over_several(raw: tuple[str, ...], one: dict[str, str]) -> None:
    several = event("A", "B", collected="2024-05-01", method="observed")
    single = event(*raw, question=ONE, seen="2026-06-01", **one)
    found = settle(single, several)
    assert settle(several, single) == found
    assert (found.winner, found.beaten, found.rule, found.provisional) == (
        several,
        (single,),
        "several_over_one",
        False,
    )


def test_what_could_say_one_thing_only_is_as_good_as_another_that_says_one() -> None:
    old, new = event("A", collected="2024-05-01"), event("B", question=ONE, collected="2024-05-02")
    assert (settle(old, new).winner, settle(old, new).rule) == (new, "newest")
    better = event("A", question=ONE, method="self")
    assert (settle(old, better).winner, settle(old, better).rule) == (better, "method")
    only = event("A", "E", question=ONE)
    assert (settle(only, event("unknown")).winner, settle(only).rule) == (only, "only_answer")
    both = [event("A", "E", question=ONE, collected=f"2024-05-0{day}") for day in (1, 2)]
    assert settle(*both).winner == both[1]


def test_where_several_could_not_be_told_a_better_method_still_decides_among_the_others() -> None:
    single = event("A", question=ONE, method="self")
    one, two = event("A", "B", method="proxy"), event("C", "D", method="observed")
    found = settle(single, two, one)
    assert (found.winner, found.rule, set(found.beaten)) == (one, "method", {single, two})


def test_a_refusal_counts_only_when_it_is_later() -> None:
    assert not settle(event("A", collected="2025-02-02"), event("declined", collected="2025-02-01")).refused
    assert not settle(event("A", collected="2025-02-02"), event("declined", collected="2025-02-02")).refused
    assert settle(event("A", collected="2025-02-02"), event("declined", collected="2025-02-03")).refused


def test_where_nothing_is_known_the_most_telling_state_stands() -> None:
    events = [event(state, collected=f"2025-01-0{n}") for n, state in enumerate(ABSENT, start=1)]
    found = settle(*events)
    assert (found.state, found.rule, found.provisional) == (State.DECLINED, "nothing_known", False)
    assert found.winner == events[list(ABSENT).index("declined")]
    assert set(found.beaten) == set(events) - {found.winner}
    assert settle(event("unknown"), event("blank"), event("invalid")).state is State.BLANK


def test_a_tie_goes_to_the_earliest_first_seen_provisionally() -> None:
    first, second = event("A", collected="2025-01-01", seen="2025-02-01"), event("B", collected="2025-01-01")
    found = settle(second, first)
    assert (found.winner, found.rule, found.provisional) == (first, "tie_earliest", True)


def test_a_tie_on_everything_is_settled_the_same_way_in_every_order() -> None:
    one, two = event("A"), event("B")
    found = settle(one, two)
    assert (found.rule, found.provisional) == ("tie_earliest", True)
    assert settle(two, one) == found


def test_the_same_answer_from_two_sources_is_no_tie() -> None:
    one, two = event("A", partner="p1"), event("A", partner="p2")
    found = settle(one, two)
    assert (found.rule, found.provisional, len(found.beaten)) == ("same_answer", False, 1)
    words = settle(event("text:Hmong", partner="p1"), event("text:hmong", partner="p2"))
    assert words.rule == "same_answer"


def test_two_answers_without_a_code_are_compared_as_they_were_received() -> None:
    assert settle(event("bare:X"), event("bare:Y")).provisional
    assert settle(event("text:X"), event("text:Y")).provisional


def test_answers_are_never_united_across_events() -> None:
    found = settle(event("A", collected="2025-01-01"), event("B", collected="2025-01-02"))
    assert [c.coding.code for m in found.meanings for c in m.concepts] == ["B"]


def test_an_event_is_answered_when_a_part_is() -> None:
    meanings = [Meaning("race", State.DECLINED), Meaning("ethnicity", State.ANSWERED)]
    assert event_state(meanings, POLICY) is State.ANSWERED
    assert event_state([*meanings[:1], Meaning("ethnicity", State.BLANK)], POLICY) is State.DECLINED
    assert event_state([], POLICY) is State.UNKNOWN


def test_where_it_stood_in_which_file_is_the_last_thing_to_tell_events_apart() -> None:
    one, two = event("A", "B", artefact="1.834"), event("A", "B", artefact="2.834")
    assert settle(two, one).winner == one
    stored = Event(one.received, one.origin, one.first_seen, (5, 6))
    assert settle(stored, one) == settle(one, stored)


@pytest.mark.parametrize("name", ["partner", "collector", "standard", "question"])
def test_whatever_differs_between_two_origins_tells_their_events_apart(name: str) -> None:
    one, two = event("A", **{name: "1"}), event("A", **{name: "2"})
    assert settle(one, two) == settle(two, one)


def test_the_order_of_codes_within_an_event_decides_no_tie() -> None:
    for other in "CDEFGH":
        winners = [settle(both, event(other)).winner == both for both in (event("A", "B"), event("B", "A"))]
        assert winners[0] == winners[1]


def test_what_was_beaten_is_told_best_first() -> None:
    winner, proxy = event("A", method="self"), event("B", method="proxy", collected="2025-09-09")
    late, early = event("C", collected="2024-01-01"), event("D", collected="2020-01-01")
    assert settle(late, early, proxy, winner).beaten == (proxy, early, late)
    refusal = event("declined", method="observed", collected="2019-01-01")
    nothing = settle(event("unknown", method="self", collected="2025-01-01"), event("blank"), refusal)
    assert [e.received[0].raw for e in nothing.beaten] == ["unknown", "blank"]


def test_methods_are_the_same_as_words_and_as_names() -> None:
    named = Event((received("B"),), Origin(method=Method.UNSTATED), "2026-01-01")
    assert settle(named, event("A")).winner == settle(event("B"), event("A")).winner


@given(st.data())
def test_any_order_and_any_repetition_give_the_same_resolution(data: st.DataObject) -> None:
    events = data.draw(st.lists(EVENTS, min_size=1, max_size=6))
    again = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=4))))
    assert settle(*again) == settle(*events)


@given(st.lists(EVENTS, max_size=5), RAW.filter(lambda raw: raw in ABSENT and raw != "declined"), ORIGINS, DATES)
def test_an_unknown_changes_no_answer(events: list[Event], raw: str, origin: Origin, seen: str) -> None:
    before = settle(*events)
    if before.state is State.ANSWERED:
        after = settle(*events, Event((received(raw),), origin, seen))
        assert (after.winner, after.state, after.meanings, after.provisional) == (
            before.winner,
            before.state,
            before.meanings,
            before.provisional,
        )


PROXY = event(WHITE, method="proxy", partner="p1", collector="plan", collected="2025-01-01", seen="2025-01-01")
TOLD = event("declined", method="relayed", partner="p1", collector="state", collected="2025-01-01", seen="2025-01-01")
THEIRS = event("A", method="observed", partner="p1", collector="state", collected="2025-06-01", seen="2025-06-01")


@given(st.lists(EVENTS, max_size=5), EVENTS)
@example([PROXY], TOLD)  # it may not fill this refusal
@example([TOLD, PROXY], THEIRS)  # which ends when they answer after all
def test_a_lower_method_changes_no_winner_but_by_a_refusal(events: list[Event], other: Event) -> None:
    before = settle(*events)
    if before.winner is None or before.state is not State.ANSWERED:
        return
    if POLICY.methods[other.origin.method] > POLICY.methods[before.winner.origin.method]:
        after = settle(*events, other)
        if (after.winner, after.provisional) != (before.winner, before.provisional):
            assert _refuses(other, before.winner) or any(_answers(other, each) for each in events)


def _refuses(other: Event, winner: Event) -> bool:
    """Whether the winner may not fill it: another source's word, but not people's own, not known before it."""
    theirs = _source(other) != _source(winner) and winner.origin.method != Method.SELF
    return _declined(other) and theirs and winner.first_seen >= _date(other)


def _answers(other: Event, refusal: Event) -> bool:
    """Whether it is the answer of a source that a refusal waited for."""
    same = _source(other) == _source(refusal) and _date(other) >= _date(refusal)
    return settle(other).state is State.ANSWERED and _declined(refusal) and same


def _declined(said: Event) -> bool:
    return settle(said).state is State.DECLINED


def _source(said: Event) -> tuple[str, str]:
    return said.origin.partner, said.origin.collector


def _date(said: Event) -> str:
    return min(date for date in (said.origin.collected_on, said.first_seen) if date)


def test_a_refusal_of_a_lower_method_and_its_end() -> None:
    assert settle(PROXY).winner == PROXY
    assert (settle(PROXY, TOLD).winner, settle(PROXY, TOLD).rule) == (TOLD, "never_filled")
    assert settle(PROXY, TOLD, THEIRS).winner == PROXY


@given(st.lists(EVENTS, min_size=1, max_size=6))
def test_winner_and_beaten_are_all_the_events(events: list[Event]) -> None:
    found = settle(*events)
    assert found.winner is not None
    assert len(found.beaten) == len(set(events)) - 1
    assert {found.winner, *found.beaten} == set(events)


@given(st.lists(EVENTS, min_size=1, max_size=6))
def test_settling_the_winner_again_gives_the_winner(events: list[Event]) -> None:
    found = settle(*events)
    assert found.winner is not None
    assert settle(found.winner).winner == found.winner
