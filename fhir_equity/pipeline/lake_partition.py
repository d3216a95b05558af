"""The rows of one partner in an exported folder, and who the members in it are in a store."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path

import msgspec

from fhir_equity.model import Address, Answer, Coding, Enrollment, Event, Identifier, Member, Name, Origin, Received
from fhir_equity.parquet import Layout, Row, Table, Where, read
from fhir_equity.pipeline.lake import CHUNK, ORIGIN, PLACES, Whose
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Placed, Record


class Partition:
    """What a folder has of one partner."""

    def __init__(self, workspace: Workspace, folder: Path, layout: Layout, partner: str) -> None:
        self._workspace, self._folder = workspace, folder
        self.layout, self.partner = layout, partner
        self._numbers: dict[str, set[int]] | None = None  # of people under one key, where they are several

    def table(self, table: str) -> Table:
        """One of its tables; an empty one where the folder has none. To read it raises UnreadableError."""
        return read(self._place(table), self.layout, table)

    def rows(self, table: str) -> Iterator[Row]:
        """The rows of a table. Raises UnreadableError."""
        return self.table(table).rows() if table in self.layout.tables else iter(())

    def digest(self) -> str:
        """Of all that is read, so that an interrupted run goes on."""
        digest = hashlib.sha256()
        for table in self.layout.tables:
            if (path := self._place(table)).exists():
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def beside(self, table: str, where: Where | None = None) -> Iterator[tuple[Row, list[Row]]]:
        """The members who have such rows in a table that is in their order, each with them. Raises UnreadableError."""
        groups = groupby(self.table(table).rows(where), whose)
        theirs = next(groups, None)
        for row in self.rows("members"):
            if theirs is not None and theirs[0] == whose(row):
                yield row, list(theirs[1])
                theirs = next(groups, None)

    def who(self, wanted: Collection[Whose]) -> dict[Whose, int]:
        """The ids of those of these members who are the partner's; who was withdrawn comes only now."""
        rows = (row for row in self.rows("members") if (self.partner, *whose(row)) in wanted)
        found = dict[Whose, int]()
        while some := list(islice(rows, CHUNK)):
            found |= {(self.partner, *whose(row)): number for row, number in zip(some, self.ids(some), strict=True)}
        return found

    def ids(self, rows: Iterable[Row]) -> list[int]:
        """The ids of members, in order, as `who`. Raises StoreError for one who is not there."""
        lake, found, rows = self._workspace.store.lake, dict[tuple[str, int], int](), list(rows)
        for withdrawn, find in ((False, lake.who), (True, lake.bring_withdrawn)):
            those = [row for row in rows if bool(row.get("withdrawn")) is withdrawn]
            named = [member_of(row) for row in those], self._workspace.pseudonyms, [self.placed(row) for row in those]
            found |= zip(map(whose, those), find(self.partner, *named), strict=True)
        return [found[whose(row)] for row in rows]

    def placed(self, row: Row) -> Placed | None:
        """Who a member was in the store that was exported; layout 1 does not say it."""
        if "seen" not in row:
            return None
        if self._numbers is None:
            self._numbers = self._several()
        seen = tuple((each["born"], each["name"]) for each in row["seen"])
        return Placed(row["twin"], seen, frozenset(self._numbers.get(row["key"], ())) - {row["twin"]})

    def _several(self) -> dict[str, set[int]]:
        members, found = self.table("members"), dict[str, set[int]]()
        if twins := members.counts("twin").keys() - {0}:
            for row in members.rows({"key": members.counts("key", {"twin": twins})}):
                found.setdefault(row["key"], set()).add(row["twin"])
        return found

    def _place(self, table: str) -> Path:
        return self._folder / table / f"partner={self.partner}" / "part-0.parquet"


def whose(row: Row) -> tuple[str, int]:
    """Of which member of its partner a row is."""
    return row["key"], row["twin"]


def member_of(row: Row) -> Member:
    """A member, without answers."""
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


def record_of(row: Row, rows: list[Row], placed: Placed | None) -> Record:
    """A member with what they said on the occasions of these rows, in the order of the store."""
    answers, events, member = [], [], member_of(row)
    for _, some in groupby(rows, lambda row: (row["matter"], row["event"])):
        told = list(some)
        event = event_of(told)
        events.append((told[0]["matter"], event))
        answers += [
            Answer(each, event.origin, row["unit"], row["number"], row["offset"], row["path"])
            for each, row in zip(event.received, told, strict=True)
        ]
    return Record(msgspec.structs.replace(member, answers=tuple(answers)), tuple(events), placed=placed)


def event_of(rows: list[Row]) -> Event:
    """What was said on the occasion of these rows."""
    origin = Origin(rows[0]["partner"], rows[0]["artefact"], *(rows[0][name] for name in ORIGIN))
    return Event(tuple(_received(row) for row in rows), origin)


def _received(row: Row) -> Received:
    codings = tuple(Coding(**each) for each in row["codings"])
    return Received(row["topic"], row["element"], codings, row["text"], row["raw"])
