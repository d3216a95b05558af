"""What can hardly be, in what was said about one person; no rule looks at an answer about SOGI."""

from __future__ import annotations

import pytest

from fhir_equity.model import Coding, Event, Meaning, Origin, Received
from fhir_equity.quality.plausible import Marks, Plausible
from fhir_equity.quality.rulebook import Rulebook
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

TABLES = Tables()
VOCABULARY = Vocabulary(TABLES)
RULES = Rulebook(TABLES)
AS_OF = "2026-06-15"


def meaning(received: Received) -> Meaning:
    return VOCABULARY.meaning(received)


def plausible() -> Plausible:
    return Plausible(VOCABULARY.codes, RULES, meaning)


def value(topic: str, *codes: str, text: str = "") -> Received:
    return Received(topic, "x", tuple(Coding("cdcrec", code) for code in codes), text)


def event(*values: Received, collected_on: str = "", first_seen: str = AS_OF) -> Event:
    return Event(values, Origin("plan", "a", collected_on=collected_on), first_seen)


DECLINED, UNKNOWN = value("race", text="Prefer not to answer"), value("race", text="Unknown")
WHITE, CHINESE, ASIAN, SAMOAN = (value("race", code) for code in ("2106-3", "2034-7", "2028-9", "2080-0"))
HISPANIC, NOT_HISPANIC = value("ethnicity", "2148-5"), value("ethnicity", "2186-5")
RETIRED = next(code for code, row in VOCABULARY.codes.cdcrec.items() if row["status"] == "retired" and row["omb1997"])


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (event(WHITE), set()),
        (event(WHITE, DECLINED), {"answers.declined_beside_answer"}),
        (event(WHITE, UNKNOWN), {"answers.unknown_beside_category"}),
        (event(HISPANIC, DECLINED), set()),
        (event(HISPANIC, NOT_HISPANIC), {"answers.hispanic_beside_not_hispanic"}),
        (event(HISPANIC, value("race", "2186-5")), {"answers.hispanic_beside_not_hispanic"}),
        (event(value("ethnicity", "2148-5", "2186-5")), set()),  # one value: it is <element>.contradiction
        (event(ASIAN, CHINESE), set()),
        (event(WHITE, CHINESE), {"answers.detail_outside_category"}),
        (event(CHINESE, SAMOAN), set()),
        (event(NOT_HISPANIC, CHINESE), set()),
        (event(HISPANIC, CHINESE), set()),
        (event(value("race", "2106-3", "2123-8")), set()),  # a detail of White in 1997
        (event(HISPANIC, NOT_HISPANIC, WHITE, DECLINED), {
            "answers.hispanic_beside_not_hispanic", "answers.declined_beside_answer",
        }),
        (event(value("race_ethnicity", "2106-3", "2034-7")), set()),  # one combined question has details of anything
        (event(value("race_ethnicity", RETIRED)), {"answers.code_retired"}),
        (event(WHITE, collected_on="2026-06-16"), {"answers.collected_after_receipt"}),
        (event(WHITE, collected_on=AS_OF), set()),
        (event(WHITE, collected_on="2026-06"), set()),
        (event(WHITE, collected_on="2027"), {"answers.collected_after_receipt"}),
    ],
)  # fmt: skip
def test_one_occasion(said: Event, found: set[str]) -> None:
    assert plausible().found({""}, [said]) == found


def test_two_occasions_contradict_nothing() -> None:
    assert plausible().found({""}, [event(WHITE), event(DECLINED), event(HISPANIC), event(NOT_HISPANIC)]) == set()


ORIENTATION = value("sexual_orientation", text="Prefer not to answer")
MARKS = Marks(RULES, AS_OF)


@pytest.mark.parametrize(
    ("born", "received", "collected_on", "word"),
    [
        ("2000-01-01", WHITE, "1999-12-31", "b"),
        ("2000-01-01", WHITE, "2000-01-01", ""),
        ("2000-06-01", WHITE, "2000", ""),
        ("2000-06-01", WHITE, "2000-05", "b"),
        ("2000-01-01", WHITE, "", ""),
        ("", WHITE, "1900-01-01", ""),
        ("2014-06-16", ORIENTATION, "", "y"),
        ("2014-06-15", ORIENTATION, "", ""),
        ("2014-06-15", ORIENTATION, "2026-06-14", "y"),
        ("2014-06-16", WHITE, "", ""),
        ("2014-06-16", value("birth_sex", text="Female"), "", ""),
        ("2014", ORIENTATION, "", ""),
        ("2020-01-01", ORIENTATION, "2019-01-01", "b"),
    ],
)
def test_what_a_birth_date_shows(born: str, received: Received, collected_on: str, word: str) -> None:
    assert MARKS.words(born, [(received, Origin(collected_on=collected_on))]) == (word,)


def test_an_answer_before_birth_is_the_persons() -> None:
    assert plausible().found({"", "b"}, [event(WHITE)]) == {"member.collected_before_birth"}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Prefer not to answer", True),
        ("Straight or heterosexual", True),
        ("Lesbian or gay", True),
        ("Don't know", True),
        ("", False),
    ],
)
def test_too_young_to_be_asked_whatever_the_answer(text: str, asked: bool) -> None:
    codings = () if text else (Coding("survey", "blank"),)
    said = event(Received("sexual_orientation", "x", codings, text))
    assert plausible().found({"y"}, [said]) == ({"member.asked_too_young"} if asked else set())
    assert plausible().found({""}, [said]) == set()


def test_it_does_not_matter_how_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_equity.quality.plausible.MOST", 1)
    finder = plausible()
    both, none = event(WHITE, DECLINED), event(WHITE)
    assert [len(finder.found({""}, [each])) for each in (both, none, both, none)] == [1, 0, 1, 0]
