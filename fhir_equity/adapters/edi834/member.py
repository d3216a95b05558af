"""The segments of one member (loop 2000 from INS on) -> Member, or Rejected with its verbatim bytes."""

from __future__ import annotations

from fhir_equity.adapters.edi834.dates import iso_date
from fhir_equity.adapters.edi834.demographics import Cutter
from fhir_equity.adapters.edi834.envelope import BLANK, Delimiters, Raw, text
from fhir_equity.adapters.edi834.keys import Person, PersonKeys
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.adapters.edi834.shape import Note, Shape, Shapes
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import (
    Address,
    Answer,
    Enrollment,
    Finding,
    Identifier,
    Locator,
    Member,
    Name,
    Origin,
    Rejected,
    Severity,
)

_NO_ADDRESS = Address()
_NOTHING = [""] * 18  # as many elements as INS has with its id

Span = tuple[str, str]
Spans = Memory[tuple[str, ...], tuple[Span, tuple[int, ...]]]  # begin and end, and which DTP were no dates


class MemberReader:
    """Reads the members of one interchange; holds what all of them share."""

    def __init__(self, artefact: str, marks: Delimiters, context: Context) -> None:
        self._artefact = artefact
        self._partner = context.partner
        self._marks = marks
        self._cutter = Cutter(marks, context)
        said = context.attestation
        self._origin = Origin(
            partner=context.partner,
            artefact=artefact,
            collector=said.get("collector", "other"),
            method=said.get("method", "unstated"),
            standard=said.get("standard", ""),
            question=said.get("question", ""),
        )
        person = context.guide.get("person", {})
        self._keys = PersonKeys(person)
        self._kept = {kind: f"REF*{kind}" for kind in person.get("identifiers", [])}
        self._shapes = Shapes(frozenset(context.guide.get("segments", {}).get("member", [])), marks.element)
        self._cells: Memory[str, list[str]] = Memory(self._clean)
        self._eligible = self._spans("356", "357")  # 2000
        self._covered = self._spans("348", "349")  # 2300

    def read(self, raw: Raw) -> Member | Rejected:
        """The member that `raw` is; Rejected where it is nobody's or its INS or NM1 cannot be used."""
        segments = raw.segments
        ins = self._cells[segments[0]]
        shape = self._shapes.of(raw)
        if ins[1] not in ("Y", "N"):
            return self.rejected(raw, "x12.ins01.not_in_code_list")
        if shape.nm1 < 0:
            return self.rejected(raw, "x12.nm1.missing")
        notes = [*shape.notes]
        nm1 = self._clean(segments[shape.nm1])
        dmg = segments[shape.dmg].split(self._marks.element) + _NOTHING if shape.dmg >= 0 else _NOTHING
        birth_date = _birth_date(dmg, shape.dmg, notes)
        refs, identifiers = self._references(segments, shape, notes)
        if nm1[9]:
            identifiers.append(Identifier("", nm1[9], "NM109", "ssn" if nm1[8] == "34" else ""))
        key, rule = self._keys.of(Person(ins[1] == "Y", refs, nm1[9], nm1[3], nm1[4], birth_date, ins[17]))
        if not key:
            return self.rejected(raw, "x12.member.no_identity")
        return Member(
            self._partner,
            key,
            rule,
            tuple(identifiers),
            _name(nm1),
            birth_date,
            self._address(segments, shape),
            self._enrollment(ins, refs, segments, shape, notes),
            self._answers(raw, dmg, shape, notes),
            self._findings(raw, notes) if notes else (),
            shape.losses,
            unit="segment",
            number=raw.number,
            offset=raw.offset_of(0),
        )

    def rejected(self, raw: Raw, code: str) -> Rejected:
        """The verbatim bytes of a member that cannot be used."""
        text = raw.text(self._marks.segment)
        clean = text.lstrip(BLANK)
        place = Locator(self._artefact, "segment", raw.number, raw.offset + len(text) - len(clean), "INS")
        return Rejected(clean.encode("latin-1"), Finding(code, Severity.ERROR, place))

    def _clean(self, segment: str) -> list[str]:
        """The elements without the spaces that pad them, the id at 0; at least eighteen, as INS has."""
        cells = segment.split(self._marks.element)
        if " " in segment or not segment.isascii():
            cells = [text(cell) for cell in cells]
        cells += _NOTHING
        return cells

    def _findings(self, raw: Raw, notes: list[Note]) -> tuple[Finding, ...]:
        offsets, artefact, first = raw.offsets(), self._artefact, raw.number
        return tuple(
            Finding(n.code, n.severity, Locator(artefact, "segment", first + n.place, offsets[n.place], n.path))
            for n in notes
        )

    def _references(
        self, segments: list[str], shape: Shape, notes: list[Note]
    ) -> tuple[dict[str, str], list[Identifier]]:
        """REF01 -> REF02 of loop 2000; the first of a kind counts, another value for it is a finding."""
        refs: dict[str, str] = {}
        identifiers: list[Identifier] = []
        for place in shape.refs:
            segment = segments[place]
            ref = segment.split(self._marks.element)
            if " " in segment or not segment.isascii():
                ref = [text(cell) for cell in ref]
            if len(ref) < 3 or not ref[2]:
                continue
            kind, value = ref[1], ref[2]
            if kind not in refs:
                refs[kind] = value
                if kind in self._kept:
                    identifiers.append(Identifier("", value, self._kept[kind]))
            elif refs[kind] != value:
                notes.append(Note("x12.ref.repeated", Severity.WARNING, place, "REF01"))
        return refs, identifiers

    def _answers(self, raw: Raw, dmg: list[str], shape: Shape, notes: list[Note]) -> tuple[Answer, ...]:
        answers: list[Answer] = []
        if shape.dmg >= 0:
            origin, number, offset = self._origin, raw.number + shape.dmg, raw.offset_of(shape.dmg)
            if dmg[3].strip(" "):
                answers.append(Answer(self._cutter.sex[dmg[3]], origin, "segment", number, offset, "DMG03"))
            if dmg[5].strip(" "):
                cut = self._cutter.race[dmg[5]]
                if cut.received is not None:
                    answers.append(Answer(cut.received, origin, "segment", number, offset, "DMG05"))
                if cut.problems:
                    notes += [Note(p.code, p.severity, shape.dmg, p.path) for p in cut.problems]
            if dmg[10] or dmg[11]:
                notes += _collection_syntax(dmg, shape.dmg)
        if shape.languages:
            self._spoken(raw, shape.languages, answers, notes)
        return tuple(answers)

    def _spoken(self, raw: Raw, places: tuple[int, ...], answers: list[Answer], notes: list[Note]) -> None:
        for cut in self._cutter.languages[tuple([raw.segments[place] for place in places])]:
            place = places[cut.at]
            if cut.received is not None:
                path = "LUI02" if cut.received.codings else "LUI03"
                number, offset = raw.number + place, raw.offset_of(place)
                answers.append(Answer(cut.received, self._origin, "segment", number, offset, path))
            if cut.problems:
                notes += [Note(p.code, p.severity, place, p.path) for p in cut.problems]

    def _address(self, segments: list[str], shape: Shape) -> Address:
        if shape.n3 < 0 and shape.n4 < 0:
            return _NO_ADDRESS
        streets = map(text, segments[shape.n3].split(self._marks.element)[1:]) if shape.n3 >= 0 else ()
        lines = tuple([line for line in streets if line])
        if shape.n4 < 0:
            return Address(lines)
        city = self._cells[segments[shape.n4]]
        return Address(lines, city[1], city[2], city[3], city[4], city[6] if city[5] == "CY" else "")

    def _enrollment(
        self, ins: list[str], refs: dict[str, str], segments: list[str], shape: Shape, notes: list[Note]
    ) -> Enrollment:
        """INS, REF*0F, REF*1L, the first HD03 and the dates of 2000 and of each 2300."""
        spans = []
        coverage = ""
        if shape.dates:
            span, faults = self._eligible[tuple([segments[place] for place in shape.dates])]
            spans.append(span)
            if faults:
                notes += _no_dates(shape.dates, faults)
        for place, dates in shape.coverages:
            coverage = coverage or self._cells[segments[place]][3]
            span, faults = self._covered[tuple([segments[place] for place in dates])]
            spans.append(span)
            if faults:
                notes += _no_dates(dates, faults)
        if len(spans) > 1 and shape.dates:
            spans = spans[1:]  # the dates of the coverages say more than the eligibility of 2000
        return Enrollment(
            ins[1] == "Y",
            ins[2],
            ins[3],
            refs.get("0F", ""),
            refs.get("1L", ""),
            coverage,
            tuple([span for span in spans if span[0] or span[1]]),
            ins[13] == "R",
        )

    def _spans(self, begin: str, end: str) -> Spans:
        """Cuts the DTP of a loop, in which DTP01 `begin` and `end` give the two dates; remembers what it has seen."""

        def cut(segments: tuple[str, ...]) -> tuple[Span, tuple[int, ...]]:
            found = {begin: "", end: ""}
            faults = []
            for at, segment in enumerate(segments):
                dtp = self._clean(segment)
                if dtp[1] in found:
                    found[dtp[1]] = iso_date(dtp[3])
                    if dtp[3] and not found[dtp[1]]:
                        faults.append(at)
            return (found[begin], found[end]), tuple(faults)

        return Memory(cut)


