"""Audit files on Spark: large ones cut into ranges, small ones whole, each counted by what also counts here."""

from __future__ import annotations

import contextlib
import gzip
import io
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, cast

from msgspec import Struct

from fhir_equity.adapters import Adapter, Source, adapter_named, recognise
from fhir_equity.adapters.manifest import is_manifest
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import HEAD, Passing, sources
from fhir_equity.engine import spark
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.pipeline.luggage import Luggage, packed
from fhir_equity.pipeline.workers import Counted, How, count_range
from fhir_equity.pipeline.workspace import Workspace

LEAST = 64 * 1024 * 1024  # bytes of a file that is cut; smaller ones travel whole
MOST = 1024 * 1024 * 1024  # bytes of one that travels whole; larger ones are brought here
_GZIP = b"\x1f\x8b"
_ZIP = b"PK"


class Known(Struct, frozen=True):
    """What executors must know of a file that was cut: its format, and its first bytes."""

    name: str
    format_: str
    head: bytes


class Result(Struct):
    """What came of one file: its counts in the order of its ranges, else the sentence why there are none."""

    file: spark.File
    adapter: Adapter | None = None
    counted: list[Counted] = []
    sha256: str = ""
    size: int = 0
    failure: str = ""

    @property
    def source(self) -> Source:
        """The file as an audit lists it; its bytes are elsewhere."""
        source = Source(self.file.name, io.BytesIO)
        source.sha256, source.size = self.sha256, self.size
        return source


