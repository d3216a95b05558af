"""The tables in mappings/: complete, with sources, and without a row that contradicts another."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from fhir_equity.model import Collector, Method, Relationship, State
from fhir_equity.release import Release
from fhir_equity.survivorship import policy_from
from fhir_equity.tables import Row, Tables, root
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.codes import check_digit_is_right, fold
from fhir_equity.vocabulary.directory import Directory
from tests.refresh_sources import refreshed

TABLES = Tables()
VOCABULARY = Vocabulary(TABLES)
CODES = VOCABULARY.codes
DIRECTORY = Directory(CODES)
MAPPINGS = Path(str(root()))
CSV = sorted(p.relative_to(MAPPINGS).as_posix() for p in MAPPINGS.rglob("*.csv") if "partners" not in p.parts)
TOML = sorted(
    p.relative_to(MAPPINGS).as_posix()
    for p in MAPPINGS.rglob("*.toml")
    if "partners" not in p.parts and p.name != "sources.toml"
)
CROSSWALKS = [name for name in CSV if name.startswith("crosswalks/")]
HEADER = ["applies_to", "source_system", "source_code", "target_system", "target_code", "relationship", "note"]


def crosswalk_rows() -> Iterator[tuple[str, Row]]:
    for name in CROSSWALKS:
        for row in TABLES.rows(name):
            yield name, row


def exists(system: str, code: str) -> bool:
    """Whether a code is in its table, for every system that a crosswalk may name."""
    return (
        (system == "state" and code in tuple(State))
        or (system == "cdcrec-hierarchical" and CODES.find("cdcrec", code) is not None)
        or (system == "iso639" and CODES.language(code) is not None)
        or (system, code) in DIRECTORY.listed
        or CODES.find(system, code) is not None
    )


# Codes that crosswalks name at the source and that no code table of ours holds: the two sex codes
# of X12 1068, SNOMED's yes and no, withdrawn languages, LOINC's answers to the questions of PRAPARE, and what senders
# put in a foreign system.
KNOWN_SOURCES = {
    *(("loinc", f"LA{number}") for number in ("6156-9", "14045-1", "30187-1", "14042-8", "4457-3", "4-4", "46-8")),
    *(("loinc", f"LA{number}") for number in ("33-6", "32-8", "43-5", "30122-8")),
    *(("x12-1068", code) for code in "FMU"),
    *(("snomed", code) for code in ("373066001", "373067005", "UNK", "unknown", "asked-declined")),
    *(("us-core-birthsex", code) for code in ("UNK", "ASKU", "OTH", "asked-declined")),
    *((system, code) for system in ("bcp47", "iso639") for code in ("iw", "in", "ji")),
    ("administrative-gender", "unknown"),
    ("survey", "blank"),
}


@pytest.mark.parametrize("name", CSV + TOML)
def test_every_table_has_its_source(name: str) -> None:
    entry = TABLES.sources["table"][name]
    for field in ("title", "edition", "source", "licence", "sure"):
        assert entry[field], field
    assert date.fromisoformat(entry["date"])
    assert bool(entry.get("key")) == name.endswith(".csv")
    right = hashlib.sha256((MAPPINGS / name).read_bytes()).hexdigest()
    assert entry["sha256"] == right, "the table has changed: python -m tests.refresh_sources writes the checksums"


def test_no_source_without_its_table() -> None:
    assert sorted(TABLES.sources["table"]) == sorted(CSV + TOML)


@pytest.mark.parametrize("name", CSV)
def test_keys_name_one_row(name: str) -> None:
    key = TABLES.sources["table"][name]["key"]
    counted = Counter(tuple(row[column] for column in key) for row in TABLES.rows(name))
    assert [at for at, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("name", CROSSWALKS)
def test_crosswalks_have_one_header(name: str) -> None:
    with (MAPPINGS / name).open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == HEADER


def test_both_ends_of_every_row_exist() -> None:
    systems = {row["system"] for row in TABLES.rows("codes/systems.csv")}
    scopes = {"*"} | {t.name for t in CODES.topics.values()} | {t.family for t in CODES.topics.values()}
    for name, row in crosswalk_rows():
        where = (name, row["source_code"])
        assert row["applies_to"] in scopes, where
        assert row["source_system"] in systems, where
        if row["source_system"] == "wording":
            assert fold(row["source_code"]), where
        else:
            source = (row["source_system"], row["source_code"])
            assert source in KNOWN_SOURCES or exists(*source), where
        if row["target_system"] == "x12-1068":
            assert row["target_code"] in ("F", "M", "U"), where
        elif row["target_code"]:
            assert exists(row["target_system"], row["target_code"]), where


def test_an_unmatched_row_has_no_target_and_no_other_row_lacks_one() -> None:
    for name, row in crosswalk_rows():
        unmatched = Relationship(row["relationship"]) is Relationship.UNMATCHED
        assert unmatched == (row["target_code"] == ""), (name, row["source_code"])


def test_no_wording_leads_to_an_answer_and_to_a_state() -> None:
    understood = {topic.code_system for topic in CODES.topics.values()} | {"state"}
    found: dict[tuple[str, str, str], set[bool]] = {}
    for _, row in crosswalk_rows():
        code = fold(row["source_code"]) if row["source_system"] == "wording" else row["source_code"]
        key = (row["applies_to"], row["source_system"], code)
        if row["target_system"] in understood:
            found.setdefault(key, set()).add(row["target_system"] == "state")
    assert [key for key, kinds in found.items() if len(kinds) > 1] == []


def test_no_wording_of_one_topic_has_two_spellings_with_two_meanings() -> None:
    found: dict[tuple[str, str], dict[str, set[str]]] = {}
    for _, row in crosswalk_rows():
        if row["source_system"] == "wording":
            spellings = found.setdefault((row["applies_to"], fold(row["source_code"])), {})
            spellings.setdefault(row["source_code"], set()).add(row["target_code"])
    for key, spellings in found.items():
        assert len({frozenset(codes) for codes in spellings.values()}) == 1, key


# Code tables -----------------------------------------------------------------------------------


def test_topics_name_systems_and_matters() -> None:
    systems = {row["system"] for row in TABLES.rows("codes/systems.csv")} | {"", "limited-english"}
    for topic in CODES.topics.values():
        assert topic.code_system in systems, topic.name
        assert topic.matter in CODES.topics, topic.name
        assert CODES.topics[topic.matter].family == topic.family
        assert topic.label


def test_orientation_and_gender_are_sensitive_and_nothing_else() -> None:
    sensitive = {t.name for t in CODES.topics.values() if t.sensitive}
    assert sensitive == {t.name for t in CODES.topics.values() if t.family in ("orientation", "gender")}
    assert {"sexual_orientation", "gender_identity", "pronouns", "birth_sex", "recorded_sex"} <= sensitive


def test_systems_lead_to_keys() -> None:
    rows = {row["system"]: row for row in TABLES.rows("codes/systems.csv")}
    for row in rows.values():
        assert not row["alias_of"] or (row["alias_of"] in rows and not rows[row["alias_of"]]["alias_of"])
        assert row["repaired"] in ("", "yes")
        assert row["closed"] in ("", "yes")
        assert not (row["alias_of"] and row["closed"])
    uris = [row["uri"] for row in rows.values() if row["uri"]]
    assert len(uris) == len(set(uris))


def test_states_are_the_closed_list() -> None:
    assert [row["state"] for row in TABLES.rows("codes/states.csv")] == [state.value for state in State]
    assert all(row["label"] for row in TABLES.rows("codes/states.csv"))


def test_cdcrec_is_a_tree_of_right_codes() -> None:
    rows = CODES.cdcrec
    assert len(rows) == 1441
    for code, row in rows.items():
        assert check_digit_is_right(code)
        assert row["display"]
        assert row["table"] in ("Race", "Ethnicity")
        assert row["confidence"] in ("", "direct", "inferred", "review")
        above = CODES.parents(code)
        assert code not in above
        assert len(above) == len(set(above)) <= 6
        if row["confidence"] != "inferred":  # the newer public list gives no tree
            assert (above[-1] if above else code) == {"Race": "1000-9", "Ethnicity": "2133-7"}[row["table"]]
        assert row["parent"] == "" or row["parent"] in rows


def test_cdcrec_rolls_up_along_its_own_tree() -> None:
    """No path from any code to a 1997 category that is not above it, or to an unofficial 2024 one."""
    names = {row["category"] for row in TABLES.rows("codes/omb2024.csv") if row["kind"] == "minimum"}
    old = {row["code"] for row in TABLES.rows("codes/omb1997.csv")}
    for code, row in CODES.cdcrec.items():
        if not row["abstract"]:
            inferred = row["confidence"] == "inferred" and not row["parent"]
            assert row["omb1997"] in (old if inferred else old & {code, *CODES.parents(code)}), code
            assert not inferred or row["edition"] != "1.0"
            assert row["omb2024"] in names | {""}, code
            assert bool(row["omb2024"]) == bool(row["confidence"]), code


def test_cdcrec_knows_the_same_concept_by_two_codes() -> None:
    hierarchical = [row["hierarchical"] for row in CODES.cdcrec.values() if row["hierarchical"]]
    assert len(hierarchical) == len(set(hierarchical))
    assert not set(hierarchical) & set(CODES.cdcrec)
    assert len(hierarchical) >= 966


def test_the_rows_under_review_are_these() -> None:
    review = {code for code, row in CODES.cdcrec.items() if row["confidence"] == "review"}
    assert {"2126-1", "2119-6", "2129-5", "2109-7", "2069-3"} <= review
    assert len(review) == 10
    assert all(CODES.cdcrec[code]["note"] for code in review)


def test_omb_2024_is_complete() -> None:
    rows = TABLES.rows("codes/omb2024.csv")
    minimum = [row for row in rows if row["kind"] == "minimum"]
    assert len(minimum) == 7
    assert all(row["definition"] for row in minimum)
    assert {row["kind"] for row in rows} == {"minimum", "checkbox", "write-in", "write-in-example"}
    boxes = Counter(row["category"] for row in rows if row["kind"] == "checkbox")
    assert boxes == {row["category"]: 6 for row in minimum if row["cdcrec"] != "1002-5"}
    for row in rows:
        assert row["cdcrec"] == "" or row["cdcrec"] in CODES.cdcrec
        if row["kind"] in ("minimum", "checkbox"):
            assert CODES.category_2024(row["cdcrec"]) == row["category"], row["detail"]


def test_somali_is_only_in_the_newer_list() -> None:
    assert CODES.cdcrec["4186-3"]["display"] == "Somali"
    assert CODES.cdcrec["4186-3"]["edition"] != CODES.cdcrec["2062-8"]["edition"] == "1.0"


def test_no_language_code_names_two_languages() -> None:
    named: dict[str, str] = {}
    for row in TABLES.rows("codes/languages.csv"):
        for column in ("iso639_1", "iso639_2b", "iso639_2t", "iso639_3", "bcp47"):
            if row[column]:
                assert named.setdefault(row[column], row["bcp47"]) == row["bcp47"]
    rare = [row["code"] for row in TABLES.rows("codes/iso639_3.csv")]
    assert len(rare) == len(set(rare)) > 7000
    assert not set(rare) & set(named)
    assert {"ase", "cmn", "yue"} <= set(rare)
    assert {"und", "zxx", "mis", "mul", "zh", "tl", "fil"} <= set(named)


def test_every_1109_letter_leads_somewhere() -> None:
    rows = {row["source_code"] for row in TABLES.rows("crosswalks/x12_1109_to_cdcrec.csv")}
    assert rows == set(CODES.x12_1109)
    allowed = {code for code, row in CODES.x12_1109.items() if row["x220a1"] == "Y"}
    assert allowed == set("78ABCDEFGHIJNOPZ")


def test_every_absent_reason_leads_to_a_state() -> None:
    mapped = {
        (row["source_system"], row["source_code"])
        for row in TABLES.rows("crosswalks/absent_reasons_to_state.csv")
        if row["applies_to"] == "*"
    }
    assert {(r["system"], r["code"]) for r in TABLES.rows("codes/absent_reasons.csv")} <= mapped


def test_declined_is_never_invented() -> None:
    for row in TABLES.rows("crosswalks/absent_reasons_to_state.csv"):
        assert (row["target_code"] == "declined") == (row["source_code"] == "asked-declined")


def test_answers_belong_to_topics_of_their_system() -> None:
    for row in TABLES.rows("codes/answers.csv"):
        assert CODES.topic(row["topic"]).code_system == row["system"], row["code"]


# Policies and partners -------------------------------------------------------------------------


def test_policies_are_readable() -> None:
    assert policy_from(TABLES.document("policies/survivorship.toml"), CODES).version
    assert Release(TABLES.document("policies/release.toml"), CODES).version


def test_no_built_in_rule_releases_a_sensitive_topic() -> None:
    for rule in TABLES.document("policies/release.toml")["rule"]:
        assert not any(CODES.topic(topic).sensitive for topic in rule["topics"])


def test_partners_attest_with_known_words() -> None:
    for folder in sorted(p for p in (MAPPINGS / "partners").iterdir() if p.is_dir()):
        for section in Tables(folder.name).document("attestation.toml").values():
            assert set(section) <= {"collector", "method", "standard", "question"}
            assert section.get("collector", "other") in tuple(Collector)
            assert section.get("method", "unstated") in tuple(Method)
            assert section.get("standard", "") in ("", "omb1997", "omb2024")


def test_a_checksum_written_anew_has_a_new_date_and_nothing_else_changes() -> None:
    text = (MAPPINGS / "sources.toml").read_text(encoding="utf-8")
    assert refreshed(text, "2000-01-31") == text
    entry = TABLES.sources["table"]["codes/states.csv"]
    old = f'sha256 = "{entry["sha256"]}"\ndate = "{entry["date"]}"\n'
    assert refreshed(text.replace(old, 'sha256 = "0"\ndate = "1999-01-31"\n'), "2000-01-31") == text.replace(
        old, f'sha256 = "{entry["sha256"]}"\ndate = "2000-01-31"\n'
    )
    assert refreshed(text.replace(old, ""), "2000-01-31").count('date = "2000-01-31"') == 1
