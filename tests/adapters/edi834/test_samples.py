"""Every real sample reads as its index says, and every crafted one gives the finding that its name says."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest

from fhir_equity.adapters import recognise
from fhir_equity.adapters.protocol import Range, Read
from fhir_equity.adapters.source import sources
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Member, Rejected
from fhir_equity.quality.rules import findings
from fhir_equity.vocabulary import Vocabulary
from tests.adapters.edi834.files import CONTEXT

# Raw DMG05 and LUI of the members, in order, as the index and the files' own text give them.
RACES = {
    "azoner__multiple_st_loops.txt": ["O"] * 4,
    "azoner__834_ls_le_ls.txt": ["C:RET:2186-5"],
    "mimilabs__sample_834_03.txt": ["7"],
    "mimilabs__sample_834_04.txt": [":RET:2054-5"],
    "mimilabs__sample_834_06.txt": [":RET:2054-5", ":RET:2135-2"],
    "emedny_MCE834Sample_2.txt": ["C", "C", "H", "B", "B", "A", "A"],
}
LANGUAGES = {
    "azoner__multiple_st_loops.txt": ["LUI***ESSPANISH"] * 4,
    "azoner__834_ls_le_ls.txt": ["LUI*LE*ENG**7", "LUI*LE*ENG**5"],
    "mimilabs__sample_834_03.txt": ["LUI*LD*SPA**7"],
    "emedny_MCE834Sample_2.txt": ["LUI*LE*ENG**6", "LUI*LE*ENG**7", "LUI*LE*ENG**5", "LUI*LE*CHI**6", "LUI*LE*CHI**7"],
}
EXCHANGE = "kputnam__shop-enrollment-in-qualified-health-plan-through-health-insurance-exchange.edi"

# A crafted file's name and the finding about its demographics; none where the file is right.
CRAFTED = {
    "bad_1109_Q.edi": ["x12.dmg05.not_allowed_in_guide"],
    "bad_1109_lower.edi": ["x12.dmg05.not_in_code_list"],
    "bad_11_repeats.edi": ["x12.dmg05.too_many_repeats"],
    "bad_cdc_in_c05601.edi": ["x12.dmg05.not_in_code_list"],
    "bad_code_noret.edi": ["x12.dmg05.p0203"],
    "bad_comma.edi": ["x12.dmg05.not_in_code_list"],
    "bad_gender_X.edi": ["x12.dmg03.not_in_code_list"],
    "bad_notcdc.edi": ["x12.dmg05.not_in_code_list"],
    "bad_ret_nocode.edi": ["x12.dmg05.p0203"],
    "crlf_none.edi": [],
    "dep_first.edi": [],
    "dmg10_only.edi": ["x12.dmg.p1011"],
    "dmg11.edi": [],
    "hier_R3.edi": [],
    "isa11_U.edi": ["x12.isa11.no_repetition_separator"],
    "isa11_pipe.edi": [],
    "lui_bcp47.edi": [],
    "lui_desc.edi": ["x12.lui04.missing"],
    "lui_desc_ok.edi": [],
    "lui_lower.edi": [],
    "lui_no_07.edi": ["x12.lui04.not_in_code_list"],
    "lui_nouse.edi": ["x12.lui04.missing"],
    "lui_use_only.edi": ["x12.lui.l040203"],
    "mena_new.edi": [],
    "ok_1109_repeat.edi": [],
    "ok_both.edi": [],
    "ok_cdcrec_repeat.edi": [],
    "ok_gender_U.edi": [],
    "sogi_2750.edi": [],
}


@cache
def _vocabulary() -> Vocabulary:
    return Vocabulary()


def _read(path: Path) -> list[Read]:
    (source,) = sources([path])
    return list(recognise(source).read(source, Range(), CONTEXT))


def _index(shared: Path) -> dict[str, dict[str, str]]:
    with (shared / "edi834/samples/INDEX.csv").open(encoding="utf-8", newline="") as rows:
        return {row["file"]: row for row in csv.DictReader(rows)}


def _raws(items: list[Read], element: str) -> list[str]:
    people = [item for item in items if isinstance(item, Member)]
    return [a.received.raw for m in people for a in m.answers if a.received.element.startswith(element)]


def test_every_sample_reads_as_its_index_says(shared: Path) -> None:
    index = _index(shared)
    assert len(index) >= 30
    for name, row in index.items():
        if row["kind"] != "834":
            with pytest.raises(UnreadableError, match=f"is an X12 {row['kind']}, not an 834"):
                _read(shared / "edi834/samples" / name)
            continue
        items = _read(shared / "edi834/samples" / name)
        people = [item for item in items if isinstance(item, Member | Rejected)]
        assert len(people) == int(row["member_count(INS)"]), name
        assert bool(_raws(items, "x12.dmg05")) == (row["has_DMG05"] == "Y"), name
        assert bool(_raws(items, "x12.lui")) == (row["has_LUI"] == "Y"), name


@pytest.mark.parametrize("name", sorted(RACES))
def test_the_raw_values_of_the_samples(shared: Path, name: str) -> None:
    items = _read(shared / "edi834/samples" / name)
    assert _raws(items, "x12.dmg05") == RACES[name]
    languages = [raw for joined in _raws(items, "x12.lui") for raw in joined.split("\n")]
    assert sorted(languages) == sorted(LANGUAGES.get(name, []))


def test_the_exchange_guide_is_read_for_what_it_shares(shared: Path) -> None:
    items = _read(shared / "edi834/samples" / EXCHANGE)
    assert set(_raws(items, "x12.dmg05")) == {"C", "I"}
    assert "x12.version.shared_parts_only" in {item.code for item in items if isinstance(item, Finding)}


def test_nobody_in_the_samples_is_rejected_or_lost(shared: Path) -> None:
    for name, row in _index(shared).items():
        if row["kind"] == "834":
            items = _read(shared / "edi834/samples" / name)
            assert not [item for item in items if isinstance(item, Rejected)], name


@pytest.mark.parametrize("name", sorted(CRAFTED))
def test_crafted_cases(shared: Path, name: str) -> None:
    items = _read(shared / "edi834/samples/crafted" / name)
    told = [item.code for item in items if isinstance(item, Finding)]
    for item in items:
        if isinstance(item, Member):
            told += [f.code for f in findings(item, _vocabulary().meaning, "2026-12-31")]
    expected = CRAFTED[name]
    assert sum(isinstance(item, Member) for item in items) == 1
    assert set(expected) <= set(told)
    if not expected:
        assert not [code for code in told if not code.endswith("not_mapped")]


def test_every_crafted_case_is_known_here(shared: Path) -> None:
    assert {path.name for path in (shared / "edi834/samples/crafted").glob("*.edi")} == set(CRAFTED)
