"""Who may receive what, today: default deny, and a refusal or a restriction wins."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.errors import TableError
from fhir_equity.model import Coding, Enrollment, Member, Received, Resolution, State
from fhir_equity.release import Decision, Release, discloses
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

CODES = Vocabulary().codes
DAY = "2026-06-15"
RULE: dict[str, Any] = {
    "id": "rel",
    "recipient": "north",
    "purpose": "operations",
    "topics": ["race_ethnicity", "gender_identity"],
    "from": "2026-01-01",
    "to": "2026-12-31",
}


def release(*rules: dict[str, Any]) -> Release:
    return Release({"version": "v1", "rule": list(rules)}, CODES)


def member(*, restricted: bool = False) -> Member:
    return Member("plan", "M1", enrollment=Enrollment(restricted=restricted))


def won(matter: str = "race_ethnicity", *, provisional: bool = False, refused: bool = False) -> Resolution:
    return Resolution(matter, State.ANSWERED, (), None, provisional=provisional, refused=refused)


def reason(policy: Release, resolution: Resolution, recipient: str = "north", on: str = DAY) -> str:
    decision = policy.decide(recipient, member(), resolution, on)
    assert decision.allowed == (decision.reason == "rel")
    return decision.reason


def test_a_rule_in_force_lets_it_out() -> None:
    assert release(RULE).decide("north", member(), won(), DAY) == Decision(allowed=True, reason="rel")
    assert release(RULE).version == "v1"


def test_without_a_rule_nothing_leaves() -> None:
    nothing = Release({}, CODES)
    assert nothing.version == ""
    for topic in CODES.topics.values():
        expected = "no_rule_sensitive" if topic.sensitive else "no_rule"
        assert reason(nothing, won(topic.name)) == expected


@pytest.mark.parametrize("recipient", ["south", "", "North", "north "])
def test_another_recipient_gets_nothing(recipient: str) -> None:
    assert reason(release(RULE), won(), recipient) == "no_rule"


def test_another_topic_gets_nowhere() -> None:
    assert reason(release(RULE), won("language_spoken")) == "no_rule"
    assert reason(release(RULE), won("pronouns")) == "no_rule_sensitive"


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("2025-12-31", "no_rule"),
        ("2026-01-01", "rel"),
        ("2026-12-31", "rel"),
        ("2027-01-01", "no_rule"),
    ],
)
def test_first_and_last_day_are_included(on: str, expected: str) -> None:
    assert reason(release(RULE), won(), on=on) == expected


def test_an_open_end_stays_open() -> None:
    open_end = {key: value for key, value in RULE.items() if key != "to"}
    assert reason(release(open_end), won(), on="2099-01-01") == "rel"
    assert reason(release(open_end), won(), on="2025-01-01") == "no_rule"


def test_a_later_rule_may_let_out_what_an_ended_one_does_not() -> None:
    ended = {**RULE, "id": "old", "to": "2026-02-01"}
    assert reason(release(ended, RULE), won()) == "rel"


def test_a_restriction_wins_over_every_rule() -> None:
    decision = release(RULE).decide("north", member(restricted=True), won(refused=True, provisional=True), DAY)
    assert decision == Decision(allowed=False, reason="record_restricted")


def test_a_refusal_stops_a_sensitive_topic_at_once() -> None:
    assert reason(release(RULE), won("gender_identity", refused=True, provisional=True)) == "refused_later"
    assert reason(release(RULE), won("gender_identity")) == "rel"
    assert reason(release(RULE), won("race_ethnicity", refused=True)) == "rel"


def test_an_undecided_tie_is_not_sent() -> None:
    assert reason(release(RULE), won(provisional=True)) == "tie_undecided"


def test_dates_of_toml_are_dates_too() -> None:
    assert reason(release({**RULE, "from": date(2026, 1, 1), "to": date(2026, 6, 14)}), won()) == "no_rule"
    assert reason(release({**RULE, "from": date(2026, 1, 1), "to": date(2026, 6, 15)}), won()) == "rel"


@pytest.mark.parametrize("field", ["id", "recipient", "purpose", "topics", "from"])
def test_an_incomplete_rule_is_a_table_error(field: str) -> None:
    with pytest.raises(TableError, match=f"a rule misses '{field}'"):
        release({key: value for key, value in RULE.items() if key != field})


@pytest.mark.parametrize("field", ["from", "to"])
@pytest.mark.parametrize("day", ["1/1/2026", "", "2026", "2026-02-30", "2026-01-01 00:00:00"])
def test_a_day_that_is_none_is_a_table_error(field: str, day: str) -> None:
    with pytest.raises(TableError, match="ISO dates"):
        release({**RULE, field: day})


def test_a_basic_date_is_compared_as_a_date() -> None:
    assert reason(release({**RULE, "to": "20260101"}), won()) == "no_rule"


@pytest.mark.parametrize("topic", ["shoe_size", "s"])
def test_a_topic_that_does_not_exist_is_a_table_error(topic: str) -> None:
    with pytest.raises(TableError, match="no topic"):
        release({**RULE, "topics": [topic]})


@pytest.mark.parametrize("topic", ["race", "ethnicity"])
def test_a_topic_that_is_decided_with_others_is_a_table_error(topic: str) -> None:
    with pytest.raises(TableError, match=f"{topic} is decided together with others as race_ethnicity"):
        release({**RULE, "topics": [topic]})


@given(
    matter=st.sampled_from(sorted(CODES.topics)),
    recipient=st.sampled_from(["demo-hie", "north", ""]),
    on=st.dates().map(date.isoformat),
    restricted=st.booleans(),
)
def test_the_built_in_policy_never_lets_out_what_it_does_not_name(
    matter: str, recipient: str, on: str, *, restricted: bool
) -> None:
    policy = Release(Tables().document("policies/release.toml"), CODES)
    decision = policy.decide(recipient, member(restricted=restricted), won(matter), on)
    named = matter in ("race_ethnicity", "language_spoken", "language_written", "sex")
    assert decision.allowed == (named and recipient == "demo-hie" and on >= "2026-01-01" and not restricted)


@pytest.mark.parametrize(
    ("code", "topics", "allowed"),
    [
        ("female", ["sex"], True),
        ("other", ["sex"], False),
        ("other", ["recorded_sex"], True),
        ("female", ["recorded_sex"], False),
    ],
)
def test_a_sex_of_other_needs_the_rule_of_recorded_sex(code: str, topics: list[str], allowed: bool) -> None:
    received = Received("sex", "fhir.gender", (Coding("administrative-gender", code),))
    assert sex_may_leave(received, topics) is allowed


@pytest.mark.parametrize("text", ["Nonbinary", "a word that no table has"])
def test_a_sex_in_words_that_nobody_knows_needs_it_too(text: str) -> None:
    received = Received("sex", "survey.sex", text=text, raw=text)
    assert not sex_may_leave(received, ["sex"])
    assert sex_may_leave(received, ["recorded_sex"])
    assert sex_may_leave(Received("sex", "survey.sex", text="Female", raw="Female"), ["sex"])


def test_other_words_that_nobody_knows_are_no_secret() -> None:
    received = Received("language_spoken", "survey.language_spoken", text="Elvish", raw="Elvish")
    meaning = Vocabulary().meaning(received)
    assert (meaning.state, meaning.text) == (State.ANSWERED, "Elvish")
    assert not discloses(CODES, "language_spoken", meaning)


def sex_may_leave(received: Received, topics: list[str]) -> bool:
    said = Resolution("sex", State.ANSWERED, (Vocabulary().meaning(received),), None)
    return release({**RULE, "topics": topics}).decide("north", member(), said, DAY).allowed
