"""Files that others wrote: Spark gives what this process gives, to the last count and the last row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from fhir_equity.pipeline.leaving import Wish
from tests.engine.test_spark import counted
from tests.engine.test_spark_convert import both, lines

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FOLDERS = ("edi834/samples", "data/real/fhir-r4", "data/real/fhir-r4-oddities", "data/real/tabular")


def test_real_files_are_counted_alike(spark: SparkSession, shared: Path) -> None:
    folders = [shared / folder for folder in FOLDERS]
    alone, together = counted(folders, "local"), counted(folders, "spark")
    inputs = alone[0]["run"]["inputs"]
    assert together[0]["run"]["inputs"] == inputs
    assert together == alone
    assert {each["format"] for each in inputs} == {"edi834", "fhir", "survey"}
    assert sum(each["members"] for each in inputs) > 100
    assert alone[1], "some of them are none of ours"


def test_real_files_are_converted_alike(spark: SparkSession, shared: Path, tmp_path: Path) -> None:
    for folder in FOLDERS:
        place = tmp_path / folder.replace("/", "-")
        place.mkdir()
        here, far = both(place, shared / folder, Wish(partner="plan", include_sensitive=True))
        assert far == here, folder
        assert here.members, folder
        assert lines(place / "far.ndjson") == lines(place / "here.ndjson"), folder
        lost = [
            sorted(str(json.loads(line) | {"locator": ""}) for line in lines(place / f"{name}-losses"))
            for name in ("here", "far")
        ]
        assert lost[0] == lost[1], folder
