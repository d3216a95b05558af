"""What executors made, kept in a folder beside the result until all of it is there: no task runs twice into it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fhir_equity.engine.spark.files import Files
from fhir_equity.engine.spark.session import failures
from fhir_equity.errors import EngineError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class Staging:
    """A folder of results that is gone at the end; use it as a context manager."""

    def __init__(self, spark: SparkSession, files: Files, url: str) -> None:
        self._spark, self._files, self._url = spark, files, url
        self._parts = 0

    def __enter__(self) -> Staging:
        self._files.remove(self._url)  # what an interrupted run left
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.remove(self._url)

    def require(self, format_: str) -> None:
        """Raise UsageError where Spark cannot write a format, before anything else is done."""
        written(self._spark.range(0), format_, f"{self._url}/tried")

    def keep(self, frames: Iterable[DataFrame]) -> DataFrame | None:
        """Let executors make these results once; None where there are none. Raises EngineError."""
        found = list(frames)
        if not found:
            return None
        self._parts += 1
        place = f"{self._url}/part{self._parts}"
        written(reduce(lambda one, other: one.unionAll(other), found), "parquet", place)
        return self._spark.read.parquet(place)

    def text(self, frame: DataFrame, kind: str, to: str) -> None:
        """The results of a kind as the lines of text files in a new folder. Raises EngineError."""
        from pyspark.sql import functions

        lines = frame.where(functions.col("kind") == kind).select(functions.col("made").cast("string").alias("value"))
        self.table(lines, "text", to)

    def table(self, frame: DataFrame, format_: str, to: str) -> None:
        """Rows in a format of Spark in a new folder, which gets its name when all are there. Raises EngineError."""
        place = f"{self._url}/whole"
        written(frame, format_, place)
        self._files.move(place, to)


def written(frame: DataFrame, format_: str, to: str) -> None:
    """Write a frame. Raises EngineError, which quotes nothing of what the executors said, and UsageError."""
    try:
        frame.write.format(format_).save(to)
    except failures() as error:
        if _is_missing(error):
            raise UsageError(f"Spark knows no format {format_} here; [spark] of the settings has to name it") from None
        raise EngineError(f"Spark gave up on a task ({type(error).__name__}); run this again") from None


def _is_missing(error: Any) -> bool:
    """Whether Spark has no data source of that name."""
    java = getattr(error, "java_exception", None)
    return java is not None and java.getClass().getSimpleName() == "SparkClassNotFoundException"
