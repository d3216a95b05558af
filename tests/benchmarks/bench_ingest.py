"""Measure ingesting beside its floor: the very same rows through the driver, in one transaction.

``python -m tests.benchmarks.bench_ingest [members [rounds]]`` from the repository root, on SQLite and, where it is
installed, on PostgreSQL. Reading the file is part of neither side. The floor of SQLite is ``executemany``, that of
PostgreSQL is COPY to a temporary table and a merge, into tables with the same indexes and rules. CPU time, of
PostgreSQL with that of the server; what counts are the ratios of one round, taken one after the other.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlmodel import SQLModel

from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from fhir_equity.store import RunWriter, Store
from fhir_equity.store.connection import reading
from tests import postgresql
from tests.benchmarks.generate_834 import file_of

FIRST, AGAIN, RESOLVED, MEMORY = 4.0, 0.5, 1.0, 200  # times the floor, times the first (twice), MB
Clock = Callable[[], float]


class Round:
    """CPU seconds of one round."""

    def __init__(self, first: float, again: float, floor: float, resolved: float) -> None:
        self.first, self.again, self.floor, self.resolved = first, again, floor, resolved


def into(url: str, path: Path, as_of: str, clock: Clock) -> float:
    """Ingest a file; the seconds that the store took, without reading."""
    spent = [0.0]

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            start = clock()
            found = method(*arguments, **named)
            spent[0] += clock() - start
            return found

        return call

    names = ("__init__", "artefact", "add", "close", "finish")
    kept = {name: getattr(RunWriter, name) for name in names}
    for name, method in kept.items():
        setattr(RunWriter, name, timed(method))
    try:
        settings = Settings(store=StoreSettings(url=url), privacy=PrivacySettings(key_file=path.parent / "equity.key"))
        with Workspace(settings, as_of) as workspace:
            ingest(workspace, [path], partner="bench")
    finally:
        for name, method in kept.items():
            setattr(RunWriter, name, method)
    return spent[0]


def resolved(url: str, path: Path, clock: Clock) -> float:
    """Seconds of resolving everybody again under a policy of another version, so that every resolution is written."""
    other = path.parent / "other.toml"
    other.write_text('version = "other"\n', encoding="utf-8")
    settings = Settings(store=StoreSettings(url=url), privacy=PrivacySettings(key_file=path.parent / "equity.key"))
    with Workspace(settings, "2026-02-01") as workspace:
        start = clock()
        resolve(workspace, policy=other)
        return clock() - start


def tables(engine: Engine) -> Iterator[tuple[str, list[str], Iterator[list[Any]]]]:
    """Every table that has rows, but the version: name, columns, rows in portions."""
    with reading(engine) as connection:
        for table in SQLModel.metadata.sorted_tables:
            if table.name == "store_version":
                continue
            rows = connection.execute(table.select().execution_options(yield_per=20_000))
            yield table.name, [column.name for column in table.columns], map(list, rows.partitions())


def floor_of_sqlite(source: str, target: str, clock: Clock) -> float:
    """Seconds of writing the rows of one store into another, empty one."""
    Store(target).close()
    driver, spent = sqlite3.connect(target.removeprefix("sqlite:///"), isolation_level=None), 0.0
    driver.execute("PRAGMA synchronous=NORMAL")
    store = Store(source)
    driver.execute("BEGIN")
    for name, columns, portions in tables(store.engine):
        marks = ", ".join("?" * len(columns))
        for rows in portions:
            start = clock()
            driver.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows)  # noqa: S608 - our own names
            spent += clock() - start
    start = clock()
    driver.execute("COMMIT")
    spent += clock() - start
    driver.close()
    store.close()
    return spent


def floor_of_postgresql(source: str, target: str, clock: Clock) -> float:
    """As `floor_of_sqlite`."""
    Store(target).close()
    store, spent = Store(source), 0.0
    with psycopg.connect(target) as driver, driver.cursor() as cursor:
        for name, columns, portions in tables(store.engine):
            names = ", ".join(f'"{column}"' for column in columns)
            start = clock()
            cursor.execute(f'CREATE TEMPORARY TABLE "in_{name}" (LIKE "{name}") ON COMMIT DROP')
            spent += clock() - start
            for rows in portions:
                start = clock()
                with cursor.copy(f'COPY "in_{name}" ({names}) FROM STDIN') as copy:
                    for row in rows:
                        copy.write_row(row)
                spent += clock() - start
            start = clock()
            merge = f'INSERT INTO "{name}" ({names}) SELECT {names} FROM "in_{name}" ON CONFLICT DO NOTHING'  # noqa: S608
            cursor.execute(merge)
            spent += clock() - start
        start = clock()
        driver.commit()
        spent += clock() - start
    store.close()
    return spent


def measure(new_url: Callable[[], str], floor: Callable[[str, str, Clock], float], path: Path, clock: Clock) -> Round:
    """One round on one kind of database."""
    url = new_url()
    first = into(url, path, "2026-01-01", clock)
    below = floor(url, new_url(), clock)
    again = into(url, path, "2026-02-01", clock)
    return Round(first, again, below, resolved(url, path, clock))


def report(name: str, rounds: list[Round], members: int) -> str:
    """The table of one database: median seconds, and the medians of the rounds' ratios."""
    first = statistics.median(each.first / each.floor for each in rounds)
    again = statistics.median(each.again / each.first for each in rounds)
    decided = statistics.median(each.resolved / each.first for each in rounds)
    names = ("floor", "first", "again", "resolved")
    medians = [statistics.median(getattr(each, what) for each in rounds) for what in names]
    words = zip(names, medians, ("", f"{first:.2f} x the floor (at most {FIRST:.0f})",
                f"{again:.2f} x the first (at most {AGAIN})",
                f"{decided:.2f} x the first (at most {RESOLVED:.0f})"), strict=True)  # fmt: skip
    lines = [f"{name}, {members:,} members, CPU time, median of {len(rounds)} rounds"]
    return "\n".join(lines + [f"{what:8} {seconds:8.2f} s  {rest}".rstrip() for what, seconds, rest in words])


