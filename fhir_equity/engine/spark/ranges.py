"""Files in ranges of bytes over the executors, each range given to one function."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from fhir_equity.engine.spark.batches import COUNTED, RESULT, Count, OverRows, OverSlices, OverWhole
from fhir_equity.engine.spark.files import File
from fhir_equity.engine.spark.session import collected
from fhir_equity.engine.spark.slices import Layout, Marks, Slice, Work

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def layouts(spark: SparkSession, cuts: Sequence[tuple[File, Marks]]) -> list[Layout]:
    """How each file is cut, counted in one job; without slices where a piece does not match `every`."""
    if not cuts:
        return []
    counted = [_pieces(spark, *each).mapInArrow(Count(*each), COUNTED) for each in cuts]
    per: dict[int, dict[int, list[int]]] = {}
    for row in collected(reduce(lambda one, other: one.unionAll(other), counted)):
        total = per.setdefault(row.file, {}).setdefault(row.block, [0, 0, 0])
        for place, value in enumerate((row.rows, row.bytes, row.units)):
            total[place] = -1 if value < 0 or total[place] < 0 else total[place] + value
    return [_laid_out(file, marks, per.get(file.number, {})) for file, marks in cuts]


def _laid_out(file: File, marks: Marks, per: dict[int, list[int]]) -> Layout:
    """Where each split's range starts and stops, from the rows, bytes and units of all."""
    if any(total[1] < 0 for total in per.values()):
        return Layout(file, marks, {})
    behind = marks.mark[len(marks.mark) - marks.keep :].count(marks.unit)
    edges: list[tuple[int, int, int]] = []
    at = units = 0
    for block, (rows, length, inside) in sorted(per.items()):
        edges.append((block, at - marks.keep, units - behind) if edges else (block, 0, 0))
        at += length + rows * len(marks.mark)
        units += inside + rows * marks.mark.count(marks.unit)
    stops = [start for _, start, _ in edges[1:]] + [-1]
    slices = {block: Slice(start, stop, before) for (block, start, before), stop in zip(edges, stops, strict=True)}
    return Layout(file, marks, slices, ends=at == file.size)


def over_slices(spark: SparkSession, found: Sequence[Layout], work: Work) -> DataFrame:
    """What `work` makes of each slice of these files, as rows of RESULT."""
    made = [_pieces(spark, each.file, each.marks).mapInArrow(OverSlices(each, work), RESULT) for each in found]
    return reduce(lambda one, other: one.unionAll(other), made)


def over_whole(spark: SparkSession, files: Sequence[File], work: Work) -> DataFrame:
    """What `work` makes of each of these files, whole; many small ones share a task."""
    numbers: dict[str, list[int]] = {}
    for file in files:  # one that was named twice is read once
        numbers.setdefault(file.url, []).append(file.number)
    read = spark.read.format("binaryFile").load([_literal(url) for url in numbers])
    return read.select("path", "content").mapInArrow(OverWhole(numbers, work), RESULT)


def parquet(spark: SparkSession, file: File) -> DataFrame:
    """The rows of a Parquet file; Spark cuts it by row group."""
    return spark.read.parquet(_literal(file.url))


def over_rows(rows: DataFrame, number: int, work: Work, column: str = "") -> DataFrame:
    """What `work` makes of each batch of rows, as rows of RESULT: the lines in a column, else a table with headings.

    `number` is what the rows are called in the run; where a batch starts is unlike that of any other.
    """
    return (rows.select(column) if column else rows).mapInArrow(OverRows(number, work, column), RESULT)


def _pieces(spark: SparkSession, file: File, marks: Marks) -> DataFrame:
    """The pieces between the marks, verbatim, each with where its split begins."""
    from pyspark.sql import functions

    read = spark.read.option("lineSep", marks.text()).option("encoding", "ISO-8859-1")
    block = functions.col("_metadata.file_block_start").alias("block")
    return read.text(_literal(file.url)).select(functions.col("value").cast("binary").alias("value"), block)


def _literal(url: str) -> str:
    """A URL that Spark does not take for a pattern."""
    return re.sub(r"([\\*?\[\]{},])", r"\\\1", url)
