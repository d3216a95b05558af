"""Files over the executors: large ones cut into ranges, small ones whole, tables of Parquet by row group."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from fhir_equity.adapters import Adapter, Source, adapter_named, recognise
from fhir_equity.adapters.manifest import is_manifest
from fhir_equity.adapters.source import HEAD, sources
from fhir_equity.engine import spark
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.model import Finding
from fhir_equity.pipeline.cluster.executor import Job, Known, OnExecutor
from fhir_equity.pipeline.cluster.held import held
from fhir_equity.pipeline.cluster.tables import format_of, headings
from fhir_equity.pipeline.luggage import packed
from fhir_equity.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from fhir_equity.engine.spark import DataFrame

MOST = 1024 * 1024 * 1024  # bytes of one that travels whole
_ZIP = b"PK"
_PARQUET = b"PAR1"


class Plan(Struct):
    """How the files of a run are read: in ranges, whole, as tables; and those that cannot be, with the sentence why.

    `large` neither travel whole nor can be cut.
    """

    known: dict[int, Known] = {}
    layouts: list[spark.Layout] = []
    whole: list[spark.File] = []
    tables: list[spark.File] = []
    large: list[spark.File] = []
    failures: dict[int, str] = {}


class Scatter:
    """The files of one run on Spark. Raises UsageError for what cannot be reached, and where there is no Spark."""

    def __init__(self, workspace: Workspace, partner: str, format_: str, urls: Iterable[str]) -> None:
        self.workspace, self._partner, self._format = workspace, partner, format_
        self.session = spark.session(workspace.settings.spark)
        self.files = spark.Files(self.session)
        self.found = self.files.below(urls)
        if not self.found:
            raise UsageError("there is nothing to read")
        self.luggage = packed(workspace)
        self.headings: dict[int, list[Finding]] = {}  # of tables

    def plan(self) -> Plan:
        """Which files are cut, and where; what cannot be read on a cluster is told."""
        plan, cuts = Plan(), []
        least = spark.split_size(self.session)  # smaller ones would be one piece and travel whole
        for file in self.found:
            if not file.size:  # which Spark passes over
                plan.failures[file.number] = f"{file.name} is empty"
            large = file.size >= least and not file.url.endswith(".gz")
            if not large and not file.name.lower().endswith((".zip", ".json", ".parquet")):
                continue
            head = self.files.head(file.url, HEAD)
            if head.startswith(_ZIP):
                plan.failures[file.number] = f"{file.name} is a zip file, which is not read on a cluster; unpack it"
            elif is_manifest(head):
                raise UsageError(f"{file.name} is the manifest of an export, which is not read on a cluster")
            elif head.startswith(_PARQUET):
                plan.tables.append(file)
            elif large:
                adapter = self.recognised(plan.failures, file, head)
                cut = adapter.cut(head) if adapter else None
                if adapter and cut:
                    plan.known[file.number] = Known(file.name, adapter.name, head)
                    cuts.append((file, spark.Marks(cut.mark, cut.keep, cut.unit, cut.every)))
        plan.layouts = [layout for layout in spark.layouts(self.session, cuts) if layout.slices]
        done = {layout.file.number for layout in plan.layouts} | {file.number for file in plan.tables}
        left = [file for file in self.found if file.number not in done and file.number not in plan.failures]
        plan.whole = [file for file in left if file.size <= MOST]
        plan.large = [file for file in left if file.size > MOST]
        return plan

    def recognised(self, failures: dict[int, str], file: spark.File, head: bytes) -> Adapter | None:
        """The format of a file from its first bytes; None, and a failure, where it is none of ours."""
        try:
            return adapter_named(self._format) if self._format else recognise(held(file.name, head))
        except UnreadableError as error:
            failures[file.number] = str(error)
            return None

    def frames(self, plan: Plan, job: Job) -> list[DataFrame]:
        """What the job makes of every file of a plan, as rows of `engine.spark.RESULT`."""
        names = {file.number: file.name for file in plan.whole}
        cut = {layout.file.number: plan.known[layout.file.number] for layout in plan.layouts}
        work = OnExecutor(self.luggage, job, self._format, names, cut)
        found = [spark.over_slices(self.session, plan.layouts, work)] if plan.layouts else []
        found += [spark.over_whole(self.session, plan.whole, work)] if plan.whole else []
        return found + [self._table(file, job) for file in plan.tables]

    def _table(self, file: spark.File, job: Job) -> DataFrame:
        rows = spark.parquet(self.session, file)
        format_, column = format_of(rows.columns, self._format)
        self.headings[file.number] = headings(self.workspace, self._partner, file.name, format_, rows.columns)
        work = OnExecutor(self.luggage, job, "", {}, {file.number: Known(file.name, format_)})
        return spark.over_rows(rows, file.number, work, column)

    @contextlib.contextmanager
    def brought(self, file: spark.File) -> Iterator[Source]:
        """A file as a source in this process."""
        with tempfile.TemporaryDirectory(prefix="fhir-equity-") as folder:  # readable by its owner only
            path = Path(folder) / file.name
            self.files.copy(file.url, str(path))
            (source,) = sources([path])
            yield source
