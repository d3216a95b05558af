"""The elements of a segment held against the guide: what a 999 says in its IK4."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from fhir_equity.adapters.edi834.ack.structure import Element, Rule, Segment
from fhir_equity.adapters.edi834.dates import iso_date
from fhir_equity.adapters.edi834.delimiters import Delimiters
from fhir_equity.adapters.edi834.envelope import decoded
from fhir_equity.adapters.edi834.memory import Memory

_NUMBER = {"N0": re.compile(r"-?[0-9]+"), "R": re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)")}
_TIME = re.compile(r"([01][0-9]|2[0-3])[0-5][0-9]([0-5][0-9]([0-9]{1,2})?)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FORMAT, _PERIOD = "1250", "1251"  # a date's format stands in the element before it


class Position(Struct, frozen=True):
    """C030: element, component and repeat counted from 1 (0 where there is none), and the data element."""

    element: int
    component: int = 0
    repeat: int = 0
    reference: str = ""


class Fault(Struct, frozen=True):
    """What is wrong at one place; `cause` is a row of ``guides/x12_acknowledgement.csv`` (IK403).

    `value` is what was sent, for a reader who asked for values; `trigger` the element whose presence
    makes this one required or forbidden.
    """

    cause: str
    at: Position
    value: str = ""
    trigger: Position | None = None


class Elements:
    """Checks segments of one interchange; equal segments are checked once."""

    def __init__(self, marks: Delimiters) -> None:
        self._marks = marks
        self._seen: dict[Segment, Memory[str, tuple[Fault, ...]]] = {}

    def faults(self, segment: Segment, raw: str) -> tuple[Fault, ...]:
        """Everything wrong with the elements of a raw segment (its id at the start, no terminator)."""
        memory = self._seen.get(segment)
        if memory is None:
            memory = self._seen[segment] = Memory(lambda text: tuple(self._check(segment, text)))
        return memory[raw]

    def _check(self, segment: Segment, raw: str) -> Iterator[Fault]:
        cells = [cell.strip(" ") for cell in raw.split(self._marks.element)[1:]]
        known = len(segment.elements)
        if any(cells[known:]):  # separators without anything behind them say nothing
            yield Fault("element.too_many", Position(known + 1))
        cells = [*cells[:known], *[""] * (known - len(cells))]
        found: list[Fault] = []
        form = ""  # what the element before says of a date
        for number, (element, cell) in enumerate(zip(segment.elements, cells, strict=True), start=1):
            if cell or element.usage == "R":
                found += self._element(element, number, cell, form)
            form = cell if element.reference == _FORMAT else ""
        yield from found
        if not segment.rules:
            return
        taken = {fault.at.element for fault in found}
        places = [Position(at, reference=e.reference) for at, e in enumerate(segment.elements, start=1)]
        for fault in _conditions(segment.rules, places, [bool(cell) for cell in cells]):
            if fault.at.element not in taken:
                yield fault

    def _element(self, element: Element, number: int, cell: str, form: str) -> Iterator[Fault]:
        at = Position(number, reference=element.reference)
        if not cell:
            yield Fault("element.missing", at)
            return
        if element.usage == "N":
            yield Fault("element.not_used", at, cell)
            return
        repeats = cell.split(self._marks.repetition) if self._marks.repetition else [cell]
        if len(repeats) > element.repeat:
            yield Fault("element.too_many_repeats", at)
        for count, repeat in enumerate(repeats[: element.repeat], start=1):
            place = Position(number, 0, count if len(repeats) > 1 else 0, element.reference)
            if element.components:
                yield from self._composite(element, place, repeat)
            elif self._marks.component in repeat:
                yield Fault("element.too_many_components", place)
            elif repeat or element.repeat == 1:
                yield from _simple(element, place, repeat.strip(" "), form)

    def _composite(self, composite: Element, at: Position, raw: str) -> Iterator[Fault]:
        parts = [part.strip(" ") for part in raw.split(self._marks.component)]
        known = len(composite.components)
        if any(parts[known:]):
            yield Fault("element.too_many_components", Position(at.element, known + 1, at.repeat))
        parts = [*parts[:known], *[""] * (known - len(parts))]
        places = []
        for number, (component, part) in enumerate(zip(composite.components, parts, strict=True), start=1):
            place = Position(at.element, number, at.repeat, component.reference)
            places.append(place)
            if part and component.usage == "N":
                yield Fault("element.not_used", place, part)
            elif part:
                yield from _simple(component, place, part, "")
            elif component.usage == "R" and any(parts):
                yield Fault("element.missing", place)
        yield from _conditions(composite.rules, places, [bool(part) for part in parts])


def _simple(element: Element, at: Position, raw: str, form: str) -> Iterator[Fault]:
    value = decoded(raw)
    if _CONTROL.search(value):
        yield Fault("element.characters", at)
        return
    size = len(value.replace("-", "").replace(".", "")) if element.kind in _NUMBER else len(value)
    if size < element.least:
        yield Fault("element.too_short", at, value)
    if size > element.most:
        yield Fault("element.too_long", at, value)
    if element.codes and value not in element.codes:
        yield Fault("element.not_in_guide" if value in element.elsewhere else "element.not_in_code_list", at, value)
    if element.kind in _NUMBER and not _NUMBER[element.kind].fullmatch(value):
        yield Fault("element.characters", at)
    if element.kind == "TM" and not _TIME.fullmatch(value):
        yield Fault("element.not_a_time", at, value)
    if not _is_date(element, value, form):
        yield Fault("element.not_a_date", at, value)


def _is_date(element: Element, value: str, form: str) -> bool:
    """Whether a value that has to be a date is one; others are taken for right."""
    if element.kind == "DT":
        return bool(iso_date(value if len(value) == 8 else "20" + value))
    if element.reference == _PERIOD and form == "D8":
        return bool(iso_date(value))
    if element.reference == _PERIOD and form == "RD8":
        start, dash, end = value.partition("-")
        return bool(dash and iso_date(start) and iso_date(end))
    return True


def _conditions(rules: tuple[Rule, ...], places: list[Position], there: list[bool]) -> Iterator[Fault]:
    """The syntax notes: paired, required (one of), exclusive, conditional, list conditional (X12.6, 3.2)."""
    for rule in rules:
        present = [number for number in rule.elements if there[number - 1]]
        absent = [number for number in rule.elements if not there[number - 1]]
        first = rule.elements[0]
        missing: list[int] = []
        if rule.letter == "R" and not present:
            yield Fault("element.conditional_missing", places[first - 1])
        elif rule.letter == "E" and len(present) > 1:
            trigger, extra = places[present[0] - 1], places[present[1] - 1]
            yield Fault("element.excluded", extra, trigger=trigger)
        elif (rule.letter == "P" and present) or (rule.letter == "C" and there[first - 1]):
            missing = absent
        elif rule.letter == "L" and present == [first]:
            missing = absent[:1]
        for number in missing:
            trigger = places[(present[0] if rule.letter == "P" else first) - 1]
            yield Fault("element.conditional_missing", places[number - 1], trigger=trigger)
