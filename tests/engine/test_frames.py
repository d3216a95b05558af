"""DataFrames in and out: the rows of a table are read as the same rows in a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.frames import audit_frame, normalize_frame
from fhir_equity.pipeline.leaving import Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.tables import Tables
from tests.benchmarks.generate_834 import file_of as edi_file_of
from tests.benchmarks.generate_fhir import file_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SURVEY = ["member_id", "first_name", "race_ethnicity", "language_spoken", "sexual_orientation", "shoe_size"]
ROWS = [
    ("M1", "Ada", "Samoan", "es", "Lesbian", 1),
    ("M2", "Bo, Jr.", "Asian; Black", "Spanish", None, 2),
    ("M3", '=1+"1"', "prefer not to say", None, None, 3),
    (None, "Nobody", "Asian", "en", None, 4),
    ("M4", "Line\nbreak", "purple", "English", "Gay", None),
]


def table(spark: SparkSession, parts: int = 3) -> DataFrame:
    columns = ", ".join(f"{name} {'int' if name == 'shoe_size' else 'string'}" for name in SURVEY)
    return spark.createDataFrame(ROWS, columns).repartition(parts)


def csv_of(folder: Path) -> Path:
    import csv

    path = folder / "frame.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([SURVEY, *ROWS])
    return path


def audited(frame: DataFrame) -> set[tuple[Any, ...]]:
    rows = frame.collect()
    assert {row.layout for row in rows} == {"frame/1"}
    return {tuple(row)[1:] for row in rows}


def of_file(spark: SparkSession, path: Path, **how: Any) -> set[tuple[Any, ...]]:
    """The audit of a file, in the columns of `audited`."""
    from fhir_equity.pipeline.frames import _rows

    with Workspace(as_of="2026-01-01") as workspace:
        return {tuple(row)[1:] for row in _rows(audit(workspace, [path], **how).document, "frame/1")}


def test_the_audit_of_a_table_is_that_of_the_same_rows_in_a_file(spark: SparkSession, tmp_path: Path) -> None:
    how: dict[str, Any] = {"partner": "plan", "by": ("source",), "programs": ("base", "rdm-style")}
    for frame, path in (
        (table(spark), csv_of(tmp_path)),
        (spark.read.text(str(file_of(90, tmp_path))).repartition(4), file_of(90, tmp_path)),
    ):
        with Workspace(as_of="2026-01-01") as workspace:
            found = audited(audit_frame(frame, workspace=workspace, **how))
        assert found == of_file(spark, path, **how)
    assert {row[0] for row in found} >= {"population", "states", "omb2024 any", "omb1997 race", "rate"}
    with Workspace(as_of="2026-01-01") as workspace:
        hidden = audited(audit_frame(table(spark), workspace=workspace, partner="plan", publish=True))
    assert any(row[-1] and row[5] is None for row in hidden)


def test_a_table_is_normalized(spark: SparkSession) -> None:
    guide = Tables().document("guides/frame.toml")
    with Workspace(as_of="2026-01-01") as workspace:
        frame = normalize_frame(table(spark), workspace=workspace, partner="plan")
        whole = normalize_frame(table(spark), workspace=workspace, partner="plan", include_sensitive=True)
        assert frame.columns == list(guide["normalized"])
        rows = {row.key: row for row in frame.collect() if row.key}
        others = [row for row in frame.collect() if not row.key]
        said = {row.key: {a.topic for a in row.answers} for row in whole.collect() if row.key}
    assert set(rows) == {"M1", "M2", "M3", "M4"}
    first = {answer.topic: answer for answer in rows["M1"].answers}
    assert (first["race_ethnicity"].state, first["race_ethnicity"].wins) == ("answered", True)
    assert [c.code for c in first["race_ethnicity"].concepts] == ["2080-0"]
    assert "sexual_orientation" not in first
    assert "sexual_orientation" in said["M1"]
    assert [loss.rule for loss in rows["M1"].losses] == ["release.sensitive_left_out"]
    assert {a.topic: a.state for a in rows["M3"].answers}["race_ethnicity"] == "declined"
    codes = {finding.code for row in others for finding in row.findings}
    assert codes == {"survey.key.empty", "survey.column.not_used"}


def test_what_cannot_be_a_table_is_refused_at_once(spark: SparkSession) -> None:
    with pytest.raises(UsageError, match="no column nothing"):
        normalize_frame(table(spark), column="nothing")
    with pytest.raises(UsageError, match=r"fhir .* or as a survey"):
        normalize_frame(table(spark), format_="edi834")
    with pytest.raises(UsageError, match="name the column"):
        normalize_frame(table(spark), format_="fhir")
    with pytest.raises(UsageError):
        normalize_frame(table(spark).drop("member_id"))


def test_parquet_in_and_out(spark: SparkSession, tmp_path: Path) -> None:
    lines = spark.read.text(str(file_of(400, tmp_path))).coalesce(1)
    table(spark).coalesce(1).write.parquet(str(tmp_path / "survey.parquet"))
    lines.write.option("parquet.block.size", 20_000).parquet(str(tmp_path / "patients.parquet"))
    assert spark.read.parquet(str(tmp_path / "patients.parquet")).rdd.getNumPartitions() > 1
    for name, path in (("survey", csv_of(tmp_path)), ("patients", file_of(400, tmp_path))):
        counted = []
        for source, engine in ((tmp_path / f"{name}.parquet", "spark"), (path, "local")):
            with Workspace(as_of="2026-01-01") as workspace:
                document = audit(workspace, [source], partner="plan", engine=engine).document
            counted.append({key: document[key] for key in ("population", "topics", "views", "findings", "losses")})
            assert document["run"]["inputs"][0]["sha256"]
        assert counted[0] == counted[1]
    enrollment = edi_file_of(300, tmp_path)
    with Workspace(as_of="2026-01-01") as workspace:
        done = convert(workspace, enrollment, tmp_path / "out.parquet", wish=Wish(partner="plan"), engine="spark")
        again = convert(workspace, tmp_path / "survey.parquet", tmp_path / "s.parquet", engine="spark")
    assert (done.members, again.members, again.rejected) == (300, 4, 1)
    rows = spark.read.parquet(str(tmp_path / "out.parquet")).collect()
    assert len({row.key for row in rows}) == len(rows) == 300
    assert {row.layout for row in rows} == {"frame/1"}
    assert sum(len(row.losses) for row in rows) == sum(done.losses.values())
    stored = json.loads(spark.read.parquet(str(tmp_path / "out.parquet")).schema.json())
    assert [field["name"] for field in stored["fields"]] == list(Tables().document("guides/frame.toml")["normalized"])


def test_importing_the_package_loads_no_spark() -> None:
    script = "import sys, fhir_equity; dir(fhir_equity); sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
