"""An exported folder back into a store: what `lake` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.model import Finding, Locator, Loss, Relationship, Severity
from fhir_equity.parquet import Layout, Row
from fhir_equity.pipeline.lake import CHUNK, COVER, Whose, ends, layout_of, schema_of
from fhir_equity.pipeline.lake_days import Day, days
from fhir_equity.pipeline.lake_partition import Partition, record_of, whose
from fhir_equity.pipeline.lake_words import decide, keep
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Brought, Record, RunWriter

WAITING = 20_000  # records, findings and losses that wait: what is met on a day may have come in many artefacts
OLDEST = 1  # the layout of which a folder is still read


def is_lake(path: str | Path) -> bool:
    """Whether a path is a folder that `export` wrote."""
    return (Path(path) / COVER).is_file()


def cover_of(folder: Path) -> dict[str, Any]:
    """What an exported folder says of itself. Raises UnreadableError."""
    try:
        cover = json.loads((folder / COVER).read_text(encoding="utf-8"))
    except ValueError:
        raise UnreadableError(f"{folder.name}/{COVER} is not valid JSON") from None
    return cover if isinstance(cover, dict) else {}


def _layout(workspace: Workspace, folder: Path, cover: Mapping[str, Any]) -> Layout:
    """The tables of a folder. Raises UsageError for a layout that is not read."""
    newest = layout_of(workspace).version
    for version in range(OLDEST, newest + 1):
        if cover.get("schema") == schema_of(version):
            return layout_of(workspace, version)
    raise UsageError(f"{folder.name} has another layout than {schema_of(newest)} and those before it")


def load(workspace: Workspace, folder: Path) -> Iterator[RunWriter]:
    """Bring an exported folder into the store: a run for each partner and each day on which something was first seen.

    Answers keep their origin, the day they were first seen and where they stood; which of them win is decided anew.
    Who was merged is merged again, by the same word, and can be unmerged; what was decided holds, what was kept back
    is, and who was held is. Yields each run when it is done. Raises
    UsageError for a layout that is not read, and for a folder of layout 1 with people of two partners, whose answers
    would be read by the tables of the wrong one; UnreadableError.
    """
    cover = cover_of(folder)
    layout = _layout(workspace, folder, cover)
    if across := cover.get("across", 0):
        raise UsageError(
            f"{folder.name} has people who were merged of members of two partners ({across:,}), and not through whom"
            " their answers came; export it again with this version of fhir-equity"
        )
    places = sorted((folder / "members").glob("partner=*"))
    partners = [workspace.partner(place.name.partition("=")[2]) for place in places]
    partitions = [Partition(workspace, folder, layout, partner) for partner in partners]
    for each in partitions:
        yield from _runs(workspace, each)
        keep(workspace, each)
    _merge(workspace, folder, partitions)
    decide(workspace, partitions)


def _merge(workspace: Workspace, folder: Path, partitions: Sequence[Partition]) -> None:
    """Merge who was merged, when everybody is there. Raises UnreadableError where somebody is not in the folder."""
    rows = sorted((row for each in partitions for row in each.rows("merges")), key=itemgetter("merge"))
    wanted = {whose for row in rows for whose in ends(row)}
    found: dict[Whose, int] = {}
    for each in partitions:
        found |= each.who(wanted)
    if lacking := sum(not found.keys() >= {*ends(row)} for row in rows):
        raise UnreadableError(f"{folder.name} has merges of members who are not in it ({lacking:,})")
    workspace.store.merges.bring([_brought(row, found) for row in rows], workspace.judge)


def _brought(row: Row, found: Mapping[Whose, int]) -> Brought:
    member, into = (found[whose] for whose in ends(row))
    return Brought(member, into, *(row[name] for name in ("author", "reason", "at", "undone_at", "undone_by")))


def _runs(workspace: Workspace, partition: Partition) -> Iterator[RunWriter]:
    """Bring everything of a partner's, day by day."""
    inputs, tables = partition.digest(), {table: partition.table(table) for table in partition.layout.tables}
    for number, today in enumerate(days(tables, partition.layout, workspace.as_of)):
        run = workspace.run(partition.partner, today.day, f"{inputs}|{today.day}")
        artefacts = _Artefacts(run)
        _members(partition, artefacts, today, first=number == 0)
        for table in ("findings", "losses"):
            for row in today.rows(table):
                artefacts.log(row)
        artefacts.flush()
        run.finish()
        yield run


def _members(partition: Partition, artefacts: _Artefacts, today: Day, *, first: bool) -> None:
    """What was seen first or last on a day, by the artefact it came in first.

    Of whom nothing was seen so comes on the day on which they were met last, or with the first day.
    """
    said = groupby(today.rows("answers"), whose)
    answers = next(said, None)
    for row in (row for row in today.rows("members") if not row.get("withdrawn")):
        found: list[Row] = []
        if answers is not None and answers[0] == whose(row):
            found = list(answers[1])
            answers = next(said, None)
        by_artefact: dict[tuple[str, str], list[Row]] = {}
        for each in found:
            by_artefact.setdefault((each["artefact"], each["format"]), []).append(each)
        seen = row.get("last_seen", "")
        if not by_artefact and (seen == today.day or (first and not seen)):
            by_artefact[COVER, "lake"] = []
        for artefact, rows in by_artefact.items():
            artefacts.record(artefact, record_of(row, rows, partition.placed(row)))


class _Artefacts:
    """What waits to be written in one run, by artefact."""

    def __init__(self, run: RunWriter) -> None:
        self._run = run
        self._known: dict[tuple[str, str], int] = {}
        self._held: dict[tuple[str, str], tuple[list[Record], list[Finding], list[Loss]]] = {}
        self._waiting = 0

    def record(self, artefact: tuple[str, str], record: Record) -> None:
        self._of(artefact)[0].append(record)
        self._full(artefact)

    def log(self, row: Row) -> None:
        artefact = (row["artefact"], row["format"])
        place = Locator(*(row[name] for name in ("artefact", "unit", "number", "offset", "path")))
        if "rule" in row:
            loss = Loss(row["rule"], Relationship(row["relationship"]), row["topic"], place)
            self._of(artefact)[2].append(loss)
        else:
            place = msgspec.structs.replace(place, loop=row["loop"], within=row["within"])
            self._of(artefact)[1].append(Finding(row["code"], Severity(row["severity"]), place))
        self._full(artefact)

    def flush(self) -> None:
        for artefact in list(self._held):
            self._write(artefact)

    def _of(self, artefact: tuple[str, str]) -> tuple[list[Record], list[Finding], list[Loss]]:
        return self._held.setdefault(artefact, ([], [], []))

    def _full(self, artefact: tuple[str, str]) -> None:
        self._waiting += 1
        if self._waiting >= WAITING:
            self.flush()
        elif any(len(each) >= CHUNK for each in self._held[artefact]):
            self._write(artefact)

    def _write(self, artefact: tuple[str, str]) -> None:
        if artefact not in self._known:
            self._known[artefact] = self._run.artefact(*artefact, watched=False)
        records, findings, losses = self._held.pop(artefact)
        self._waiting -= len(records) + len(findings) + len(losses)
        self._run.add(self._known[artefact], records, findings=findings, losses=losses)
