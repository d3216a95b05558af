"""With every rule in play, the order in which answers came decides nothing: who wins, why, and what it beat."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_equity.model import Event
from fhir_equity.survivorship import Policy
from fhir_equity.survivorship.policy import RULES
from tests.survivorship.said import CASES, EVERY, ONE, event, policy, settle

WORDS = ("2106-3", "2108-9", "2118-8", "2123-8", "2135-2", "2186-5", "text:hmong", "declined", "dont_know", "unknown")
TOPICS = st.sampled_from(["race", "ethnicity", "race_ethnicity", "race_ethnicity"])
SAID = st.lists(st.tuples(TOPICS, st.sampled_from(WORDS)).map("/".join), min_size=1, max_size=2, unique=True)
DAYS = st.sampled_from(["2025-01-01", "2010-01-01", "2025-01-02", "", "2099-01-01"])
EVENTS = st.builds(
    lambda said, **origin: event(*said, **origin),
    SAID,
    partner=st.sampled_from(["plan", "state", "other"]),
    collector=st.sampled_from(["plan", "hie"]),
    method=st.sampled_from(["unstated", "self", "observed"]),
    standard=st.sampled_from(["omb2024", "omb1997", ""]),
    question=st.sampled_from(["", "q1", ONE]),
    artefact=st.sampled_from(["1.834", "2.834"]),
    collected=DAYS,
    seen=DAYS,
)
POLICIES = st.builds(
    lambda left_out, declined: policy(
        **EVERY, rules=dict.fromkeys(left_out, False), declined={"race_ethnicity": declined}
    ),
    st.sets(st.sampled_from(RULES), max_size=2),
    st.sampled_from(["keep", "replace"]),
)
PEOPLE = st.builds(
    lambda case, others: [*case, *others],
    st.sampled_from([events for events, *_ in CASES.values()]),
    st.lists(EVENTS, max_size=5),
)


@settings(max_examples=1000, deadline=None)
@given(PEOPLE, POLICIES, st.data())
def test_any_order_and_any_repetition_give_the_same_resolution(
    events: list[Event], by: Policy, data: st.DataObject
) -> None:
    again = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=3))))
    found = settle(*events, by=by)
    assert settle(*again, by=by) == found
    assert found.winner is not None
    assert {found.winner, *found.beaten} == set(events)
