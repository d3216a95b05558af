"""An exported folder back into a store: what `lake` wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.model import (
    Address,
    Answer,
    Coding,
    Enrollment,
    Event,
    Finding,
    Identifier,
    Locator,
    Loss,
    Member,
    Name,
    Origin,
    Received,
    Relationship,
    Severity,
)
from fhir_equity.parquet import Layout, Row, Table, read
from fhir_equity.pipeline.lake import CHUNK, COVER, ORIGIN, PLACES, Whose, ends, layout_of, schema_of
from fhir_equity.pipeline.lake_days import Day, days
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Brought, Placed, Record, RunWriter

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
    Who was merged is merged again, by the same word, and can be unmerged. Yields each run when it is done. Raises
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
    loads = [_Load(workspace, folder, layout, workspace.partner(place.name.partition("=")[2])) for place in places]
    for each in loads:
        yield from each.runs()
    if "merges" in layout.tables:
        _merge(workspace, folder, loads)


def _merge(workspace: Workspace, folder: Path, loads: Sequence[_Load]) -> None:
    """Merge who was merged, when everybody is there. Raises UnreadableError where somebody is not in the folder."""
    rows = sorted((row for each in loads for row in each.rows("merges")), key=itemgetter("merge"))
    wanted = {whose for row in rows for whose in ends(row)}
    found: dict[Whose, int] = {}
    for each in loads:
        found |= each.who(wanted)
    if lacking := sum(not found.keys() >= {*ends(row)} for row in rows):
        raise UnreadableError(f"{folder.name} has merges of members who are not in it ({lacking:,})")
    workspace.store.merges.bring([_brought(row, found) for row in rows], workspace.judge)


def _brought(row: Row, found: Mapping[Whose, int]) -> Brought:
    member, into = (found[whose] for whose in ends(row))
    return Brought(member, into, *(row[name] for name in ("author", "reason", "at", "undone_at", "undone_by")))


class _Load:
    """One partner on the way into the store."""

    def __init__(self, workspace: Workspace, folder: Path, layout: Layout, partner: str) -> None:
        self._workspace, self._folder, self._layout, self._partner = workspace, folder, layout, partner

    def who(self, wanted: Collection[Whose]) -> dict[Whose, int]:
        """The ids of those of these members who are the partner's; who was withdrawn comes only now."""
        lake, found = self._workspace.store.lake, dict[Whose, int]()
        rows = (row for row in self.rows("members") if (self._partner, *_whose(row)) in wanted)
        while some := list(islice(rows, CHUNK)):
            for withdrawn, find in ((False, lake.who), (True, lake.bring_withdrawn)):
                those = [row for row in some if row["withdrawn"] is withdrawn]
                who = [_member(row) for row in those], self._workspace.pseudonyms, [_placed(row) for row in those]
                named = [(self._partner, *_whose(row)) for row in those]
                found |= zip(named, find(self._partner, *who), strict=True)
        return found

    def runs(self) -> Iterator[RunWriter]:
        """Bring everything of the partner's, day by day."""
        inputs, tables = self._digest(), {table: self._table(table) for table in self._layout.tables}
        for number, today in enumerate(days(tables, self._layout, self._workspace.as_of)):
            run = self._workspace.run(self._partner, today.day, f"{inputs}|{today.day}")
            artefacts = _Artefacts(run)
            self._day(artefacts, today, first=number == 0)
            for table in ("findings", "losses"):
                for row in today.rows(table):
                    artefacts.log(row)
            artefacts.flush()
            run.finish()
            yield run

    def _place(self, table: str) -> Path:
        return self._folder / table / f"partner={self._partner}" / "part-0.parquet"

    def _table(self, table: str) -> Table:
        return read(self._place(table), self._layout, table)

    def rows(self, table: str) -> Iterator[Row]:
        """The rows of a table that are the partner's."""
        return self._table(table).rows()

    def _digest(self) -> str:
        """Of all that is read, so that an interrupted run goes on."""
        digest = hashlib.sha256()
        for table in self._layout.tables:
            if (path := self._place(table)).exists():
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def _day(self, artefacts: _Artefacts, today: Day, *, first: bool) -> None:
        """What was seen first or last on a day, by the artefact it came in first.

        Of whom nothing was seen so comes on the day on which they were met last, or with the first day.
        """
        said = groupby(today.rows("answers"), _whose)
        answers = next(said, None)
        for row in (row for row in today.rows("members") if not row.get("withdrawn")):
            found: list[Row] = []
            if answers is not None and answers[0] == _whose(row):
                found = list(answers[1])
                answers = next(said, None)
            member, placed = _member(row), _placed(row)
            by_artefact: dict[tuple[str, str], list[Row]] = {}
            for each in found:
                by_artefact.setdefault((each["artefact"], each["format"]), []).append(each)
            if not by_artefact and today.day == row.get("last_seen", "" if first else None):
                by_artefact[COVER, "lake"] = []
            for artefact, rows in by_artefact.items():
                artefacts.record(artefact, _record(member, rows, placed))


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


def _whose(row: Row) -> tuple[str, int]:
    return row["key"], row["twin"]


def _placed(row: Row) -> Placed | None:
    """Who they were in the store that was exported; layout 1 does not say it."""
    return Placed(row["twin"], tuple((each["born"], each["name"]) for each in row["seen"])) if "seen" in row else None


def _member(row: Row) -> Member:
    return Member(
        partner=row["partner"],
        key=row["key"],
        key_rule=row["key_rule"],
        identifiers=tuple(Identifier(**each) for each in row["identifiers"]),
        name=Name(row["family"], tuple(row["given"]), row["prefix"], row["suffix"]),
        birth_date=row["birth_date"],
        address=Address(tuple(row["lines"]), *(row[name] for name in PLACES[1:])),
        enrollment=msgspec.json.decode(row["enrollment"], type=Enrollment),
    )


def _record(member: Member, rows: list[Row], placed: Placed | None) -> Record:
    """A member with what they said on the occasions of these rows, in the order of the store."""
    answers, events = [], []
    for _, some in groupby(rows, lambda row: (row["matter"], row["event"])):
        told = list(some)
        origin = Origin(member.partner, told[0]["artefact"], *(told[0][name] for name in ORIGIN))
        received = tuple(_received(row) for row in told)
        events.append((told[0]["matter"], Event(received, origin)))
        answers += [
            Answer(each, origin, row["unit"], row["number"], row["offset"], row["path"])
            for each, row in zip(received, told, strict=True)
        ]
    return Record(msgspec.structs.replace(member, answers=tuple(answers)), tuple(events), placed=placed)


def _received(row: Row) -> Received:
    codings = tuple(Coding(**each) for each in row["codings"])
    return Received(row["topic"], row["element"], codings, row["text"], row["raw"])
