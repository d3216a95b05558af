"""export: the store as typed Parquet for DuckDB, Polars, dbt, Spark and Splink. `lake_load` brings it back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from fhir_equity.model import (
    Event,
    Member,
)
from fhir_equity.parquet import Layout, Row, Writer
from fhir_equity.pipeline.workspace import Workspace, software
from fhir_equity.pipeline.writing import written_folder
from fhir_equity.release import discloses
from fhir_equity.store.lake import Told, Whole

COVER = "lake.json"  # says what a folder is
SCHEMA = "fhir-equity/lake/1"
CHUNK = 2000  # members in one transaction


class Exported(Struct):
    """How many rows of each table were written, and how many members' answers were left out as sensitive.

    `merged` are members who are in the folder as part of another person of their partner, `across` those who are one
    person with a member of another partner: what they said has no partner of its own there.
    """

    rows: dict[str, int]
    withheld: int = 0
    merged: int = 0
    across: int = 0


def export(
    workspace: Workspace, parquet: str | Path, *, partner: str = "", include_sensitive: bool = False
) -> Exported:
    """Write the store into a folder of Parquet files; it appears whole or not at all.

    This is internal use: sensitive topics are left out unless `include_sensitive`. What was withdrawn
    and what is in quarantine stays in the store. Raises UsageError.
    """
    layout = layout_of(workspace)
    with written_folder(parquet) as opened, Writer(layout, opened) as writer:
        work = _Export(workspace, writer, partner, include_sensitive=include_sensitive)
        work.run()
        cover: dict[str, object] = {
            "schema": SCHEMA,
            "software": software(),
            "as_of": workspace.as_of,
            "rows": writer.counts,
        }
        merged, across = _merged(workspace, partner)
        cover["tables"], cover["across"] = layout.tables, across
        opened(COVER).write(json.dumps(cover, indent=1).encode() + b"\n")
    return Exported(writer.counts, work.withheld, merged, across)


def _merged(workspace: Workspace, partner: str) -> tuple[int, int]:
    """How many members are part of another person: of their own partner, and of another one."""
    found = [each for each in workspace.store.lake.merged() if not partner or partner in each[:2]]
    alike = sum(many for whose, own, many in found if whose == own)
    return alike, sum(many for *_, many in found) - alike


def layout_of(workspace: Workspace) -> Layout:
    """The tables of a folder, by `guides/lake.toml`."""
    return Layout(workspace.vocabulary().tables.document("guides/lake.toml"))


class _Export:
    """One export under way."""

    def __init__(self, workspace: Workspace, writer: Writer, partner: str, *, include_sensitive: bool) -> None:
        self._workspace, self._writer, self._partner = workspace, writer, partner
        self._sensitive = include_sensitive
        self.withheld = 0

    def run(self) -> None:
        lake = self._workspace.store.lake
        for number, whole in enumerate(lake.people(), start=1):
            if not self._partner or whole.person.member.partner == self._partner:
                self._person(whole)
            if number % CHUNK == 0:
                self._workspace.progress("store", number)
        for table, rows in (("findings", lake.findings()), ("losses", lake.losses())):
            for row in rows:
                if not self._partner or row["partner"] == self._partner:
                    self._writer.add(table, row)

    def _person(self, whole: Whole) -> None:
        person = whole.person
        whose = {"partner": person.member.partner, "key": person.member.key, "twin": whole.twin}
        self._writer.add("members", whose | _person_row(person.member) | {"pseudonym": person.pseudonym})
        left = self._left_out(person.member.partner, [event for _, event in person.events])
        self.withheld += len(left)
        events = {event.identity[0]: min(event.identity) for _, event in person.events}
        for matter, event in person.events:
            if matter not in left:
                for row in self._answers(person.member.partner, event, whole.told):
                    self._writer.add("answers", whose | {"matter": matter} | row)
        for settled in whole.settled:
            if settled.matter not in left:
                row = msgspec.structs.asdict(settled)
                row["winner"] = None if settled.winner is None else events.get(settled.winner, settled.winner)
                row["beaten"] = [events.get(each, each) for each in settled.beaten]
                self._writer.add("resolutions", whose | row)

    def _left_out(self, partner: str, events: list[Event]) -> set[str]:
        """The matters of a person of which any answer is sensitive."""
        if self._sensitive:
            return set()
        codes, found = self._workspace.vocabulary().codes, set[str]()
        for event in events:
            meaning = self._workspace.vocabulary(event.origin.partner or partner).meaning
            said = [(self._workspace.matter_of(each.topic), meaning(each)) for each in event.received]
            found |= {matter for matter, meant in said if discloses(codes, matter, meant)}
        return found

    def _answers(self, partner: str, event: Event, told: Mapping[int, Told]) -> Iterator[Row]:
        meaning_of = self._workspace.vocabulary(event.origin.partner or partner).meaning
        origin = {name: getattr(event.origin, name) for name in ORIGIN}
        for received, number in zip(event.received, event.identity, strict=True):
            meaning = meaning_of(received)
            concepts = [
                {**_plain(each.coding), "relationship": each.relationship.value, "rule": each.rule}
                for each in meaning.concepts
            ]
            yield {
                **{name: getattr(received, name) for name in ("topic", "element", "text", "raw")},
                **origin,
                **_plain(told[number]),
                "event": min(event.identity),
                "first_seen": event.first_seen,
                "codings": [_plain(each) for each in received.codings],
                "state": meaning.state.value,
                "concepts": concepts,
            }


ORIGIN = ("collector", "method", "standard", "question", "collected_on")
PLACES = ("lines", "city", "state", "postal_code", "country", "county")


def _plain(value: Struct) -> Row:
    return msgspec.structs.asdict(value)


def _person_row(member: Member) -> Row:
    return {
        **_plain(member.name),
        **_plain(member.address),
        "key_rule": member.key_rule,
        "identifiers": [_plain(each) for each in member.identifiers],
        "birth_date": member.birth_date,
        "enrollment": msgspec.json.encode(member.enrollment).decode(),
    }
