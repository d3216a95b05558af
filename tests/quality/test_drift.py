"""What changed in a source from one month or file to the next."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from fhir_equity.model import Coding, Event, Origin, Received
from fhir_equity.quality.drift import Drift
from fhir_equity.quality.rulebook import Rulebook
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

VOCABULARY = Vocabulary(Tables())
RULES = Rulebook(Tables())
Found = set[tuple[str, str, int]]
White, Asian, Black, Other = "2106-3", "2028-9", "2054-5", "2131-1"


def said(code: str, when: str, topic: str = "race_ethnicity", *, artefact: str = "", seen: str = "2026-12-31") -> Event:
    system = "bcp47" if topic.startswith("language") else "snomed" if topic == "gender_identity" else "cdcrec"
    received = Received(topic, "x", (Coding(system, code),))
    return Event((received,), Origin("plan", artefact, "plan", "unstated", collected_on=when), seen)


def suspicions(people: Iterable[tuple[int, list[Event]]]) -> Found:
    drift = Drift(VOCABULARY, RULES)
    for count, events in people:
        drift.add("plan", events, VOCABULARY.meaning, count)
    return {(found.rule, found.month, found.count) for found in drift.suspicions()}


def months(before: dict[str, int], after: dict[str, int], topic: str = "race_ethnicity") -> Found:
    one = [(count, [said(code, "2026-01-15", topic)]) for code, count in before.items()]
    return suspicions(one + [(count, [said(code, "2026-02-15", topic)]) for code, count in after.items()])


def test_a_distribution_that_stays_and_one_that_moves() -> None:
    assert months({White: 50, Asian: 50}, {White: 60, Asian: 40}) == set()  # 0.10 is not over 0.10
    assert months({White: 50, Asian: 50}, {White: 39, Asian: 61}) == {("source.drift", "2026-02", 100)}
    assert months({White: 25, Asian: 24}, {Asian: 100}) == set()  # too few to tell


@pytest.mark.parametrize(
    ("before", "after", "topic"),
    [
        ({White: 40, Asian: 60}, {White: 61, Asian: 39}, "race_ethnicity"),
        ({White: 90, Asian: 10}, {White: 60, Asian: 10, Other: 30}, "race_ethnicity"),
        ({"en": 40, "es": 60}, {"en": 61, "es": 39}, "language_spoken"),
        ({"en": 40, "es": 60}, {"en-US": 61, "es": 39}, "language_written"),
    ],
)
def test_a_jump_of_what_forms_fill_in(before: dict[str, int], after: dict[str, int], topic: str) -> None:
    assert ("source.jump", "2026-02", 100) in months(before, after, topic)


def test_no_jump_of_what_they_do_not() -> None:
    assert {rule for rule, _, _ in months({White: 60, Asian: 40}, {White: 39, Asian: 61})} == {"source.drift"}
    assert {rule for rule, _, _ in months({White: 40, Asian: 60}, {White: 60, Asian: 40})} == {"source.drift"}


def test_a_value_that_vanishes() -> None:
    assert months({White: 94, Black: 6}, {White: 100}) == {("source.value_vanished", "2026-02", 100)}
    assert months({White: 95, Black: 5}, {White: 100}) == set()


def test_too_many_others() -> None:
    assert suspicions([(89, [said(White, "")]), (11, [said(Other, "")])]) == {("source.other_share", "", 11)}
    assert suspicions([(90, [said(White, "")]), (10, [said(Other, "")])]) == set()


def test_files_are_compared_where_nothing_has_a_date_and_never_with_months() -> None:
    def of(artefact: str, code: str) -> tuple[int, list[Event]]:
        return 60, [said(code, "", artefact=artefact)]

    assert suspicions([of("a.834", White), of("b.834", Asian)]) == {
        ("source.drift", "b.834", 60), ("source.value_vanished", "b.834", 60),
    }  # fmt: skip
    assert suspicions([of("a.834", White), (60, [said(Asian, "2026-01-01")])]) == set()
    seen = [(60, [said(White, "", seen="2026-01-05")]), (60, [said(Asian, "", seen="2026-02-05")])]
    assert ("source.drift", "2026-02", 60) in suspicions(seen)


def test_what_comes_and_goes_is_told_of_the_source() -> None:
    turns = [said(code, f"2026-0{month}-01") for month, code in enumerate([White, Asian, White], start=1)]
    once = [said(code, f"2026-0{month}-01") for month, code in enumerate([White, Asian, Asian], start=1)]
    assert ("source.alternates", "", 3) in suspicions([(3, turns), (18, once)])
    assert "source.alternates" not in {rule for rule, _, _ in suspicions([(2, turns), (18, once)])}
    assert "source.alternates" not in {rule for rule, _, _ in suspicions([(19, turns)])}


def test_identity_is_never_looked_at() -> None:
    turns = [said(code, f"2026-0{m}-01", "gender_identity") for m, code in enumerate(["1", "2", "1"], start=1)]
    assert suspicions([(100, turns), (100, [said("3", "2026-01-01", "gender_identity")])]) == set()
    sensitive = {topic.name for topic in VOCABULARY.codes.topics.values() if topic.sensitive}
    watched = {topic for name in RULES if name.startswith("source.") for topic in RULES[name].topics}
    assert sensitive
    assert not watched & sensitive


def test_however_people_are_put_together() -> None:
    people = [(40, [said(White, "2026-01-15")]), (60, [said(Asian, "2026-01-15")]), (100, [said(White, "2026-02-15")])]
    apart = [(1, events) for count, events in people for _ in range(count)]
    assert suspicions(people) == suspicions(apart) == suspicions(reversed(apart))
