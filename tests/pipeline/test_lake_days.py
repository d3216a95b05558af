"""A folder is read in a few passes, however many days it has, and makes the same store however they are cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_equity.pipeline import lake_days, lake_load
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.lake import export
from tests.pipeline.test_lake import filled, held, opened
from tests.pipeline.test_merge_across import ASIAN, BLACK, say

parquet = pytest.importorskip("pyarrow.parquet")


def passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, days: int) -> list[Any]:
    """The columns of each pass over the answers of a folder that has so many days."""
    with opened(f"sqlite:///{tmp_path}/{days}.db", tmp_path, "2026-04-01") as workspace:
        for number in range(days):
            say(workspace, "south", f"2026-01-{number + 1:02}", ("a", ASIAN), (f"s{number}", BLACK))
        export(workspace, tmp_path / f"lake{days}")
    read, batches = [], parquet.ParquetFile.iter_batches

    def counted(self: Any, size: int, columns: Any = None) -> Any:
        read.append((self.schema_arrow.names[4], columns))
        return batches(self, size, columns=columns)

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", counted)
    with opened(f"sqlite:///{tmp_path}/{days}-again.db", tmp_path, "2026-04-01") as workspace:
        ingest(workspace, [tmp_path / f"lake{days}"])
    monkeypatch.undo()
    assert held(f"sqlite:///{tmp_path}/{days}-again.db", tmp_path) == held(f"sqlite:///{tmp_path}/{days}.db", tmp_path)
    return read


def test_the_number_of_passes_does_not_grow_with_the_days(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few, many = passes(monkeypatch, tmp_path, 3), passes(monkeypatch, tmp_path, 12)
    assert ("event", None) in many
    assert few == many


@pytest.mark.parametrize(("held_at_once", "waiting"), [(1, 1), (60, 30)])
def test_however_the_days_are_cut_the_store_is_equal(
    held_at_once: int, waiting: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    filled(first, tmp_path)
    with opened(first, tmp_path, "2026-04-01") as workspace:
        export(workspace, tmp_path / "lake", include_sensitive=True)
    monkeypatch.setattr(lake_days, "HELD", held_at_once)
    monkeypatch.setattr(lake_load, "WAITING", waiting)
    with opened(second, tmp_path, "2026-04-01") as workspace:
        ingest(workspace, [tmp_path / "lake"])
    assert held(second, tmp_path) == held(first, tmp_path)
