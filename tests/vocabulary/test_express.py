"""A resolution in a target's own codes, and every loss on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_equity.model import Coding, Expressed, Loss, Meaning, Origin, Relationship, Resolution, State
from fhir_equity.vocabulary import Strategy, Vocabulary

Understand = Callable[..., Meaning]
Resolve = Callable[..., Resolution]

RACE = "race_ethnicity"


class Words:
    """Expresses what was understood, so that a test reads as received -> written."""

    def __init__(self, vocabulary: Vocabulary, understand: Understand, resolve: Resolve) -> None:
        self.vocabulary, self.understand, self.resolve = vocabulary, understand, resolve

    def us_core(
        self, topic: str, *codings: str, text: str = "", standard: str = "", strategy: Strategy = "faithful"
    ) -> tuple[list[Expressed], list[Loss]]:
        resolution = self.resolution(topic, *codings, text=text, standard=standard)
        return self.vocabulary.express.us_core({resolution.matter: resolution}, strategy)

    def x12(self, topic: str, *codings: str, text: str = "", race: str = "RET") -> tuple[list[Expressed], list[Loss]]:
        resolution = self.resolution(topic, *codings, text=text)
        return self.vocabulary.express.x12({resolution.matter: resolution}, race)

    def plain(self, topic: str, *codings: str) -> tuple[list[Expressed], list[Loss]]:
        resolution = self.resolution(topic, *codings)
        return self.vocabulary.express.plain({resolution.matter: resolution})

    def resolution(self, topic: str, *codings: str, text: str = "", standard: str = "") -> Resolution:
        matter = self.vocabulary.codes.topic(topic).matter
        return self.resolve(matter, self.understand(topic, *codings, text=text), standard=standard)


@pytest.fixture
def words(vocabulary: Vocabulary, understand: Understand, resolve: Resolve) -> Words:
    return Words(vocabulary, understand, resolve)


def cdcrec(*codes: str, vocabulary: Vocabulary) -> tuple[Coding, ...]:
    return tuple(Coding("cdcrec", code, vocabulary.codes.cdcrec[code]["display"]) for code in codes)


def rules(losses: list[Loss]) -> list[str]:
    return [loss.rule for loss in losses]


# US Core ---------------------------------------------------------------------------------------


def test_a_detail_brings_its_category(words: Words) -> None:
    (race,), losses = words.us_core(RACE, "cdcrec|2034-7", "cdcrec|2040-4")
    assert race == Expressed(
        "race",
        State.ANSWERED,
        cdcrec("2028-9", vocabulary=words.vocabulary),
        cdcrec("2034-7", "2040-4", vocabulary=words.vocabulary),
        "Chinese; Korean",
    )
    assert losses == [Loss("us-core.category_added", Relationship.WIDER, "race")]


def test_mena_is_a_detail_without_a_category(words: Words) -> None:
    (race,), losses = words.us_core(RACE, "cdcrec|2118-8")
    mena = cdcrec("2118-8", vocabulary=words.vocabulary)
    assert race == Expressed("race", State.ANSWERED, (), mena, "Middle Eastern or North African")
    assert losses == []


def test_the_roll_up_adds_white_and_says_so(words: Words) -> None:
    (race,), losses = words.us_core(RACE, "cdcrec|2123-8", strategy="rollup-1997")
    assert race.categories == cdcrec("2106-3", vocabulary=words.vocabulary)
    assert race.details == cdcrec("2123-8", vocabulary=words.vocabulary)
    assert race.text == "Lebanese"
    assert losses == [Loss("rollup-1997.mena_as_white", Relationship.WIDER, "race")]


def test_the_roll_up_leaves_rows_under_review_alone(words: Words) -> None:
    (race,), losses = words.us_core(RACE, "cdcrec|2126-1", strategy="rollup-1997")
    assert (race.categories, race.text, losses) == ((), "Afghanistani", [])


@pytest.mark.parametrize(("standard", "derived"), [("omb2024", True), ("", False), ("omb1997", False)])
def test_the_roll_up_derives_not_hispanic_from_a_2024_question(words: Words, standard: str, *, derived: bool) -> None:
    found, losses = words.us_core(RACE, "cdcrec|2106-3", standard=standard, strategy="rollup-1997")
    assert [e.topic for e in found] == (["race", "ethnicity"] if derived else ["race"])
    if derived:
        assert found[1].categories == cdcrec("2186-5", vocabulary=words.vocabulary)
        assert found[1].text == "Not Hispanic or Latino (derived)"
        assert losses == [Loss("rollup-1997.not_hispanic_derived", Relationship.NARROWER, "ethnicity")]


def test_faithful_never_derives(words: Words) -> None:
    (race,), losses = words.us_core(RACE, "cdcrec|2106-3", standard="omb2024")
    assert (race.topic, race.details, losses) == ("race", (), [])


@pytest.mark.parametrize("strategy", ["faithful", "rollup-1997"])
def test_hispanic_alone_writes_no_race(words: Words, strategy: Strategy) -> None:
    (ethnicity,), losses = words.us_core(RACE, "cdcrec|2135-2", standard="omb2024", strategy=strategy)
    hispanic = cdcrec("2135-2", vocabulary=words.vocabulary)
    origin = Origin(standard="omb2024")
    assert ethnicity == Expressed("ethnicity", State.ANSWERED, hispanic, (), "Hispanic or Latino", origin)
    assert losses == []


def test_a_hispanic_origin_brings_its_category(words: Words) -> None:
    (ethnicity,), losses = words.us_core(RACE, "cdcrec|2148-5", "cdcrec|2182-4")
    assert ethnicity.categories == cdcrec("2135-2", vocabulary=words.vocabulary)
    assert ethnicity.details == cdcrec("2148-5", "2182-4", vocabulary=words.vocabulary)
    assert ethnicity.text == "Mexican; Cuban"
    assert losses == [Loss("us-core.category_added", Relationship.WIDER, "ethnicity")]


@pytest.mark.parametrize("codes", [("2135-2", "2186-5"), ("2186-5", "2135-2"), ("2186-5", "2148-5")])
def test_one_ethnicity_only_and_the_loss_says_so(words: Words, codes: tuple[str, ...]) -> None:
    (ethnicity,), losses = words.us_core("ethnicity", *(f"cdcrec|{code}" for code in codes))
    assert ethnicity.categories == cdcrec("2135-2", vocabulary=words.vocabulary)
    assert "Not Hispanic or Latino" in ethnicity.text
    assert rules(losses)[-1] == "us-core.one_ethnicity_only"


def test_five_race_categories_at_most(words: Words) -> None:
    codes = ("2131-1", "1002-5", "2028-9", "2054-5", "2076-8", "2106-3")
    (race,), losses = words.us_core(RACE, *(f"cdcrec|{code}" for code in codes))
    assert race.categories == cdcrec(*codes[1:], vocabulary=words.vocabulary)
    assert race.text.startswith("Other Race; ")
    assert losses == [Loss("us-core.too_many_categories", Relationship.UNMATCHED, "race")]
    (five,), losses = words.us_core(RACE, *(f"cdcrec|{code}" for code in codes[:5]))
    assert (len(five.categories), losses) == (5, [])


def test_words_without_a_code_go_to_the_text(words: Words) -> None:
    (race,), losses = words.us_core(RACE, text="Kurdish")
    assert race == Expressed("race", State.ANSWERED, (), (), "Kurdish")
    assert losses == [Loss("us-core.no_code", Relationship.UNMATCHED, RACE)]


def test_words_stand_beside_the_ethnicity_where_that_is_all(words: Words) -> None:
    (ethnicity,), _ = words.us_core(RACE, "cdcrec|2135-2", text="Hispanic or Latino; Garifuna")
    assert (ethnicity.topic, ethnicity.text) == ("ethnicity", "Hispanic or Latino; Garifuna")


def test_words_stay_with_their_question(vocabulary: Vocabulary, understand: Understand, resolve: Resolve) -> None:
    event = (
        understand("race", "cdcrec|2106-3", text="White; Kurdish"),
        understand("ethnicity", "cdcrec|2135-2", text="Hispanic or Latino; Garifuna"),
    )
    found, losses = vocabulary.express.us_core({RACE: resolve(RACE, *event)})
    assert [(e.topic, e.text) for e in found] == [
        ("race", "White; Kurdish"),
        ("ethnicity", "Hispanic or Latino; Garifuna"),
    ]
    assert rules(losses) == ["us-core.no_code", "us-core.no_code"]


def test_asian_or_pacific_islander_is_words(words: Words) -> None:
    (race,), losses = words.us_core(RACE, "1109|A")
    assert race == Expressed("race", State.ANSWERED, (), (), "Asian or Pacific Islander")
    assert rules(losses) == ["us-core.no_code"]


def test_an_answer_of_which_nothing_is_left_is_a_loss(words: Words) -> None:
    assert words.us_core(RACE, "null-flavor|OTH") == (
        [],
        [Loss("us-core.nothing_to_say", Relationship.UNMATCHED, RACE)],
    )
    assert rules(words.us_core("language_spoken", "null-flavor|OTH")[1]) == ["plain.nothing_to_say"]
    assert rules(words.x12(RACE, "null-flavor|OTH")[1]) == ["x12.nothing_to_say"]
    assert rules(words.x12("language_spoken", "null-flavor|OTH")[1]) == ["x12.nothing_to_say"]


@pytest.mark.parametrize(
    ("coding", "text", "lost"),
    [
        ("null-flavor|ASKU", "Does not know", []),
        ("data-absent-reason|asked-declined", "Declined to answer", ["state_to_absent_reasons:declined"]),
    ],
)
def test_who_was_asked_is_written_for_both_questions(words: Words, coding: str, text: str, lost: list[str]) -> None:
    found, losses = words.us_core(RACE, coding)
    asku = (Coding("null-flavor", "ASKU", "asked but unknown"),)
    assert found == [Expressed(topic, found[0].state, asku, (), text) for topic in ("race", "ethnicity")]
    assert rules(losses) == lost


@pytest.mark.parametrize(
    ("coding", "lost"),
    [
        ("null-flavor|UNK", []),
        ("null-flavor|NASK", []),
        ("survey|blank", ["us-core.no_code_for.blank"]),
        ("wording|Unable to answer", ["us-core.no_code_for.unable"]),
        ("cdcrec|2106-4", ["us-core.no_code_for.invalid"]),
    ],
)
def test_a_null_flavour_is_never_written_as_if_somebody_had_been_asked(
    words: Words, coding: str, lost: list[str]
) -> None:
    found, losses = words.us_core(RACE, coding)
    assert (found, rules(losses)) == ([], lost)


def test_language_keeps_its_region(words: Words) -> None:
    (spoken,), losses = words.us_core("language_spoken", "bcp47|en-us")
    assert spoken == Expressed(
        "language_spoken", State.ANSWERED, details=(Coding("bcp47", "en-US", "English"),), text="English"
    )
    assert losses == []


def test_language_unknown_writes_nothing(words: Words) -> None:
    found, losses = words.us_core("language_spoken", "bcp47|und")
    assert (found, rules(losses)) == ([], ["no_code_for.unknown"])  # it was sent, so leaving it out is told
    assert rules(words.us_core("language_spoken", "wording|Declined")[1]) == ["no_code_for.declined"]


# X12 -------------------------------------------------------------------------------------------


def test_x12_takes_cdc_codes(words: Words) -> None:
    (race,), losses = words.x12(RACE, "cdcrec|2123-8", "cdcrec|2106-3")
    assert race == Expressed(RACE, State.ANSWERED, details=cdcrec("2123-8", "2106-3", vocabulary=words.vocabulary))
    assert losses == []


@pytest.mark.parametrize(
    ("code", "system", "sent"),
    [
        ("2106-3", "x12-1109", "C"),
        ("2054-5", "x12-1109", "B"),
        ("2135-2", "x12-1109", "H"),
        ("2028-9", "cdcrec", "2028-9"),  # A and F also mean Pacific Islander
        ("2076-8", "cdcrec", "2076-8"),  # P says Pacific Islander only
        ("2186-5", "cdcrec", "2186-5"),  # W is not allowed in the guide
        ("2123-8", "cdcrec", "2123-8"),
    ],
)
def test_letters_only_where_one_says_exactly_this(words: Words, code: str, system: str, sent: str) -> None:
    (race,), _ = words.x12(RACE, f"cdcrec|{code}", race="1109")
    assert [(c.system, c.code) for c in race.details] == [(system, sent)]


@pytest.mark.parametrize("form", ["RET", "1109"])
def test_a_letter_that_means_two_things_goes_out_as_it_came(words: Words, form: str) -> None:
    (race,), _ = words.x12(RACE, "1109|A", race=form)
    assert [(c.system, c.code) for c in race.details] == [("x12-1109", "A")]


def test_x12_has_no_place_for_words(words: Words) -> None:
    found, losses = words.x12(RACE, "cdcrec|2106-3", text="White; Kurdish")
    assert len(found) == 1
    assert losses == [Loss("x12.no_place_for_text", Relationship.UNMATCHED, RACE)]


@pytest.mark.parametrize(
    ("coding", "sent", "lost"),
    [
        ("survey|blank", ["7"], []),
        ("wording|Declined", ["7"], ["state_to_absent_reasons:declined"]),
        ("wording|Not sure", ["7"], ["state_to_absent_reasons:dont_know"]),
        ("null-flavor|UNK", [], ["x12.no_code_for.unknown"]),
        ("wording|Unable to answer", [], ["x12.no_code_for.unable"]),
    ],
)
def test_x12_absences(words: Words, coding: str, sent: list[str], lost: list[str]) -> None:
    found, losses = words.x12(RACE, coding)
    assert [c.code for e in found for c in e.details] == sent
    assert rules(losses) == lost


@pytest.mark.parametrize(
    ("coding", "sent", "lost"),
    [
        ("administrative-gender|female", "F", []),
        ("administrative-gender|other", "U", ["administrative_gender_to_x12_1068:other"]),
        ("administrative-gender|unknown", "U", ["administrative_gender_to_x12_1068:unknown"]),
    ],
)
def test_x12_sex(words: Words, coding: str, sent: str, lost: list[str]) -> None:
    (sex,), losses = words.x12("sex", coding)
    assert ([c.code for c in sex.details], rules(losses)) == ([sent], lost)


def test_x12_languages_are_bibliographic(words: Words) -> None:
    (spoken,), losses = words.x12("language_spoken", "bcp47|zh-Hant")
    assert [(c.system, c.code) for c in spoken.details] == [("iso639", "chi")]
    assert losses == [Loss("x12.language_without_region", Relationship.WIDER, "language_spoken")]
    assert rules(words.x12("language_spoken", "wording|Declined")[1]) == ["x12.no_code_for.declined"]


def test_x12_leaves_what_it_does_not_know_to_the_writer(words: Words) -> None:
    (orientation,), _ = words.x12("sexual_orientation", "wording|Gay")
    assert orientation.text == "Homosexual; Gay"


# A table for people ----------------------------------------------------------------------------


def test_plain_shows_words_and_absences(words: Words) -> None:
    (answered,), _ = words.plain("race", "cdcrec|2106-3")
    (declined,), losses = words.plain("race", "wording|Declined")
    assert (answered.topic, answered.text) == (RACE, "White")
    assert (declined.state, declined.text, losses) == (State.DECLINED, "Declined to answer", [])
    assert words.plain("race", "survey|blank") == ([], [Loss("no_code_for.blank", Relationship.UNMATCHED, RACE)])


def test_no_answer_at_all_is_no_loss(vocabulary: Vocabulary) -> None:
    nothing = {m: Resolution(m, State.UNKNOWN, (), None) for m in (RACE, "language_spoken")}
    assert vocabulary.express.us_core(nothing) == ([], [])
    assert vocabulary.express.x12(nothing) == ([], [])
    assert vocabulary.express.plain(nothing) == ([], [])
