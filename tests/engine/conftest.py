"""A Spark session for the tests of this folder: small splits, so that small files are cut into many ranges."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.conftest import missing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPLIT = 20_000  # bytes


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    if shutil.which("java") is None:
        missing("Spark needs Java 17")
    import fhir_equity.engine.spark as engine

    session = engine.session(
        {
            "spark.master": "local[2]",
            "spark.driver.host": "127.0.0.1",
            "spark.sql.files.maxPartitionBytes": str(SPLIT),
            "spark.sql.files.openCostInBytes": "1000",
            "spark.sql.shuffle.partitions": "2",
            "spark.pyspark.python": sys.executable,
        }
    )
    yield session
    session.stop()
