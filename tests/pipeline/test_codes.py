"""codes show and codes unmapped: merged rows with their files; what no table has, counted and ready to paste."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.codes import HEADER, Gathered, show, unmapped
from fhir_equity.pipeline.codes_lint import lint
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings, StoreSettings

X12 = "crosswalks/x12_1109_to_cdcrec.csv"
WORDINGS = "crosswalks/wordings_to_cdcrec.csv"
COLUMNS = ",".join(HEADER)
SURVEY = """member_id,race_ethnicity,language_spoken,gender_identity
FX1,Kurdish; White,English,Woman
FX2,kurdish,Elvish,Sparkle
FX3,Chinese,12345,Woman
FX4,KURDISH; Ghanaian,English,Prefer not to say
"""
ISA = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*^*00501*000000001*0*T*:~"
HEAD = "GS*BE*SENDER*RECEIVER*20260101*1200*1*X*005010X220A1~ST*834*0001*005010X220A1~BGN*00*1*20260101*1200****4~"
MEMBER = "INS*Y*18*030**A***FT~REF*0F*FX{n}~NM1*IL*1*WREN*ADA****ZZ*FX{n}~DMG*D8*19800101*F**{race}~LUI*LE*{lui}**7~"


def settings(folder: Path) -> Settings:
    (folder / "overlay").mkdir(exist_ok=True)
    return Settings(
        store=StoreSettings(url=str(folder / "equity.db")), mappings=MappingSettings(overlay=folder / "overlay")
    )


def put(folder: Path, name: str, text: str) -> None:
    place = folder / "overlay" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


def enrollment(folder: Path, *members: tuple[str, str]) -> Path:
    body = "".join(MEMBER.format(n=n, race=race, lui=lui) for n, (race, lui) in enumerate(members, 1))
    path = folder / "e.834"
    path.write_text(f"{ISA}{HEAD}{body}SE*{body.count('~') + 3}*0001~GE*1*1~IEA*1*000000001~")
    return path


def gather(folder: Path, *paths: Path, partner: str = "") -> Gathered:
    with Workspace(settings(folder), "2026-01-31") as workspace:
        return unmapped(workspace, paths, partner=partner)


def counts(found: Gathered) -> list[tuple[str, str, str, int]]:
    return [(one.topic, one.system, one.code, one.count) for one in found.found]


# show ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [X12, "crosswalks/x12_1109_to_cdcrec", "x12_1109_to_cdcrec.csv", "x12_1109_to_cdcrec"])
def test_a_table_is_found_with_and_without_folder_and_ending(tmp_path: Path, name: str) -> None:
    shown = show(Workspace(settings(tmp_path)), name)
    assert shown.table == X12
    assert shown.columns == ("file", "line", *HEADER)
    assert shown.rows[0][:5] == (f"mappings/{X12}", "2", "race_ethnicity", "x12-1109", "7")
    assert len(shown.rows) == 27


def test_each_row_has_the_file_with_the_last_word_on_it(tmp_path: Path) -> None:
    key = "applies_to,source_system,source_code,target_code"
    put(tmp_path, X12, f"{key},note\nrace_ethnicity,x12-1109,B,2054-5,ours\n")
    retired = "race_ethnicity,x12-1109,C,2106-3,yes\nrace_ethnicity,x12-1109,K,2118-8,\n"
    put(tmp_path, f"partners/acme/{X12}", f"{key},retired\n{retired}")
    workspace = Workspace(settings(tmp_path))
    files = {row[4]: row[0] for row in show(workspace, X12, partner="acme").rows}
    assert files["A"] == f"mappings/{X12}"
    assert files["B"] == f"{tmp_path}/overlay/{X12}"
    assert files["K"] == f"{tmp_path}/overlay/partners/acme/{X12}"
    assert "C" not in files
    assert {"C"} == {row[4] for row in show(workspace, X12).rows} - set(files)


def test_a_toml_table_is_shown_key_by_key() -> None:
    shown = show(Workspace(), "edi834", partner="cms-ffe")
    files = {key: (file, value) for file, key, value in shown.rows}
    assert shown.columns == ("file", "key", "value")
    assert files["write.language_qualifier"] == ("mappings/partners/cms-ffe/guides/edi834.toml", "LD")
    assert files["race.most_repeats"] == ("mappings/guides/edi834.toml", "10")
    assert show(Workspace(), "attestation", partner="or-oha").rows == [
        ("mappings/partners/or-oha/attestation.toml", "edi834.collector", "state")
    ]


def test_a_table_or_a_partner_that_there_is_none_of() -> None:
    with pytest.raises(UsageError, match=r"no table colours; there are: codes/absent_reasons\.csv, "):
        show(Workspace(), "colours")
    with pytest.raises(UsageError, match="no folder of tables has this partner"):
        show(Workspace(), X12, partner="nobody")


# unmapped --------------------------------------------------------------------------------------


def test_wordings_of_a_survey_are_counted_across_spellings(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(SURVEY)
    assert counts(gather(tmp_path, tmp_path / "s.csv")) == [
        ("race_ethnicity", "wording", "KURDISH", 3),
        ("gender_identity", "wording", "Sparkle", 1),
        ("language_spoken", "wording", "12345", 1),
        ("language_spoken", "wording", "Elvish", 1),
        ("race_ethnicity", "wording", "Ghanaian", 1),
    ]


def test_codes_of_an_834(tmp_path: Path) -> None:
    path = enrollment(tmp_path, ("K^:RET:2106-3", "QQQ"), ("A^K^:RET:2054-9", "SPA"), ("7^Q^b", "qqq"))
    assert counts(gather(tmp_path, path)) == [
        ("language_spoken", "iso639", "qqq", 2),
        ("race_ethnicity", "x12-1109", "K", 2),
        ("race_ethnicity", "cdcrec", "2054-9", 1),
    ]  # A, Q and a small b are known, whatever else is to be said about them


def test_text_of_a_patient_counts_where_it_says_more_than_the_codes(tmp_path: Path) -> None:
    cdcrec = '{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3"}}'
    local = '{"url":"detailed","valueCoding":{"system":"https://acme.example/race","code":"K7","display":"White"}},'
    local += '{"url":"detailed","valueCoding":{"system":"https://acme.example/race","code":"K8"}}'
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
    text = '{"url":"text","valueString":"White; Kurdish"}'
    path = tmp_path / "p.json"
    identity = '"identifier":[{"system":"https://acme.example/m","value":"FX1"}]'
    path.write_text(
        f'{{"resourceType":"Patient",{identity},"extension":[{{"url":"{url}","extension":[{cdcrec},{local},{text}]}}]}}'
    )
    assert counts(gather(tmp_path, path)) == [
        ("race", "https://acme.example/race", "K8", 1),
        ("race", "wording", "Kurdish", 1),
    ]


def test_the_store_and_the_files_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(SURVEY)
    with Workspace(settings(tmp_path), "2026-01-31") as workspace:
        ingest(workspace, [tmp_path / "s.csv"], partner="acme")
    assert counts(gather(tmp_path)) == counts(gather(tmp_path, tmp_path / "s.csv"))
    assert counts(gather(tmp_path, partner="acme")) == counts(gather(tmp_path))
    with pytest.raises(UsageError, match="nothing of partner another is in the store; there is: acme"):
        gather(tmp_path, partner="another")


def test_a_partner_s_row_takes_a_code_off_the_list(tmp_path: Path) -> None:
    row = "race_ethnicity,x12-1109,K,cdcrec,2118-8,wider,\n"
    put(tmp_path, f"partners/acme/{X12}", f"{COLUMNS}\n{row}")
    path = enrollment(tmp_path, ("K", "SPA"))
    assert counts(gather(tmp_path, path, partner="acme")) == []
    assert len(counts(gather(tmp_path, path, partner="other"))) == 1


def test_rows_are_ready_to_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(SURVEY)
    path = enrollment(tmp_path, ('K"', "QQQ"))
    found = gather(tmp_path, tmp_path / "s.csv", path)
    assert found.csv().split("\n") == [
        "# crosswalks/wordings_to_cdcrec.csv",
        COLUMNS,
        "race_ethnicity,wording,KURDISH,cdcrec,,unmatched,seen 3 times",
        "race_ethnicity,wording,Ghanaian,cdcrec,,unmatched,seen 1 time",
        "# crosswalks/wordings_to_languages.csv",
        COLUMNS,
        "language,iso639,qqq,bcp47,,unmatched,seen 1 time",
        "language,wording,12345,bcp47,,unmatched,seen 1 time",
        "language,wording,Elvish,bcp47,,unmatched,seen 1 time",
        "# crosswalks/wordings_to_sogi.csv",
        COLUMNS,
        "gender_identity,wording,Sparkle,snomed,,unmatched,seen 1 time",
        "# crosswalks/x12_1109_to_cdcrec.csv",
        COLUMNS,
        'race_ethnicity,x12-1109,"K""",cdcrec,,unmatched,seen 1 time',
        "",
    ]


def test_two_questions_of_one_family_share_a_row(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("member_id,race,ethnicity\nFX1,Kurdish,Kurdish\n")
    found = gather(tmp_path, tmp_path / "s.csv")
    assert counts(found) == [("ethnicity", "wording", "Kurdish", 1), ("race", "wording", "Kurdish", 1)]
    assert found.csv().splitlines()[2:] == ["race_ethnicity,wording,Kurdish,cdcrec,,unmatched,seen 2 times"]


def test_pasted_rows_are_clean_and_take_the_values_off_the_list(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(SURVEY)
    path = enrollment(tmp_path, ("K^:RET:9999-9", "QQQ"))
    files = (tmp_path / "s.csv", path)
    for block in gather(tmp_path, *files).csv().split("# ")[1:]:
        name, _, rows = block.partition("\n")
        put(tmp_path, name, rows)
    assert lint(tmp_path / "overlay") == []
    assert counts(gather(tmp_path, *files)) == []


def test_inputs_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty.834").write_text("")
    found = gather(tmp_path, tmp_path / "empty.834")
    assert found.found == []
    assert len(found.failures) == 1
