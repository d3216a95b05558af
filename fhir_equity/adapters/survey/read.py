"""Read survey rows into Members: who, when, by whom, and what was answered in which words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from fhir_equity.adapters.protocol import Context, Read
from fhir_equity.adapters.source import Source
from fhir_equity.adapters.survey.columns import Layout, Question, header_of, layout_of
from fhir_equity.adapters.survey.dates import date_reader
from fhir_equity.adapters.survey.guide import ENROLLED, Guide, guide_from
from fhir_equity.adapters.survey.rows import FALLBACK, Row, rows
from fhir_equity.errors import TableError, UnreadableError
from fhir_equity.model import (
    Address,
    Answer,
    Coding,
    Collector,
    Enrollment,
    Finding,
    Frame,
    Identifier,
    Locator,
    Member,
    Method,
    Name,
    Origin,
    Received,
    Rejected,
    Severity,
)

KEY_RULE = "survey.member_key"
BLANK = Coding("survey", "blank")
_KEPT = 100_000  # distinct answers that are interned at a time; write-ins can be endless
_NEUTRALISED = re.compile(r"'+[=+\-@\t\r]")
_SUBSCRIBER = "18"  # INS02, X12 element 1069: self
_PROBLEMS = {
    "quote": "a quote is missing or stands where none may stand",
    "encoding": "the bytes are no text in the encoding of the file",
    "binary": "the row holds a NUL character",
    "too_long": "the row is longer than any survey row",
    "cells": "the row has more or fewer cells than the header",
}


def read_members(source: Source, context: Context) -> Iterator[Read]:
    """Read a whole survey. Raises UnreadableError where it has no header or no member key."""
    guide = guide_from(context.guide)
    head = source.head()
    if not head.strip():
        raise UnreadableError(f"{source.name} is empty")
    header = header_of(head, guide)
    if header is None:
        raise UnreadableError(f"{source.name} has no header row that can be read as text")
    reader = _Reader(source.name, context, guide, layout_of(header, guide, source.name))
    yield Frame(header.encoding.bom + header.row.raw, Locator(source.name, "row", header.row.number, header.row.offset))
    yield from reader.layout.findings
    recoded = False
    for row in rows(source.blocks(), header.encoding, header.delimiter):
        if row.encoding == FALLBACK and not recoded:
            recoded = True
            message = "not UTF-8; such lines are read as Windows-1252"
            yield reader.finding("encoding.not_utf8", Severity.WARNING, message, row)
        if row.number > header.row.number and not _is_blank(row):
            yield reader.read(row)


def read_again(rejected: Rejected, frame: bytes, context: Context) -> Iterator[Read]:
    """Read a rejected row below its header row `frame`. Raises UnreadableError as `read_members` does."""
    place = rejected.finding.locator
    guide = guide_from(context.guide)
    header = header_of(frame, guide)
    if header is None:
        raise UnreadableError(f"{place.artefact}: the header row of its records was not kept; ingest it again")
    reader = _Reader(place.artefact, context, guide, layout_of(header, guide, place.artefact))
    for row in rows([frame + rejected.raw], header.encoding, header.delimiter):
        if row.offset >= len(frame):
            offset = place.offset + row.offset - len(frame)
            yield reader.read(replace(row, number=place.number, offset=offset))


def _is_blank(row: Row) -> bool:
    return not row.problem and not any(cell and not cell.isspace() for cell in row.cells)


class _Reader:
    """Turns the rows of one file into Members, interning what repeats."""

    def __init__(self, artefact: str, context: Context, guide: Guide, layout: Layout) -> None:
        self.artefact, self.partner = artefact, context.partner
        self.guide, self.layout = guide, layout
        self.date = date_reader(guide.dates)
        self.origin = _origin(artefact, context)
        self.origins: dict[tuple[str, str], Origin] = {}
        self.received: dict[tuple[str, tuple[str, ...]], Received | None] = {}
        self.paths = {question.topic: _path(question.columns) for question in layout.questions}
        self.dated = not layout.fields.keys().isdisjoint(ENROLLED)  # whether it says who is enrolled, and when

    def finding(self, name: str, severity: Severity, message: str, row: Row, path: str = "") -> Finding:
        """A finding about a row: position and problem, never a value."""
        locator = Locator(self.artefact, "row", row.number, row.offset, path)
        return Finding(f"survey.{name}", severity, locator, message)

    def read(self, row: Row) -> Member | Rejected:
        """A row as a Member; Rejected where it has the wrong cells or no key."""
        problem = row.problem or ("" if len(row.cells) == self.layout.width else "cells")
        if problem:
            return Rejected(row.raw, self.finding(f"row.{problem}", Severity.ERROR, _PROBLEMS[problem], row))
        key = [self._clean(row.cells[at]) for at in self.layout.key]
        if not all(key):
            path = _path(self.layout.key)
            return Rejected(row.raw, self.finding("key.empty", Severity.ERROR, "the member key is empty", row, path))
        findings: list[Finding] = []
        return Member(
            partner=self.partner,
            key=self.guide.key_joiner.join(key),
            key_rule=KEY_RULE,
            identifiers=self._identifiers(row),
            name=self._name(row),
            birth_date=self._date("birth_date", row, findings),
            address=self._address(row),
            enrollment=self._enrollment(row, findings),
            answers=tuple(self._answers(row, self._row_origin(row, findings))),
            findings=tuple(findings),
            unit="row",
            number=row.number,
            offset=row.offset,
        )

    def _clean(self, cell: str) -> str:
        if self.guide.neutralised and cell[:1] == "'" and _NEUTRALISED.match(cell):
            cell = cell[1:]
        return cell.strip()

    def _field(self, row: Row, role: str) -> str:
        at = self.layout.fields.get(role)
        return "" if at is None else self._clean(row.cells[at])

    def _identifiers(self, row: Row) -> tuple[Identifier, ...]:
        found = ((role, self._field(row, role)) for role in self.guide.identifiers)
        systems = self.guide.identifier_systems
        return tuple(Identifier(systems.get(role, ""), value, role) for role, value in found if value)

    def _name(self, row: Row) -> Name:
        given = (self._field(row, "given_name"), self._field(row, "middle_name"))
        prefix, suffix = self._field(row, "name_prefix"), self._field(row, "name_suffix")
        return Name(self._field(row, "family_name"), tuple(name for name in given if name), prefix, suffix)

    def _address(self, row: Row) -> Address:
        lines = (self._clean(row.cells[at]) for at in self.layout.lines)
        parts = {role: self._field(row, role) for role in ("city", "state", "postal_code", "country", "county")}
        return Address(tuple(line for line in lines if line), **parts)

    def _enrollment(self, row: Row, findings: list[Finding]) -> Enrollment:
        relationship = self._worded("relationship", row, self.guide.relatives, findings)
        said = enrolled(relationship, self._field(row, "subscriber_id"))
        if not self.dated:
            return said
        span = (self._date("enrolled_from", row, findings), self._date("enrolled_to", row, findings))
        return replace(said, coverage=self._field(row, "coverage"), spans=(span,) if any(span) else ())

    def _worded(self, role: str, row: Row, words: Mapping[str, str], findings: list[Finding]) -> str:
        """What the guide says a wording stands for; empty, with a finding, where it does not know it."""
        cell = self._field(row, role)
        found = words.get(cell.casefold(), "")
        if cell and not found:
            self._note(f"{role}.unknown", "the guide does not know this wording", role, row, findings)
        return found

    def _date(self, role: str, row: Row, findings: list[Finding]) -> str:
        cell = self._field(row, role)
        day = self.date(cell) if cell else ""
        if cell and not day:
            self._note(f"{role}.invalid", "no date in a format of the guide", role, row, findings)
        return day

    def _note(self, name: str, message: str, role: str, row: Row, findings: list[Finding]) -> None:
        path = _path((self.layout.fields[role],))
        findings.append(self.finding(name, Severity.WARNING, message, row, path))

    def _row_origin(self, row: Row, findings: list[Finding]) -> Origin:
        method = self.origin.method
        if self._field(row, "answered_by"):
            method = str(self._worded("answered_by", row, self.guide.answerers, findings) or Method.UNSTATED)
        day = self._date("collected_on", row, findings)
        if (method, day) not in self.origins:
            self.origins[method, day] = replace(self.origin, method=method, collected_on=day)
        return self.origins[method, day]

    def _answers(self, row: Row, origin: Origin) -> Iterator[Answer]:
        for question in self.layout.questions:
            cells = tuple(row.cells[at] for at in question.columns)
            at = (question.topic, cells)
            if at not in self.received:
                if len(self.received) >= _KEPT:
                    self.received.clear()
                self.received[at] = self._receive(question, row.cells)
            received = self.received[at]
            if received is not None:
                yield Answer(received, origin, "row", row.number, row.offset, self.paths[question.topic])

    def _receive(self, question: Question, cells: list[str]) -> Received | None:
        """What one question received; None where the cells state nothing at all."""
        columns = question.columns
        if {self._clean(cells[at]) for at in columns} == {self.guide.absent}:
            return None
        wordings = [w for at in question.answers for w in self._selected(question.topic, cells[at])]
        wordings += [self._ticked(box.wording, box.no, cells[at]) for at, box in question.boxes]
        codings = tuple(Coding("wording", wording) for wording in dict.fromkeys(wordings) if wording)
        if not codings and question.topic in self.guide.silent_when_empty:
            return None
        raw = cells[columns[0]]
        if len(columns) > 1:
            raw = "\n".join(f"{self.layout.headings[at]}={cells[at]}" for at in columns)
        return Received(question.topic, f"survey.{question.topic}", codings or (BLANK,), "", raw)

    def _selected(self, topic: str, cell: str) -> list[str]:
        """The wordings of a cell in which several may be selected."""
        parts = [self._clean(cell)]
        for separator in self.guide.separators_of(topic):
            parts = [piece for part in parts for piece in part.split(separator)]
        return [part.strip() for part in parts]

    def _ticked(self, wording: str, no: str, cell: str) -> str:
        """The wording a box stands for where it is ticked; other words speak for themselves."""
        text = self._clean(cell)
        if wording and text.casefold() in self.guide.truthy:
            return wording
        if wording and text.casefold() in self.guide.falsy:
            return no
        return text


def enrolled(relationship: str, subscriber_key: str) -> Enrollment:
    """What a survey row can say about enrollment: INS02 and the subscriber's number."""
    return Enrollment(relationship in ("", _SUBSCRIBER), relationship, subscriber_key=subscriber_key)


def _path(columns: tuple[int, ...]) -> str:
    return ("column " if len(columns) == 1 else "columns ") + ", ".join(str(at + 1) for at in columns)


def _origin(artefact: str, context: Context) -> Origin:
    """What the partner attests about the whole file. Raises TableError for unknown words."""
    said = context.attestation
    try:
        collector = Collector(said.get("collector", Collector.OTHER))
        method = Method(said.get("method", Method.UNSTATED))
    except ValueError:
        raise TableError("attestation.toml, survey: no such collector or method") from None
    standard, question = said.get("standard", ""), said.get("question", "")
    return Origin(context.partner, artefact, collector.value, method.value, standard, question)
