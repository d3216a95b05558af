"""Earlier months counted again from a store, for measures that compare with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import TableError, UsageError
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.snapshot import snapshot_create
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


def comparing(settings: Settings, folder: Path, words: str) -> Settings:
    """These settings with an overlay that says what T-MSIS compares with."""
    own = folder / "programs"
    own.mkdir(parents=True, exist_ok=True)
    own.joinpath("tmsis.toml").write_text(words)
    return settings.model_copy(update={"mappings": MappingSettings(overlay=folder)})


def frozen(settings: Settings, day: str, name: str, *programs: str) -> None:
    with Workspace(settings, day) as workspace:
        snapshot_create(workspace, name, partner="demo-plan", programs=programs)


def test_named_snapshots_are_compared_with_as_they_were(tmp_path: Path) -> None:
    """By hand. May: 8 White (001). June: 4 White, 4 more become Black (002): 8 of 12 and 4 of 12.

    Then 12 are Black of 24. From May: |12/24 - 1| / 2 + |12/24 - 0| / 2 = 1/2. From June: 1/2 - 1/3 = 1/6. From their
    mean, which counts each month the same: 001 is (1 + 2/3) / 2 = 5/6, 002 is 1/6, so 1/2 - 1/6 = 1/3.
    """
    settings = Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))
    months = [
        ("2026-05-31", "may", dict.fromkeys(range(8), "White")),
        ("2026-06-30", "june", dict.fromkeys(range(8, 12), "Black or African American")),
        (
            "2026-07-31",
            "",
            dict.fromkeys(range(12, 20), "Black or African American") | dict.fromkeys(range(20, 24), "White"),
        ),
    ]
    for day, name, races in months:
        with Workspace(settings, day) as workspace:
            ingest(workspace, [survey(tmp_path / f"{day}.csv", races)], partner="demo-plan")
        if name:
            frozen(settings, day, name, "tmsis")
    for names, index in ((["may"], 1 / 2), (["june"], 1 / 6), (["may", "june"], 1 / 3)):
        own = comparing(settings, tmp_path / "own", f'compare_with = "snapshots"\nsnapshots = {names}\n')
        assert indices(own, "2026-07-31") == (pytest.approx(index), False)
    with Workspace(own, "2026-07-31") as workspace:
        done = audit(workspace, [tmp_path / "2026-05-31.csv"], partner="demo-plan", programs=["tmsis"]).document
    (row,) = [row for row in done["programs"]["tmsis"]["rows"] if row["measure"] == "EL1.7"]
    assert row["rate"] == pytest.approx(1 / 6)  # a file, too: all White is 1/6 from 5/6
    assert row["reference"] == {"001": pytest.approx(5 / 6), "002": pytest.approx(1 / 6)}
    frozen(own, "2026-07-31", "july", "tmsis")
    with Workspace(own) as workspace:
        again = audit(workspace, snapshot="july").document
    assert again["snapshot"]["same"]
    assert row["note"].endswith("Compared with snapshots: may (2026-05-31), june (2026-06-30).")


def test_a_snapshot_that_cannot_be_compared_with_is_refused(tmp_path: Path) -> None:
    settings = Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))
    with Workspace(settings, "2026-05-31") as workspace:
        ingest(workspace, [survey(tmp_path / "a.csv", {1: "White"})], partner="demo-plan")
    frozen(settings, "2026-05-31", "base only", "base")
    for words, error, message in (
        ('compare_with = "snapshots"\nsnapshots = ["base only"]\n', UsageError, "was not counted under tmsis"),
        ('compare_with = "snapshots"\nsnapshots = ["june"]\n', UsageError, "no snapshot of this name"),
        ('compare_with = "snapshots"\n', TableError, "go together"),
        ('snapshots = ["june"]\n', TableError, "go together"),
    ):
        with pytest.raises(error, match=message):
            indices(comparing(settings, tmp_path / "own", words), "2026-06-30")
