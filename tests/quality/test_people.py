"""Distinct people: the same key is one person unless birth date and name both differ, in any order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.model import Answer, Coding, Event, Member, Name, Origin, Received
from fhir_equity.quality.partitions import PARTS
from fhir_equity.quality.people import People, Profile, Profiles, check_of, events_of, same_person

WHITE, BLACK = (Received("race", "x", (Coding("cdcrec", code),), "", code) for code in ("2106-3", "2054-5"))
ENGLISH = Received("language_spoken", "x", (Coding("bcp47", "en"),), "", "en")
ORIGIN, OTHER = Origin("plan", "a.834"), Origin("plan", "b.csv", method="self")


def matter_of(topic: str) -> str:
    return "race_ethnicity" if topic in ("race", "ethnicity") else topic


def member(born: str = "1980-02-03", family: str = "Alder", given: tuple[str, ...] = ("Ada",)) -> Member:
    return Member("plan", "m1", name=Name(family, given), birth_date=born)


def check(born: str, family: str, given: str = "Ada") -> int:
    return check_of(member(born, family, (given,) if given else ()))


def persons(records: Iterable[tuple[int, int, int]]) -> Counter[tuple[int, ...]]:
    people = People()
    for key, number, profile in records:
        people.add(key.to_bytes(8, "little"), number, profile)
    counted = [*people.persons()]
    assert len(dict(counted)) == len(counted), "a set of profiles comes once"
    return Counter(dict(counted))


def test_a_check_has_a_half_for_the_birth_date_and_a_half_for_the_name() -> None:
    one = check("1980-02-03", "Alder")
    assert 0 < one < 2**32
    assert check("1980-02-03", "Birch") >> 16 == one >> 16
    assert check("1981-02-03", "Alder") & 0xFFFF == one & 0xFFFF
    assert check("1980-02-03", "ALDER", "ADA") == one
    assert check_of(member(given=("Ada", "Maria"))) == one
    assert check("1980-02-03", "Birch") != one != check("1981-02-03", "Alder")
    assert check("", "Alder") >> 16 == 0
    assert check("1980", "Alder") >> 16 == 0  # a year alone contradicts nobody
    assert check("1980-02-03", "", "") & 0xFFFF == 0
    assert check_of(member(family="\ud800")) != one


ONE, TWO = check("1980-02-03", "Alder"), check("2011-04-05", "Birch")
BETWEEN = check("1980-02-03", "Birch")
NO_BIRTH, NOTHING = check("", "Birch"), check("", "", "")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ONE, ONE, True),
        (ONE, TWO, False),
        (ONE, BETWEEN, True),
        (TWO, BETWEEN, True),
        (ONE, NO_BIRTH, True),
        (ONE, NOTHING, True),
    ],
)
def test_same_person(one: int, other: int, same: bool) -> None:
    assert same_person(one, other) is same
    assert same_person(other, one) is same


def test_records_under_one_key_are_one_person_with_all_their_profiles() -> None:
    assert persons([(7, ONE, 3), (8, ONE, 3), (7, ONE, 1), (7, ONE, 3)]) == {(1, 3): 1, (3,): 1}


def test_records_by_profile() -> None:
    people = People()
    for key, profile in ((7, 3), (8, 3), (7, 1), (9, 0)):
        people.add(key.to_bytes(8, "little"), ONE, profile)
    assert dict(people.records()) == {3: 2, 1: 1, 0: 1}


def test_keys_of_one_partition_stay_apart() -> None:
    assert persons([(5, ONE, 0), (5 + PARTS, ONE, 0), (5 + 2 * PARTS, ONE, 1)]) == {(0,): 2, (1,): 1}
    assert persons([(2**64 - 1, ONE, 70_000)]) == {(70_000,): 1}
    high = 1 << 32  # bits beyond the partition count too
    assert persons([(5, ONE, 0), (5 + high, ONE, 0)]) == {(0,): 2}
    assert persons([(5, ONE, 0), (5, ONE, 0)]) == {(0,): 1}


def test_two_people_may_share_a_key() -> None:
    assert persons([(7, ONE, 1), (7, TWO, 2)]) == {(1,): 1, (2,): 1}


def test_a_third_record_may_join_two_that_differ() -> None:
    assert persons([(7, ONE, 1), (7, TWO, 2), (7, BETWEEN, 3)]) == {(1, 2, 3): 1}


def test_a_record_with_a_gap_joins_one_of_them_and_not_both() -> None:
    assert persons([(7, ONE, 1), (7, TWO, 2), (7, NO_BIRTH, 3)]) == {(1,): 1, (2, 3): 1}
    assert persons([(7, ONE, 1), (7, TWO, 2), (7, NOTHING, 3)]).total() == 2
    assert persons([(7, NOTHING, 1), (7, NO_BIRTH, 2)]) == {(1, 2): 1}


CHECKS = st.sampled_from([ONE, TWO, BETWEEN, NO_BIRTH, NOTHING, check("1999-01-01", "Cedar"), check("1999-01-01", "")])
RECORDS = st.lists(st.tuples(st.sampled_from([7, 8, 7 + PARTS]), CHECKS, st.integers(0, 5)), max_size=12)


@given(st.data(), RECORDS)
def test_the_order_of_records_changes_nothing(data: st.DataObject, records: list[tuple[int, int, int]]) -> None:
    assert persons(data.draw(st.permutations(records))) == persons(records)


@given(RECORDS)
def test_the_same_records_again_change_nothing(records: list[tuple[int, int, int]]) -> None:
    assert persons(records + records) == persons(records)


def test_what_another_counted_is_taken_over_under_numbers_of_its_own() -> None:
    one, other = People(), People()
    one.add(b"\x07" * 8, ONE, 0)
    other.add(b"\x07" * 8, ONE, 0)
    other.add(b"\x08" * 8, TWO, 1)
    one.take(other, [5, 6])
    assert dict(one.persons()) == {(0, 5): 1, (6,): 1}
    assert [*one.repeated()] == [[0, 5]]


def test_events_of_a_record_are_one_for_each_matter_and_origin() -> None:
    hispanic = Received("ethnicity", "x", (), "", "2135-2")
    answers = [
        Answer(WHITE, ORIGIN),
        Answer(ENGLISH, ORIGIN),
        Answer(hispanic, ORIGIN),
        Answer(WHITE, ORIGIN),
        Answer(BLACK, OTHER),
    ]
    assert events_of(answers, matter_of, "2026-01-01") == (
        Event((WHITE, hispanic), ORIGIN, "2026-01-01"),
        Event((ENGLISH,), ORIGIN, "2026-01-01"),
        Event((BLACK,), OTHER, "2026-01-01"),
    )
    assert events_of([], matter_of, "2026-01-01") == ()


def test_profiles_are_numbered_once() -> None:
    profiles = Profiles(matter_of, "2026-01-01")
    said = (Answer(WHITE, ORIGIN, "row", 1), Answer(ENGLISH, ORIGIN, "row", 1))
    elsewhere = (Answer(WHITE, ORIGIN, "row", 2), Answer(ENGLISH, ORIGIN, "row", 2))
    number = [profiles.said(answers) for answers in (said, elsewhere, ())]
    assert number == [0, 0, 1]
    assert [profiles.number(0), profiles.number(0), profiles.number(0, ("CA",))] == [0, 0, 1]
    assert profiles.number(profiles.said((Answer(WHITE, OTHER), Answer(ENGLISH, ORIGIN)))) == 2
    assert profiles.number(1) == 3
    events = (Event((WHITE,), ORIGIN, "2026-01-01"), Event((ENGLISH,), ORIGIN, "2026-01-01"))
    assert [profiles[0], profiles[1]] == [Profile(events, (WHITE, ENGLISH)), Profile(events, (WHITE, ENGLISH), ("CA",))]
    assert profiles[3] == Profile(())
    assert len(profiles) == 4


def test_equal_parts_of_profiles_are_one_object() -> None:
    profiles = Profiles(matter_of, "2026-01-01")
    one = profiles.said((Answer(WHITE, ORIGIN), Answer(ENGLISH, ORIGIN)))
    two = profiles.said(
        (Answer(ENGLISH, ORIGIN), Answer(msgspec.structs.replace(WHITE), msgspec.structs.replace(ORIGIN)))
    )
    assert one != two
    (white, origin), (same, again) = profiles.pairs(one)[0], profiles.pairs(two)[1]
    assert white is same is WHITE
    assert origin is again is ORIGIN
    found = [profiles[profiles.number(said, tuple("C"))].stratum for said in (one, two)]
    assert found[0] is found[1]


def test_profiles_of_stored_events_leave_the_rows_out() -> None:
    profiles = Profiles(matter_of, "2026-01-01")
    one, same = Event((WHITE,), ORIGIN, "2025-01-01", (1,)), Event((WHITE,), ORIGIN, "2025-01-01", (2,))
    later = Event((WHITE,), ORIGIN, "2025-02-01", (3,))
    assert [profiles.of_events(events) for events in ((one,), (same,), (later,), (one, later))] == [0, 0, 1, 2]
    assert profiles.of_events((one,), ("CA",)) == 3


def test_what_somebody_decided_is_part_of_what_is_counted() -> None:
    """A store's events lose their rows, and nothing that decides between them."""
    profiles = Profiles(lambda topic: topic, "2026-01-01")
    event = Event((Received("race", "x", (), "", "a"),), Origin(), "2026-01-01", (7, 8), "chosen")
    plain = msgspec.structs.replace(event, identity=(), decided="")
    kept = profiles[profiles.of_events((event,))].events
    assert kept == (msgspec.structs.replace(event, identity=()),)
    assert profiles.of_events((event,)) != profiles.of_events((plain,))


def test_a_record_of_very_many_answers_takes_no_longer_than_as_many_records() -> None:
    """A Bundle may have as many Observations on one Patient as it likes."""
    profiles, answers = Profiles(matter_of, "2026-01-01"), tuple(Answer(WHITE, ORIGIN) for _ in range(60_000))
    start = time.process_time()
    said = profiles.said(answers)
    assert time.process_time() - start < 2
    assert profiles.pairs(said) == ((WHITE, ORIGIN),) * len(answers)
    assert profiles.said(answers) == said != profiles.said(answers[1:])
