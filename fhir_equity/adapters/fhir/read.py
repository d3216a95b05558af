"""Read FHIR: a resource or a Bundle, in JSON or XML, or one JSON resource per line, into Members.

An Observation, and who told it (Provenance), belongs to the Patient it is about, wherever in the file it stands, and so
does the response to a questionnaire; one without a Patient is a Member of its own. Files with such are looked through
once before they are read (see `fhir_equity.adapters.fhir.waiting`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from fhir_equity.adapters.fhir.bundle import Found, no_resource, resources
from fhir_equity.adapters.fhir.layout import MOSTLY, Line, has_others, is_resource, is_xml, lines, share_of_lines
from fhir_equity.adapters.fhir.patient import PatientReader
from fhir_equity.adapters.fhir.questionnaire_response import ResponseReader
from fhir_equity.adapters.fhir.respondent import RESPONSE
from fhir_equity.adapters.fhir.shape import Json, parse
from fhir_equity.adapters.fhir.waiting import Waiting
from fhir_equity.adapters.fhir.xml import value_from
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Locator, Member, Rejected, Severity

# What is read, and the words by which the bytes of what may stand beside a Patient are found.
TYPES = ("Patient", "Observation", "Provenance", RESPONSE)
_BESIDE = tuple(f'"{name}"'.encode() for name in TYPES[1:])


def read(source: Source, part: Range, context: Context) -> Iterator[Read]:
    """Read a range of a source: Members, Rejected and Findings, in constant memory for lines.

    Raises UnreadableError for a document that is no JSON or XML, or no FHIR.
    """
    run = Run(source.name, context, waiting_in(source.name, context))
    if is_xml(source.head()):
        yield from run.document(value_from(b"".join(source.blocks()), source.name), utf8=True)
        yield from run.tail(whole=True)
        return
    share = 1.0 if part != Range() else share_of_lines(source)
    if share > MOSTLY:
        yield from run.lines(source, part)
    else:
        raw = b"".join(source.blocks())
        try:
            value, utf8 = parse(raw)
        except ValueError as error:
            if not share:
                raise UnreadableError(f"{source.name} is not valid JSON ({error})") from None
            yield from run.lines(source, part)
        else:
            try:
                yield from run.document(value, utf8=utf8)
            except RecursionError:
                raise UnreadableError(f"{source.name} is nested too deeply to be read") from None
    yield from run.tail(whole=part == Range())


def read_again(rejected: Rejected, context: Context) -> Iterator[Read]:
    """Read a rejected line or entry of a Bundle alone."""
    place = rejected.finding.locator
    run = Run(place.artefact, context, waiting_in(place.artefact, context))
    yield from run.joined(run.record(rejected.raw, place))


def waiting_in(artefact: str, context: Context) -> Waiting:
    """Nothing yet; for one source, or for all the files of an export."""
    patients, responses = PatientReader(artefact, context), ResponseReader(artefact, context)
    return Waiting(artefact, lambda resource: patients.wants(resource) or responses.knows(resource))


class Run:
    """One reading of one range: what was met besides Patients is counted for the end."""

    def __init__(self, artefact: str, context: Context, waiting: Waiting) -> None:
        self._artefact = artefact
        self._reader = PatientReader(artefact, context)
        self._responses = ResponseReader(artefact, context)
        self._waiting = waiting
        self._unused: Counter[str] = Counter()
        self.patients = 0

    def lines(self, source: Source, part: Range) -> Iterator[Read]:
        """Resources one per line (application/fhir+ndjson). A bad line does not stop the others."""
        if part == Range():
            self._waiting.look(self.beside(source))
        yield from self.whole(source, part)

    def whole(self, source: Source, part: Range) -> Iterator[Read]:
        """The second look at lines."""
        yield from self.joined(self._records(lines(source, part)))

    def _records(self, found: Iterator[Line]) -> Iterator[Read | Found]:
        waiting = bool(self._waiting)
        for line in found:
            place = Locator(self._artefact, "line", line.number, line.offset)
            member = self._reader.line(line.raw, place)
            if member is not None:
                self.patients += 1
                if waiting and self._waiting:
                    self._add_waiting(member, member.resource or {}, "")
                yield member
            elif line.raw.strip():
                yield from self.record(line.raw, place)

    def beside(self, source: Source) -> Iterator[Found]:
        """What a first look needs of lines: what may stand beside a Patient, each after the Patient before it."""
        before: Line | None = None
        for line in lines(source, Range()) if has_others(source) else ():
            if not any(word in line.raw for word in _BESIDE):
                before = line
                continue
            for each in filter(None, (before, line)):
                yield from self._glance(each)
            before = None

    def _glance(self, line: Line) -> Iterator[Found]:
        try:
            value, _ = parse(line.raw)
        except ValueError:
            return  # told when it is read
        if is_resource(value):
            place = Locator(self._artefact, "line", line.number, line.offset)
            yield from (each for each in resources(value, place, numbered=False) if isinstance(each, Found))

    def record(self, raw: bytes, place: Locator) -> Iterator[Read | Found]:
        """One resource that can be read alone."""
        try:
            value, utf8 = parse(raw)
        except ValueError:
            yield Rejected(raw, Finding("fhir.json.invalid", Severity.ERROR, place, "not valid JSON"))
            return
        if not utf8:
            yield _not_utf8(place)
        if not is_resource(value):
            yield Rejected(raw, no_resource(place))
            return
        try:
            yield from self._resources(value, place, numbered=False)
        except RecursionError:
            yield Rejected(raw, Finding("fhir.json.too_deep", Severity.ERROR, place, "nested too deeply"))

    def document(self, value: Any, *, utf8: bool) -> Iterator[Read]:
        """A whole file that is one JSON value: a resource, a Bundle or a list of resources."""
        if not utf8:
            yield _not_utf8(Locator(self._artefact))
        if not is_resource(value) and not (isinstance(value, list) and any(map(is_resource, value))):
            raise UnreadableError(f"{self._artefact} is JSON without a FHIR resource")
        place = Locator(self._artefact, "resource", 1)
        self._waiting.look(each for each in resources(value, place, numbered=True) if isinstance(each, Found))
        yield from self.joined(self._resources(value, place, numbered=True))

    def joined(self, found: Iterable[Read | Found], *, waiting: bool = True) -> Iterator[Read]:
        """Each Member once the Observations after their Patient have been looked at."""
        held: Member | None = None
        for each in found:
            if isinstance(each, Found) and each.resource["resourceType"] == RESPONSE:
                if waiting and self._waiting.holds(each.place):
                    continue
                each = self._told(held, each)
                if each is held:
                    continue
            if isinstance(each, Member):
                if held is not None:
                    yield held
                held = each
            elif not isinstance(each, Found):
                yield each
            elif held is None or not self._reader.observed(held, each.resource, each.place):
                # What has something to say is accounted for by the first look.
                self._unused[each.resource["resourceType"]] += not self._reader.wants(each.resource)
        if held is not None:
            yield held

    def _told(self, held: Member | None, found: Found) -> Read:
        """The Member whom a response is about, the one in hand or one of its own."""
        told = self._responses.told(held, found.resource, found.place)
        self.patients += told is not held
        return told

    def alone(self) -> Iterator[Read]:
        """The people of whom there was a response and no Patient."""
        yield from self.joined(self._waiting.alone(), waiting=False)

    def tail(self, *, whole: bool) -> Iterator[Read]:
        """What waited in vain, was not used, and that there was no Patient if the range is the whole file."""
        yield from self.alone()
        yield from self._waiting.findings()
        yield from self.unused()
        if whole and not self.patients:
            place = Locator(self._artefact)
            yield Finding("fhir.patient.none", Severity.WARNING, place, "there is no Patient in this file")

    def unused(self) -> Iterator[Finding]:
        """What was not used, by type."""
        for name, count in sorted(self._unused.items()):
            if count:
                place = Locator(self._artefact)
                yield Finding("fhir.resource.not_used", Severity.INFO, place, f"{name} is not read: {count}")

    def _resources(self, value: Any, place: Locator, *, numbered: bool) -> Iterator[Read | Found]:
        for each in resources(value, place, numbered=numbered):
            if isinstance(each, Rejected):
                yield each
            elif each.resource["resourceType"] == "Patient":
                self.patients += 1
                member = self._reader.member(each.resource, each.place)
                self._add_waiting(member, each.resource, each.full_url)
                yield member
            elif each.resource["resourceType"] in TYPES and (
                each.resource["resourceType"] != RESPONSE or self._responses.knows(each.resource)
            ):
                yield each
            else:
                name = each.resource["resourceType"]
                self._unused[name if name.isalpha() and name.isascii() else "a resource of no known type"] += 1

    def _add_waiting(self, member: Member, patient: Json, full_url: str) -> None:
        for each in self._waiting.of(patient, full_url):
            reader = self._responses if each.resource["resourceType"] == RESPONSE else self._reader
            reader.add(member, each.resource, each.place)


def _not_utf8(place: Locator) -> Finding:
    return Finding("fhir.encoding.not_utf8", Severity.WARNING, place, "not UTF-8 as FHIR requires; read as Latin-1")
