"""Earlier months counted again from a store, for measures that compare with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.history import month_ends
from fhir_equity.settings import MappingSettings, Settings, StoreSettings


def test_the_ends_of_months() -> None:
    assert month_ends("2026-03-31", 3) == ["2026-02-28", "2026-01-31", "2025-12-31"]
    assert month_ends("2026-03-31", 0) == []


def survey(path: Path, races: dict[int, str]) -> Path:
    lines = [f"FX{n:06},Tala,Rose{n},{race},2020-01-01,HLT" for n, race in races.items()]
    path.write_text("member_id,first_name,last_name,race,enrolled_from,coverage\n" + "\n".join([*lines, ""]))
    return path


def indices(settings: Settings, as_of: str, *paths: Path) -> tuple[Any, Any]:
    with Workspace(settings, as_of) as workspace:
        rows = audit(workspace, paths, partner="demo-plan", programs=["tmsis"]).document["programs"]["tmsis"]["rows"]
    (race,) = [row for row in rows if row["measure"] == "EL1.7"]
    return race["rate"], race["met"]


def test_the_previous_month_and_the_mean_of_six(tmp_path: Path) -> None:
    settings = Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))
    files = [
        ("2026-01-10", survey(tmp_path / "1.csv", dict.fromkeys(range(10), "White"))),
        ("2026-06-10", survey(tmp_path / "2.csv", dict.fromkeys(range(10, 20), "Samoan"))),
    ]
    for day, path in files:
        with Workspace(settings, day) as workspace:
            ingest(workspace, [path], partner="demo-plan")
    assert indices(settings, "2026-07-15") == (0.5, False)  # June: half and half; May: all White
    assert indices(settings, "2026-08-15") == (0.0, True)
    assert indices(settings, "2026-01-31") == (None, None)  # nothing was known in December
    assert indices(settings, "2026-07-15", *[path for _, path in files]) == (None, None)  # files show one moment
    own = tmp_path / "overlay" / "programs"
    own.mkdir(parents=True)
    own.joinpath("tmsis.toml").write_text('compare_with = "mean_of_six"\n')
    six = settings.model_copy(update={"mappings": MappingSettings(overlay=tmp_path / "overlay")})
    assert indices(six, "2026-08-15") == (pytest.approx(0.5 * 5 / 6), False)  # January to May, and June
    assert indices(six, "2026-07-15") == (None, None)  # December is not known
