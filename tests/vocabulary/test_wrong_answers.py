"""Wrong answers that other tools were seen to give, each as a case that ours gets right.

Sources: the code, the runs and the threads of CDC RecordLinker, Cumulus data-metrics, Tuva,
Microsoft FHIR-Converter, Medplum, ReportStream, langcodes, an AHIP draft, and the issues named.
"""

from __future__ import annotations

import pytest

from fhir_equity.model import Coding, Event, Expressed, Meaning, Origin, Received, Relationship, Resolution, State
from fhir_equity.vocabulary import Vocabulary, lookup, translate

VOCABULARY = Vocabulary()
MENA = "Middle Eastern or North African"


def said(topic: str, words: str) -> Meaning:
    return VOCABULARY.meaning(Received(topic, "test.element", text=words))


def sent(topic: str, *codings: tuple[str, str]) -> Meaning:
    return VOCABULARY.meaning(Received(topic, "test.element", tuple(Coding(*coding) for coding in codings)))


def codes(meaning: Meaning) -> list[str]:
    return [concept.coding.code for concept in meaning.concepts]


def categories(*meanings: Meaning) -> tuple[str, ...]:
    return VOCABULARY.schema.omb2024(meanings).categories


def us_core(*meanings: Meaning) -> dict[str, Expressed]:
    resolution = Resolution("race_ethnicity", State.ANSWERED, meanings, Event((), Origin()))
    found, _ = VOCABULARY.express.us_core({"race_ethnicity": resolution})
    return {expressed.topic: expressed for expressed in found}


# CDC RecordLinker: looks for a part of a word, in a fixed order ---------------------------------


@pytest.mark.parametrize(
    ("words", "wanted", "its_answer"),
    [
        ("Caucasian", ("White",), "Asian"),
        ("White and Asian", ("Asian", "White"), "Asian"),
        ("Middle Eastern or North African", (MENA,), "Other"),
        ("Asian Indian", ("Asian",), "Asian"),
        ("American Indian", ("American Indian or Alaska Native",), "Other"),
    ],
)
def test_words_are_matched_whole(words: str, wanted: tuple[str, ...], its_answer: str) -> None:
    meaning = said("race", words)
    assert meaning.state is State.ANSWERED
    assert categories(meaning) == wanted, f"not {its_answer}"


@pytest.mark.parametrize("words", ["Not Black", "Non-White", "not asian", "Other Race White", "African American Black"])
def test_a_denial_or_a_muddle_is_nobodys_category(words: str) -> None:
    """RecordLinker: "Not Black" is Black. ReportStream: "Other Race White" is Other Race."""
    meaning = said("race", words)
    assert (meaning.state, codes(meaning), meaning.text) == (State.ANSWERED, [], words)
    assert [name for name, _ in meaning.problems] == ["not_mapped"]


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("Declined", State.DECLINED),
        ("Prefer not to say", State.DECLINED),
        ("Patient Declines", State.DECLINED),  # ReportStream: UNK, and for ethnicity U
        ("Refused", State.DECLINED),
        ("Asked but no answer", State.BLANK),
        ("Asked, but unknown", State.DONT_KNOW),
        ("Unknown", State.UNKNOWN),
    ],
)
@pytest.mark.parametrize("topic", ["race", "ethnicity"])
def test_no_answer_is_never_other(topic: str, words: str, state: State) -> None:
    """RecordLinker: all of them but the last two are the race Other."""
    meaning = said(topic, words)
    assert (meaning.state, codes(meaning)) == (state, [])


def test_the_code_decides_and_not_its_display() -> None:
    """RecordLinker reads the display of ombCategory; an AHIP draft calls 2131-1 Hispanic or Latino/a/e."""
    misnamed = VOCABULARY.meaning(
        Received("race", "test.element", (Coding("cdcrec", "2131-1", "Hispanic or Latino/a/e"),))
    )
    assert codes(misnamed) == ["2131-1"]
    assert categories(misnamed) == ()
    assert categories(VOCABULARY.meaning(Received("race", "t", (Coding("cdcrec", "2054-5", "White"),)))) == (
        "Black or African American",
    )


# Cumulus: an unknown is valid, a detail is not -------------------------------------------------


@pytest.mark.parametrize(("code", "state"), [("UNK", State.UNKNOWN), ("ASKU", State.DONT_KNOW)])
@pytest.mark.parametrize("topic", ["race", "ethnicity"])
def test_a_null_flavour_is_no_answer_to_either_question(topic: str, code: str, state: State) -> None:
    """Cumulus: a valid race, and a missing ethnicity."""
    assert sent(topic, ("http://terminology.hl7.org/CodeSystem/v3-NullFlavor", code)).state is state


@pytest.mark.parametrize(("code", "category"), [("2118-8", MENA), ("2121-2", MENA), ("2034-7", "Asian")])
def test_a_detail_alone_is_an_answer(code: str, category: str) -> None:
    """Cumulus: outside the five categories, so missing."""
    meaning = sent("race", ("cdcrec", code))
    assert (meaning.state, categories(meaning)) == (State.ANSWERED, (category,))


# Tuva, OHDSI, eva: one race for everybody, Hispanic first --------------------------------------


def test_asian_and_hispanic_are_both_kept() -> None:
    """Tuva's proposal keeps Hispanic only (tuva-core pull request 1360)."""
    found = categories(sent("race", ("cdcrec", "2028-9")), sent("ethnicity", ("cdcrec", "2135-2")))
    assert found == ("Asian", "Hispanic or Latino")


