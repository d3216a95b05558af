"""The Spark session that we work in, and what its failures are told as."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from fhir_equity.errors import EngineError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

UMASK, PRIVATE = "fs.permissions.umask-mode", "077"  # what we write is readable by its owner only


def session(config: dict[str, str]) -> SparkSession:
    """The session at hand, else a new one: on the master that the environment names, else on this machine.

    Either way what it writes from now on is its owner's only, as everything that we write.

    Raises UsageError where PySpark or Java is missing.
    """
    try:
        from pyspark import SparkConf
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise UsageError("this needs Spark: pip install 'fhir-equity[spark]'") from None
    active = SparkSession.getActiveSession()
    if active is not None:
        hadoop: Any = active.sparkContext
        hadoop._jsc.hadoopConfiguration().set(UMASK, PRIVATE)
        return active
    conf = SparkConf()
    for key, value in {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", **config}.items():
        conf.set(key, value)
    conf.set(f"spark.hadoop.{UMASK}", PRIVATE)
    if not conf.contains("spark.master"):
        conf.setMaster("local[*]")
    python = conf.get("spark.pyspark.python")  # which Spark itself heeds in spark-submit only
    if python or (conf.get("spark.master") or "").startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", python or sys.executable)
    try:
        found = SparkSession.builder.appName("fhir-equity").config(conf=conf).getOrCreate()
    except (PySparkException, RuntimeError, OSError):  # whose messages quote the whole environment
        raise UsageError("Spark does not start; is Java 17 installed, and does the master answer?") from None
    found.sparkContext.setLogLevel("ERROR")
    return found


def split_size(spark: SparkSession) -> int:
    """Bytes of the pieces that Spark cuts files into (``spark.sql.files.maxPartitionBytes``)."""
    inner: Any = spark
    return int(inner._jsparkSession.sessionState().conf().filesMaxPartitionBytes())


def failures() -> tuple[type[Exception], ...]:
    """What Spark raises where a job fails: of itself, and of Java."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return PySparkException, Py4JError, RuntimeError


def collected(frame: DataFrame) -> list[Any]:
    """The rows of a frame. Raises EngineError, which quotes nothing of what the executors said."""
    try:
        return frame.collect()
    except failures() as error:
        raise EngineError(f"Spark gave up on a task ({type(error).__name__}); run this again") from None
