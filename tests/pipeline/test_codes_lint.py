"""codes lint: the built-in tables are clean, and every way to get a row wrong is told with file and row."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fhir_equity import tables as module
from fhir_equity.errors import TableError
from fhir_equity.pipeline.codes_lint import lint
from fhir_equity.tables import Tables

WORDINGS = "crosswalks/wordings_to_cdcrec.csv"
HEADER = "applies_to,source_system,source_code,target_system,target_code,relationship,note\n"


def put(folder: Path, name: str, text: str) -> None:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


def test_the_built_in_tables_and_partners_are_clean() -> None:
    assert lint() == []


def test_an_overlay_that_follows_the_rules_is_clean(tmp_path: Path) -> None:
    put(tmp_path, WORDINGS, HEADER + "race_ethnicity,wording,Kurd,cdcrec,2118-8,wider,\n")
    put(tmp_path, "partners/acme/crosswalks/own.csv", HEADER + "race_ethnicity,x12-1109,K,cdcrec,2054-5,equivalent,\n")
    put(tmp_path, "partners/acme/attestation.toml", '[survey]\nmethod = "self"\n')
    put(tmp_path, "codes/cdcrec.csv", "code,omb2024,confidence\n2129-5,Middle Eastern or North African,direct\n")
    assert lint(tmp_path) == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("colour,wording,Kurd,cdcrec,2118-8,wider,", "applies_to is no topic, no family and not *"),
        ("race_ethnicity,wording,--,cdcrec,2118-8,wider,", "the wording has no letter or digit"),
        ("race_ethnicity,x12_1109,K,cdcrec,2118-8,wider,", "the source_system is not in codes/systems.csv"),
        ("race_ethnicity,wording,Kurd,cdcrek,2118-8,wider,", "the target_system is not in codes/systems.csv"),
        ("race_ethnicity,wording,Kurd,cdcrec,2118-8,unmatched,", "unmatched rows have no target_code"),
        ("race_ethnicity,wording,Kurd,cdcrec,,wider,", "unmatched rows have no target_code"),
        ("race_ethnicity,wording,Kurd,cdcrec,4185-9,wider,", "the target_code is not a code of the target_system"),
        ("race_ethnicity,wording,Kurd,cdcrec,4185-9,wider,", "the check digit of the CDCREC code is wrong"),
        ("race_ethnicity,wording,Kurd,state,tired,wider,", "the target_code is not a code of the target_system"),
        ("language,wording,Klingon,bcp47,qqqq,wider,", "the target_code is not a code of the target_system"),
        ("race_ethnicity,wording,Kurd,cdcrec,2118-8,similar,", "the relationship is none of equivalent, wider"),
    ],
)
def test_a_wrong_row_is_told_with_file_and_row(tmp_path: Path, row: str, problem: str) -> None:
    put(tmp_path, WORDINGS, f"{HEADER}race_ethnicity,wording,Fine,cdcrec,2106-3,equivalent,\n{row}\n")
    found = lint(tmp_path)
    assert [line for line in found if line.startswith(f"{tmp_path}/{WORDINGS}, row 3: {problem}")]
    assert "Kurd" not in "".join(found)
    assert not [line for line in found if "row 2" in line]


def test_a_partner_s_row_may_start_from_any_code_and_from_an_address(tmp_path: Path) -> None:
    rows = "race_ethnicity,x12-1109,!!,cdcrec,2118-8,wider,\nrace_ethnicity,https://acme.example/race,7,state,declined,equivalent,\n"
    put(tmp_path, WORDINGS, HEADER + rows)
    assert lint(tmp_path) == []


def test_a_questionnaire_that_cannot_be_made(tmp_path: Path) -> None:
    put(tmp_path, "questionnaires/member-reported.toml", '[item.interpreter]\noptions = ["snomed|1"]\n')
    put(tmp_path, "questionnaires/member-reported.fr.toml", 'title = "Sur vous"\n')
    assert lint(tmp_path) == [
        "questionnaires/member-reported.toml: no table has snomed|1 as an answer to interpreter_needed",
        "questionnaires/member-reported.fr.toml: Object missing required field `status`",
    ]


def test_two_rows_with_one_key(tmp_path: Path) -> None:
    row = "race_ethnicity,wording,Kurd,cdcrec,2118-8,wider,\n"
    put(tmp_path, WORDINGS, HEADER + row + "\n" + row)
    key = "applies_to, source_system, source_code, target_code"
    assert lint(tmp_path) == [f"{tmp_path}/{WORDINGS}, row 4: the same key as row 2 ({key})"]


def test_a_letter_that_is_an_answer_and_none(tmp_path: Path) -> None:
    name = "crosswalks/x12_1109_to_cdcrec.csv"
    ours = "race_ethnicity,x12-1109,Z,cdcrec,2118-8,equivalent,,\n"
    retired = "race_ethnicity,x12-1109,Z,state,unknown,,,yes\n"
    header = HEADER.replace("note", "note,retired")
    put(tmp_path, f"partners/acme/{name}", header + ours)
    reason = "another row of this code contradicts it: one is an answer, one is none; retire one"
    assert lint(tmp_path) == [
        f"mappings/{name}, row 28: {reason}",
        f"{tmp_path}/partners/acme/{name}, row 2: {reason}",
    ]
    put(tmp_path, f"partners/acme/{name}", header + retired + ours)
    assert lint(tmp_path) == []


def test_files_and_columns_that_nobody_reads(tmp_path: Path) -> None:
    put(tmp_path, "crosswalk/x.csv", HEADER)
    put(tmp_path, "codes/colours.csv", "code\nred\n")
    put(tmp_path, "codes/x12_1109.csv", "code,dispaly\nK,Kurdish\n")
    found = lint(tmp_path)
    assert f"{tmp_path}/crosswalk: nothing is read from here" in found
    assert f"{tmp_path}/codes/colours.csv: no table of this name is read" in found
    assert f"{tmp_path}/codes/x12_1109.csv, row 1: the column dispaly is in no table of this name" in found


def test_a_code_that_no_row_leads_from(tmp_path: Path) -> None:
    put(tmp_path, "codes/x12_1109.csv", "code,display\nK,Kurdish\n")
    put(tmp_path, "codes/absent_reasons.csv", "system,code,display\nnull-flavor,GONE,Gone\n")
    put(tmp_path, "codes/cdcrec.csv", "code,display,abstract\n9000-1,Elf,\n9001-9,Folk,yes\n")
    put(tmp_path, "codes/tmsis.csv", "system,code,display\ntmsis-race,021,Elf\n")
    put(tmp_path, "codes/omb2024.csv", "category,kind,detail\nWhite,write-in-example,Elvish\nWhite,x,Dwarf\n")
    put(tmp_path, WORDINGS, HEADER + "race_ethnicity,wording,Elvish,cdcrec,,unmatched,\n")
    reason = "no crosswalk leads from or to this code, nor says unmatched"
    assert lint(tmp_path) == [
        f"{tmp_path}/codes/x12_1109.csv, row 2: {reason}",
        f"{tmp_path}/codes/absent_reasons.csv, row 2: {reason}",
        f"{tmp_path}/codes/cdcrec.csv, row 2: {reason}",
        f"{tmp_path}/codes/tmsis.csv, row 2: {reason}",
        f"{tmp_path}/codes/omb2024.csv, row 3: no CDCREC code, no crosswalk, and no note that says why",
    ]


def test_a_tree_that_goes_round_or_leads_nowhere_and_a_wrong_check_digit(tmp_path: Path) -> None:
    put(tmp_path, "codes/cdcrec.csv", "code,parent\n1002-5,1004-1\n2054-5,9999-4\n2118-9,\n")
    found = lint(tmp_path)
    file = f"{tmp_path}/codes/cdcrec.csv"
    assert f"{file}, row 2: the parent leads back to the code itself" in found
    assert f"{file}, row 3: the parent is no code of this table" in found
    assert f"{file}, row 4: the check digit of the code is wrong" in found


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (WORDINGS, HEADER + "race_ethnicity,wording\n", f"{WORDINGS}, row 2: more or fewer cells"),
        ("crosswalks/own.csv", "source_code,target_code\nx,y\n", "crosswalks/own.csv, row 1: the column applies_to"),
        (WORDINGS, "source_code,target_code\nx,y\n", f"{WORDINGS}: an overlay needs the columns applies_to"),
        ("guides/edi834.toml", "[person\n", "guides/edi834.toml: "),
        ("partners/acme/attestation.toml", '[survey]\nmethod = "guess"\n', "attestation.toml: 'guess' is no method"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, text: str, problem: str) -> None:
    put(tmp_path, name, text)
    assert [line for line in lint(tmp_path) if problem in line]


def test_a_built_in_table_without_licence_or_changed_and_a_source_without_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    shutil.copytree(str(module.root()), base)
    sources = (base / "sources.toml").read_text(encoding="utf-8")
    first = 'licence = "Apache-2.0"\nsure = "our own definition"\nkey = ["topic"]\n'
    assert first in sources
    sources = sources.replace(f'sha256 = "{Tables().checksum("codes/states.csv")}"', 'sha256 = "0"')
    gone = '\n[table."codes/gone.csv"]\nedition = "1"\nkey = ["code"]\n'
    put(base, "sources.toml", sources.replace(first, 'sure = "yes"\nkey = ["topic"]\n') + gone)
    put(base, WORDINGS, (base / WORDINGS).read_text() + "race_ethnicity,x12-1109,!!,cdcrec,2118-8,wider,\n")
    monkeypatch.setattr(module, "root", lambda: base)
    found = lint()
    assert "mappings/sources.toml: codes/topics.csv has no licence" in found
    assert "mappings/sources.toml: codes/gone.csv does not exist" in found
    assert [p for p in found if p.endswith("the source_code is not a code of the source_system")]
    changed = "the file is not the one that sources.toml has the checksum of"
    assert [p for p in found if p.endswith(changed)] == [
        f"mappings/codes/states.csv: {changed}",
        f"mappings/{WORDINGS}: {changed}",
    ]
    assert len(found) == 5


def test_an_overlay_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="does not exist"):
        lint(tmp_path / "none")