@contextmanager
def server() -> Iterator[tuple[str, Clock]]:
    """A server, and a clock of its processes' and our CPU time."""
    with postgresql.cluster() as url:
        folder = url.partition("host=")[2]
        postmaster = int((Path(folder) / "data" / "postmaster.pid").read_text(encoding="ascii").split()[0])
        yield url, lambda: time.process_time() + _cpu(postmaster)


def _cpu(postmaster: int) -> float:
    """CPU seconds of a server: of its main process, of those it has reaped, and of those that live."""
    words = [_stat(postmaster)[11:15]]
    for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split():
        try:
            words.append(_stat(int(child))[11:13])
        except FileNotFoundError:  # it has just ended
            continue
    return sum(int(word) for each in words for word in each) / os.sysconf("SC_CLK_TCK")


def _stat(process: int) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()


def peak(url: str, path: Path) -> float:
    """The peak MB of an ingest in a process of its own."""
    child = os.fork()
    if not child:
        settings = Settings(store=StoreSettings(url=url), privacy=PrivacySettings(key_file=path.parent / "equity.key"))
        with Workspace(settings, "2026-01-01") as workspace:
            ingest(workspace, [path], partner="bench")
        os._exit(0)
    usage: resource.struct_rusage = os.wait4(child, 0)[2]
    return usage.ru_maxrss / 1000


def main(arguments: list[str]) -> None:
    """Generate, measure, print."""
    members = int(arguments[0]) if arguments else 100_000
    rounds = int(arguments[1]) if arguments[1:] else 3
    with tempfile.TemporaryDirectory() as name:
        folder, numbers = Path(name), count()
        path = file_of(members, folder)

        def new_file() -> str:
            return f"sqlite:///{folder}/{next(numbers)}.db"

        told = [measure(new_file, floor_of_sqlite, path, time.process_time) for _ in range(rounds)]
        sys.stdout.write(report("SQLite", told, members) + "\n")
        sys.stdout.write(f"peak     {peak(new_file(), path):8.0f} MB (at most {MEMORY})\n")
        if not postgresql.program("initdb"):
            return
        with server() as (url, clock):
            new_schema = partial(postgresql.new_schema, url)
            told = [measure(new_schema, floor_of_postgresql, path, clock) for _ in range(rounds)]
            sys.stdout.write(report("PostgreSQL", told, members) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
