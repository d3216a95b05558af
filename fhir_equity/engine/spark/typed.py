"""JSON that executors made as columns with types, by a layout that says them (see `fhir_equity.parquet.Layout`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fhir_equity.engine.spark.batches import RESULT
from fhir_equity.errors import TableError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PLAIN = {"string": "string", "bool": "boolean", "int32": "int", "int64": "bigint", "double": "double"}
Columns = Mapping[str, Any]  # by name: the type and what it means, or the type alone


def ddl(columns: Columns, types: Mapping[str, Columns]) -> str:
    """Columns in the words of Spark. Raises TableError for a type that there is none of."""
    kinds = {name: kind if isinstance(kind, str) else kind[0] for name, kind in columns.items()}
    return ", ".join(f"`{name}` {_type(kind, types)}" for name, kind in kinds.items())


def _type(kind: str, types: Mapping[str, Columns]) -> str:
    of, _, inner = kind.rpartition(" ")
    if of == "list":
        return f"array<{_type(inner, types)}>"
    if inner in types:
        fields = ", ".join(f"`{name}`: {_type(each, types)}" for name, each in types[inner].items())
        return f"struct<{fields}>"
    if kind not in _PLAIN:
        raise TableError(f"there is no type {kind}")
    return _PLAIN[kind]


def results(beside: DataFrame, made: Sequence[tuple[str, bytes]]) -> DataFrame:
    """Results that were made here, by kind, as rows of RESULT in the session of another frame."""
    rows = [(0, number, kind, each) for number, (kind, each) in enumerate(made)]
    return table_of(beside, rows, RESULT)


def table_of(beside: DataFrame, rows: Sequence[tuple[Any, ...]], schema: str) -> DataFrame:
    """Rows in the session of another frame."""
    return beside.sparkSession.createDataFrame(list(rows), schema)


def typed(made: DataFrame, schema: str) -> DataFrame:
    """The results of executors (rows of RESULT), each of which is a JSON object, as columns."""
    from pyspark.sql import functions

    json = functions.col("made").cast("string")
    row = functions.from_json(json, schema, {"mode": "FAILFAST"})
    return made.select(row.alias("row")).select("row.*")