def _no_dates(places: tuple[int, ...], faults: tuple[int, ...]) -> list[Note]:
    return [Note("x12.dtp03.not_a_date", Severity.WARNING, places[at], "DTP03") for at in faults]


def _birth_date(dmg: list[str], place: int, notes: list[Note]) -> str:
    """DMG02, with P0102: DMG01 and DMG02 together."""
    birth_date = iso_date(dmg[2])
    if not birth_date or not dmg[1]:
        qualifier, value = dmg[1].strip(" "), dmg[2].strip(" ")
        if value and not birth_date:
            notes.append(Note("x12.dmg02.not_a_date", Severity.ERROR, place, "DMG02"))
        if bool(qualifier) != bool(value):
            notes.append(Note("x12.dmg.p0102", Severity.ERROR, place, "DMG02" if qualifier else "DMG01"))
    return birth_date


def _collection_syntax(dmg: list[str], place: int) -> list[Note]:
    """P1011: DMG10 and DMG11 together; C1105: DMG11 needs DMG05."""
    race, ten, eleven = (dmg[element].strip(" ") for element in (5, 10, 11))
    notes = []
    if bool(ten) != bool(eleven):
        notes.append(Note("x12.dmg.p1011", Severity.ERROR, place, "DMG11" if ten else "DMG10"))
    if eleven and not race:
        notes.append(Note("x12.dmg.c1105", Severity.ERROR, place, "DMG05"))
    return notes


def _name(nm1: list[str]) -> Name:
    first, second = nm1[4], nm1[5]
    given = (first, second) if first and second else tuple(part for part in (first, second) if part)
    return Name(nm1[3], given, nm1[6], nm1[7])
