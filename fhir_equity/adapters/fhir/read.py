"""Read FHIR JSON: a resource, a Bundle, or one resource per line, into Members.

An Observation belongs to the Patient it is about where it comes after them and before the next one, as
we write it. So does a QuestionnaireResponse; one that stands alone is a Member of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fhir_equity.adapters.fhir.layout import MOSTLY, Line, is_resource, is_xml, lines, share_of_lines
from fhir_equity.adapters.fhir.patient import PatientReader
from fhir_equity.adapters.fhir.questionnaire_response import ResponseReader
from fhir_equity.adapters.fhir.respondent import beside_patients
from fhir_equity.adapters.fhir.shape import compact, parse
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Locator, Member, Rejected, Severity


def read(source: Source, part: Range, context: Context) -> Iterator[Read]:
    """Read a range of a source: Members, Rejected and Findings, in constant memory for lines.

    Raises UnreadableError for FHIR XML and for a document that is no JSON or no FHIR.
    """
    if is_xml(source.head()):
        raise UnreadableError(f"{source.name} is FHIR XML, which this version does not read; send FHIR JSON")
    run = _Run(source.name, context)
    share = 1.0 if part != Range() else share_of_lines(source)
    if share > MOSTLY:
        yield from run.joined(run.lines(lines(source, part)))
    else:
        raw = b"".join(source.blocks())
        try:
            value, utf8 = parse(raw)
        except ValueError as error:
            if not share:
                raise UnreadableError(f"{source.name} is not valid JSON ({error})") from None
            yield from run.joined(run.lines(lines(source, part)))
        else:
            try:
                yield from run.joined(run.document(value, utf8=utf8))
            except RecursionError:
                raise UnreadableError(f"{source.name} is nested too deeply to be read") from None
    yield from run.tail(whole=part == Range())


def read_again(rejected: Rejected, context: Context) -> Iterator[Read]:
    """Read a rejected line or entry of a Bundle alone."""
    place = rejected.finding.locator
    run = _Run(place.artefact, context)
    yield from run.joined(run.record(rejected.raw, place))


class _Observation(NamedTuple):
    """An Observation on its way to the Member of its Patient."""

    resource: dict[str, Any]
    place: Locator


class _Response(NamedTuple):
    """A QuestionnaireResponse on its way to the Member whom it is about."""

    resource: dict[str, Any]
    place: Locator


class _Run:
    """One reading of one range: what was met besides Patients is counted for the end."""

    def __init__(self, artefact: str, context: Context) -> None:
        self._artefact = artefact
        self._reader = PatientReader(artefact, context)
        self._responses = ResponseReader(artefact, context)
        self._unused: Counter[str] = Counter()
        self._patients = 0

    def lines(self, found: Iterator[Line]) -> Iterator[Read | _Observation | _Response]:
        """Resources one per line (application/fhir+ndjson). A bad line does not stop the others."""
        for line in found:
            if line.raw.strip():
                yield from self.record(line.raw, Locator(self._artefact, "line", line.number, line.offset))

    def record(self, raw: bytes, place: Locator) -> Iterator[Read | _Observation | _Response]:
        """One resource that can be read alone."""
        try:
            value, utf8 = parse(raw)
        except ValueError:
            yield Rejected(raw, Finding("fhir.json.invalid", Severity.ERROR, place, "not valid JSON"))
            return
        if not utf8:
            yield _not_utf8(place)
        if not is_resource(value):
            yield Rejected(raw, _no_resource(place))
            return
        try:
            yield from self._resource(value, place, numbered=False)
        except RecursionError:
            yield Rejected(raw, Finding("fhir.json.too_deep", Severity.ERROR, place, "nested too deeply"))

    def document(self, value: Any, *, utf8: bool) -> Iterator[Read | _Observation | _Response]:
        """A whole file that is one JSON value: a resource, a Bundle or a list of resources."""
        if not utf8:
            yield _not_utf8(Locator(self._artefact))
        place = Locator(self._artefact, "resource", 1)
        if is_resource(value):
            yield from self._resource(value, place, numbered=True)
        elif isinstance(value, list) and any(map(is_resource, value)):
            yield from self._entries([(f"[{at}]", each) for at, each in enumerate(value)], place, numbered=True)
        else:
            raise UnreadableError(f"{self._artefact} is JSON without a FHIR resource")

    def joined(self, found: Iterable[Read | _Observation | _Response]) -> Iterator[Read]:
        """Each Member once the Observations after their Patient have been looked at."""
        held: Member | None = None
        for each in found:
            if isinstance(each, _Observation):
                if held is None or not self._reader.observed(held, each.resource, each.place):
                    self._unused["Observation"] += 1
                continue
            if isinstance(each, _Response):
                each = self._responses.told(held, each.resource, each.place)
                if each is held:
                    continue
            if held is not None:
                yield held
            held = each if isinstance(each, Member) else None
            if held is None:
                yield each
        if held is not None:
            yield held

    def tail(self, *, whole: bool) -> Iterator[Finding]:
        """What was not used, by type, and that there was no Patient if the range is the whole file."""
        place = Locator(self._artefact)
        for name, count in sorted(self._unused.items()):
            message = f"{name} is not read: {count}"
            yield Finding("fhir.resource.not_used", Severity.INFO, place, message)
        if whole and not self._patients:
            yield Finding("fhir.patient.none", Severity.WARNING, place, "there is no Patient in this file")

    def _resource(
        self, value: dict[str, Any], place: Locator, *, numbered: bool
    ) -> Iterator[Read | _Observation | _Response]:
        name = value["resourceType"]
        if name == "Patient":
            self._patients += 1
            yield self._reader.member(value, place)
        elif name == "Observation":
            yield _Observation(value, place)
        elif name == "QuestionnaireResponse" and self._responses.knows(value):
            self._patients += 1
            yield _Response(value, place)
        elif name == "Bundle":
            yield from self._entries(_bundled(value, place), place, numbered=numbered)
        else:
            self._unused[name if name.isalpha() and name.isascii() else "a resource of no known type"] += 1

    def _entries(
        self, found: list[tuple[str, Any]], place: Locator, *, numbered: bool
    ) -> Iterator[Read | _Observation | _Response]:
        """Resources of a Bundle, nested Bundles opened where they stand (an explicit stack: no depth limit)."""
        stack = found[::-1]
        number = 0
        while stack:
            path, value = stack.pop()
            number += 1
            at = Locator(place.artefact, place.unit, number if numbered else place.number, place.offset, path)
            if not is_resource(value):
                yield Rejected(compact(value), _no_resource(at))
            elif value["resourceType"] == "Bundle":
                number -= 1
                stack += _bundled(value, at)[::-1]
            else:
                yield from self._resource(value, at, numbered=numbered)


def _bundled(bundle: dict[str, Any], place: Locator) -> list[tuple[str, Any]]:
    """What stands where a Bundle has resources, with paths. An entry may have none (a response, a deletion)."""
    path = f"{place.path}.resource" if place.path else "Bundle"
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        return [(f"{path}.entry", entries)]
    found = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            found.append((f"{path}.entry[{number}]", entry))
        elif "resource" in entry:
            found.append((f"{path}.entry[{number}]", entry["resource"]))
    return beside_patients(bundle, found)


def _no_resource(place: Locator) -> Finding:
    return Finding("fhir.json.not_a_resource", Severity.ERROR, place, "JSON, but not a FHIR resource")


def _not_utf8(place: Locator) -> Finding:
    return Finding("fhir.encoding.not_utf8", Severity.WARNING, place, "not UTF-8 as FHIR requires; read as Latin-1")
