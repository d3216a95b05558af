"""The tables of issue "every code of the field": generated ones agree with their source, facts hold."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from pathlib import Path

import pytest

from fhir_equity.model import Coding, Received, State
from fhir_equity.tables import Row, Tables
from fhir_equity.vocabulary import Vocabulary

TABLES = Tables()
VOCABULARY = Vocabulary(TABLES)
CODES = VOCABULARY.codes
CONCRETE = {code: row for code, row in CODES.cdcrec.items() if not row["abstract"]}


def by_source(name: str, system: str = "") -> dict[str, Row]:
    rows = [row for row in TABLES.rows(f"crosswalks/{name}.csv") if system in ("", row["source_system"])]
    found = {row["source_code"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def listed(name: str, system: str) -> dict[str, Row]:
    return {row["code"]: row for row in TABLES.rows(f"codes/{name}.csv") if row["system"] == system}


# Roll-ups --------------------------------------------------------------------------------------


def test_the_2024_roll_up_is_the_one_of_the_code_table() -> None:
    rows = by_source("cdcrec_to_omb2024")
    assert rows.keys() == CONCRETE.keys()
    minimum = {r["cdcrec"]: r["category"] for r in TABLES.rows("codes/omb2024.csv") if r["kind"] == "minimum"}
    for code, row in rows.items():
        assert row["target_code"] == CODES.category_2024(code), code
        wanted = "equivalent" if code in minimum else "wider" if row["target_code"] else "unmatched"
        assert row["relationship"] == wanted, code
        assert row["note"].startswith("Under review: ") == (CONCRETE[code]["confidence"] == "review"), code


def test_the_1997_roll_up_is_the_one_of_the_code_table() -> None:
    rows = by_source("cdcrec_to_omb1997")
    assert rows.keys() == CONCRETE.keys()
    for code, row in rows.items():
        assert row["target_code"] == CONCRETE[code]["omb1997"], code
        assert row["relationship"] == ("equivalent" if row["target_code"] == code else "wider"), code


def test_mena_is_mena_in_2024_and_derived_as_white_in_1997() -> None:
    new, old = by_source("cdcrec_to_omb2024"), by_source("cdcrec_to_omb1997")
    for code in ("2118-8", "2123-8", "2121-2", "2120-4", "2125-3", "2122-0", "2127-9", "2124-6"):
        assert new[code]["target_code"] == "Middle Eastern or North African"
        assert old[code]["target_code"] == "2106-3"
        assert old[code]["note"] == "Derived: 1997 counts Middle Eastern or North African as White"
    for code in ("2126-1", "2119-6", "2129-5", "2109-7"):
        assert (new[code]["target_code"], new[code]["relationship"]) == ("", "unmatched")
        assert old[code]["target_code"] == "2106-3"


def test_the_2024_form_leads_to_the_codes_of_its_table() -> None:
    rows = by_source("omb2024_to_cdcrec")
    form = TABLES.rows("codes/omb2024.csv")
    assert len(rows) == len(form)
    for row in form:
        code = row["category"] if row["kind"] == "minimum" else f"{row['category']}: {row['detail']}"
        assert rows[code]["target_code"] == row["cdcrec"], code
    assert rows["Middle Eastern or North African: Yemeni"]["relationship"] == "unmatched"
    assert rows["Asian: Afghan"]["relationship"] == "inexact"
    assert rows["Hispanic or Latino: Dominican"]["target_code"] == "2184-0"


def test_hierarchical_codes_lead_to_the_unique_ids() -> None:
    rows = by_source("hierarchical_to_cdcrec")
    own = {row["hierarchical"]: code for code, row in CONCRETE.items() if row["hierarchical"]}
    assert {code: row["target_code"] for code, row in rows.items()} == own
    assert {code: own[code] for code in ("R3", "R9", "E1", "E2")} == {
        "R3": "2054-5",
        "R9": "2131-1",
        "E1": "2135-2",
        "E2": "2186-5",
    }


def test_a_code_that_the_1_3_list_dropped_is_retired() -> None:
    assert Counter(row["status"] for row in CODES.cdcrec.values()) == {"active": 1324, "retired": 117}
    assert all((row["status"] == "active") == (row["in_1_3"] == "yes") for row in CODES.cdcrec.values())


def test_the_1_3_list_is_the_published_one(shared: Path) -> None:
    with (shared / "edi834" / "cdcrec_v1.3.csv").open(encoding="latin-1", newline="") as file:
        published = {row["Concept Code"]: row["SDOConceptStatus"] for row in csv.DictReader(file)}
    assert set(published.values()) == {"Active"}
    assert published.keys() == {code for code, row in CODES.cdcrec.items() if row["status"] == "active"}


# HL7 -------------------------------------------------------------------------------------------


def test_v2_letters() -> None:
    rows = by_source("v2_to_cdcrec", "v2-0005")
    assert {code: row["target_code"] for code, row in rows.items()} == {
        "B": "2054-5",
        "C": "2106-3",
        "H": "2135-2",
        "R": "2028-9",
    }
    assert rows["R"]["relationship"] == "inexact"
    ethnic = by_source("v2_to_cdcrec", "v2-0189")
    assert {c: (r["target_system"], r["target_code"]) for c, r in ethnic.items()} == {
        "H": ("cdcrec", "2135-2"),
        "N": ("cdcrec", "2186-5"),
        "U": ("state", "unknown"),
    }


def test_v3_holds_the_same_codes(shared: Path) -> None:
    rows = TABLES.rows("crosswalks/v3_to_cdcrec.csv")
    assert all(row["source_code"] == row["target_code"] in CONCRETE for row in rows)
    published = gzip.decompress((shared / "data/real/crosswalk/HL7__UTG/v3-Race.xml.gz").read_bytes()).decode()
    assert set(listed("v3_race_ethnicity", "v3-race")) == set(re.findall(r'<code value="(\d{4}-\d)"', published))


def test_v2_tables_are_the_published_ones(shared: Path) -> None:
    for name, system in (("cs-v2-0005.xml", "v2-0005"), ("cs-v2-0189.xml", "v2-0189")):
        text = (shared / "data/real/crosswalk/HL7__UTG" / name).read_text(encoding="utf-8")
        found = re.findall(r'<concept id="\d+">\s*<code value="([^"]+)"/>\s*<display value="([^"]+)"', text)
        ours = {code: row["display"] for code, row in listed("v2_race_ethnicity", system).items()}
        assert ours == {code: display for code, display in found if code != "..."}


# CMS -------------------------------------------------------------------------------------------


def test_tmsis_is_complete() -> None:
    race = by_source("tmsis_to_cdcrec", "tmsis-race")
    assert race.keys() == listed("tmsis", "tmsis-race").keys() == {f"{n:03}" for n in range(1, 19)}
    assert by_source("tmsis_to_cdcrec", "tmsis-ethnicity").keys() == set("0123456")
    assert race["004"]["target_code"] == "2029-7"
    assert (race["010"]["target_code"], race["010"]["relationship"]) == ("2028-9", "wider")
    assert race["013"]["target_code"] == "2086-7"


@pytest.mark.parametrize(("system", "code"), [("tmsis-race", "017"), ("tmsis-ethnicity", "6")])
def test_unspecified_is_never_taken_for_declined(system: str, code: str) -> None:
    row = by_source("tmsis_to_cdcrec", system)[code]
    assert (row["target_system"], row["target_code"], row["relationship"]) == ("state", "unknown", "inexact")
    assert "never taken for declined" in row["note"]
    meaning = VOCABULARY.meaning(Received("race_ethnicity", "test", (Coding(system, code),)))
    assert meaning.state is State.UNKNOWN


def test_cdcrec_reaches_tmsis_by_the_nearest_code() -> None:
    rows = TABLES.rows("crosswalks/cdcrec_to_tmsis.csv")
    found = {(r["source_code"], r["target_system"]): (r["target_code"], r["relationship"]) for r in rows}
    assert found["2034-7", "tmsis-race"] == ("005", "equivalent")
    assert found["2037-0", "tmsis-race"] == ("010", "wider")  # Hmong
    assert found["2028-9", "tmsis-race"] == ("011", "equivalent")
    assert found["2080-0", "tmsis-race"] == ("014", "equivalent")
    assert found["2082-6", "tmsis-race"] == ("015", "wider")  # Tongan
    assert found["2123-8", "tmsis-race"] == ("001", "wider")  # Lebanese
    assert found["2148-5", "tmsis-ethnicity"] == ("1", "inexact")
    assert found["2184-0", "tmsis-ethnicity"] == ("4", "wider")  # Dominican
    assert found["declined", "tmsis-race"] == ("017", "wider")
    assert {c for c, s in found if s.startswith("tmsis-") and c in CODES.cdcrec} == CONCRETE.keys()


def test_cms_race_codes() -> None:
    rows = by_source("cms_race_to_cdcrec")
    assert rows.keys() == set("0123456")
    assert rows["0"]["target_code"] == "unknown"
    assert rows["4"]["relationship"] == rows["6"]["relationship"] == rows["3"]["relationship"] == "inexact"
    back = {row["source_code"]: row for row in TABLES.rows("crosswalks/cdcrec_to_cms_race.csv")}
    assert back["2079-2"]["relationship"] == "unmatched"
    assert (back["2123-8"]["target_code"], back["2123-8"]["relationship"]) == ("1", "wider")


# Languages, labels, answers --------------------------------------------------------------------


def test_uses_of_a_language_are_those_of_the_guide() -> None:
    uses = TABLES.document("guides/edi834.toml")["language"]["use"]
    assert {code: row["note"] for code, row in listed("lui_use", "x12-lui04").items()} == uses


def test_macro_languages_are_kept_apart() -> None:
    found = {code: CODES.language(code) for code in ("zho", "chi", "zh", "cmn", "yue", "ase", "sgn")}
    tags = {code: coding.code for code, coding in found.items() if coding}
    assert tags == {"zho": "zh", "chi": "zh", "zh": "zh", "cmn": "cmn", "yue": "yue", "ase": "ase", "sgn": "sgn"}


@pytest.mark.parametrize("code", ["mis", "mul"])
@pytest.mark.parametrize("system", ["bcp47", "iso639"])
def test_a_code_for_no_one_language_is_kept_and_called_so(system: str, code: str) -> None:
    meaning = VOCABULARY.meaning(Received("language_spoken", "test", (Coding(system, code),)))
    assert meaning.state is State.ANSWERED
    assert [c.coding.code for c in meaning.concepts] == [code]
    assert [str(c.relationship) for c in meaning.concepts] == [{"bcp47": "unmatched", "iso639": "inexact"}[system]]


def test_labels_that_mean_something_else_are_never_ours() -> None:
    rows = listed("sensitivity", "v3-act-code")
    assert {code for code, row in rows.items() if row["status"] == "active"} == {"GENDER", "RACE", "DEMO"}
    assert {code for code, row in rows.items() if row["status"] == "never"} == {"REL", "GDIS", "ETH", "SEX"}
    assert all(row["note"] for row in rows.values())


def test_sources_of_information_name_a_method() -> None:
    rows = listed("information_source", "v3-observation-value")
    assert {"PATRPT", "PATAST", "PACQRPT", "SDMRPT", "CLINRPT", "HCPRPT", "PRORPT", "PAYRPT", "PAYAST"} <= rows.keys()
    assert rows["PATRPT"]["note"] == "self"
    assert rows["AIAST"]["note"] == "imputed: never a person's answer"


def test_us_core_answers_by_version() -> None:
    rows = {(r["topic"], r["system"], r["code"]): r for r in TABLES.rows("codes/us_core_answers.csv")}
    versions = ("3.1.1", "4.0.0", "5.0.1", "6.1.0", "7.0.0", "8.0.0", "8.0.1", "9.0.0")

    def held(topic: str, system: str, code: str) -> list[str]:
        return [version for version in versions if rows[topic, system, code][version]]

    assert held("gender_identity", "null-flavor", "ASKU") == ["5.0.1", "6.1.0"]
    assert held("gender_identity", "data-absent-reason", "asked-declined") == list(versions[4:])
    assert held("birth_sex", "null-flavor", "UNK") == list(versions)
    assert held("birth_sex", "null-flavor", "OTH") == list(versions[2:])
    assert held("recorded_sex", "snomed", "248152002") == list(versions[3:])
    assert held("pronouns", "fhir-pronouns", "he-him") == []
    known = {(row["system"], row["code"]) for row in TABLES.rows("codes/answers.csv")}
    assert {(s, c) for _, s, c in rows if s == "loinc"} <= known


def test_legacy_pronouns_are_read() -> None:
    meaning = VOCABULARY.meaning(Received("pronouns", "test", (Coding("http://hl7.org/fhir/pronouns", "they-them"),)))
    assert [c.coding.code for c in meaning.concepts] == ["LA29520-6"]
    other = VOCABULARY.meaning(Received("pronouns", "test", (Coding("http://hl7.org/fhir/pronouns", "other"),)))
    assert (other.state, other.concepts) == (State.ANSWERED, ())


def test_nothing_of_the_lists_that_were_found_is_missing(shared: Path) -> None:
    def column(name: str, column: str) -> set[str]:
        with (shared / name).open(encoding="utf-8-sig", newline="") as file:
            return {row[column] for row in csv.DictReader(file)}

    def ours(column: str, *names: str) -> set[str]:
        return {row[column] for name in names for row in TABLES.rows(f"codes/{name}.csv")}

    assert column("edi834/codes_1109.csv", "code") == ours("code", "x12_1109")
    assert column("standards/cdcrec.csv", "code") == ours("code", "cdcrec")
    assert column("standards/languages.csv", "bcp47") == ours("bcp47", "languages")
    assert column("standards/null_flavors.csv", "code") == ours("code", "absent_reasons")
    tribes = shared / "standards/packages/hl7.terminology-source/codeSystems-v3-TribalEntityUS.xml"
    listed = set(re.findall(r'<code value="(\d+)"', tribes.read_text(encoding="utf-8")))
    assert listed == ours("code", "tribal_entities")
    with (shared / "standards/sogi_codes.csv").open(encoding="utf-8-sig", newline="") as file:
        answers = {row["code"] for row in csv.DictReader(file) if row["role"].startswith("answer")}
    clinical = {"female-typical", "male-typical", "specified"}  # a setting of a machine, nobody's answer
    assert answers - ours("code", "answers", "us_core_answers", "absent_reasons") == {"", *clinical}
