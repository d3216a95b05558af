"""What the answers of one source show together."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from fhir_equity.model import Coding, Event, Meaning, Origin, Received
from fhir_equity.quality.rulebook import Rulebook
from fhir_equity.quality.sources import Sources, Suspicion
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

TABLES = Tables()
VOCABULARY = Vocabulary(TABLES)
RULES = Rulebook(TABLES)
SYSTEMS = {"race_ethnicity": "cdcrec", "gender_identity": "snomed"}
SOURCE = "plan/other/unstated"


def meaning(received: Received) -> Meaning:
    return VOCABULARY.meaning(received)


def event(topic: str, code: str, collected_on: str = "", method: str = "unstated") -> Event:
    coding = Coding(SYSTEMS.get(topic, "bcp47"), code)
    received = Received(topic, "x", (coding,)) if code[:1] != "?" else Received(topic, "x", (), code)
    return Event((received,), Origin("plan", "a", method=method, collected_on=collected_on), "2026-06-15")


def counted(people: Iterable[tuple[int, list[Event]]]) -> Sources:
    sources = Sources(VOCABULARY, RULES, {"language_spoken": "2024-01-01"})
    for count, events in people:
        sources.add("plan", events, meaning, count)
    return sources


def suspicions(people: Iterable[tuple[int, list[Event]]]) -> list[Suspicion]:
    return [*counted(people).suspicions()]


def rules(*people: tuple[int, list[Event]]) -> list[tuple[str, str, int]]:
    return [(each.rule, each.month, each.count) for each in suspicions(people)]


def spoken(code: str, collected_on: str = "") -> Event:
    return event("language_spoken", code, collected_on)


def test_one_value_of_nearly_everybody() -> None:
    assert rules((91, [spoken("en")]), (9, [spoken("es")])) == [("source.one_value", "", 91)]
    assert rules((90, [spoken("en")]), (10, [spoken("es")])) == []
    assert rules((49, [spoken("en")])) == []
    assert rules((50, [spoken("en")])) == [("source.one_value", "", 50)]


def test_one_value_in_one_month() -> None:
    calm = [(40, [spoken("en", "2026-01-03")]), (40, [spoken("es", "2026-01-04")]), (40, [spoken("fr")])]
    filled = [(99, [spoken("en", "2026-02-01")]), (1, [spoken("es", "2026-02-02")])]
    found = suspicions(calm + filled)
    assert found == [Suspicion("source.one_value", SOURCE, "language_spoken", "2026-02", 99)]


def test_sources_are_apart_and_speak_once_for_a_person() -> None:
    one = [spoken("en"), spoken("en"), event("language_spoken", "es", method="self")]
    found = suspicions([(60, one)])
    assert [(each.source, each.count) for each in found] == [("plan/other/self", 60), (SOURCE, 60)]


def test_who_says_the_same_again_is_one_person() -> None:
    """Sixty say it in two months, forty something else in one: at no date and with no answer are there more people."""
    twice = [spoken("en", "2026-01-03"), spoken("en", "2026-02-03")]
    (card,) = counted([(60, twice), (40, [spoken("es")])]).scorecard()
    assert (card["answered"], card["commonest"], card["dated"]) == (100, 60, 60)
    assert rules((60, twice), (6, [spoken("es")])) == [
        ("source.one_value", "", 60),
        ("source.one_date", "", 60),
    ]


def test_one_date() -> None:
    days = [(91, [spoken("en", "2026-02-01")]), (9, [spoken("es", "2026-02-02")])]
    assert ("source.one_date", "", 91) in rules(*days)
    assert not any(rule == "source.one_date" for rule, _, _ in rules((60, [spoken("en", "2026-02")])))
    half = [(30, [spoken("en", "2026-02-01")]), (30, [spoken("es")])]
    assert rules(*half) == []


def test_no_detail() -> None:
    def race(code: str) -> Event:
        return event("race_ethnicity", code)

    plain = [(30, [race("2106-3")]), (30, [race("2054-5")])]
    assert rules(*plain) == [("source.no_detail", "", 60)]
    assert rules(*plain, (1, [race("2034-7")])) == []
    assert rules((20, [race("2106-3")]), (20, [race("2054-5")])) == []


def test_answers_without_a_code() -> None:
    coded = [(45, [spoken("en")]), (45, [spoken("es")])]
    assert rules(*coded, (11, [spoken("?Quite another tongue")])) == [("source.not_mapped", "", 11)]
    assert rules(*coded, (10, [spoken("?Quite another tongue")])) == []


def test_written_only_ever_a_copy_of_spoken() -> None:
    def both(one: str, other: str) -> list[Event]:
        return [spoken(one), event("language_written", other)]

    copies = [(30, both("en", "en")), (30, both("es", "es"))]
    assert rules(*copies) == [("source.written_copies_spoken", "", 60)]
    assert rules(*copies, (1, both("es", "en"))) == []
    apart = [(60, [spoken("en"), event("language_written", "en", method="self")]), (60, both("es", "fr"))]
    assert not any(rule == "source.written_copies_spoken" for rule, _, _ in rules(*apart))


def test_nothing_sensitive_is_counted() -> None:
    answer = event("gender_identity", "446141000124107", "2026-01-01")
    assert rules((100, [answer])) == []


def test_it_does_not_matter_how_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [(30, [spoken("en")]), (30, [spoken("en"), event("language_written", "en")]), (31, [spoken("en")])]
    whole = rules(*people)
    monkeypatch.setattr("fhir_equity.quality.sources.MOST", 1)
    assert rules(*people) == whole == [("source.one_value", "", 91)]


def test_the_scorecard_of_a_source() -> None:
    people = [
        (60, [spoken("en", "2026-01-03")]),
        (20, [spoken("en", "2023-12-31")]),
        (5, [spoken("es", "2024-01-01"), event("language_spoken", "?Atlantean")]),
        (3, [spoken("es", "2026-01")]),
        (7, [event("language_spoken", "?Lemurian", "2026-02-01")]),
        (2, [event("race_ethnicity", "2034-7", method="self")]),
    ]
    race, spoken_of = counted(people).scorecard()
    assert spoken_of == {
        "source": SOURCE,
        "topic": "language_spoken",
        "answered": 95,
        "detailed": 0,
        "not_mapped": 12,
        "stale": 20,
        "dated": 92,
        "commonest": 80,
        "cases": ["source.not_mapped", "source.one_value"],  # the second in one month
    }
    assert (race["source"], race["answered"], race["detailed"]) == ("plan/other/self", 2, 2)
    assert race["cases"] == []
