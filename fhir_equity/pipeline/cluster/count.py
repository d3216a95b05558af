"""Count files on Spark, each range by what also counts here."""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct

from fhir_equity.adapters import Adapter, Source, adapter_named
from fhir_equity.adapters.protocol import Range
from fhir_equity.engine import spark
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding
from fhir_equity.pipeline.cluster.executor import FAILURE, Known, OnExecutor
from fhir_equity.pipeline.cluster.scatter import Scatter
from fhir_equity.pipeline.cluster.tables import format_of, headings
from fhir_equity.pipeline.luggage import packed
from fhir_equity.pipeline.workers import Counted, How, count_range
from fhir_equity.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from fhir_equity.engine.spark import DataFrame


class Result(Struct):
    """What came of one file: its counts in the order of its ranges, else the sentence why there are none."""

    file: spark.File
    adapter: Adapter | None = None
    counted: list[Counted] = []
    sha256: str = ""
    size: int = 0
    failure: str = ""
    headings: list[Finding] = []  # what is found in those of a table

    @property
    def source(self) -> Source:
        """The file as an audit lists it; its bytes are elsewhere."""
        source = Source(self.file.name, io.BytesIO)
        source.sha256, source.size = self.sha256, self.size
        return source


class Counting(Struct, frozen=True):
    """The job of executors: count a range. Yields one pickle of (format, Counted, digest, size)."""

    how: How

    def __call__(
        self, workspace: Workspace, number: int, source: Source, adapter: Adapter, part: Range
    ) -> Iterator[tuple[str, bytes]]:
        """See `Job`."""
        counted = count_range(workspace, self.how, number, source, adapter, part)
        yield "counted", pickle.dumps((adapter.name, counted, source.sha256, source.size))


class Cluster:
    """One audit's work on Spark. Raises UsageError for what cannot be reached, and where there is no Spark."""

    def __init__(self, workspace: Workspace, how: How, format_: str, urls: Iterable[str]) -> None:
        self._workspace, self._how = workspace, how
        self._scatter = Scatter(workspace, how.partner, format_, urls)

    def counted(self) -> Iterator[Result]:
        """What came of each file, in their order; EngineError where Spark gives up."""
        plan = self._scatter.plan()
        results = {file.number: Result(file) for file in self._scatter.found}
        for number, failure in plan.failures.items():
            results[number].failure = failure
        apart = [*(layout.file for layout in plan.layouts), *plan.tables]
        with ThreadPoolExecutor(1) as beside:  # the digests of large files, while the executors count them
            digests = beside.map(self._scatter.files.digest, [file.url for file in apart])
            for frame in self._scatter.frames(plan, Counting(self._how)):
                collect(frame, results)
            for number, found in self._scatter.headings.items():
                results[number].headings = found
            for file, (digest, size) in zip(apart, digests, strict=True):
                results[file.number].sha256, results[file.number].size = digest, size
        for file in plan.large:
            self.here(results[file.number])
        yield from results.values()

    def here(self, result: Result) -> None:
        """Count a file in this process: one that is too large to travel whole, or whose ranges do not fit."""
        failures: dict[int, str] = {}
        with self._scatter.brought(result.file) as source:
            adapter = result.adapter or self._scatter.recognised(failures, result.file, source.head())
            if adapter is None:
                result.failure = failures[result.file.number]
                return
            result.adapter = adapter
            number = result.file.number
            result.counted = [count_range(self._workspace, self._how, number, source, adapter, Range())]
            result.sha256, result.size = source.sha256, source.size

    def members(self, file: spark.File, adapter: Adapter) -> Iterator[object]:
        """What a file holds, read once more in this process."""
        context = self._workspace.context(self._how.partner, adapter.name)
        with self._scatter.brought(file) as source, contextlib.suppress(UnreadableError):  # told when it was counted
            yield from adapter.read(source, Range(), context)


def collect(frame: DataFrame, results: dict[int, Result]) -> None:
    """Bring what executors counted here, in the order of the ranges. Raises EngineError."""
    for row in sorted(spark.collected(frame), key=lambda row: (row.file, row.start)):
        result = results[row.file]
        if row.kind == FAILURE:
            result.failure = bytes(row.made).decode()
            continue
        format_, counted, sha256, size = pickle.loads(bytes(row.made))  # noqa: S301 - our own executors made it
        result.adapter = adapter_named(format_)
        result.counted = [*result.counted, counted]
        result.sha256, result.size = sha256 or result.sha256, size or result.size


def counted_rows(workspace: Workspace, how: How, rows: DataFrame, name: str, format_: str, column: str) -> Result:
    """Count the rows of a table. Raises UsageError for columns that cannot be read, EngineError."""
    format_, column = format_of(rows.columns, format_, column)
    found = headings(workspace, how.partner, name, format_, rows.columns)
    result = Result(spark.File(1, "", name, 0), adapter_named(format_), headings=found)
    work = OnExecutor(packed(workspace), Counting(how), "", {}, {1: Known(name, format_)})
    collect(spark.over_rows(rows, 1, work, column), {1: result})
    result.sha256, result.size = "", 0  # of the whole there is neither
    return result
