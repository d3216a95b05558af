"""The worked partners: what each sheet makes of the partner's file, and what the base tables would have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.model import Coding, Frame, Member, Received
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.codes_lint import ABOUT
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.reading import Failures, inputs, items
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings, StoreSettings
from fhir_equity.tables import Tables, own_tables, partners
from fhir_equity.vocabulary import Vocabulary
from tests.cli.conftest import Run, run
from tests.conftest import ROOT

__all__ = ["run"]
FIXTURES = ROOT / "fixtures" / "partners"
WORKED = ["ca-dhcs", "cms-ffe", "covered-california", "dc-hbx", "ny-emedny", "or-oha"]
BASE = "nobody"  # a partner without a sheet
Told = dict[str, tuple[str, list[str], list[str]]]  # topic -> state, codes, relationships that are not equivalent


def read(file: str, partner: str) -> tuple[list[Member], list[Told], list[set[str]]]:
    """The members of a partner's file, what they said, and their OMB 2024 categories."""
    failures = Failures()
    with Workspace(as_of="2026-01-31") as workspace:
        vocabulary = workspace.vocabulary(partner)
        members: list[Member] = []
        for one in inputs(workspace, [FIXTURES / file / "enrollment.834"], partner, "", failures):
            for item in items(workspace, one, failures):
                if not isinstance(item, Frame):
                    assert isinstance(item, Member)
                    members.append(item)
    assert failures.messages == []
    said, categories = [], []
    for member in members:
        meanings = [vocabulary.meaning(a.received) for a in member.answers if a.topic != "sex"]
        said.append({m.topic: (m.state.value, [c.coding.code for c in m.concepts], _inexact(m)) for m in meanings})
        race = [m for m in meanings if m.topic == "race_ethnicity"]
        categories.append(set(vocabulary.schema.omb2024(race).categories))
    return members, said, categories


def _inexact(meaning: Any) -> list[str]:
    return [c.relationship.value for c in meaning.concepts if c.relationship.value != "equivalent"]


def keys(members: list[Member]) -> list[str]:
    return [member.key for member in members]


def test_the_worked_partners_are_there() -> None:
    assert partners() == sorted([*WORKED, "demo-plan"])
    assert sorted(p.name for p in FIXTURES.iterdir()) == WORKED


@pytest.mark.parametrize("partner", WORKED)
def test_a_table_that_only_a_partner_has_says_where_it_comes_from(partner: str) -> None:
    sources = Tables(partner).sources["table"]
    for name in own_tables(partner):
        assert Tables().has(name) or all(sources[name][about] for about in ABOUT)


@pytest.mark.parametrize(
    ("partner", "population", "states", "collector"),
    [
        ("ca-dhcs", 4, {"blank": 1, "answered": 3}, "state"),
        ("cms-ffe", 3, {"answered": 3}, "exchange"),
        ("covered-california", 4, {"answered": 4}, "exchange"),
        ("dc-hbx", 3, {"unknown": 3}, "exchange"),
        ("ny-emedny", 4, {"answered": 3, "unknown": 1}, "state"),
        ("or-oha", 2, {"answered": 2}, "state"),
    ],
)
def test_the_audit_of_a_partner_s_file(
    run: Run, partner: str, population: int, states: dict[str, int], collector: str
) -> None:
    file = FIXTURES / partner / "enrollment.834"
    done = run("--quiet", "audit", file, "--partner", partner, "--json", "-", "--fail-on", "error")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    # The guide's twenty codes share two people, one of whom is Mexican and not Hispanic then.
    warned = ["x12.dmg05.contradiction"] if partner == "cms-ffe" else []
    assert [found["code"] for found in document["findings"] if found["severity"] == "warning"] == warned
    assert document["population"] == population
    assert document["topics"]["race_ethnicity"]["states"] == states
    assert document["topics"]["race_ethnicity"]["methods"].get("self", 0) == 0  # nobody attested it
    members, _, _ = read(partner, partner)
    assert {(a.origin.collector, a.origin.method, a.origin.standard) for m in members for a in m.answers} == {
        (collector, "unstated", "")
    }


@pytest.mark.parametrize("partner", ["cms-ffe", "covered-california", "dc-hbx", "ny-emedny", "or-oha"])
def test_the_base_guide_would_take_the_social_security_number_for_the_key(partner: str) -> None:
    ours, base = read(partner, partner)[0], read(partner, BASE)[0]
    assert len(set(keys(ours))) == len(ours)
    assert set(keys(base)) == {"000000000"}  # one invented number, so the base makes one person of them all
    assert {m.key_rule for m in base} == {"NM109"}


