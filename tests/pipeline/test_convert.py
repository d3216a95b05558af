"""convert: what a partner's reporting categories say leaves only where sensitive topics may."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.pipeline.convert import Converted, Wish, convert
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings
from tests.adapters.edi834.files import ADA, file

SHEET = """
[[reporting]]
name = "GENDER IDENTITY"
reference = "ZZ"
topic = "gender_identity"
values = { F = "snomed|446141000124107" }
"""
RULE = """
[[rule]]
id = "state"
recipient = "state"
purpose = "required_by_law"
topics = ["gender_identity"]
from = "2026-01-01"
agreement = "invented"
"""
CATEGORY = "LS*2700~\nLX*1~\nN1*75*GENDER IDENTITY~\nREF*ZZ*F~\nLE*2700~\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    overlay = tmp_path / "overlay"
    for name, text in (("partners/plan/guides/edi834.toml", SHEET), ("policies/release.toml", RULE)):
        (overlay / name).parent.mkdir(parents=True)
        (overlay / name).write_text(text, encoding="utf-8")
    said = ("LS*2700", "LX*1", "N1*75*Gender identity", "REF*ZZ*f", "DTP*007*D8*20250601", "LE*2700")
    (tmp_path / "in.834").write_bytes(file((*ADA, "HD*030**HLT", "DTP*348*D8*20260101", *said)))
    return Settings(mappings=MappingSettings(overlay=overlay))


def converted(settings: Settings, folder: Path, wish: Wish) -> tuple[str, Converted]:
    with Workspace(settings, "2026-02-01") as workspace:
        done = convert(workspace, folder / "in.834", folder / "out.834", wish=wish)
    return (folder / "out.834").read_text(encoding="ascii"), done


def test_a_category_is_left_out_unless_it_is_asked_for(settings: Settings, tmp_path: Path) -> None:
    text, done = converted(settings, tmp_path, Wish(partner="plan"))
    assert "2700" not in text
    assert done.losses["release.sensitive_left_out"] == 1


@pytest.mark.parametrize(
    "wish", [Wish(partner="plan", include_sensitive=True), Wish(partner="plan", recipient="state")]
)
def test_a_category_goes_out_as_it_came_where_it_may(settings: Settings, tmp_path: Path, wish: Wish) -> None:
    text, done = converted(settings, tmp_path, wish)
    assert f"DTP*348*D8*20260101~\n{CATEGORY}SE*" in text
    assert "release.sensitive_left_out" not in done.losses


def test_for_a_partner_without_such_a_guide_there_is_no_place(settings: Settings, tmp_path: Path) -> None:
    text, done = converted(settings, tmp_path, Wish(partner="other", include_sensitive=True))
    assert "2700" not in text
    assert done.losses["x12.not_kept.N1"] == 1
