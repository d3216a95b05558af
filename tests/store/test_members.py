"""Who is who: one key, two people; and what a later record may change about a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fhir_equity.model import Address, Enrollment, Identifier, Member, Name
from fhir_equity.store import Judge, Store, Written

PersonMaker = Callable[..., Member]
Save = Callable[..., Written]
Rows = Callable[..., list[tuple[Any, ...]]]

FROM_834 = Enrollment(False, "19", "030", "S1", "GRP1", "HLT", (("2026-01-01", ""),), restricted=True)
HOME = Address(("1 ORCHARD STREET", "APT 2"), "SAMPLETON", "OR", "97001", "US", "041")


def keys(rows: Rows) -> list[tuple[Any, ...]]:
    return rows("SELECT key, twin, pseudonym, birth_date, family, given FROM member ORDER BY id")


def test_birth_date_and_name_differ_so_two_people_share_the_key(person: PersonMaker, save: Save, rows: Rows) -> None:
    first = save(person("m1"), person("m1", born="2011-04-05", given="Bruno"))
    assert first.members == 2
    assert keys(rows) == [
        ("m1", 0, "plan|m1", "1980-02-03", "Alder", "Ada"),
        ("m1", 1, "plan|m1#1", "2011-04-05", "Alder", "Bruno"),
    ]
    assert save(person("m1", born="2011-04-05", given="Bruno"), person("m1")).members == 0


@pytest.mark.parametrize(
    "second",
    [
        {"born": "1980-02-04"},
        {"given": "Adele"},
        {"given": "ADA", "family": "ALDER", "born": "1981-02-03"},
        {"born": "", "given": "Bruno"},
        {"born": "1980", "given": "Bruno"},
        {"family": "", "given": "", "born": "2011-04-05"},
        {"family": "", "given": "", "born": ""},
    ],
)
def test_one_difference_or_a_gap_is_the_same_person(
    person: PersonMaker, save: Save, rows: Rows, second: dict[str, str]
) -> None:
    assert save(person("m1"), person("m1", **second)).members == 1
    assert len(keys(rows)) == 1


def test_the_same_key_of_another_partner_is_another_person(person: PersonMaker, save: Save) -> None:
    save(person("m1"))
    assert save(person("m1", partner="other"), partner="other").members == 1


def test_a_name_and_then_a_birth_date_may_be_corrected_and_the_old_file_come_again(
    person: PersonMaker, save: Save, rows: Rows
) -> None:
    one, two, three = person("m1"), person("m1", given="Adele"), person("m1", given="Adele", born="1980-02-13")
    for each in (one, two, three, one, three):
        save(each)
    assert keys(rows) == [("m1", 0, "plan|m1", "1980-02-13", "Alder", "Adele")]


def test_the_same_file_again_finds_everybody_again_however_alike_they_are(
    person: PersonMaker, save: Save, rows: Rows
) -> None:
    file = (person("m1"), person("m1", given="Bruno"), person("m1", born="2011-04-05", given="Bruno"))
    twins = (person("m2"), person("m2", born="2011-04-05", given="Bruno"), person("m2", given="Bruno"))
    save(*file, *twins)
    before = rows("SELECT * FROM member ORDER BY id")
    assert save(*file, *twins).members == 0
    after = rows("SELECT * FROM member ORDER BY id")
    assert [(row[1:4], row[9]) for row in after] == [(row[1:4], row[9]) for row in before]
    assert len(after) == 3  # two under m2


def test_an_identity_seen_before_goes_to_the_twin_who_had_it(person: PersonMaker, save: Save, rows: Rows) -> None:
    save(person("m1"), person("m1", born="2011-04-05", given="Bruno"), person("m1", born="2011-04-05", given="Ada"))
    save(person("m1", born="2011-04-05", given="Bruno", race="2106-3", address=HOME))
    assert rows("SELECT twin FROM member JOIN answer ON member_id = member.id") == [(1,)]


def test_a_record_with_a_gap_goes_to_the_twin_with_whom_it_shares_the_rest(
    person: PersonMaker, save: Save, rows: Rows
) -> None:
    save(person("m1"), person("m1", born="2011-04-05", given="Bruno"))
    save(person("m1", born="", given="Bruno", race="2106-3"), person("m1", born="", given="", family="", race="2054-5"))
    assert rows("SELECT twin FROM member JOIN answer ON member_id = member.id ORDER BY answer.id") == [(1,), (0,)]


def test_a_survey_clears_nothing_of_the_enrollment(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", enrollment=FROM_834, address=HOME, given=("Ada", "Maria")))
    save(person("m1", enrollment=Enrollment(True), address=Address(state="OR"), given="Ada"))
    save(person("m1", enrollment=Enrollment(True, "", subscriber_key="S1"), given="", family="", born=""))
    (found,) = store.people
    assert found.member.enrollment == FROM_834
    assert found.member.address == HOME
    assert found.member.name == Name("Alder", ("Ada", "Maria"))
    assert found.member.birth_date == "1980-02-03"


def test_the_next_834_changes_what_it_says(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", enrollment=FROM_834, address=HOME))
    later = Enrollment(True, "18", "001", "S2", "", "", (("2026-02-01", "2026-12-31"),), restricted=False)
    moved = Address(("9 RIVER ROAD",), "MOCKVILLE", "NY", "10001")
    save(person("m1", enrollment=later, address=moved))
    (found,) = store.people
    ended, eligible = ("2026-01-01", "2026-12-31"), ("", (("2026-02-01", "2026-12-31"),))
    expected = Enrollment(True, "18", "001", "S2", "GRP1", "HLT", (ended,), other_coverages=(eligible,))
    assert found.member.enrollment == expected
    assert found.member.address == moved  # no second line and no county of the old place


def test_a_survey_may_say_who_subscribes(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", enrollment=Enrollment(True, "18")))
    save(person("m1", enrollment=Enrollment(False, "19")))
    (found,) = store.people
    assert found.member.enrollment == Enrollment(False, "19")


def test_only_a_change_lifts_a_restriction(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", enrollment=Enrollment(restricted=True)))
    save(person("m1", enrollment=Enrollment(True, "18", group="G")))
    assert [each.member.enrollment.restricted for each in store.people] == [True]
    save(person("m1", enrollment=Enrollment(True, "18", "030")))
    assert [each.member.enrollment.restricted for each in store.people] == [True]
    save(person("m1", enrollment=Enrollment(True, "18", "001")))
    assert [each.member.enrollment.restricted for each in store.people] == [False]


CHANGED = Enrollment(
    *(False, "19", "021", "S1", "", "HLT", (("2026-01-01", "2026-06-30"),)), reason="28", references=(("3H", "A"),)
)
VERIFIED = Enrollment(
    *(True, "18", "030", "S9", "GRP9", "DEN", (("2025-01-01", ""),)),
    restricted=True,
    reason="XN",
    employment="FT",
    references=(("3H", "B"), ("DX", "C")),
)


DENTAL = (("DEN", (("2025-01-01", ""),)),)


def test_where_only_full_files_come_the_last_one_holds(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", enrollment=VERIFIED))
    later = Enrollment(True, "18", "030", "S9", "GRP7", "HLT", (("2026-01-01", ""),), reason="XN")
    save(person("m1", enrollment=later))
    (known,) = [each.member.enrollment for each in store.people]
    assert known.group == "GRP7"
    assert known.coverages == (("DEN", (("2025-01-01", ""),)), ("HLT", (("2026-01-01", ""),)))
    assert known.restricted is False


def test_a_record_that_verifies_changes_no_enrollment_but_fills_what_is_empty(
    person: PersonMaker, save: Save, store: Store
) -> None:
    save(person("m1", enrollment=CHANGED))
    save(person("m1", enrollment=VERIFIED, address=HOME))
    (found,) = store.people
    filled = msgspec.structs.replace(CHANGED, group="GRP9", employment="FT", restricted=True, other_coverages=DENTAL)
    assert found.member.enrollment == filled
    assert found.member.address == HOME  # which is no enrollment
    save(person("m1", enrollment=msgspec.structs.replace(VERIFIED, restricted=False)))
    assert [each.member.enrollment for each in store.people] == [filled]


def test_a_change_wins_over_a_record_that_verified(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", enrollment=VERIFIED))
    save(person("m1", enrollment=CHANGED))
    (found,) = store.people
    kept = found.member.enrollment
    assert kept.coverages == (*DENTAL, *CHANGED.coverages)
    first = msgspec.structs.replace(kept, coverage=CHANGED.coverage, spans=CHANGED.spans, other_coverages=())
    assert first == msgspec.structs.replace(CHANGED, group="GRP9", employment="FT")


def test_a_change_and_a_verification_in_one_chunk(person: PersonMaker, save: Save, store: Store) -> None:
    save(person("m1", enrollment=CHANGED), person("m1", enrollment=VERIFIED))
    assert [each.member.enrollment.maintenance for each in store.people] == ["021"]


def test_who_was_known_without_enrollment_has_that_of_a_record_that_verifies(
    person: PersonMaker, save: Save, store: Store
) -> None:
    verified = msgspec.structs.replace(VERIFIED, subscriber=False, relationship="19")
    save(person("m1", enrollment=Enrollment(group="G0")))
    save(person("m1", enrollment=verified))
    assert [each.member.enrollment for each in store.people] == [verified]


def test_a_year_alone_does_not_replace_a_date(person: PersonMaker, save: Save, rows: Rows) -> None:
    save(person("m1"))
    save(person("m1", born="1980"))
    assert rows("SELECT birth_date FROM member") == [("1980-02-03",)]
    save(person("m1", born="1981"))
    assert rows("SELECT birth_date FROM member") == [("1981",)]


def test_identifiers_gather(person: PersonMaker, save: Save, store: Store, rows: Rows) -> None:
    number, family = Identifier("", "N1", "NM109"), Identifier("", "S1", "REF*0F")
    save(person("m1", identifiers=(number, number)))
    save(person("m1", identifiers=(family,)))
    save(person("m1"))
    (found,) = store.people
    assert found.member.identifiers == (number, family)
    assert rows("SELECT member_id, kind, value, use FROM member_identifier ORDER BY kind") == [
        (1, "NM109", "N1", ""),
        (1, "REF*0F", "S1", ""),
    ]


def test_a_person_twice_in_one_chunk(person: PersonMaker, save: Save, store: Store, rows: Rows) -> None:
    done = save(person("m1", race="2106-3"), person("m1", given=("Ada", "Maria"), race="2054-5"))
    assert (done.members, done.answers) == (1, 2)
    (found,) = store.people
    assert found.member.name.given == ("Ada", "Maria")
    assert rows("SELECT DISTINCT member_id, run_id FROM sighting") == [(1, 1)]


def test_a_change_is_kept_when_the_same_chunk_says_it_twice(person: PersonMaker, save: Save, rows: Rows) -> None:
    save(person("m1"))
    save(person("m1", given="Adele"), person("m1", given="Adele"))
    assert rows("SELECT given FROM member") == [("Adele",)]


def test_more_people_than_one_question_to_the_database_may_name(person: PersonMaker, save: Save, rows: Rows) -> None:
    file = [person(f"m{n}", race="2106-3") for n in range(1201)]
    assert save(*file) == Written(members=1201, answers=1201)
    assert save(*file) == Written()
    assert rows("SELECT count(*), count(DISTINCT member_id) FROM sighting") == [(2402, 1201)]
    assert rows("SELECT member.key FROM member JOIN answer ON member_id = member.id WHERE answer.id = 1200") == [
        ("m1199",)
    ]


AWAY = Address(("2 ELM ROAD",), "ELSEWHERE", "OR", "97002", "US", "043")


def stored(store: Store, key: str = "m1") -> Member:
    return {(each.member.partner, each.member.key): each.member for each in store.people}["plan", key]


def standing(store: Store) -> tuple[Any, ...]:
    found = stored(store)
    enrollment = found.enrollment
    return found.name.given, found.birth_date, found.address, enrollment.group, enrollment.restricted


def test_a_file_of_an_earlier_day_fills_only_what_is_empty(person: PersonMaker, save: Save, store: Store) -> None:
    march = person("m1", address=HOME, enrollment=msgspec.structs.replace(FROM_834, group=""))
    save(march, as_of="2026-03-01")
    late = person(
        "m1", given="Adele", address=AWAY, enrollment=msgspec.structs.replace(FROM_834, restricted=False), race="2106-3"
    )
    save(late, as_of="2026-02-01")
    save(person("m1", born="1980-02-13"), as_of="2026-02-01")
    assert standing(store) == (("Ada",), "1980-02-03", HOME, "GRP1", True)
    save(late, as_of="2026-03-01")  # of the same day, and therefore not late
    assert standing(store) == (("Adele",), "1980-02-03", AWAY, "GRP1", False)
    save(person("m1", given="Adele", born="1980-02-13"), as_of="2026-03-01")
    assert stored(store).birth_date == "1980-02-13"


def test_seen_unchanged_counts_as_named_by_a_later_file(
    person: PersonMaker, save: Save, store: Store, rows: Rows
) -> None:
    for day in ("2026-01-01", "2026-03-01"):
        save(person("m1", address=HOME), as_of=day)
    save(person("m1", address=AWAY), person("m2", address=AWAY), as_of="2026-02-01")
    assert rows("SELECT COUNT(*) FROM member") == [(2,)]
    assert stored(store).address == HOME
    save(person("m1", address=AWAY), as_of="2026-03-02")
    assert stored(store).address == AWAY


def test_the_later_file_of_another_partner_or_of_somebody_else_makes_nothing_late(
    person: PersonMaker, save: Save, store: Store
) -> None:
    save(person("m1", address=HOME), as_of="2026-01-01")
    save(person("m1", partner="other"), as_of="2026-03-01", partner="other")
    save(person("m2"), as_of="2026-03-01")
    save(person("m1", address=AWAY), as_of="2026-02-01")
    assert stored(store).address == AWAY


def test_a_retracted_file_makes_nothing_late(person: PersonMaker, save: Save, store: Store, rows: Rows) -> None:
    save(person("m1", address=HOME), as_of="2026-01-01")
    save(person("m1", address=HOME), as_of="2026-03-01")
    ((run,),) = rows("SELECT MAX(id) FROM run")
    store.retractions.retract(run, Judge("p1", lambda _: {}), "sent by mistake")
    save(person("m1", address=AWAY), as_of="2026-02-01")
    assert stored(store).address == AWAY
