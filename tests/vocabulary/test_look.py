"""Looking up, translating, viewing: every row is found, nothing is invented, the loss is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.errors import UsageError
from fhir_equity.model import Answer, Coding, Member, Origin, Received, Relationship
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Translation, View1997, View2024, Vocabulary, lookup, translate, view

VOCABULARY = Vocabulary()
CODES = VOCABULARY.codes
DIRECTORY = VOCABULARY.look.directory
CONCRETE = sorted(code for code, row in CODES.cdcrec.items() if not row["abstract"])
EVERY_CODE = sorted(key for key in DIRECTORY.listed if key[0] != "bcp47" or len(key[1]) == 2)
LANGUAGES = ("iso639-1", "iso639-2b", "iso639-2t", "iso639-3", "niso-z3953", "bcp47")
SYSTEMS = sorted({key[0] for key in DIRECTORY.listed} | {"null-flavor", *LANGUAGES})
every_code = st.sampled_from(EVERY_CODE)


def one(system: str, code: str, to: str) -> Translation:
    found = translate(VOCABULARY, Coding(system, code), to)
    assert len(found) == 1, found
    return found[0]


# Look up ---------------------------------------------------------------------------------------


def test_a_race_with_its_parents_views_and_rows() -> None:
    (entry,) = lookup(VOCABULARY, "2123-8", "cdcrec")
    assert (entry.system, entry.code, entry.display) == ("cdcrec", "2123-8", "Lebanese")
    assert (entry.table, entry.edition, entry.status) == ("codes/cdcrec.csv", "1.0", "active")
    assert [parent.code for parent in entry.parents] == ["2118-8", "2106-3", "1000-9"]
    assert entry.parents[0].display == "Middle Eastern or North African"
    assert (entry.omb2024, entry.omb1997) == ("Middle Eastern or North African", "White")
    to = {(link.system, link.code, str(link.relationship)) for link in entry.to}
    assert ("tmsis-race", "001", "wider") in to
    assert ("omb2024", "Middle Eastern or North African", "wider") in to
    sources = {(link.system, link.code) for link in entry.from_}
    assert {("omb2024", "Middle Eastern or North African: Lebanese"), ("v3-race", "2123-8")} <= sources


def test_a_code_under_review_has_no_category() -> None:
    (entry,) = lookup(VOCABULARY, "2129-5", "cdcrec")
    assert (entry.omb2024, entry.omb1997) == ("", "White")
    assert "Arab" in entry.note


def test_one_spelling_finds_every_system() -> None:
    assert {(e.system, e.code) for e in lookup(VOCABULARY, "R3")} == {
        ("cdcrec", "2054-5"),
        ("cdcrec-hierarchical", "R3"),
    }
    assert lookup(VOCABULARY, "r3", "cdcrec")[0].code == "2054-5"
    assert lookup(VOCABULARY, "r3", "RET")[0].code == "2054-5"
    assert {e.system for e in lookup(VOCABULARY, "N")} == {"x12-1109", "v2-0189", "wording"}
    assert [e.code for e in lookup(VOCABULARY, "2106-3", "urn:oid:2.16.840.1.113883.6.238")] == ["2106-3"]


def test_what_a_letter_counts_in() -> None:
    black = lookup(VOCABULARY, "N", "x12-1109")[0]
    assert (black.omb2024, black.omb1997) == ("Black or African American", "")  # a race and an ethnicity
    either = lookup(VOCABULARY, "A", "x12-1109")[0]
    assert (either.omb2024, either.omb1997) == ("", "")
    assert [link.relationship for link in either.to[:2]] == [Relationship.NARROWER] * 2


@pytest.mark.parametrize("spelling", ["chi", "zho", "zh", "ZHO"])
@pytest.mark.parametrize("system", ["", "iso639-2b", "bcp47"])
def test_a_language_in_any_spelling(spelling: str, system: str) -> None:
    entry = lookup(VOCABULARY, spelling, system)[0]
    assert (entry.system, entry.code, entry.display, entry.table) == ("bcp47", "zh", "Chinese", "codes/languages.csv")
    spelled = {link.system: link.code for link in entry.to}
    assert spelled == {
        "iso639-1": "zh",
        "iso639-2b": "chi",
        "iso639-2t": "zho",
        "iso639-3": "zho",
        "niso-z3953": "chi",
    }


def test_rare_and_regional_and_withdrawn_languages() -> None:
    assert [(e.code, e.table) for e in lookup(VOCABULARY, "ase", "bcp47")] == [("ase", "codes/iso639_3.csv")]
    assert [(e.code, e.note) for e in lookup(VOCABULARY, "en_us", "bcp47")] == [("en-US", "With subtags: RFC 5646")]
    (withdrawn,) = lookup(VOCABULARY, "iw", "bcp47")
    assert ("bcp47", "he") in {(link.system, link.code) for link in withdrawn.to}


def test_words_and_what_no_table_has() -> None:
    (words,) = lookup(VOCABULARY, "CAUCASIAN", "wording")
    assert words.omb2024 == "White"
    (name,) = lookup(VOCABULARY, "Chiricahua")
    assert (name.system, name.table, name.omb2024) == (
        "wording",
        "codes/cdcrec.csv",
        "American Indian or Alaska Native",
    )
    assert lookup(VOCABULARY, "no such code") == ()
    assert lookup(VOCABULARY, "2106-3", "x12-1109") == ()


def test_a_label_that_is_never_ours_is_found_with_its_reason() -> None:
    (entry,) = lookup(VOCABULARY, "ETH", "v3-act-code")
    assert (entry.status, entry.note) == ("never", "Means substance abuse; not ethnicity")


def test_partners_that_treat_a_code_otherwise(tmp_path: Path) -> None:
    sheet = tmp_path / "partners" / "north" / "crosswalks"
    sheet.mkdir(parents=True)
    (sheet / "x12_1109_to_cdcrec.csv").write_text(
        "applies_to,source_system,source_code,target_system,target_code,relationship,note\n"
        "race_ethnicity,x12-1109,Z,cdcrec,2118-8,equivalent,\n"
        "race_ethnicity,x12-1109,B,cdcrec,2054-5,equivalent,\n",
        encoding="utf-8",
    )
    (sheet / "as_sent.csv").write_text(
        "applies_to,source_system,source_code,target_system,target_code,relationship,note\n"
        "race_ethnicity,cdcrec,2178-2,cdcrec,2135-2,wider,Other Hispanic was the choice\n",
        encoding="utf-8",
    )
    vocabulary = Vocabulary(Tables(overlay=tmp_path))
    assert "north" in lookup(vocabulary, "2178-2", "cdcrec")[0].partners
    assert "north" in lookup(vocabulary, "Z", "x12-1109")[0].partners
    assert "north" not in lookup(vocabulary, "B", "x12-1109")[0].partners  # the same as in the base


@given(every_code)
def test_every_code_is_found_under_its_system(key: tuple[str, str]) -> None:
    entries = lookup(VOCABULARY, key[1], key[0])
    assert key in {(entry.system, entry.code) for entry in entries}
    assert all(entry.table and entry.edition for entry in entries)


# Translate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "code", "to", "target", "relationship"),
    [
        ("cdcrec", "2118-8", "omb2024", "Middle Eastern or North African", "equivalent"),
        ("cdcrec", "2118-8", "omb1997", "2106-3", "wider"),
        ("cdcrec", "R2.01", "cdcrec", "2029-7", "equivalent"),
        ("cdcrec", "2129-5", "omb2024", "", "unmatched"),
        ("cdcrec", "2131-1", "omb2024", "", "unmatched"),
        ("cdcrec", "2186-5", "omb2024", "", "unmatched"),
        ("cdcrec", "4186-3", "tmsis-race", "002", "wider"),
        ("x12-1109", "B", "omb2024", "Black or African American", "equivalent"),
        ("x12-1109", "D", "omb2024", "Asian", "wider"),
        ("x12-1109", "7", "null-flavor", "NI", "inexact"),
        ("tmsis-race", "009", "omb1997", "2028-9", "wider"),
        ("tmsis-ethnicity", "6", "null-flavor", "", "unmatched"),
        ("v2-0189", "N", "tmsis-ethnicity", "0", "equivalent"),
        ("v3-race", "2054-5", "x12-1109", "B", "equivalent"),
        ("data-absent-reason", "asked-declined", "null-flavor", "ASKU", "wider"),
        ("wording", "Medio Oriente o Norte de África", "omb2024", "Middle Eastern or North African", "equivalent"),
        ("wording", "lebanese", "omb1997", "2106-3", "wider"),
        ("wording", "Other Race White", "omb2024", "", "unmatched"),
        ("iso639-2b", "ger", "iso639-1", "de", "equivalent"),
        ("iso639-2t", "deu", "niso-z3953", "ger", "equivalent"),
        ("iso639-1", "tl", "iso639-3", "tgl", "equivalent"),
        ("bcp47", "fil", "iso639-1", "", "unmatched"),
        ("bcp47", "en-US", "iso639-1", "en", "wider"),
        ("bcp47", "en-US", "bcp47", "en-US", "equivalent"),
        ("bcp47", "iw", "bcp47", "he", "equivalent"),
        ("bcp47", "ase", "iso639-3", "ase", "equivalent"),
        ("bcp47", "ase", "iso639-2b", "", "unmatched"),
        ("bcp47", "cmn", "iso639-2t", "", "unmatched"),
        ("iso639-1", "spa", "bcp47", "", "unmatched"),
        ("bcp47", "es", "cdcrec", "", "unmatched"),
        ("no system", "1", "cdcrec", "", "unmatched"),
    ],
)
def test_translations(system: str, code: str, to: str, target: str, relationship: str) -> None:
    found = one(system, code, to)
    assert (found.coding.code, str(found.relationship)) == (target, relationship)
    assert bool(found.loss) == (relationship != "equivalent")


def test_a_translation_names_its_rows_and_their_editions() -> None:
    found = one("x12-1109", "B", "omb2024")
    assert found.rule == "x12_1109_to_cdcrec:B > cdcrec_to_omb2024:2054-5"
    assert found.edition == "2026-11-21 > 2026-11-22"
    assert (found.applies_to, found.coding.display) == ("race_ethnicity", "Black or African American")


def test_two_candidates_are_two_and_neither_is_applied() -> None:
    found = translate(VOCABULARY, Coding("x12-1109", "A"), "omb2024")
    assert {t.coding.code for t in found} == {"Asian", "Native Hawaiian or Pacific Islander"}
    assert {t.relationship for t in found} == {Relationship.NARROWER}
    assert all("never decided for the person" in t.loss for t in found)


def test_two_facts_are_two() -> None:
    found = translate(VOCABULARY, Coding("x12-1109", "O"), "cdcrec")
    assert {(t.coding.code, str(t.relationship)) for t in found} == {("2106-3", "inexact"), ("2186-5", "equivalent")}


def test_a_stewards_overlay_decides_a_roll_up(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "cdcrec.csv").write_text(
        "code,omb2024,confidence\n2129-5,Middle Eastern or North African,direct\n", encoding="utf-8"
    )
    vocabulary = Vocabulary(Tables(overlay=tmp_path))
    (found,) = translate(vocabulary, Coding("cdcrec", "2129-5"), "omb2024")
    assert (found.coding.code, found.rule) == ("Middle Eastern or North African", "cdcrec:2129-5")
    assert found.relationship is Relationship.WIDER


def test_an_unknown_target_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="has no system nonsense"):
        translate(VOCABULARY, Coding("cdcrec", "2106-3"), "nonsense")


@given(every_code, st.sampled_from(SYSTEMS))
def test_every_code_translates_or_says_unmatched(key: tuple[str, str], to: str) -> None:
    found = translate(VOCABULARY, Coding(*key), to)
    assert found
    assert found is translate(VOCABULARY, Coding(*key), to)
    for each in found:
        assert (each.relationship is Relationship.UNMATCHED) == (each.coding.code == "")
        assert bool(each.loss) == (each.relationship is not Relationship.EQUIVALENT)


def above(code: str) -> set[str]:
    """A code, what is above it in its tree, and its categories where the newer list has no tree."""
    row = CODES.cdcrec[code]
    minimum = {r["category"]: r["cdcrec"] for r in CODES.tables.rows("codes/omb2024.csv") if r["kind"] == "minimum"}
    return {code, *CODES.parents(code), row["omb1997"], minimum.get(row["omb2024"], code)}


@given(st.sampled_from(CONCRETE), st.sampled_from(["omb2024", "omb1997", "x12-1109", "v2-0189"]))
def test_there_and_back_is_the_start_or_more_and_the_loss_says_so(code: str, through: str) -> None:
    for there in translate(VOCABULARY, Coding("cdcrec", code), through):
        if there.relationship is Relationship.UNMATCHED:
            continue
        for back in translate(VOCABULARY, there.coding, "cdcrec"):
            if back.relationship is Relationship.UNMATCHED:
                continue
            assert back.coding.code in above(code)
            assert back.coding.code == code or there.loss or back.loss


@given(st.sampled_from(CONCRETE), st.sampled_from(["tmsis-race", "tmsis-ethnicity", "cms-race"]))
def test_there_and_back_through_cms_keeps_the_category(code: str, through: str) -> None:
    for there in translate(VOCABULARY, Coding("cdcrec", code), through):
        for back in translate(VOCABULARY, there.coding, "cdcrec") if there.coding.code else ():
            assert CODES.cdcrec[back.coding.code]["omb1997"] == CODES.cdcrec[code]["omb1997"]
            assert back.coding.code == code or there.loss or back.loss


@pytest.mark.parametrize("to", ["omb2024", "omb1997"])
def test_no_code_reaches_a_category_that_is_not_above_it(to: str) -> None:
    for code in CONCRETE:
        for found in translate(VOCABULARY, Coding("cdcrec", code), to):
            for back in translate(VOCABULARY, found.coding, "cdcrec") if found.coding.code else ():
                assert back.coding.code in above(code), code


@given(st.sampled_from([row["bcp47"] for row in CODES.tables.rows("codes/languages.csv")]), st.sampled_from(LANGUAGES))
def test_a_language_comes_back_as_itself(tag: str, through: str) -> None:
    there = one("bcp47", tag, through)
    if there.relationship is not Relationship.UNMATCHED:
        assert one(through, there.coding.code, "bcp47").coding.code == tag


# View ------------------------------------------------------------------------------------------


def answered(topic: str, code: str, collected_on: str = "", standard: str = "") -> Answer:
    received = Received(topic, "test.element", (Coding("cdcrec", code),))
    return Answer(received, Origin("p", "a", standard=standard, collected_on=collected_on))


def test_a_member_seen_both_ways() -> None:
    member = Member("p", "k", answers=(answered("race_ethnicity", "2123-8", standard="omb2024"),))
    assert view(VOCABULARY, member, "omb2024") == View2024(("Middle Eastern or North African",), detailed=True)
    old = view(VOCABULARY, member, "omb1997")
    assert old == View1997(("White",), "Not Hispanic or Latino", bridged=True)


def test_answers_are_united_within_one_event_and_the_latest_counts() -> None:
    answers = (
        answered("race", "2106-3", "2024-01-01"),
        answered("race", "2028-9", "2025-01-01"),
        answered("ethnicity", "2135-2", "2025-01-01"),
        answered("language_spoken", "2054-5", "2026-01-01"),
    )
    found = view(VOCABULARY, Member("p", "k", answers=answers), "omb2024")
    assert found == View2024(("Asian", "Hispanic or Latino"))


def test_no_answer_is_an_empty_view_and_a_third_schema_an_error() -> None:
    assert view(VOCABULARY, Member("p", "k"), "omb2024") == View2024()
    assert view(VOCABULARY, Member("p", "k"), "omb1997") == View1997()
    with pytest.raises(UsageError, match="omb2024 or omb1997"):
        view(VOCABULARY, Member("p", "k"), "omb2030")