def test_cms_ffe() -> None:
    members, said, categories = read("cms-ffe", "cms-ffe")
    assert keys(members) == ["EX100A", "EX100B", "EX200A"]
    assert {m.key_rule for m in members} == {"REF*17"}
    codes = said[0]["race_ethnicity"][1] + said[1]["race_ethnicity"][1]
    assert len(codes) == len(set(codes)) == 20
    asian, pacific = "Asian", "Native Hawaiian or Pacific Islander"
    hispanic, black = "Hispanic or Latino", "Black or African American"
    assert categories == [
        {"American Indian or Alaska Native", asian, black, pacific, hispanic},
        {hispanic, asian, pacific, "White"},
        {asian},
    ]
    assert said[0]["language_spoken"] == said[0]["language_written"] == ("answered", ["es"], [])
    assert set(said[1]) == set(said[2]) == {"race_ethnicity"}  # only the household contact has a LUI
    assert said[2]["race_ethnicity"] == ("answered", ["2028-9"], ["wider"])  # Other Asian: the code says less
    assert read("cms-ffe", BASE)[1][2]["race_ethnicity"] == ("answered", ["2028-9"], [])


def test_the_codes_of_the_cms_companion_guide_are_all_in_the_fixture(shared: Path) -> None:
    lines = (shared / "edi834" / "companion_guides.csv").read_text(encoding="utf-8").splitlines()
    listed = {cell for line in lines if line.startswith("CMS FFE code,") for cell in line.split(",") if _is_code(cell)}
    _, said, _ = read("cms-ffe", "cms-ffe")
    assert len(listed) == 20
    assert {code for told in said for code in told["race_ethnicity"][1]} == listed


def _is_code(cell: str) -> bool:
    return len(cell) == 6 and cell[4] == "-"


def test_ca_dhcs() -> None:
    members, said, categories = read("ca-dhcs", "ca-dhcs")
    assert keys(members) == [f"MC1000{n}|self" for n in (1, 2, 3, 4)]
    assert said[0] == {"race_ethnicity": ("blank", [], []), "language_spoken": ("answered", ["es"], [])}
    assert said[2]["language_spoken"] == ("answered", ["zh"], [])
    assert said[3]["race_ethnicity"] == ("answered", ["2131-1"], [])
    assert categories == [set(), {"Black or African American"}, {"Hispanic or Latino"}, set()]
    kinds = [{i.kind for i in found[0].identifiers} for found in (members, read("ca-dhcs", BASE)[0])]
    assert kinds == [{"REF*0F", "REF*1L"}, {"REF*0F", "REF*17", "REF*23", "REF*ZZ"}]  # the base keeps packed ones
    assert not any(";" in i.value for m in members for i in m.identifiers)


def test_ny_emedny() -> None:
    members, said, categories = read("ny-emedny", "ny-emedny")
    assert keys(members) == [f"NY0000{n}X" for n in (1, 2, 3, 4)]
    assert said[0]["race_ethnicity"] == ("answered", ["2054-5", "2135-2"], [])  # R3 and E1
    assert said[1]["race_ethnicity"] == ("answered", ["2028-9", "2186-5"], [])  # not R9, the old value of 2100B
    assert [f.code for f in members[1].findings] == ["x12.2100b.old_values"]
    assert {t: codes for t, (_, codes, _) in said[1].items() if t != "race_ethnicity"} == {
        "language_reading": ["zh"],
        "language_written": ["zh"],
        "language_spoken": ["zh"],
    }
    assert said[2]["race_ethnicity"] == ("unknown", [], [])
    assert categories == [{"Black or African American", "Hispanic or Latino"}, {"Asian"}, set(), {"White"}]


def test_or_oha() -> None:
    members, said, categories = read("or-oha", "or-oha")
    assert keys(members) == ["OR1001|self", "OR1002|self"]
    assert said[0]["race_ethnicity"] == ("answered", ["2106-3", "2186-5"], [])  # two facts in one repeat
    assert said[0]["language_reading"] == said[0]["language_spoken"] == ("answered", ["en"], [])
    assert members[0].birth_date == "1983-07-19"  # of NM1*74, not the old one
    assert said[1]["race_ethnicity"] == ("answered", ["2054-5", "2135-2", "2118-8"], [])
    mena = "Middle Eastern or North African"
    assert categories == [{"White"}, {"Black or African American", "Hispanic or Latino", mena}]


def test_covered_california() -> None:
    members, said, categories = read("covered-california", "covered-california")
    assert keys(members) == ["CC100A", "CC100B", "CC100C", "CC200A"]
    assert said[0] == {
        "race_ethnicity": ("answered", ["2135-2"], ["wider"]),  # Other Hispanic is not Latin American
        "language_spoken": ("answered", ["yue"], []),
        "language_written": ("answered", ["zh"], []),
    }
    assert said[3]["language_spoken"][1] + said[3]["language_written"][1] == ["cmn", "hy"]
    assert categories == [
        {"Hispanic or Latino"},
        {"Asian", "Hispanic or Latino"},
        {"Asian"},
        {"Asian", "Hispanic or Latino"},
    ]
    assert read("covered-california", BASE)[1][0]["race_ethnicity"] == ("answered", ["2178-2"], [])