def test_two_races_are_not_other_and_not_multiple() -> None:
    """OHDSI Themis 71: one race concept, so Other or Multiple."""
    meaning = sent("race", ("cdcrec", "2028-9"), ("cdcrec", "2054-5"))
    assert codes(meaning) == ["2028-9", "2054-5"]
    assert "2131-1" not in codes(meaning)


def test_mixed_says_no_category() -> None:
    for words in ("Mixed", "Biracial", "Multiracial"):
        meaning = said("race", words)
        assert (meaning.state, codes(meaning), meaning.text) == (State.ANSWERED, [], words)


def test_hispanic_alone_is_complete() -> None:
    """abtassociates/eva 421: reported as a missing race."""
    meaning = sent("race_ethnicity", ("cdcrec", "2135-2"))
    assert (meaning.state, categories(meaning)) == (State.ANSWERED, ("Hispanic or Latino",))
    assert list(us_core(meaning)) == ["ethnicity"]


# Microsoft FHIR-Converter, Metriport, Medplum --------------------------------------------------


def test_a_category_with_its_detail_is_not_mixed() -> None:
    """FHIR-Converter and Metriport: the text says Mixed as soon as there is a detail."""
    race = us_core(sent("race", ("cdcrec", "2106-3"), ("cdcrec", "2112-1")))["race"]
    assert ([c.code for c in race.categories], [c.code for c in race.details]) == (["2106-3"], ["2112-1"])
    assert race.text == "White; German"


def test_a_detail_brings_its_category() -> None:
    """FHIR-Converter: a detail without a parent."""
    race = us_core(sent("race", ("cdcrec", "2034-7")))["race"]
    assert ([c.code for c in race.categories], [c.code for c in race.details]) == (["2028-9"], ["2034-7"])


def test_mena_is_a_detail_for_us_core_and_never_white_unasked() -> None:
    race = us_core(sent("race_ethnicity", ("cdcrec", "2118-8")))["race"]
    assert (race.categories, [c.code for c in race.details]) == ((), ["2118-8"])


@pytest.mark.parametrize("code", ["B", "C", "H", "R"])
def test_old_v2_races_are_read(code: str) -> None:
    """FHIR-Converter: six codes, the others fall through."""
    assert sent("race", ("HL70005", code)).concepts


def test_words_in_capitals_are_read() -> None:
    """FHIR-Converter 261 and 266, SimpleReport 6346: WHITE does not map."""
    assert codes(said("race", "WHITE")) == ["2106-3"]


def test_a_race_in_the_ethnicity_field_is_no_unknown() -> None:
    """ReportStream: the ethnicity Black is U."""
    assert codes(said("ethnicity", "Black")) == ["2054-5"]


def test_a_null_flavour_is_kept_as_the_state_it_is() -> None:
    """Medplum's C-CDA import skips it, its export writes UNK for all."""
    found = {code: sent("race", ("null-flavor", code)).state for code in ("UNK", "ASKU", "NASK", "MSK")}
    assert found == {
        "UNK": State.UNKNOWN,
        "ASKU": State.DONT_KNOW,
        "NASK": State.NOT_ASKED,
        "MSK": State.UNKNOWN,
    }
    assert sent("race", ("data-absent-reason", "asked-declined")).state is State.DECLINED


# The 834: letters that are several things, two facts in one ------------------------------------


@pytest.mark.parametrize("letter", ["A", "F"])
def test_asian_or_pacific_islander_is_not_decided(letter: str) -> None:
    assert categories(sent("race_ethnicity", ("x12-1109", letter))) == ()
    found = translate(VOCABULARY, Coding("x12-1109", letter), "omb2024")
    assert {t.relationship for t in found} == {Relationship.NARROWER}


def test_one_repeat_may_hold_two_facts() -> None:
    """LinuxForHealth keeps C:RET:2186-5 as one opaque string."""
    assert codes(sent("race_ethnicity", ("1109", "C"), ("RET", "2186-5"))) == ["2106-3", "2186-5"]


# Languages: langcodes, HAPI 2920, SimpleReport 3453 --------------------------------------------


@pytest.mark.parametrize(
    ("code", "wanted"),
    [("tl", "tl"), ("tgl", "tl"), ("fil", "fil"), ("cnr", "cnr"), ("iw", "he"), ("chi", "zh"), ("ase", "ase")],
)
def test_a_language_is_not_made_another(code: str, wanted: str) -> None:
    """langcodes: tl and tgl become fil, cnr becomes sr-ME."""
    assert codes(sent("language_spoken", ("bcp47", code))) == [wanted]


def test_a_region_stays_until_a_target_has_no_place_for_it() -> None:
    assert codes(sent("language_spoken", ("bcp47", "pt-BR"))) == ["pt-BR"]
    (found,) = translate(VOCABULARY, Coding("bcp47", "pt-BR"), "iso639-2b")
    assert (found.coding.code, found.relationship) == ("por", Relationship.WIDER)


def test_a_name_of_a_language_is_not_a_code_of_another() -> None:
    """ "No" is not Norwegian and Mon is not Mongolian."""
    assert codes(said("language_spoken", "No")) != ["no"]
    assert codes(said("language_spoken", "Spanish")) == ["es"]


# Labels that look right ------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "meaning"), [("REL", "religion"), ("GDIS", "genetic"), ("ETH", "substance abuse")])
def test_a_label_is_read_by_its_definition(code: str, meaning: str) -> None:
    (entry,) = lookup(VOCABULARY, code, "v3-act-code")
    assert entry.status == "never"
    assert meaning in entry.display
