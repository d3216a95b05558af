"""Codes from Python: the partner's tables, and with a workspace the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity import Answer, Coding, Member, Origin, lookup, translate, view
from fhir_equity.errors import UsageError
from fhir_equity.model import Received
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings
from fhir_equity.vocabulary import View1997, View2024

MENA = Received("race_ethnicity", "x12.dmg05", (Coding("RET", "2118-8"),), "", ":RET:2118-8")


def test_lookup() -> None:
    (entry, deprecated) = lookup("2118-8")
    assert entry.display == deprecated.display == "Middle Eastern or North African"
    assert lookup("2118-8", "cdcrec") == (entry,)
    assert lookup("no such code") == ()


def test_translate_by_the_tables_of_a_partner() -> None:
    (target,) = translate(Coding("cdcrec", "2118-8"), to="omb1997")
    assert (target.coding.code, target.relationship, target.rule) == ("2106-3", "wider", "cdcrec_to_omb1997:2118-8")
    assert target.edition
    assert target.loss
    own, theirs = (translate(Coding("cdcrec", "2178-2"), to="cdcrec", partner=p) for p in ("", "covered-california"))
    assert [t.coding.code for t in own] == ["2178-2"]
    assert [t.coding.code for t in theirs] == ["2135-2"]
    with pytest.raises(UsageError):
        translate(Coding("cdcrec", "2118-8"), to="nowhere")


def test_a_workspace_brings_the_users_tables(tmp_path: Path) -> None:
    folder = tmp_path / "partners" / "plan" / "crosswalks"
    folder.mkdir(parents=True)
    heading = "applies_to,source_system,source_code,target_system,target_code,relationship,note,retired"
    rows = ("race_ethnicity,x12-1109,Z,state,unknown,,,yes", "race_ethnicity,x12-1109,Z,cdcrec,2118-8,equivalent,,")
    (folder / "x12_1109_to_cdcrec.csv").write_text("\n".join((heading, *rows)))
    with Workspace(Settings.model_validate({"mappings": {"overlay": tmp_path}})) as workspace:
        (target,) = translate(Coding("x12-1109", "Z"), to="cdcrec", partner="plan", workspace=workspace)
        assert target.coding.code == "2118-8"
        assert translate(Coding("x12-1109", "Z"), to="cdcrec", workspace=workspace)[0].relationship == "unmatched"


def test_view() -> None:
    member = Member("plan", "m1", answers=(Answer(MENA, Origin("plan")),))
    new, old = view(member, "omb2024"), view(member, "omb1997")
    assert isinstance(new, View2024)
    assert isinstance(old, View1997)
    assert new.categories == ("Middle Eastern or North African",)
    assert old.race == ("White",)
    with pytest.raises(UsageError):
        view(member, "omb2000")
