"""The segments of one member (loop 2000 from INS on) -> Member, or Rejected with its verbatim bytes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from fhir_equity.adapters.edi834.batch import Raw
from fhir_equity.adapters.edi834.dates import iso_date
from fhir_equity.adapters.edi834.delimiters import BLANK, Delimiters, lead
from fhir_equity.adapters.edi834.demographics import Cutter
from fhir_equity.adapters.edi834.envelope import decoded, text
from fhir_equity.adapters.edi834.insured import Insured, InsuredReader
from fhir_equity.adapters.edi834.keys import Person, PersonKeys
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.adapters.edi834.reporting import CategoryReader, categories
from fhir_equity.adapters.edi834.shape import Note, Shape, Shapes
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import (
    Address,
    Answer,
    Finding,
    Identifier,
    Locator,
    Loss,
    Member,
    Name,
    Origin,
    Rejected,
    Severity,
)

NO_ADDRESS = Address()
NM1 = [""] * 10  # as many elements as it has with its id
Losses = tuple[Loss, ...]


class MemberReader:
    """Reads the members of one interchange; holds what all of them share.

    `verifies` is to be set for each set: whether its BGN08 says that it only verifies.
    `within` gives the number of a segment in the set that is being read.
    """

    def __init__(
        self, artefact: str, marks: Delimiters, context: Context, within: Callable[[int], int] = lambda _: 0
    ) -> None:
        self._artefact = artefact
        self._within = within
        self.partner = context.partner
        self._element = marks.element
        said = context.attestation
        self.origin = Origin(
            partner=context.partner,
            artefact=artefact,
            collector=said.get("collector", "other"),
            method=said.get("method", "unstated"),
            standard=said.get("standard", ""),
            question=said.get("question", ""),
        )
        person = context.guide.get("person", {})
        self.keys = PersonKeys(person)
        self.insurance = InsuredReader(marks.element, person)
        self._insured = self.insurance.insured
        self.verifies = False
        self.cutter = Cutter(marks, context, self.origin)
        self.demographics = self.cutter.demographics
        reporting = categories(context.guide)
        self._reported = CategoryReader(marks.element, reporting, self.origin).reported
        self.known = frozenset(context.guide.get("segments", {}).get("member", []))
        self.shape_of = Shapes(self.known, marks.element, reporting=bool(reporting)).of
        self.places: Memory[str, Address] = Memory(self._place)
        self.lost: Memory[tuple[Losses, ...], Losses] = Memory(_distinct)

    def read(self, raw: Raw, shape: Shape) -> Member | Rejected:
        """The member that `raw` is; Rejected where it is nobody's or its INS or NM1 cannot be used."""
        segments = raw.segments
        insured = (self.insurance.verified if self.verifies else self._insured)[segments[0]]
        if insured.indicator not in ("Y", "N"):
            return self.rejected(raw, "x12.ins01.not_in_code_list")
        if shape.nm1 < 0:
            return self.rejected(raw, "x12.nm1.missing")
        notes = [*shape.notes, *insured.notes]
        lost = [part for part in (shape.losses, insured.losses) if part]
        named = segments[shape.nm1]
        nm1 = named.split(self._element)
        if " " in named or not raw.ascii_only:
            nm1 = [text(cell) for cell in nm1]
        if len(nm1) < len(NM1):
            nm1 += NM1
        birth_date, answers = self._said(raw, shape, notes, lost)
        refs = self.insurance.references(raw, shape, notes)
        numbers, identifiers, _ = refs
        if nm1[9]:
            identifiers.append(own_number(nm1))
        key, rule = self.key_of(insured, numbers, nm1, birth_date)
        if not key:
            return self.rejected(raw, "x12.member.no_identity")
        enrollment = self.insurance.enrollment(insured, refs, segments, shape, notes, lost)
        return Member(
            self.partner,
            key,
            rule,
            tuple(identifiers),
            name_of(nm1),
            birth_date,
            self._address(raw, shape),
            enrollment,
            tuple(answers),
            self._findings(raw, shape, notes) if notes else (),
            self.lost[tuple(lost)] if lost else (),
            b"",
            "segment",
            raw.number,
            raw.offset + lead(segments[0]),
        )

    def key_of(self, insured: Insured, numbers: dict[str, str], nm1: list[str], birth_date: str) -> tuple[str, str]:
        """Who it is: the key and its recipe, both empty where there is none. `numbers` are REF02 by REF01."""
        subscriber = insured.indicator == "Y"
        if self.keys.number_decides(nm1[9], numbers.get("0F"), subscriber=subscriber):
            return nm1[9], "NM109"
        person = Person(subscriber, numbers, nm1[9], nm1[3], nm1[4], birth_date, insured.birth_sequence)
        return self.keys.of(person)

    def rejected(self, raw: Raw, code: str) -> Rejected:
        """The verbatim bytes of a member that cannot be used."""
        text = raw.text()
        clean = text.lstrip(BLANK)
        offset, within = raw.offset + len(text) - len(clean), self._within(raw.number)
        place = Locator(self._artefact, "segment", raw.number, offset, "INS", "2000", within)
        return Rejected(clean.encode("latin-1"), Finding(code, Severity.ERROR, place))

    def _findings(self, raw: Raw, shape: Shape, notes: list[Note]) -> tuple[Finding, ...]:
        offsets, found = raw.offsets(), []
        for note in sorted(notes, key=lambda note: note.place):
            number, offset = raw.number + note.place, offsets[note.place]
            loop, within = shape.loops[note.place], self._within(number)
            place = Locator(self._artefact, "segment", number, offset, note.path, loop, within)
            found.append(Finding(note.code, note.severity, place))
        return tuple(found)

    def _said(self, raw: Raw, shape: Shape, notes: list[Note], lost: list[Losses]) -> tuple[str, list[Answer]]:
        """The birth date, and what DMG, LUI and the reporting categories answer."""
        birth_date = ""
        answers: list[Answer] = []
        if shape.dmg >= 0:
            birth_date, rest = self._birth_date(raw.segments[shape.dmg], shape.dmg, notes)
            said = self.demographics[rest]
            if said.answers:
                number, offset = raw.number + shape.dmg, raw.offset_of(shape.dmg)
                answers = [Answer(what, origin, "segment", number, offset, path) for what, origin, path in said.answers]
            if said.problems:
                notes += [Note(p.code, p.severity, shape.dmg, p.path) for p in said.problems]
            if said.losses:
                lost.append(said.losses)
        if shape.languages:
            self._languages(raw, shape.languages, answers, notes)
        if shape.reports:
            self._reports(raw, shape, answers, notes, lost)
        return birth_date, answers

    def _birth_date(self, segment: str, place: int, notes: list[Note]) -> tuple[str, str]:
        """DMG02, with P0102: DMG01 and DMG02 together; and what follows DMG02."""
        dmg = segment.split(self._element, 3)
        if len(dmg) < 4:
            dmg += ["", "", ""]
        birth_date = iso_date(dmg[2])
        if not birth_date or not dmg[1]:
            qualifier, value = text(dmg[1]), text(dmg[2])
            if value and not birth_date:
                notes.append(Note("x12.dmg02.not_a_date", Severity.ERROR, place, "DMG02"))
            if bool(qualifier) != bool(value):
                notes.append(Note("x12.dmg.p0102", Severity.ERROR, place, "DMG02" if qualifier else "DMG01"))
        return birth_date, dmg[3]

    def _languages(self, raw: Raw, places: tuple[int, ...], answers: list[Answer], notes: list[Note]) -> None:
        for cut in self.cutter.languages[tuple([raw.segments[place] for place in places])]:
            place = places[cut.at]
            if cut.received is not None:
                path = "LUI02" if cut.received.codings else "LUI03"
                number, offset = raw.number + place, raw.offset_of(place)
                answers.append(Answer(cut.received, self.origin, "segment", number, offset, path))
            if cut.problems:
                notes += [Note(p.code, p.severity, place, p.path) for p in cut.problems]

    def _reports(self, raw: Raw, shape: Shape, answers: list[Answer], notes: list[Note], lost: list[Losses]) -> None:
        for places in shape.reports:
            said = self._reported[tuple([raw.segments[place] for place in places])]
            for what, origin, at in said.answers:
                number, offset = raw.number + places[at], raw.offset_of(places[at])
                answers.append(Answer(what, origin, "segment", number, offset, "REF02"))
            notes += [Note(note.code, note.severity, places[note.place], note.path) for note in said.notes]
            if said.losses:
                lost.append(said.losses)

    def _address(self, raw: Raw, shape: Shape) -> Address:
        segments = raw.segments
        if shape.n3 < 0:
            return self.places[segments[shape.n4]] if shape.n4 >= 0 else NO_ADDRESS
        streets = segments[shape.n3].split(self._element)[1:]
        if not raw.ascii_only:
            streets = [decoded(street) for street in streets]
        lines = tuple([line for street in streets if (line := street.strip(" "))])
        if shape.n4 < 0:
            return Address(lines)
        at = self.places[segments[shape.n4]]
        return Address(lines, at.city, at.state, at.postal_code, at.country, at.county)

    def _place(self, segment: str) -> Address:
        """N4, as an address without lines."""
        city = [*map(text, segment.split(self._element)), *[""] * 6]
        return Address((), city[1], city[2], city[3], city[4], city[6] if city[5] == "CY" else "")


def _distinct(parts: tuple[Losses, ...]) -> Losses:
    return tuple(dict.fromkeys(chain.from_iterable(parts)))


def own_number(nm1: list[str]) -> Identifier:
    """NM109, as an identifier."""
    return Identifier("", nm1[9], "NM109", "ssn" if nm1[8] == "34" else "")


def name_of(nm1: list[str]) -> Name:
    """The name in the elements of an NM1."""
    first, second = nm1[4], nm1[5]
    given = (first, second) if first and second else tuple([part for part in (first, second) if part])
    return Name(nm1[3], given, nm1[6], nm1[7])
