"""Code systems: look-up, check digits, the CDCREC tree, languages and their many codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.errors import TableError
from fhir_equity.model import Coding
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.codes import check_digit_is_right, fold

# ISO 639-2: the twenty languages whose bibliographic and terminological codes differ.
PAIRS = (
    *("alb/sqi/sq", "arm/hye/hy", "baq/eus/eu", "bur/mya/my", "chi/zho/zh", "cze/ces/cs", "dut/nld/nl"),
    *("fre/fra/fr", "geo/kat/ka", "ger/deu/de", "gre/ell/el", "ice/isl/is", "mac/mkd/mk", "mao/mri/mi"),
    *("may/msa/ms", "per/fas/fa", "rum/ron/ro", "slo/slk/sk", "tib/bod/bo", "wel/cym/cy"),
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  White/Caucasian ", "white caucasian"),
        ("Hispano(a) o latino(a)", "hispano a o latino a"),
        ("Medio Oriente o Norte de África", "medio oriente o norte de africa"),
        ("Asiático", "asiatico"),
        ("I'd rather not say", "i d rather not say"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("?!", ""),
        ("", ""),
    ],
)
def test_fold_ignores_case_accents_and_punctuation(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    "code", ["2903-3", "1097-5", "9999-4", "2106-3", "2118-8", "2135-2", "1002-5", "4186-3", "2184-0", "2069-3"]
)
def test_right_check_digits(code: str) -> None:
    assert check_digit_is_right(code)


@pytest.mark.parametrize("code", ["2106-4", "2118-0", "2016-3", "21063", "2106-33", "", "abcd-e", "2106-3\n", "²106-3"])
def test_wrong_check_digits(code: str) -> None:
    assert not check_digit_is_right(code)


@pytest.mark.parametrize("digit", "0123456789")
def test_only_one_digit_is_right(digit: str) -> None:
    assert check_digit_is_right(f"2106-{digit}") == (digit == "3")


def test_unknown_topic_is_a_table_error(vocabulary: Vocabulary) -> None:
    with pytest.raises(TableError, match="no topic"):
        vocabulary.codes.topic("shoe_size")


@pytest.mark.parametrize(
    ("named", "key", "repaired"),
    [
        ("cdcrec", "cdcrec", False),
        ("urn:oid:2.16.840.1.113883.6.238", "cdcrec", False),
        ("RET", "cdcrec", False),
        ("2.16.840.1.113883.6.238", "cdcrec", True),
        ("http://terminology.hl7.org/CodeSystem/v3-Race", "cdcrec", True),
        ("http://terminology.hl7.org/CodeSystem/PHRaceAndEthnicityCDC", "cdcrec", False),
        ("LD", "iso639", False),
        ("http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "null-flavor", False),
        ("urn:somebody:else", "urn:somebody:else", False),
    ],
)
def test_systems_by_every_name(vocabulary: Vocabulary, named: str, key: str, *, repaired: bool) -> None:
    assert vocabulary.codes.system(named) == (key, repaired)


def test_hierarchical_codes_name_the_same_concept(vocabulary: Vocabulary) -> None:
    find = vocabulary.codes.find
    assert find("cdcrec", "R5.02") == Coding("cdcrec", "2118-8", "Middle Eastern or North African")
    assert find("cdcrec", "r3") == find("cdcrec", "2054-5")
    assert find("cdcrec", "E1") == find("cdcrec", "2135-2")


@pytest.mark.parametrize("abstract", ["1000-9", "2133-7", "R", "E"])
def test_grouping_concepts_are_no_answers(vocabulary: Vocabulary, abstract: str) -> None:
    assert vocabulary.codes.find("cdcrec", abstract) is None


def test_look_ups_outside_a_table_find_nothing(vocabulary: Vocabulary) -> None:
    find = vocabulary.codes.find
    assert find("x12-1109", "X") is None
    assert find("x12-1109", "A") == Coding("x12-1109", "A", "Asian or Pacific Islander")
    assert find("snomed", "1") is None
    assert find("snomed", "42035005") == Coding("snomed", "42035005", "Bisexual")
    assert find("nonsense", "2106-3") is None


def test_dominican_is_two_codes(vocabulary: Vocabulary) -> None:
    ethnicity, race = vocabulary.codes.cdcrec["2184-0"], vocabulary.codes.cdcrec["2069-3"]
    assert (ethnicity["display"], ethnicity["table"]) == ("Dominican", "Ethnicity")
    assert (race["display"], race["table"]) == ("Dominican", "Race")
    assert vocabulary.codes.category_2024("2184-0") == "Hispanic or Latino"
    assert vocabulary.codes.category_2024("2069-3") == ""  # under review, because it is mistaken for the other


def test_parents_are_of_the_true_tree(vocabulary: Vocabulary) -> None:
    parents = vocabulary.codes.parents
    assert parents("2123-8") == ["2118-8", "2106-3", "1000-9"]  # Lebanese, MENA, White
    assert parents("2129-5") == ["2106-3", "1000-9"]  # Arab is not below MENA
    assert parents("2109-7") == ["2108-9", "2106-3", "1000-9"]  # Armenian is European
    assert parents("1000-9") == []
    assert parents("no code") == []


@pytest.mark.parametrize("code", ["2126-1", "2119-6", "2129-5"])
def test_rows_under_review_do_not_roll_up(vocabulary: Vocabulary, code: str) -> None:
    assert vocabulary.codes.cdcrec[code]["confidence"] == "review"
    assert vocabulary.codes.category_2024(code) == ""


def test_other_race_has_no_2024_category(vocabulary: Vocabulary) -> None:
    assert vocabulary.codes.category_2024("2131-1") == ""
    assert vocabulary.codes.category_2024("2186-5") == ""
    assert vocabulary.codes.category_2024("no code") == ""


@pytest.mark.parametrize("pair", PAIRS)
def test_both_codes_of_a_pair_are_one_language(vocabulary: Vocabulary, pair: str) -> None:
    bibliographic, terminological, bcp47 = pair.split("/")
    language = vocabulary.codes.language
    for code in (bibliographic, terminological, bcp47, bibliographic.upper()):
        found = language(code)
        assert found is not None
        assert found.code == bcp47
    assert vocabulary.codes.iso639_2b(bcp47) == (bibliographic, True)


def test_there_are_twenty_pairs(vocabulary: Vocabulary) -> None:
    rows = vocabulary.tables.rows("codes/languages.csv")
    differing = {f"{r['iso639_2b']}/{r['iso639_2t']}/{r['bcp47']}" for r in rows if r["iso639_2b"] != r["iso639_2t"]}
    assert differing == set(PAIRS)


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("en-US", "en-US"),
        ("en_us", "en-US"),
        ("ENG", "en"),
        ("spa-mx", "es-MX"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("tl", "tl"),
        ("tgl", "tl"),
        ("fil", "fil"),
        ("ase", "ase"),
        ("cmn", "cmn"),
        ("yue", "yue"),
        ("zho", "zh"),
        ("sgn", "sgn"),
        (" es ", "es"),
    ],
)
def test_languages_keep_what_they_are(vocabulary: Vocabulary, code: str, tag: str) -> None:
    found = vocabulary.codes.language(code)
    assert found is not None
    assert (found.system, found.code) == ("bcp47", tag)


@pytest.mark.parametrize("code", ["", "e", "english", "xx", "zzzz", "en-", "en--US", "12", "en US", "ён"])
def test_no_languages(vocabulary: Vocabulary, code: str) -> None:
    assert vocabulary.codes.language(code) is None


def test_iso639_2b_says_when_a_region_is_lost(vocabulary: Vocabulary) -> None:
    assert vocabulary.codes.iso639_2b("en-US") == ("eng", False)
    assert vocabulary.codes.iso639_2b("ase") == ("ase", True)


def test_every_language_comes_back_from_its_x12_code(vocabulary: Vocabulary) -> None:
    for row in vocabulary.tables.rows("codes/languages.csv"):
        if row["bcp47"] == "qaa-qtz":  # a range of codes for local use, not a language
            continue
        code, exact = vocabulary.codes.iso639_2b(row["bcp47"])
        found = vocabulary.codes.language(code)
        assert exact
        assert found is not None
        assert found.code == row["bcp47"]


def test_closed_systems_are_the_complete_ones(vocabulary: Vocabulary) -> None:
    closed = vocabulary.codes.closed
    assert all(closed(s) for s in ("cdcrec", "bcp47", "iso639", "x12-1109", "null-flavor", "data-absent-reason"))
    assert not any(closed(s) for s in ("snomed", "loinc", "tribal-entity", "", "urn:somebody:else"))


def test_absent_reasons_have_displays(vocabulary: Vocabulary) -> None:
    assert vocabulary.codes.absent("null-flavor", "ASKU") == Coding("null-flavor", "ASKU", "asked but unknown")
