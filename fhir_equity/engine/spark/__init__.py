"""Run the pipeline's function on Spark: files of any Hadoop file system, cut into ranges of bytes, over its executors.

A large file is read by Spark's own text source, whose line separator is the mark at which the format may be cut: Spark
splits by byte range and goes on at the next mark. What the pieces of one split hold is put together again, byte for
byte, and is one range. Where ranges start in their file, and how many units come before, is counted first, so that
positions are those of the whole file. Small files, and those that must stay whole, travel whole, many to a task.

Needs the extra `spark` (PySpark 4, Java 17) and a session that is not Spark Connect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_equity.engine.spark.files import File, Files
from fhir_equity.engine.spark.ranges import layouts, over_rows, over_slices, over_whole, parquet
from fhir_equity.engine.spark.session import collected, session, split_size
from fhir_equity.engine.spark.slices import Layout, Marks, Slice, Work
from fhir_equity.engine.spark.staging import Staging
from fhir_equity.engine.spark.typed import ddl, results, table_of, typed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame as DataFrame

__all__ = [
    "File",
    "Files",
    "Layout",
    "Marks",
    "Slice",
    "Staging",
    "Work",
    "collected",
    "ddl",
    "layouts",
    "over_rows",
    "over_slices",
    "over_whole",
    "parquet",
    "results",
    "session",
    "split_size",
    "table_of",
    "typed",
]
