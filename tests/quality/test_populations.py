"""Who counts in a program: by date, by product line, by age; nobody vanishes, whatever the order of records."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.model import Enrollment, Member
from fhir_equity.quality.populations import EVERYBODY, Place, Standing, age_on, period
from fhir_equity.quality.programs import Population, program_from

AS_OF = "2026-06-15"
MEASURE = {"title": "t", "topic": "race", "source": "s", "sure": "verified"}


def standing(as_of: str = AS_OF, ages: tuple[int, int | None] | None = None, **population: Any) -> Standing:
    measures = {} if ages is None else {"m": MEASURE | {"age_from": ages[0], "age_to": ages[1]}}
    document = {"title": "t", "edition": "1", "source": "s", "sure": "verified", "measure": measures}
    return Standing(program_from(document | {"population": population}, "p"), as_of)


def member(*spans: tuple[str, str], born: str = "", coverage: str = "HLT", **more: Any) -> Member:
    return Member("plan", "m", birth_date=born, enrollment=Enrollment(coverage=coverage, spans=spans, **more))


SURVEY = Member("plan", "m", enrollment=Enrollment(relationship="18", subscriber_key="F1"))


def place(of: Standing, *members: Member) -> Place:
    return of.place([of.words(each) for each in members])


def test_periods() -> None:
    assert period(Population(enrolled="year"), AS_OF) == ("2026-01-01", "2026-12-31")
    assert period(Population(enrolled="day"), AS_OF) == (AS_OF, AS_OF)
    assert period(Population(), AS_OF) == (AS_OF, AS_OF)
    for day, end in (
        ("2026-06-15", "2026-05-31"),
        ("2026-06-29", "2026-05-31"),
        ("2026-06-30", "2026-06-30"),
        ("2026-01-01", "2025-12-31"),
        ("2024-03-01", "2024-02-29"),
    ):
        assert period(Population(enrolled="month_end"), day) == (end, end)


@pytest.mark.parametrize(
    ("born", "day", "years"),
    [
        ("2014-06-15", AS_OF, 12),
        ("2014-06-16", AS_OF, 11),
        ("2026-06-15", AS_OF, 0),
        ("2026-06-16", AS_OF, None),
        ("2012-02-29", "2026-02-28", 13),
        ("2012-02-29", "2026-03-01", 14),
        ("", AS_OF, None),
        ("1980", AS_OF, None),
        ("19800101", AS_OF, None),
        ("1980-xx-01", AS_OF, None),
    ],
)
def test_ages(born: str, day: str, years: int | None) -> None:
    assert age_on(born, day) == years


@pytest.mark.parametrize(
    ("enrolled", "span", "counts"),
    [
        ("day", ("2026-06-15", "2026-06-15"), True),
        ("day", ("2026-06-16", ""), False),
        ("day", ("", "2026-06-14"), False),
        ("day", ("", "2026-06-15"), True),
        ("day", ("2020-01-01", ""), True),
        ("year", ("2025-01-01", "2025-12-31"), False),
        ("year", ("2025-01-01", "2026-01-01"), True),
        ("year", ("2026-12-31", ""), True),
        ("year", ("2027-01-01", ""), False),
        ("year", ("2026-03-01", "2026-02-28"), False),
        ("year", ("2026-03-01", "2026-03-01"), True),
        ("month_end", ("2026-05-31", "2026-06-01"), True),
        ("month_end", ("2026-06-01", ""), False),
    ],
)
def test_both_ends_of_a_span_are_days_of_enrollment(enrolled: str, span: tuple[str, str], counts: bool) -> None:
    found = place(standing(enrolled=enrolled), member(span))
    assert found == (Place(("",)) if counts else Place((), "not_enrolled"))


def test_one_span_of_several_is_enough() -> None:
    assert place(standing(enrolled="day"), member(("2020-01-01", "2020-12-31"), ("2026-01-01", ""))).lines == ("",)


def test_nobody_is_enrolled_after_death() -> None:
    year = standing(enrolled="year")
    assert place(year, member(("2020-01-01", ""), deceased_on="2025-12-31")).reason == "not_enrolled"
    assert place(year, member(("2020-01-01", ""), deceased_on="2026-01-01")).lines == ("",)
    renewed = member(("2025-01-01", "2025-12-31"), ("2026-05-01", ""), deceased_on="2026-03-01")
    assert place(year, renewed).reason == "not_enrolled"
    assert place(standing(enrolled="year"), member(deceased_on="2025-12-31")).reason == "not_enrolled"


@pytest.mark.parametrize(
    ("settings", "undated", "unlisted"),
    [
        ({}, Place(("",), assumed=True), Place((), "without_enrollment")),
        (
            {"without_dates": "leave_out", "without_enrollment": "count"},
            Place((), "without_dates"),
            Place(("",), assumed=True),
        ),
    ],
)
def test_who_has_no_date_and_who_is_in_no_enrollment(settings: dict[str, Any], undated: Place, unlisted: Place) -> None:
    of = standing(enrolled="year", **settings)
    assert place(of, member()) == undated
    assert place(of, Member("plan", "m", enrollment=Enrollment(maintenance="030"))) == undated
    assert place(of, SURVEY) == unlisted
    assert place(of, Member("plan", "m")) == unlisted


def test_dates_say_more_than_none_and_a_survey_says_nothing() -> None:
    of = standing(enrolled="year")
    ended, now = member(("2020-01-01", "2020-12-31")), member(("2026-01-01", ""))
    assert place(of, ended, SURVEY).reason == "not_enrolled"
    assert place(of, ended, member()).reason == "not_enrolled"
    assert place(of, ended, now, SURVEY) == Place(("",))


def test_product_lines() -> None:
    of = standing(enrolled="year", line="coverage", lines={"DEN": "", "HLT": "Medical", "*": "Other"})
    medical, dental, vision = (member(("2026-01-01", ""), coverage=code) for code in ("HLT", "DEN", "VIS"))
    assert place(of, medical, vision, medical) == Place(("Medical", "Other"))
    assert place(of, medical, dental) == Place(("Medical",))
    assert place(of, dental) == Place((), "line_left_out")
    assert place(standing(line="coverage"), dental, member(coverage="", maintenance="030")).lines == ("(none)", "DEN")
    assert place(standing(enrolled="day", line="partner"), medical).lines == ("plan",)
    assert place(standing(enrolled="day", line="group"), member(("", ""), group="G7")).lines == ("G7",)


def test_a_person_counts_once_in_each_line_they_are_enrolled_in() -> None:
    of = standing(enrolled="day", line="coverage")
    dental = ("DEN", (("2024-01-01", "2024-12-31"),))
    both = member(("2026-01-01", ""), other_coverages=(dental, ("VIS", (("2025-01-01", ""),)), ("AAA", ())))
    assert place(of, both).lines == ("HLT", "VIS")
    assert place(of, both, both) == place(of, both)
    assert place(of, member(("2024-01-01", "2024-12-31"), other_coverages=(dental,))).reason == "not_enrolled"
    ended = member(("2024-01-01", "2024-12-31"), other_coverages=(("DEN", (("2026-01-01", ""),)),))
    assert place(standing(enrolled="day"), ended) == Place(("",))


def test_ages_are_kept_as_bands() -> None:
    of = standing(ages=(12, 64))
    words = {born: of.words(Member("p", "m", birth_date=born)) for born in ("2015-01-01", "2014-06-15", "1961-06-15")}
    assert words == {"2015-01-01": ("000",), "2014-06-15": ("001",), "1961-06-15": ("002",)}
    assert [of.place([word]).age for word in words.values()] == [0, 12, 65]
    assert of.place([("",)]).age is None
    assert of.place([("",), ("001",)]).age == 12
    assert of.words(Member("p", "m")) == ("",)


def test_where_everybody_counts_nothing_is_kept() -> None:
    of = standing()
    assert (of.size, of.words(member(("2026-01-01", ""), born="1980-01-01"))) == (0, ())
    assert of.place([(), ()]) is EVERYBODY
    assert standing(ages=(12, None), enrolled="day").size == 2


SPANS = st.lists(
    st.tuples(
        st.sampled_from(["", "2025-01-01", "2026-01-01", "2026-06-16"]),
        st.sampled_from(["", "2025-12-31", "2026-06-15"]),
    ),
    max_size=2,
)
MEMBERS = st.builds(
    lambda spans, coverage, born: member(*spans, coverage=coverage, born=born),
    SPANS,
    st.sampled_from(["", "HLT", "DEN", "VIS"]),
    st.sampled_from(["", "2015-01-01", "1980-01-01"]),
)


@given(st.lists(MEMBERS, min_size=1, max_size=4), st.sampled_from(["anybody", "day", "month_end", "year"]))
def test_the_order_of_records_changes_nothing_and_who_is_left_out_has_a_reason(
    members: list[Member], enrolled: str
) -> None:
    of = standing(ages=(12, None), enrolled=enrolled, line="coverage", lines={"DEN": ""})
    places = {place(of, *order) for order in permutations(members)}
    (one,) = places
    assert bool(one.lines) != bool(one.reason)
    assert place(of, *members, *members) == one