def test_dc_hbx() -> None:
    members, said, categories = read("dc-hbx", "dc-hbx")
    assert keys(members) == ["DC100", "DC101", "DC102"]
    assert {m.key_rule for m in members} == {"REF*17"}
    reading: list[Told] = [{"language_reading": ("answered", [code], [])} for code in ("en", "en", "es")]
    assert said == reading  # two letters, use 5 alone, and nothing of race
    assert categories == [set(), set(), set()]
    assert [m.enrollment.maintenance for m in members] == ["001", "030", "030"]
    assert [f for m in members for f in m.findings] == []
    assert read("dc-hbx", BASE)[1] == reading


PRE_AUDIT = "DMG*D8*19800203*F*M*:RET:1002-5^:RET:2135-2"  # one of ten


@pytest.mark.parametrize("order", [("enrollment", "pre-audit"), ("pre-audit", "enrollment")])
@pytest.mark.parametrize("one_only", [True, False])
def test_a_pre_audit_file_of_cms_does_not_win_over_several_races(
    tmp_path: Path, order: tuple[str, str], one_only: bool
) -> None:
    whole = (FIXTURES / "cms-ffe" / "enrollment.834").read_text(encoding="ascii")
    lines = [PRE_AUDIT + "~" if "19800203" in line else line for line in whole.splitlines()]
    (tmp_path / "enrollment.834").write_text(whole)
    (tmp_path / "pre-audit.834").write_text("\n".join(lines).replace("*000000001*0*T", "*000000002*0*T"))
    sheet = tmp_path / "overlay" / "partners" / "cms-ffe" / "guides" / "edi834.toml"
    sheet.parent.mkdir(parents=True)
    sheet.write_text(f"[race]\none_only = {str(one_only).lower()}\n")
    for day, name in enumerate(order, start=1):
        overlay = sheet.parents[3] if name == "pre-audit" else None
        settings = Settings(
            store=StoreSettings(url=str(tmp_path / "equity.db")), mappings=MappingSettings(overlay=overlay)
        )
        with Workspace(settings, f"2026-01-0{day}") as workspace:
            ingest(workspace, [tmp_path / f"{name}.834"], partner="cms-ffe")
    with Workspace(Settings(store=StoreSettings(url=str(tmp_path / "equity.db"))), "2026-02-01") as workspace:
        person = workspace.store.people.known("cms-ffe", "EX100A")
        assert person is not None
        found = workspace.resolutions("cms-ffe", [event for _, event in person.events])["race_ethnicity"]
    codes = {c.coding.code for m in found.meanings for c in m.concepts}
    assert len(codes) == (10 if one_only or order[1] == "enrollment" else 2)
    assert found.rule == ("several_over_one" if one_only else "newest")
    assert found.provisional is False


def test_a_user_s_row_wins_over_a_partner_s_own_table(tmp_path: Path) -> None:
    place = tmp_path / "partners" / "cms-ffe" / "crosswalks" / "cdcrec_as_sent.csv"
    place.parent.mkdir(parents=True)
    place.write_text(
        "applies_to,source_system,source_code,target_code,retired\nrace_ethnicity,cdcrec,2028-9,2028-9,yes\n"
    )
    received = Received("race_ethnicity", "x12.dmg05", (Coding("RET", "2028-9"),))
    assert _inexact(Vocabulary(Tables("cms-ffe")).meaning(received)) == ["wider"]
    assert _inexact(Vocabulary(Tables("cms-ffe", tmp_path)).meaning(received)) == []


def test_what_a_source_says_is_read_with_the_sheet_of_its_partner(tmp_path: Path) -> None:
    """A partner's own word for a refusal is no answer of its source, either."""
    sheet = tmp_path / "overlay/partners/ours/crosswalks"
    sheet.mkdir(parents=True)
    head = "applies_to,source_system,source_code,target_system,target_code,relationship,note"
    (sheet / "wordings_to_state.csv").write_text(f"{head}\n*,wording,Rather not,state,declined,equivalent,\n")
    (tmp_path / "a.csv").write_text("member_id,first_name,last_name,race_ethnicity\nM1,Ada,Alder,Rather not\n")
    settings = Settings(mappings=MappingSettings(overlay=tmp_path / "overlay"))
    told = {}
    for name in ("ours", BASE):
        with Workspace(settings, "2026-01-31") as workspace:
            race = audit(workspace, [tmp_path / "a.csv"], partner=name).document["topics"]["race_ethnicity"]
        (source,) = race["sources"]
        told[name] = race["states"], source["states"]
    assert told == {"ours": ({"declined": 1}, {"declined": 1}), BASE: ({"answered": 1}, {"answered": 1})}
