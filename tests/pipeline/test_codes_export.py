"""codes export: every row of every table is told, nothing of others is claimed, the same bytes every time."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import TableError, UsageError
from fhir_equity.pipeline.codes_export import definitions, export
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings
from fhir_equity.tables import Tables, own_tables, partners
from fhir_equity.vocabulary import Vocabulary

BASE = "https://fhir-equity.example"
CDCREC = "urn:oid:2.16.840.1.113883.6.238"
HEADER = "applies_to,source_system,source_code,target_system,target_code,relationship,note\n"
Made = dict[str, dict[str, Any]]


def made_of(tables: Tables) -> Made:
    """The definitions by ``Kind/id``."""
    found = list(definitions(Vocabulary(tables)))
    made = {f"{each['resourceType']}/{each['id']}": each for each in found}
    assert len(made) == len(found)
    return made


@pytest.fixture(scope="module")
def made() -> Made:
    return made_of(Tables())


def put(folder: Path, name: str, text: str) -> Tables:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return Tables(overlay=folder)


def concepts(code_system: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """code -> property -> value"""
    return {
        each["code"]: {
            said["code"]: next(v for k, v in said.items() if k != "code") for said in each.get("property", [])
        }
        for each in code_system["concept"]
    }


def listed(made: Made, id_: str) -> list[str]:
    include = made[f"ValueSet/{id_}"]["compose"]["include"]
    return [each["code"] for part in include for each in part["concept"]]


# Maps ------------------------------------------------------------------------------------------


def test_the_groups_of_the_maps_give_back_the_rows_of_the_crosswalks(made: Made) -> None:
    for partner in ("", *(name for name in partners() if own_tables(name))):
        tables = Tables(partner)
        found = made if not partner else made_of(tables)
        keys = keys_of(tables)
        for name in tables.names("crosswalks", ".csv"):
            rows = Counter(tuple(row[column] for column in HEADER.strip().split(",")[:6]) for row in tables.rows(name))
            stem = name.removeprefix("crosswalks/").removesuffix(".csv").replace("_", "-")
            assert given_back(found, stem, {row[0] for row in rows}, keys) == rows, name


def given_back(made: Made, stem: str, scopes: set[str], keys: dict[str, str]) -> Counter[tuple[str, ...]]:
    """The rows that the maps of one crosswalk are made of."""
    back: Counter[tuple[str, ...]] = Counter()
    for scope in scopes:
        told = "any" if scope == "*" else scope.replace("_", "-")
        for group in made[f"ConceptMap/{stem}-{told}"]["group"]:
            source, target = keys[group["source"]], keys[group.get("target", "")]
            for element in group["element"]:
                for each in element["target"]:
                    code = each.get("code", "")
                    back[scope, source, element["code"], target, code, each["equivalence"]] += 1
    return back


def keys_of(tables: Tables) -> dict[str, str]:
    """Address -> system, for every address that a group of a map names."""
    keys = {"": ""}
    for row in tables.rows("codes/systems.csv"):
        if not row["alias_of"]:
            keys |= {f"{BASE}/CodeSystem/{row['system']}": row["system"]}
            keys |= {address: row["system"] for address in (row["uri"], row["published_as"]) if address}
    return keys


def test_languages_in_all_their_systems(made: Made) -> None:
    groups = made["ConceptMap/languages"]["group"]
    found = {
        group["target"].removeprefix(f"{BASE}/CodeSystem/"): {
            each["code"]: each["target"][0].get("code", "") for each in group["element"]
        }
        for group in groups
    }
    assert {group["source"] for group in groups} == {"urn:ietf:bcp:47"}
    assert {system: len(codes) for system, codes in found.items()} == {
        "iso639-1": 487,
        "iso639-2b": 487,
        "iso639-2t": 487,
        "iso639-3": 7990,
        "niso-z3953": 487,
    }
    chinese = {system: codes["zh"] for system, codes in found.items()}
    assert chinese == dict(zip(found, ["zh", "chi", "zho", "zho", "chi"], strict=True))
    assert (found["iso639-1"]["fil"], found["iso639-3"]["ase"]) == ("", "ase")
    assert Counter(found["iso639-1"].values())[""] == sum(
        not row["iso639_1"] for row in Tables().rows("codes/languages.csv")
    )


def test_every_note_stays_and_no_map_holds_for_two_topics(made: Made) -> None:
    comments = {
        (each["id"], element["code"], target.get("code", "")): target.get("comment", "")
        for each in made.values()
        if each["resourceType"] == "ConceptMap"
        for group in each["group"]
        for element in group["element"]
        for target in element["target"]
    }
    for row in Tables().rows("crosswalks/x12_1109_to_cdcrec.csv"):
        said = comments["x12-1109-to-cdcrec-race-ethnicity", row["source_code"], row["target_code"]]
        assert row["note"] in ("", said)
    dominicano = ("ConceptMap/wordings-to-cdcrec-race", "ConceptMap/wordings-to-cdcrec-race-ethnicity")
    assert [target_of(made[name], "Dominicano") for name in dominicano] == ["2069-3", "2184-0"]


def target_of(concept_map: dict[str, Any], code: str) -> str:
    found = [e["target"] for group in concept_map["group"] for e in group["element"] if e["code"] == code]
    ((target,),) = found
    return str(target["code"])


def test_an_absent_reason_in_a_foreign_system_is_not_laid_at_its_publisher_s_door(made: Made) -> None:
    groups = made["ConceptMap/sex-and-interpreter-birth-sex"]["group"]
    codes = {group["source"]: {each["code"] for each in group["element"]} for group in groups}
    assert codes[f"{BASE}/CodeSystem/us-core-birthsex"] == {"UNK", "ASKU", "OTH", "asked-declined"}
    assert "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender" not in codes
    known = made["ConceptMap/absent-reasons-to-state-any"]["group"]
    assert "http://terminology.hl7.org/CodeSystem/v3-NullFlavor" in {group["source"] for group in known}


# Code systems ----------------------------------------------------------------------------------


def test_cdcrec_has_its_tree_and_its_flags(made: Made) -> None:
    cdcrec = made["CodeSystem/cdcrec"]
    told = concepts(cdcrec)
    rows = {row["code"]: row for row in Tables().rows("codes/cdcrec.csv")}
    assert list(told) == list(rows)
    assert cdcrec["url"] == CDCREC
    assert cdcrec["copyright"].startswith("public domain (CDC)")
    assert "1.0 (2000)" in cdcrec["version"]
    assert cdcrec["date"] == Tables().sources["table"]["codes/cdcrec.csv"]["date"]
    for code, row in rows.items():
        assert told[code].get("parent", "") == row["parent"]
        assert told[code].get("inactive", False) is (row["status"] == "retired")
        assert told[code].get("notSelectable", False) is (row["abstract"] == "yes")
        assert told[code].get("hierarchical", "") == row["hierarchical"]
    assert sum("inactive" in each for each in told.values()) == 117


def test_nobody_else_s_system_is_called_complete(made: Made) -> None:
    for name, each in made.items():
        if name.startswith("CodeSystem/"):
            ours = each["url"].startswith(f"{BASE}/")
            assert ours or each["content"] == "fragment", name
            assert (each["content"] == "supplement") == ("supplements" in each) == name.endswith("-supplement")
            assert not each.get("supplements", "").startswith(BASE), name
            assert ("count" in each) == (each["content"] == "complete")
    content = Counter(each["content"] for name, each in made.items() if name.startswith("CodeSystem/"))
    assert content == {"complete": 8, "fragment": 3, "supplement": 13}


def test_what_has_a_licence_of_its_own_is_in_lists_and_maps_only(made: Made) -> None:
    told = [each.get("supplements", each["url"]) for name, each in made.items() if name.startswith("CodeSystem/")]
    assert not {"http://snomed.info/sct", "http://loinc.org"} & set(told)
    assert "38628009" in listed(made, "answers-sexual-orientation")


def test_every_system_with_a_table_is_told_or_left_out_on_purpose(made: Made) -> None:
    rows = [row for row in Tables().rows("codes/systems.csv") if not row["alias_of"]]
    told = {name.removeprefix("CodeSystem/").removesuffix("-supplement") for name in made if name.startswith("Code")}
    left = {row["system"] for row in rows if not row["content"]}
    assert told == {row["system"] for row in rows} - left - {"survey", "cdcrec-hierarchical"}  # no table of codes
    assert left == {"snomed", "loinc", "wording", "x12-1068", "x12-ret", "iso639"}


def test_a_code_of_two_tables_is_told_once(made: Made) -> None:
    for name, each in made.items():
        codes = [one["code"] for one in each.get("concept", [])]
        assert len(codes) == len(set(codes)), name
    spellings = concepts(made["CodeSystem/bcp47-supplement"])
    assert spellings["zh"]["iso639_2b"] == "chi"
    assert spellings["zh"]["iso639_2t"] == "zho"
    assert spellings["cmn"]["scope"] == "I"


# Value sets ------------------------------------------------------------------------------------


def test_the_categories_of_both_standards(made: Made) -> None:
    include = made["ValueSet/omb2024-categories"]["compose"]["include"]
    assert [part["system"] for part in include] == [CDCREC]
    categories = {"1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2118-8", "2135-2"}
    assert set(listed(made, "omb2024-categories")) == categories
    assert set(listed(made, "omb1997-race")) == categories - {"2118-8", "2135-2"}
    assert set(listed(made, "omb1997-ethnicity")) == {"2135-2", "2186-5"}
    assert len(listed(made, "omb2024-check-boxes")) == 36


def test_what_counts_under_omb_2024_is_in_exactly_one_list(made: Made) -> None:
    codes = Vocabulary().codes
    counted: Counter[str] = Counter()
    for code in codes.cdcrec:
        if category := codes.category_2024(code):
            counted[category] += 1
            assert code in listed(made, f"omb2024-{category.lower().replace(' ', '-')}")
    assert sum(counted.values()) == 1427
    for category, count in counted.items():
        assert len(listed(made, f"omb2024-{category.lower().replace(' ', '-')}")) == count
    assert len(listed(made, "omb2024-under-review")) == 10


def test_a_label_that_is_never_ours_and_a_grouping_code_are_in_no_list(made: Made) -> None:
    assert set(listed(made, "sensitivity")) == {"GENDER", "RACE", "DEMO"}
    assert not {"1000-9", "2133-7"} & set(listed(made, "cdcrec"))
    assert len(listed(made, "cdcrec")) == 1439


def test_every_table_of_codes_has_a_list(made: Made) -> None:
    wanted = Tables().document("guides/terminology.toml")["value_set"]
    assert {f"ValueSet/{id_}" for id_ in wanted} == {name for name in made if name.startswith("ValueSet/")}
    tables = set(Tables().names("codes", ".csv")) - {"codes/systems.csv", "codes/topics.csv"}
    assert {each["table"] for each in wanted.values()} == tables


def test_a_value_set_of_your_own(tmp_path: Path) -> None:
    text = 'base = "https://acme.example/fhir/"\n[value_set.islands]\ntitle = "Islands"\ntable = "codes/cdcrec.csv"\n'
    text += 'where = { parent = ["2085-9", "2092-5"] }\nwithout = { code = "2087-5" }\n'
    made = made_of(put(tmp_path, "guides/terminology.toml", text))
    assert made["ValueSet/islands"]["url"] == "https://acme.example/fhir/ValueSet/islands"
    rows = Tables().rows("codes/cdcrec.csv")
    codes = [row["code"] for row in rows if row["parent"] in ("2085-9", "2092-5") and row["code"] != "2087-5"]
    assert listed(made, "islands") == codes
    assert made["CodeSystem/state"]["url"] == "https://acme.example/fhir/CodeSystem/state"
    assert made["CodeSystem/cdcrec"]["url"] == CDCREC


def test_a_list_that_nothing_is_left_in_is_not_written(tmp_path: Path) -> None:
    review = [row["code"] for row in Tables().rows("codes/cdcrec.csv") if row["confidence"] == "review"]
    decided = "".join(f"{code},White,direct\n" for code in review)
    made = made_of(put(tmp_path, "codes/cdcrec.csv", f"code,omb2024,confidence\n{decided}"))
    assert "ValueSet/omb2024-under-review" not in made
    assert set(review) <= set(listed(made, "omb2024-white"))


# Partners, files, mistakes ---------------------------------------------------------------------


def test_a_partner_s_view_has_addresses_of_its_own(tmp_path: Path) -> None:
    row = "race_ethnicity,x12-1109,K,cdcrec,2118-8,wider,letter\n"
    put(tmp_path, "partners/acme/crosswalks/x12_1109_to_cdcrec.csv", HEADER + row)
    made = made_of(Tables("acme", tmp_path))
    ours = made["ConceptMap/x12-1109-to-cdcrec-race-ethnicity"]
    assert ours["url"] == f"{BASE}/acme/ConceptMap/x12-1109-to-cdcrec-race-ethnicity"
    assert ours["version"].endswith("; as of acme")
    assert target_of(ours, "K") == "2118-8"
    assert made["ValueSet/states"]["url"] == f"{BASE}/acme/ValueSet/states"
    assert made["CodeSystem/state"]["url"] == f"{BASE}/CodeSystem/state"  # what a coding names stays the same


def test_the_same_bytes_for_the_owner_only(tmp_path: Path) -> None:
    first, second = tmp_path / "new" / "first", tmp_path / "second"
    counts = export(Workspace(), first)
    assert counts == export(Workspace(), second)
    files = sorted(path.name for path in first.iterdir())
    assert len(files) == sum(counts.values())
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert stat.S_IMODE((first / name).stat().st_mode) == 0o600
        resource = json.loads((first / name).read_bytes())
        assert name == f"{resource['resourceType']}-{resource['id']}.json"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("guides/terminology.toml", "base = 7\n", "terminology.toml: Expected `str`"),
        ("guides/terminology.toml", '[value_set.x]\ntitle = "X"\n', "missing required field `table`"),
        (
            "guides/terminology.toml",
            '[value_set.x]\ntitle = "X"\ntable = "codes/cdcrec.csv"\nwhere = { colour = "red" }\n',
            r"codes/cdcrec.csv has no column colour \(value set x\)",
        ),
        ("codes/systems.csv", "system,content\nstate,whole\n", "'whole' is no content; there are: complete, fragment"),
        (
            "crosswalks/own.csv",
            f"{HEADER}*,wording,two  spaces,state,declined,wider,\n",
            "ConceptMap own-any would not",
        ),
        ("crosswalks/own.csv", f"{HEADER}*,wording,x,state,declined,alike,\n", "'alike' is no relationship"),
        (
            "crosswalks/wordings-to-state.csv",
            f"{HEADER}*,wording,x,state,declined,wider,\n",
            "two tables would both be the ConceptMap wordings-to-state-any",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    put(tmp_path / "overlay", name, text)
    workspace = Workspace(Settings(mappings=MappingSettings(overlay=tmp_path / "overlay")))
    with pytest.raises(TableError, match=problem):
        export(workspace, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_partner_that_there_is_none_of(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder of tables has this partner"):
        export(Workspace(), tmp_path, partner="nobody")
