"""In which strata a person counts: alone, several at once, and by what one source or month said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.errors import UsageError
from fhir_equity.model import Address, Coding, Enrollment, Event, Member, Origin, Received, Resolution
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.populations import SEVERAL
from fhir_equity.quality.strata import Strata, combined
from fhir_equity.tables import Tables

TABLES = Tables("", None)
WORKSPACE = Workspace(as_of="2026-06-30")


def strata(*by: str) -> Strata:
    return Strata(by, TABLES, "2026-06-30")


def said(topic: str, code: str, *, method: str = "self", on: str = "", seen: str = "2026-06-30") -> Event:
    system = "bcp47" if topic.startswith("language") else "cdcrec"
    received = Received(topic, "test", (Coding(system, code),), "", code)
    return Event((received,), Origin("plan", "", "plan", method, collected_on=on), seen)


def resolve(events: Sequence[Event]) -> Mapping[str, Resolution]:
    return WORKSPACE.resolutions("", events)


def places(by: Sequence[str], words: Sequence[Sequence[str]], *events: Event) -> dict[tuple[str, ...], set[str]]:
    """The values of each stratum and the matters that count there."""
    found = strata(*by).places(words, events, resolve(events), resolve)
    return {tuple(value for _, value in stratum): {*resolutions} for stratum, resolutions in found}


def test_wrong_names_are_told() -> None:
    with pytest.raises(UsageError, match=r"^there is no stratum colour, shoe; there are: partner, coverage,"):
        strata("shoe", "partner,colour")


def test_one_given_twice_is_one() -> None:
    assert strata("state", "state", "state,state", "county,state").groups == (("state",), ("county", "state"))


def test_the_words_of_a_record() -> None:
    member = Member(
        "plan",
        "1",
        birth_date="1961-06-30",
        address=Address(state="CA", county="06001"),
        enrollment=Enrollment(coverage="HLT"),
    )
    assert strata("county,age", "partner", "coverage").words(member) == ("plan", "HLT", "06001", "65+")
    assert strata("age").words(Member("plan", "1", birth_date="1961-07-01")) == ("50-64",)
    assert strata("age", "state", "relationship").words(Member("plan", "1")) == ("", "", "")
    assert strata("relationship").words(Member("plan", "1", enrollment=Enrollment(relationship="18"))) == (
        "subscriber",
    )
    assert strata("source", "month", "language").size == 0


def test_several_at_once_and_each_alone() -> None:
    assert set(places(["state,county", "county"], [("CA", "06001")])) == {("CA", "06001"), ("06001",)}


def test_a_record_that_says_less_stands_for_nothing_of_its_own() -> None:
    words = [("HLT", "CA"), ("DEN", "OR"), ("", ""), ("HLT", "")]
    assert set(places(["coverage,state"], words)) == {("HLT", "CA"), ("DEN", "OR")}


def test_what_a_record_leaves_open_the_others_say() -> None:
    assert combined({("HLT", ""), ("", "CA")}) == {("HLT", "CA")}
    assert combined({("", "")}) == {("(none)", "(none)")}
    assert combined({(f"DEN{SEVERAL}HLT", "CA")}) == {("DEN", "CA"), ("HLT", "CA")}
    assert combined({()}) == {()}


@given(st.sets(st.tuples(*[st.sampled_from(["", "a", "b", f"a{SEVERAL}b"])] * 2), min_size=1))
def test_everybody_counts_somewhere_and_nothing_is_invented(records: set[tuple[str, ...]]) -> None:
    found = combined(records)
    assert found
    for place in (0, 1):
        known = {value for one in records for value in one[place].split(SEVERAL)} - {""}
        assert {values[place] for values in found} == (known or {"(none)"})


def test_language_is_the_one_that_was_decided() -> None:
    events = [said("language_spoken", "es"), said("race_ethnicity", "2106-3")]
    assert places(["language"], [()], *events) == {("es",): {"language_spoken", "race_ethnicity"}}
    assert places(["language"], [()], events[1]) == {("(none)",): {"race_ethnicity"}}


def test_a_source_counts_with_what_it_said_and_nothing_else() -> None:
    events = [said("language_spoken", "es", method="unstated"), said("race_ethnicity", "2106-3")]
    assert places(["source"], [()], *events) == {
        ("plan/self",): {"race_ethnicity"},
        ("plan/unstated",): {"language_spoken"},
    }
    assert places(["source"], [()]) == {("(none)",): set()}


def test_a_month_is_that_of_collection_else_of_receipt() -> None:
    events = [
        said("language_spoken", "es", on="2025-12-31"),
        said("race_ethnicity", "2106-3", seen="2026-01-15"),
        said("sex", "F", on="2025", seen="2026-02-01"),
    ]
    assert places(["month"], [()], *events) == {
        ("2025-12",): {"language_spoken"},
        ("2026-01",): {"race_ethnicity"},
        ("2026-02",): {"sex"},
    }
    assert set(places(["state,month,source"], [("CA",)], events[0])) == {("CA", "2025-12", "plan/self")}