class CountOnExecutor:
    """The function that executors are given: one range, or one whole file, counted as it would be here."""

    def __init__(self, luggage: Luggage, how: How, format_: str, names: dict[int, str], cut: dict[int, Known]) -> None:
        self._luggage = luggage
        self._how = how
        self._format = format_
        self._names = names
        self._cut = cut

    def __call__(self, number: int, part: spark.Slice, blocks: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
        """Yields one pickle of (format, Counted, digest, size), or the sentence of what cannot be read."""
        workspace, known = self._luggage.open(), self._cut.get(number)
        if known is not None:
            source: Source = Passing(known.name, known.head, blocks)
            adapter, range_ = adapter_named(known.format_), Range(part.start, part.stop, part.before)
        else:
            source, range_ = held(self._names[number], b"".join(blocks)), Range()
            try:
                adapter = adapter_named(self._format) if self._format else recognise(source)
            except UnreadableError as error:
                yield "failure", str(error).encode()
                return
        counted = count_range(workspace, self._how, number, source, adapter, range_)
        yield "counted", pickle.dumps((adapter.name, counted, source.sha256, source.size))


def held(name: str, content: bytes) -> Source:
    """A source whose bytes are at hand, packed or not."""
    if content.startswith(_GZIP):
        return Source(name, lambda: cast("IO[bytes]", gzip.open(io.BytesIO(content), "rb")), len(content))
    return Source(name, lambda: io.BytesIO(content))


class Cluster:
    """One audit's work on Spark. Raises UsageError for what cannot be reached, and where there is no Spark."""

    def __init__(self, workspace: Workspace, how: How, format_: str, urls: Iterable[str]) -> None:
        self._workspace, self._how, self._format = workspace, how, format_
        self._spark = spark.session(workspace.settings.spark)
        self._files = spark.Files(self._spark)
        self._found = self._files.below(urls)
        if not self._found:
            raise UsageError("there is nothing to read")
        self._luggage = packed(workspace)

    def counted(self) -> Iterator[Result]:
        """What came of each file, in their order; EngineError where Spark gives up."""
        results = {file.number: Result(file) for file in self._found}
        known, layouts = self._cut(results)
        cut = {layout.file.number for layout in layouts}
        whole = [file for file in self._found if file.number not in cut and not results[file.number].failure]
        large = [file for file in whole if file.size > MOST]
        with ThreadPoolExecutor(1) as beside:  # the digests of large files, while the executors count them
            digests = beside.map(self._files.digest, [layout.file.url for layout in layouts])
            self._collect(results, known, layouts, [file for file in whole if file.size <= MOST])
            for layout, (digest, size) in zip(layouts, digests, strict=True):
                results[layout.file.number].sha256, results[layout.file.number].size = digest, size
        for file in large:
            self.here(results[file.number])
        yield from results.values()

    def _cut(self, results: dict[int, Result]) -> tuple[dict[int, Known], list[spark.Layout]]:
        """Which files are cut, and where; what cannot be read on a cluster is told in its result."""
        known: dict[int, Known] = {}
        cuts = []
        for file in self._found:
            if not file.size:  # which Spark passes over
                results[file.number].failure = f"{file.name} is empty"
            large = file.size >= LEAST and not file.url.endswith(".gz")
            if not large and not file.name.lower().endswith((".zip", ".json")):
                continue
            head = self._files.head(file.url, HEAD)
            if head.startswith(_ZIP):
                results[file.number].failure = f"{file.name} is a zip file, which is not read on a cluster; unpack it"
            elif is_manifest(head):
                raise UsageError(f"{file.name} is the manifest of an export, which is not read on a cluster")
            elif large:
                adapter = self._recognised(results[file.number], head)
                cut = adapter.cut(head) if adapter else None
                if adapter and cut:
                    known[file.number] = Known(file.name, adapter.name, head)
                    cuts.append((file, spark.Marks(cut.mark, cut.keep, cut.unit, cut.every)))
        layouts = [layout for layout in spark.layouts(self._spark, cuts) if layout.slices]
        return known, layouts

    def _recognised(self, result: Result, head: bytes) -> Adapter | None:
        try:
            return adapter_named(self._format) if self._format else recognise(held(result.file.name, head))
        except UnreadableError as error:
            result.failure = str(error)
            return None

    def _collect(
        self,
        results: dict[int, Result],
        known: dict[int, Known],
        layouts: list[spark.Layout],
        whole: list[spark.File],
    ) -> None:
        names = {file.number: file.name for file in whole}
        cut = {layout.file.number: known[layout.file.number] for layout in layouts}
        work = CountOnExecutor(self._luggage, self._how, self._format, names, cut)
        frames = [spark.over_slices(self._spark, layouts, work)] if layouts else []
        frames += [spark.over_whole(self._spark, whole, work)] if whole else []
        for frame in frames:
            for row in sorted(spark.collected(frame), key=lambda row: (row.file, row.start)):
                result = results[row.file]
                if row.kind == "failure":
                    result.failure = bytes(row.made).decode()
                    continue
                format_, counted, sha256, size = pickle.loads(bytes(row.made))  # noqa: S301 - our own executors made it
                result.adapter = adapter_named(format_)
                result.counted = [*result.counted, counted]
                result.sha256, result.size = sha256 or result.sha256, size or result.size

    def here(self, result: Result) -> None:
        """Count a file in this process: one that is too large to travel whole, or whose ranges do not fit."""
        with self._brought(result.file) as source:
            adapter = result.adapter or self._recognised(result, source.head())
            if adapter is None:
                return
            result.adapter = adapter
            number = result.file.number
            result.counted = [count_range(self._workspace, self._how, number, source, adapter, Range())]
            result.sha256, result.size = source.sha256, source.size

    @contextlib.contextmanager
    def _brought(self, file: spark.File) -> Iterator[Source]:
        with tempfile.TemporaryDirectory(prefix="fhir-equity-") as folder:  # readable by its owner only
            path = Path(folder) / file.name
            self._files.copy(file.url, str(path))
            (source,) = sources([path])
            yield source

    def members(self, file: spark.File, adapter: Adapter) -> Iterator[object]:
        """What a file holds, read once more in this process."""
        with self._brought(file) as source, contextlib.suppress(UnreadableError):  # told when it was counted
            yield from adapter.read(source, Range(), self._workspace.context(self._how.partner, adapter.name))
