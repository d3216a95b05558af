"""export: the store as typed Parquet for DuckDB, Polars, dbt, Spark and Splink. `lake_load` brings it back."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fhir_equity.model import Event, Member
from fhir_equity.parquet import Layout, Row, Writer
from fhir_equity.pipeline.workspace import Workspace, software
from fhir_equity.pipeline.writing import written_folder
from fhir_equity.release import discloses
from fhir_equity.store.lake import WHOSE, Part, Told, Whole

Whose = tuple[Any, ...]  # partner, key, twin
COVER = "lake.json"  # says what a folder is
CHUNK = 2000  # members in one transaction


class Exported(Struct):
    """How many rows of each table were written, and how many topics of people were left out as sensitive.

    `merged` are members who are one person with another one of the folder; `elsewhere` those of the partner who are
    part of another partner's people, who are not in it.
    """

    rows: dict[str, int]
    withheld: int = 0
    merged: int = 0
    elsewhere: int = 0


def export(
    workspace: Workspace, parquet: str | Path, *, partner: str = "", include_sensitive: bool = False
) -> Exported:
    """Write the store, or the people of one partner, into a folder of Parquet files; it appears whole or not at all.

    A person who was merged is there as every one of their members, with what came under each key. This is internal
    use: sensitive topics are left out unless `include_sensitive`. What was withdrawn and what is in quarantine stays
    in the store. Raises UsageError.
    """
    workspace.require_store()
    workspace.partners(partner)
    layout = layout_of(workspace)
    with written_folder(parquet) as opened, Writer(layout, opened) as writer:
        work = _Export(workspace, writer, partner, include_sensitive=include_sensitive)
        work.run()
        cover: dict[str, object] = {
            "schema": schema_of(layout.version),
            "software": software(),
            "as_of": workspace.as_of,
            "rows": writer.counts,
        }
        cover["tables"] = layout.tables
        opened(COVER).write(json.dumps(cover, indent=1).encode() + b"\n")
    return Exported(writer.counts, work.withheld, work.merged, work.elsewhere)


def schema_of(version: int) -> str:
    """What the cover of a folder of this layout calls it."""
    return f"fhir-equity/lake/{version}"


def layout_of(workspace: Workspace, version: int = 0) -> Layout:
    """The tables of a folder, by `guides/lake.toml`; of an older `version`, too."""
    return Layout(workspace.vocabulary().tables.document("guides/lake.toml"), version)


class _Export:
    """One export under way."""

    def __init__(self, workspace: Workspace, writer: Writer, partner: str, *, include_sensitive: bool) -> None:
        self._workspace, self._writer, self._partner = workspace, writer, partner
        self._sensitive = include_sensitive
        self.withheld = self.merged = self.elsewhere = 0
        self._mergings = workspace.store.lake.mergings()
        self._in_merges = {whose for each in self._mergings for whose in ends(each)}
        self._there: set[Whose] = set()

    def run(self) -> None:
        lake = self._workspace.store.lake
        for number, whole in enumerate(lake.people(), start=1):
            if not self._partner or whole.person.member.partner == self._partner:
                self._person(whole)
            else:
                self.elsewhere += sum(part.member.partner == self._partner for part in whole.parts)
            if number % CHUNK == 0:
                self._workspace.progress("store", number)
        for each in self._mergings:
            if self._there.issuperset(ends(each)):
                self._writer.add("merges", dict(each))
        for table, rows in (("findings", lake.findings()), ("losses", lake.losses())):
            for row in rows:
                if not self._partner or row["partner"] == self._partner:
                    self._writer.add(table, row)

    def _person(self, whole: Whole) -> None:
        person = whole.person
        left = self._left_out(person.member.partner, [event for _, event in person.events])
        self.withheld += len(left)
        self.merged += len(whole.parts) - 1
        for part in whole.parts:
            self._part(part, person.pseudonym, whole.told, left)
            self._words(part, whole, left)
        events = {event.identity[0]: min(event.identity) for _, event in person.events}
        for settled in whole.settled:
            if settled.matter not in left:
                row = msgspec.structs.asdict(settled)
                row["winner"] = None if settled.winner is None else events.get(settled.winner, settled.winner)
                row["beaten"] = [events.get(each, each) for each in settled.beaten]
                self._writer.add("resolutions", _named(whole.parts[0]) | row)

    def _part(self, part: Part, person: str, told: Mapping[int, Told], left: Collection[str]) -> None:
        whose, partner = _named(part), part.member.partner
        if (end := (partner, part.member.key, part.placed.twin)) in self._in_merges:
            self._there.add(end)
        row = _member_row(part.member) | {"pseudonym": part.pseudonym, "person": person, "withdrawn": part.withdrawn}
        row["last_seen"] = part.last_seen
        row["seen"] = [{"born": born, "name": name} for born, name in part.placed.seen]
        self._writer.add("members", whose | row)
        for matter, event in part.events:
            for answer in self._answers(partner, event, told) if matter not in left else ():
                self._writer.add("answers", whose | {"matter": matter} | answer)

    def _words(self, part: Part, whole: Whole, left: Collection[str]) -> None:
        """What is on record about a member: what they keep back whatever it is about, what was decided as answers are.

        A decision that was made of what is not in the folder any more says nothing there.
        """
        events = {answer: min(e.identity) for each in whole.parts for _, e in each.events for answer in e.identity}
        for table, rows in part.words.items():
            for row in rows:
                if table != "decisions":
                    self._writer.add(table, _named(part) | row)
                elif row["chosen"] in events and row["matter"] not in left and not self._sensitive_case(row["matter"]):
                    known = sorted({events[each] for each in row["known"] if each in events})
                    self._writer.add(table, _named(part) | row | {"chosen": events[row["chosen"]], "known": known})

    def _sensitive_case(self, matter: str) -> bool:
        """Whether a case about a matter may say something sensitive that nobody says any more."""
        codes = self._workspace.vocabulary().codes
        return not self._sensitive and (codes.topic(matter).sensitive or codes.may_disclose(matter))

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


def _named(part: Part) -> Row:
    return {"partner": part.member.partner, "key": part.member.key, "twin": part.placed.twin}


def ends(merging: Mapping[str, Any]) -> tuple[Whose, Whose]:
    """The two members of a merge."""
    one, other = (tuple(merging[f"{into}{name}"] for name in WHOSE) for into in ("", "into_"))
    return one, other


def _member_row(member: Member) -> Row:
    return {
        **_plain(member.name),
        **_plain(member.address),
        "key_rule": member.key_rule,
        "identifiers": [_plain(each) for each in member.identifiers],
        "birth_date": member.birth_date,
        "enrollment": msgspec.json.encode(member.enrollment).decode(),
    }
