"""Typed Parquet files: rows out and in again by a layout that says the columns. Needs the extra `parquet` (pyarrow)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from fhir_equity.errors import TableError, UnreadableError, UsageError

ROWS = 20_000  # of a row group, and as many are held for each file
Row = dict[str, Any]


def _arrow() -> Any:
    try:
        import pyarrow as pa
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


def read(path: Path, layout: Layout, table: str) -> Iterator[Row]:
    """The rows of one file, in order, in constant memory. Raises UnreadableError for one of another layout."""
    pa = _arrow()
    try:
        file = pa.parquet.ParquetFile(path)
        if file.schema_arrow.names != layout.schema(table).names:
            raise UnreadableError(f"{path.name} is no table {table} of this layout")
        for batch in file.iter_batches(ROWS):
            yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UnreadableError(f"{path.name} is no Parquet file that can be read ({type(error).__name__})") from None
