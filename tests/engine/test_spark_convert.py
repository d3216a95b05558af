"""What is converted on Spark is what is converted here: the same rows, the same losses, and nothing of it in a log."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.leaving import Converted, Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings, StoreSettings
from tests.adapters.edi834.files import join
from tests.adapters.edi834.test_ranges import sets
from tests.benchmarks.generate_fhir import file_of as fhir_file_of
from tests.engine.test_spark import files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def settings(tmp_path: Path, overlay: Path | None = None) -> Settings:
    return Settings(store=StoreSettings(url=str(tmp_path / "equity.db")), mappings=MappingSettings(overlay=overlay))


def lines(place: Path) -> list[bytes]:
    """The lines of a file, or of all parts in a folder, in the order of their bytes."""
    parts = [place] if place.is_file() else sorted(place.glob("part-*"))
    return sorted(line for part in parts for line in part.read_bytes().splitlines())


def both(tmp_path: Path, source: Path, wish: Wish) -> tuple[Converted, Converted]:
    """Converted here and on Spark: into here.ndjson and far.ndjson, with ledgers."""
    done = []
    for name, engine in (("here", "local"), ("far", "spark")):
        with Workspace(settings(tmp_path), "2026-01-01") as workspace:
            dst, losses = tmp_path / f"{name}.ndjson", tmp_path / f"{name}-losses"
            done.append(convert(workspace, source, dst, wish=wish, losses=losses, engine=engine))
    return done[0], done[1]


@pytest.mark.parametrize("wish", [Wish(partner="plan"), Wish(form="bundle", us_core="9.0.0", include_sensitive=True)])
def test_spark_converts_what_is_converted_here(spark: SparkSession, tmp_path: Path, wish: Wish) -> None:
    _, folder = files(tmp_path)
    here, far = both(tmp_path, folder, wish)
    assert far == here
    assert here.members == 2766
    assert here.losses["x12.not_kept.PER"] == 2400
    assert {"x12.se01.count_differs", "x12.encoding.latin1", "x12.st01.not_834"} <= set(here.findings)
    assert len(here.failures) == 2
    assert lines(tmp_path / "far.ndjson") == lines(tmp_path / "here.ndjson")
    without = [json.loads(line) | {"locator": ""} for line in lines(tmp_path / "here-losses")]
    assert sorted(map(str, without)) == sorted(
        str(json.loads(line) | {"locator": ""}) for line in lines(tmp_path / "far-losses")
    )
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "far.ndjson").glob("part-*")} == {0o600}
    assert not list(tmp_path.glob("*.part"))


def test_what_follows_a_refused_set_is_left_out(spark: SparkSession, tmp_path: Path) -> None:
    sheet = tmp_path / "ours" / "guides"
    sheet.mkdir(parents=True)
    (sheet / "edi834.toml").write_text('[header.purposes]\n"2" = "refuse"\n')
    path = tmp_path / "refused.834"
    text = join(sets(300, 1))
    path.write_bytes(text[: len(text) // 2] + text[len(text) // 2 :].replace(b"****4~", b"****2~"))
    done = []
    for name, engine in (("here", "local"), ("far", "spark")):
        with Workspace(settings(tmp_path, tmp_path / "ours"), "2026-01-01") as workspace:
            done.append(convert(workspace, path, tmp_path / f"{name}.ndjson", engine=engine))
    assert 200 < done[0].members < 400
    assert "refuses" in done[0].failures[0]
    assert done[1].failures == done[0].failures
    assert (done[1].members, done[1].losses) == (done[0].members, done[0].losses)
    assert lines(tmp_path / "far.ndjson") == lines(tmp_path / "here.ndjson")


def test_wrong_wishes_are_refused_before_anything_is_written(spark: SparkSession, tmp_path: Path) -> None:
    source = fhir_file_of(3, tmp_path)
    with Workspace(settings(tmp_path)) as workspace:
        for dst, wish, words in (
            ("out.834", Wish(), "writes fhir"),
            ("out", Wish(form="bulk"), "writes fhir"),
            ("out.parquet", Wish(recipient="nobody"), "names this recipient"),
            (source.name, Wish(), "exists; on a cluster nothing is replaced"),
        ):
            with pytest.raises(UsageError, match=words):
                convert(workspace, source, tmp_path / dst, wish=wish, engine="spark")
        with pytest.raises(UsageError, match="local, spark"):
            convert(workspace, source, tmp_path / "x.ndjson", engine="ray")
        (tmp_path / "none.txt").write_text("nothing of ours")
        with pytest.raises(UnreadableError, match=r"none\.txt is none of the formats"):
            convert(workspace, tmp_path / "none.txt", tmp_path / "x.ndjson", engine="spark")
        with pytest.raises(UsageError, match="knows no format delta"):
            convert(workspace, source, tmp_path / "out.delta", engine="spark")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("out", "x."))]
