"""Typed Parquet files: rows out and in again by a layout that says the columns. Needs the extra `parquet` (pyarrow)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import IO, Any

from fhir_equity.errors import TableError, UnreadableError, UsageError

ROWS = 20_000  # of a row group, and as many are held for each file
Row = dict[str, Any]
Where = Mapping[str, Collection[str] | Collection[int]]  # column -> values


def _arrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError:
        raise UsageError("this needs Parquet: pip install 'fhir-equity[parquet]'") from None
    return pa


class Layout:
    """The tables of ``lake.toml``: names and types of columns, in an older `version` without those that came later.

    Raises TableError for a type that there is none of.
    """

    def __init__(self, document: Mapping[str, Any], version: int = 0) -> None:
        self.version = version or int(document["version"])
        self.tables: dict[str, dict[str, tuple[str, str]]] = {}
        for table in (name for name in document if name not in ("version", "types")):
            of = {
                column: (kind, words)
                for column, (kind, words, *since) in document[table].items()
                if not since or since[0] <= self.version
            }
            self.tables |= {table: of} if of else {}
        self._types: Mapping[str, Mapping[str, str]] = document["types"]

    def schema(self, table: str) -> Any:
        """The Arrow schema of a table; the file says which version of the layout it follows."""
        pa = _arrow()
        fields = [pa.field(name, self._type(kind)) for name, (kind, _) in self.tables[table].items()]
        return pa.schema(fields, metadata={"fhir-equity": f"lake/{self.version}/{table}"})

    def _type(self, kind: str) -> Any:
        pa = _arrow()
        of, _, inner = kind.rpartition(" ")
        if of == "list":
            return pa.list_(self._type(inner))
        if inner in self._types:
            return pa.struct([(name, self._type(each)) for name, each in self._types[inner].items()])
        plain = {"string": pa.string(), "bool": pa.bool_(), "int32": pa.int32(), "int64": pa.int64()}
        if kind not in plain:
            raise TableError(f"lake.toml: there is no type {kind}")
        return plain[kind]


class Writer:
    """Writes rows of tables into files that `opened` gives by name; use it as a context manager."""

    def __init__(self, layout: Layout, opened: Callable[[str], IO[bytes]]) -> None:
        self._layout = layout
        self._opened = opened
        self._rows: dict[tuple[str, str], list[Row]] = {}
        self._files: dict[tuple[str, str], tuple[Any, IO[bytes]]] = {}
        self.counts = dict.fromkeys(layout.tables, 0)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for key in list(self._rows) if kind is None else ():
            self._flush(key)
        for file, stream in self._files.values():
            file.close()
            stream.close()

    def add(self, table: str, row: Row) -> None:
        """One row, into the file of its partner."""
        key = (table, row["partner"])
        held = self._rows.setdefault(key, [])
        held.append(row)
        self.counts[table] += 1
        if len(held) >= ROWS:
            self._flush(key)

    def _flush(self, key: tuple[str, str]) -> None:
        pa, (table, partner) = _arrow(), key
        schema = self._layout.schema(table)
        if key not in self._files:
            stream = self._opened(f"{table}/partner={partner}/part-0.parquet")
            self._files[key] = (pa.parquet.ParquetWriter(stream, schema, compression="zstd"), stream)
        self._files[key][0].write_table(pa.Table.from_pylist(self._rows.pop(key), schema))


class Table:
    """The rows of one table, in order: of a file, in constant memory, or some of them that are held."""

    def __init__(self, batches: Callable[[Sequence[str] | None], Iterator[Any]]) -> None:
        self._batches = batches  # by columns; all of them where none is named

    def rows(self, where: Where | None = None) -> Iterator[Row]:
        """Those of which any of these columns has one of these values. Raises UnreadableError."""
        for batch in self._among(where, None):
            yield from batch.to_pylist()

    def counts(self, column: str, where: Where | None = None) -> Counter[Any]:
        """How many of them have which value in a column. Raises UnreadableError."""
        found = Counter[Any]()
        for batch in self._among(where, [*dict.fromkeys((column, *(where or ())))]):
            found.update(batch.column(column).to_pylist())
        return found

    def held(self, where: Where) -> Table:
        """Those of which any of these columns has one of these values, in memory. Raises UnreadableError."""
        batches = [batch for batch in self._among(where, None) if batch.num_rows]
        kept = [_arrow().Table.from_batches(batches).combine_chunks()] if batches else []
        return Table(lambda columns: (b for t in kept for b in (t.select(columns) if columns else t).to_batches(ROWS)))

    def _among(self, where: Where | None, columns: Sequence[str] | None) -> Iterator[Any]:
        pa = _arrow()
        wanted: dict[str, Any] = {}
        for batch in self._batches(columns):
            for name, values in (where or {}).items() if not wanted else ():
                wanted[name] = pa.array([*values], batch.schema.field(name).type)
            masks = [pa.compute.is_in(batch.column(name), value_set=values) for name, values in wanted.items()]
            yield batch if where is None else batch.filter(reduce(pa.compute.or_, masks))


def read(path: Path, layout: Layout, table: str) -> Table:
    """The table that one file has; an empty one where there is no file.

    To read its rows raises UnreadableError for a file of another layout.
    """

    def batches(columns: Sequence[str] | None) -> Iterator[Any]:
        pa = _arrow()
        if not path.exists():
            return
        try:
            file = pa.parquet.ParquetFile(path)
            if file.schema_arrow.names != layout.schema(table).names:
                raise UnreadableError(f"{path.name} is no table {table} of this layout")
            yield from file.iter_batches(ROWS, columns=columns)
        except (OSError, pa.ArrowException) as error:
            why = type(error).__name__
            raise UnreadableError(f"{path.name} is no Parquet file that can be read ({why})") from None

    return Table(batches)
