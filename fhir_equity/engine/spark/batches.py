"""What executors do with the batches of Arrow that Spark hands them: count, and give the bytes to the function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from fhir_equity.engine.spark.files import File
from fhir_equity.engine.spark.slices import Layout, Marks, Slice, Work
from fhir_equity.errors import EngineError
from fhir_equity.privacy import describe

if TYPE_CHECKING:
    from pyarrow import RecordBatch

# What a task counts of a file's split; bytes are -1 where a piece does not match.
COUNTED = "file int, block long, rows long, bytes long, units long"
# What a task makes: the file's number, where its range starts, and the bytes that the function gave, by kind.
RESULT = "file int, start long, kind string, made binary"


class Count:
    """Rows, bytes and units of each batch; bytes are -1 where a piece does not match."""

    def __init__(self, file: File, marks: Marks) -> None:
        self._number = file.number
        self._marks = marks

    def __call__(self, batches: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
        """The counts of each batch of a split."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for batch in batches:
            for block, values in _by_block(batch):
                length = pc.sum(pc.binary_length(values)).as_py() or 0
                units = pc.sum(pc.count_substring(values, self._marks.unit)).as_py() or 0
                if self._marks.every and not pc.all(pc.match_substring_regex(values, self._marks.every)).as_py():
                    length = -1
                row = {
                    "file": [self._number],
                    "block": [block],
                    "rows": [len(values)],
                    "bytes": [length],
                    "units": [units],
                }
                yield pa.RecordBatch.from_pydict(row, _counted())


class OverSlices:
    """Gives the bytes of each slice to the function, in blocks, as they come."""

    def __init__(self, layout: Layout, work: Work) -> None:
        self._layout = layout
        self._work = work

    def __call__(self, batches: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
        """What the function makes of each slice."""
        pieces = ((block, values) for batch in batches for block, values in _by_block(batch))
        number = self._layout.file.number
        for block, found in groupby(pieces, itemgetter(0)):
            part = self._layout.slices.get(block)
            if part is None:  # the cluster grew or shrank in between, and Spark cut anew
                raise EngineError("Spark cut a file anew while it was read; run this again")
            blocks = self._blocks(part, (values for _, values in found))
            yield from _made(number, part, self._work(number, part, blocks))
            for _ in blocks:  # what the function did not want must not be taken for the next slice
                pass

    def _blocks(self, part: Slice, found: Iterator[Any]) -> Iterator[bytes]:
        mark, keep = self._layout.marks.mark, self._layout.marks.keep
        lead = mark[len(mark) - keep :] if part.start else b""
        for values in found:
            yield lead + mark.join(values.to_pylist())
            lead = mark
        if part.stop >= 0:
            yield mark[: len(mark) - keep]
        elif self._layout.ends:
            yield mark


class OverWhole:
    """Gives whole files to the function."""

    def __init__(self, numbers: dict[str, list[int]], work: Work) -> None:
        self._numbers = numbers
        self._work = work

    def __call__(self, batches: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
        """What the function makes of each file."""
        for batch in batches:
            for path, content in zip(batch.column("path"), batch.column("content"), strict=True):
                whole = Slice()
                for number in self._numbers[path.as_py()]:
                    yield from _made(number, whole, self._work(number, whole, iter([content.as_py()])))


class OverRows:
    """Gives batches of rows to the function: the values of a column as lines, else all columns as comma-separated."""

    def __init__(self, number: int, work: Work, column: str) -> None:
        self._number = number
        self._work = work
        self._column = column

    def __call__(self, batches: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
        """What the function makes of each batch."""
        from pyspark import TaskContext

        task = TaskContext.get()
        first = (task.partitionId() if task else 0) << _BATCHES
        for start, batch in enumerate((batch for batch in batches if batch.num_rows), first):
            content = _lines(batch) if self._column else _table(batch)
            part = Slice(start)
            yield from _made(self._number, part, self._work(self._number, part, iter([content])))


_BATCHES = 32  # bits for the batches of a partition


def _lines(batch: RecordBatch) -> bytes:
    """The values of the only column, one a line: a line break inside is a blank, as JSON allows."""
    values = (value.encode() if isinstance(value, str) else value or b"" for value in batch.column(0).to_pylist())
    return b"".join(b" ".join(value.splitlines()) + b"\n" for value in values)


def _table(batch: RecordBatch) -> bytes:
    import pyarrow as pa
    import pyarrow.csv

    out = pa.BufferOutputStream()
    pa.csv.write_csv(batch, out)
    content: bytes = out.getvalue().to_pybytes()
    return content


def _counted() -> Any:
    import pyarrow as pa

    return pa.schema([("file", pa.int32()), *((name, pa.int64()) for name in ("block", "rows", "bytes", "units"))])


def _by_block(batch: RecordBatch) -> Iterator[tuple[int, Any]]:
    """The values of a batch, run by run of one split."""
    blocks, values = batch.column("block").to_pylist(), batch.column("value")
    start = 0
    for block, run in groupby(blocks):
        count = sum(1 for _ in run)
        yield block, values.slice(start, count)
        start += count


def _made(number: int, part: Slice, made: Iterable[tuple[str, bytes]]) -> Iterator[RecordBatch]:
    """Rows of RESULT. What goes wrong is told without a value, and Spark tries again."""
    import pyarrow as pa

    names = ["file", "start", "kind", "made"]
    types = [pa.int32(), pa.int64(), pa.string(), pa.binary()]
    schema = pa.schema(list(zip(names, types, strict=True)))
    rows: list[tuple[int, int, str, bytes]] = []
    try:
        for kind, each in made:
            rows.append((number, part.start, kind, each))
            if len(rows) == _ROWS:
                yield _batch(rows, schema)
                rows = []
    except Exception as error:  # noqa: BLE001 - only kind and place: Spark writes what is raised into its logs
        raise EngineError(describe(error)) from None
    if rows:
        yield _batch(rows, schema)


_ROWS = 1000  # of RESULT at a time


def _batch(rows: list[tuple[int, int, str, bytes]], schema: Any) -> RecordBatch:
    import pyarrow as pa

    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
