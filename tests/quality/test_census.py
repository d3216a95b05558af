"""One census or several put together give the same counts; people met twice and dependents alone are found."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.model import (
    Answer,
    Coding,
    Enrollment,
    Event,
    Finding,
    Locator,
    Loss,
    Meaning,
    Member,
    Name,
    Origin,
    Received,
    Rejected,
    Relationship,
    Severity,
    State,
)
from fhir_equity.privacy import Pseudonyms
from fhir_equity.quality import families
from fhir_equity.quality.census import Census
from fhir_equity.quality.families import Families
from fhir_equity.quality.people import Pairs

KEY = b"k" * 32
WHITE, BLACK = (Received("race_ethnicity", "x12.dmg05", (Coding("1109", c),), "", c) for c in "CB")
ENGLISH = Received("language_spoken", "x12.lui02", (Coding("LE", "ENG"),), "", "LUI*LE*ENG**7")
LOSSES = (Loss("x12.not_kept.PER", Relationship.UNMATCHED), Loss("x12.not_kept.AMT", Relationship.UNMATCHED))
PROBLEM = Finding("x12.dmg.repeated", Severity.ERROR, Locator("a.834", "segment", 3))


class Kept:
    """The year of birth where anything is said, and how often English is."""

    def words(self, member: Member, said: Pairs) -> tuple[str, ...]:
        return (member.birth_date[:4] if said else "", str(sum(received is ENGLISH for received, _ in said)))

    def fixed(self, said: Pairs) -> bool:
        return not said


def census() -> Census:
    return Census(Pseudonyms(KEY), str, "2026-01-01", Kept())


def meaning(received: Received) -> Meaning:
    problems = (("not_in_code_list", Severity.ERROR),) if received is BLACK or received == BLACK else ()
    return Meaning(received.topic, State.ANSWERED, problems=problems)


def found(counted: Census) -> Counter[tuple[str, str]]:
    return counted.findings(lambda partner: meaning)


def member(key: str, *values: Received, artefact: str = "a.834", born: str = "1980-01-31", **more: object) -> Member:
    origin = Origin("plan", artefact)
    answers = tuple(Answer(value, origin, "segment", 9, 90) for value in values)
    return Member("plan", key, "NM109", name=Name("ALDER", (key,)), birth_date=born, answers=answers, **more)  # type: ignore[arg-type]


def test_findings_losses_and_values_are_counted() -> None:
    counted = census()
    counted.begin(1, "edi834", families=True)
    for number in range(3):
        counted.add(member(f"M{number}", BLACK, losses=LOSSES, findings=(PROBLEM,)))
    counted.add(member("M9", WHITE, born="2030-01-01"))
    counted.add(Rejected(b"INS*X", Finding("x12.ins01.not_in_code_list", Severity.ERROR, Locator("a.834"))))
    counted.add(PROBLEM)
    counted.add(LOSSES[0])
    assert found(counted) == {
        ("x12.dmg.repeated", "error"): 4,
        ("x12.dmg05.not_in_code_list", "error"): 3,
        ("member.birth_date.future", "error"): 1,
        ("x12.ins01.not_in_code_list", "error"): 1,
    }
    assert counted.losses() == {("x12.not_kept.PER", "unmatched"): 4, ("x12.not_kept.AMT", "unmatched"): 3}


PEOPLE = st.lists(
    st.builds(
        lambda key, values, born, family: member(
            key,
            *values,
            born=born,
            losses=LOSSES,
            enrollment=Enrollment(family != "F2", maintenance="030", subscriber_key=family),
        ),
        st.sampled_from(["M1", "M2", "M3", "M4"]),
        st.lists(st.sampled_from([WHITE, BLACK, ENGLISH]), unique=True),
        st.sampled_from(["1980-01-31", "2011-01-01", ""]),
        st.sampled_from(["", "F1", "F2", "F3"]),
    ),
    max_size=12,
)


@given(PEOPLE, st.lists(st.integers(0, 12), max_size=3))
def test_workers_count_what_one_counts(people: list[Member], cuts: list[int]) -> None:
    alone, together = census(), census()
    alone.begin(1, "edi834", families=True)
    together.begin(1, "edi834", families=True)
    for one in people:
        alone.add(one)
    edges = [0, *sorted(cuts), 12]
    for start, stop in pairwise(edges):
        worker = census()
        worker.begin(1, "edi834", families=True)
        for one in people[start:stop]:
            worker.add(one)
        together.take(pickle.loads(pickle.dumps(worker)))  # noqa: S301 - our own, as between our own processes
    assert found(together) == found(alone)
    assert together.losses() == alone.losses()
    subscribers = [alone.subscriber(one) for one in people]
    assert together.families.alone(subscribers) == alone.families.alone(subscribers)

    def persons(counted: Census) -> Counter[tuple[tuple[object, ...], ...]]:
        profiles = counted.profiles
        told = Counter[tuple[tuple[object, ...], ...]]()
        for numbers, count in counted.people.persons():
            told[tuple(sorted(((profiles[n].received, profiles[n].stratum) for n in numbers), key=str))] += count
        return told

    assert persons(together) == persons(alone)
    assert households(together) == households(alone)


def households(counted: Census, least: int = 2) -> Counter[tuple[Event, ...]]:
    told = Counter[tuple[Event, ...]]()
    for profile, count in counted.alike(least):
        told[profile.events] += count
    return told


def test_a_household_is_alike_in_what_it_says_of_race_alone() -> None:
    counted = census()
    counted.begin(1, "edi834", families=True)
    family = Enrollment(maintenance="030", subscriber_key="F1")
    for key, values in (("M1", (WHITE, ENGLISH)), ("M2", (WHITE,)), ("M3", (ENGLISH, WHITE))):
        counted.add(member(key, *values, enrollment=family))
    for key in ("M4", "M6"):
        counted.add(member(key, BLACK, enrollment=Enrollment(maintenance="030", subscriber_key="F2")))
    counted.add(member("M5", BLACK, enrollment=Enrollment(subscriber_key="F3")))  # of no enrollment file
    ((said, count),) = households(counted, 3).items()
    assert ([event.received for event in said], count) == ([(WHITE,)], 1)
    assert sum(households(counted).values()) == 2


def test_a_pickle_holds_neither_the_key_nor_a_members_key() -> None:
    counted = census()
    counted.add(member("CANARY-KEY", WHITE))
    stored = pickle.dumps(counted)
    assert KEY not in stored
    assert b"CANARY-KEY" not in stored


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([("M1", (WHITE,)), ("M1", (WHITE,))], {("member.duplicate", "info"): 1}),
        ([("M1", (WHITE,)), ("M1", (BLACK,))], {("member.duplicate", "warning"): 1}),
        ([("M1", (WHITE,)), ("M1", (ENGLISH,))], {("member.duplicate", "info"): 1}),
        (
            [("M1", (WHITE,)), ("M1", ()), ("M1", (BLACK,))],
            {("member.duplicate", "info"): 1, ("member.duplicate", "warning"): 1},
        ),
        ([("M1", (WHITE,)), ("M2", (WHITE,))], {}),
    ],
)
def test_the_same_person_twice_in_one_file(
    records: list[tuple[str, tuple[Received, ...]]], expected: dict[tuple[str, str], int]
) -> None:
    counted = census()
    counted.begin(1, "edi834", families=False)
    for key, values in records:
        counted.add(member(key, *values))
    told = {code: n for code, n in found(counted).items() if code[0].startswith("member.")}
    assert told == expected


@pytest.mark.parametrize(
    ("first", "second", "formats", "told"),
    [
        (WHITE, BLACK, ("edi834", "edi834"), 1),
        (WHITE, WHITE, ("edi834", "edi834"), 0),
        (WHITE, ENGLISH, ("edi834", "edi834"), 0),
        (WHITE, BLACK, ("edi834", "survey"), 0),
    ],
)
def test_the_same_person_in_two_files(first: Received, second: Received, formats: tuple[str, str], told: int) -> None:
    counted = census()
    for number, (value, format_) in enumerate(zip((first, second), formats, strict=True), start=1):
        counted.begin(number, format_, families=False)
        counted.add(member("M1", value, artefact=f"{number}"))
    assert found(counted)[("member.seen_in_two_files", "warning")] == told
    assert found(counted)[("member.duplicate", "info")] == 0


def _families(*members: tuple[bool, str]) -> tuple[Families, list[int]]:
    number = Pseudonyms(KEY).numbers("plan")
    followed = Families(lambda _, key: number(key))
    for subscriber, family in members:
        followed.add("plan", family, subscriber=subscriber)
    return followed, [number(family) for subscriber, family in members if subscriber]


def test_a_dependent_without_a_subscriber_waits_for_a_second_look() -> None:
    soon, _ = _families((True, "F1"), (False, "F1"))
    assert not soon.waiting
    early, subscribers = _families((False, "F1"), (False, "F2"), (False, "F2"), (True, "F1"))
    assert early.waiting
    assert early.alone(subscribers) == 2
    assert early.alone([]) == 3


def test_only_the_latest_subscribers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "LATEST", 2)
    subscribers = [(True, f"F{n}") for n in range(7)]
    near, _ = _families(*subscribers, (False, "F6"), (False, "F5"), (False, "F4"))
    assert not near.waiting
    far, known = _families(*subscribers, (False, "F0"))
    assert far.waiting
    assert far.alone(known) == 0


def test_fixed_words_are_asked_for_once_for_each_partner_and_input() -> None:
    asked: list[str] = []

    class Fixed(Kept):
        def words(self, member: Member, said: Pairs) -> tuple[str, ...]:
            asked.append(member.key)
            return super().words(member, said)

    counted = Census(Pseudonyms(KEY), str, "2026-01-01", Fixed())
    for source in (1, 2):
        counted.begin(source, "edi834", families=False)
        for key in ("a", "b"):
            counted.add(Member("plan", f"{key}{source}", birth_date="1980-01-31"))
            counted.add(Member("other", f"{key}{source}", birth_date="1981-01-31"))
    assert asked == ["a1", "a1", "a2", "a2"]
    strata = {counted.profile(number).stratum: count for (number,), count in counted.persons()}
    assert strata == {("plan", "", "0"): 2, ("other", "", "0"): 2}
