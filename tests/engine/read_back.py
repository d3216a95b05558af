"""python -m tests.engine.read_back CONFIG SRC FOLDER: convert SRC to Parquet and to Delta, and read both with Spark.

A process of its own: a session knows Delta from its start, or never.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from fhir_equity.engine.spark import session
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.leaving import Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import load

FORMATS = ("parquet", "delta")


def read_back(config: Path, source: Path, folder: Path) -> int:
    """How many rows there are. Raises AssertionError where one of them differs between the formats."""
    settings = load(config)
    with Workspace(settings, "2026-01-01") as workspace:
        done = [
            convert(workspace, source, folder / f"out.{name}", wish=Wish(partner="plan"), engine="spark")
            for name in FORMATS
        ]
    assert done[0] == done[1]
    spark = session(settings.spark)
    parquet, delta = (spark.read.format(name).load(str(folder / f"out.{name}")) for name in FORMATS)
    assert delta.schema == parquet.schema
    rows, others = (Counter(map(str, frame.collect())) for frame in (parquet, delta))
    assert others == rows, f"{(others - rows).total()} only in Delta, {(rows - others).total()} only in Parquet"
    spark.stop()
    return rows.total()


if __name__ == "__main__":
    sys.stdout.write(f"{read_back(*map(Path, sys.argv[1:4]))} rows\n")
