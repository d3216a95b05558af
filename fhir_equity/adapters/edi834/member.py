"""The segments of one member (loop 2000 from INS on) -> Member, or Rejected with its verbatim text."""

from __future__ import annotations

from collections.abc import Callable

from fhir_equity.adapters.edi834.demographics import Cut, Cutter, Problem
from fhir_equity.adapters.edi834.envelope import Delimiters, text
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

BLANK = " \r\n\t"
_INSURED = ("IL", "74")  # 74 = corrected insured: still the member, with the new values
# Loops of 2000 in which N3, DMG or REF would be somebody else's, by NM101 or by segment id.
_ELIGIBILITY = {"348": 0, "356": 0, "349": 1, "357": 1}
_NO_NAME = Name()
_NO_ADDRESS = Address()


class MemberReader:
    """Reads members of one interchange; holds what all of them share."""

    def __init__(self, artefact: str, marks: Delimiters, context: Context) -> None:
        self._artefact = artefact
        self._element = marks.element
        self._partner = context.partner
        self._segment = marks.segment
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
        self._recipes = [tuple(parts) for parts in person.get("key", [])]
        self._packed: str = person.get("packed", "")
        self._kept = frozenset(person.get("identifiers", []))

    def read(self, segments: list[str], number: int, offset: int) -> Member | Rejected:
        """One member from its raw segments, the first being its INS.

        `number` and `offset` are those of the INS in the artefact.
        """
        record = _Record(self, segments, number, offset)
        record.scan()
        return record.member()

    def rejected(self, segments: list[str], number: int, offset: int, code: str) -> Rejected:
        """The verbatim bytes of a member that cannot be used."""
        raw = (self._segment.join(segments) + self._segment).encode("latin-1")
        place = Locator(self._artefact, "segment", number, offset + _lead(segments[0]), "INS")
        return Rejected(raw, Finding(code, Severity.ERROR, place))


def _lead(segment: str) -> int:
    return len(segment) - len(segment.lstrip(BLANK))


class _Record:
    """One member on its way."""

    __slots__ = (
        "answers", "birth_date", "city", "coverage", "demographics", "findings", "ins", "languages", "lines", "loop",
        "name", "name_seen", "nm1", "number", "offset", "reader", "refs", "segments", "spans", "start",
    )  # fmt: skip

    def __init__(self, reader: MemberReader, segments: list[str], number: int, offset: int) -> None:
        self.reader = reader
        self.segments = segments
        self.number = number
        self.offset = offset
        self.start = offset
        self.loop = "2000"
        self.ins: list[str] = []
        self.nm1: list[str] = []
        self.refs: dict[str, str] = {}
        self.demographics: tuple[int, int, list[str]] | None = None
        self.languages: list[tuple[int, int, str]] = []
        self.lines: list[str] = []
        self.city: list[str] = []
        self.coverage = ""
        self.spans: list[list[str]] = []
        self.findings: list[Finding] = []

    def scan(self) -> None:
        """Walk the segments once; each kind is looked at only in the loop where it is the member's."""
        element = self.reader._element
        number, offset = self.number, self.offset
        takers = _TAKERS
        for raw in self.segments:
            segment = raw if raw[:1] > " " else raw.lstrip(BLANK)
            taker = takers.get(segment[: segment.find(element)])
            if taker is not None:
                taker(self, segment, number, offset + len(raw) - len(segment))
            number += 1
            offset += len(raw) + 1

    def take_ins(self, segment: str, number: int, offset: int) -> None:
        self.ins = segment.split(self.reader._element)
        self.number, self.offset = number, offset

    def take_ref(self, segment: str, number: int, offset: int) -> None:
        if self.loop == "2000":
            parts = segment.split(self.reader._element, 3)
            if len(parts) > 2 and parts[2]:
                self.refs.setdefault(parts[1].strip(), text(parts[2]))

    def take_nm1(self, segment: str, number: int, offset: int) -> None:
        parts = segment.split(self.reader._element)
        who = parts[1].strip() if len(parts) > 1 else ""
        if who in _INSURED and not self.nm1:
            self.nm1 = parts
            self.loop = "2100A"
        elif self.loop in ("2000", "2100A", "2100"):
            self.loop = "2100"
            if who == "70":
                self.find("x12.2100b.old_values", Severity.INFO, number, offset, "NM1")

    def take_n3(self, segment: str, number: int, offset: int) -> None:
        if self.loop == "2100A":
            self.lines = segment.split(self.reader._element)[1:]

    def take_n4(self, segment: str, number: int, offset: int) -> None:
        if self.loop == "2100A":
            self.city = segment.split(self.reader._element)

    def take_dmg(self, segment: str, number: int, offset: int) -> None:
        # A DMG before any NM1*IL is out of order but can only be the member's.
        if self.loop in ("2000", "2100A"):
            if self.demographics is None:
                self.demographics = (number, offset, segment.split(self.reader._element))
            else:
                self.find("x12.dmg.repeated", Severity.ERROR, number, offset, "DMG")

    def take_lui(self, segment: str, number: int, offset: int) -> None:
        if self.loop in ("2000", "2100A"):
            self.languages.append((number, offset, segment))

    def take_hd(self, segment: str, number: int, offset: int) -> None:
        self.loop = "2300"
        if not self.coverage:
            parts = segment.split(self.reader._element, 4)
            self.coverage = parts[3].strip() if len(parts) > 3 else ""
        self.spans.append(["", ""])

    def take_dtp(self, segment: str, number: int, offset: int) -> None:
        parts = segment.split(self.reader._element)
        side = _ELIGIBILITY.get(parts[1]) if len(parts) > 3 else None
        if side is None or self.loop not in ("2000", "2300"):
            return
        if self.loop == "2300" or not self.spans:
            if not self.spans:
                self.spans.append(["", ""])
            self.spans[-1][side] = iso_date(parts[3])
        else:
            self.spans[0][side] = iso_date(parts[3])

    def leave(self, segment: str, number: int, offset: int) -> None:
        self.loop = "2320"  # COB, LX and LS open loops that hold nothing of the person's own

    def find(self, code: str, severity: Severity, number: int, offset: int, path: str) -> None:
        self.findings.append(Finding(code, severity, Locator(self.reader._artefact, "segment", number, offset, path)))

    def member(self) -> Member | Rejected:
        """What the record holds; Rejected where it is nobody's or its INS or NM1 cannot be used."""
        relation = self.ins[1].strip() if len(self.ins) > 1 else ""
        if relation not in ("Y", "N"):
            return self._reject("x12.ins01.not_in_code_list")
        if not self.nm1:
            return self._reject("x12.nm1.missing")
        self._birth_date()
        key, rule = self._key(subscriber=relation == "Y")
        if not key:
            return self._reject("x12.member.no_identity")
        reader = self.reader
        answers = self._answers()
        return Member(
            reader._partner,
            key,
            rule,
            self._identifiers(),
            self._name(),
            self.birth_date,
            self._address(),
            self._enrollment(subscriber=relation == "Y"),
            answers,
            tuple(self.findings),
        )

    def _reject(self, code: str) -> Rejected:
        return self.reader.rejected(self.segments, self.number, self.start, code)

    def _birth_date(self) -> None:
        self.birth_date = ""
        if self.demographics is None:
            return
        number, offset, parts = self.demographics
        if len(parts) > 2 and parts[2].strip():
            self.birth_date = iso_date(parts[2])
            if not self.birth_date:
                self.find("x12.dmg02.not_a_date", Severity.ERROR, number, offset, "DMG02")
        if (len(parts) > 1 and bool(parts[1].strip())) != (len(parts) > 2 and bool(parts[2].strip())):
            self.find("x12.dmg.p0102", Severity.ERROR, number, offset, "DMG02")

    def _answers(self) -> tuple[Answer, ...]:
        answers: list[Answer] = []
        origin = self.reader._origin
        if self.demographics is not None:
            number, offset, parts = self.demographics
            count = len(parts)
            if count > 3 and parts[3].strip():
                sex = self.reader._cutter.sex(parts[3])
                answers.append(Answer(sex, origin, "segment", number, offset, "DMG03"))
            if count > 5 and parts[5]:
                cut = self.reader._cutter.race(parts[5])
                self._add(cut, answers, number, offset, "DMG05")
            if count > 10:
                self._collection_syntax(parts, number, offset)
        if self.languages:
            number, offset, _ = self.languages[0]
            for cut in self.reader._cutter.languages(tuple(segment for _, _, segment in self.languages)):
                self._add(cut, answers, number, offset, "LUI02")
        return tuple(answers)

    def _add(self, cut: Cut, answers: list[Answer], number: int, offset: int, path: str) -> None:
        if cut.received is not None:
            answers.append(Answer(cut.received, self.reader._origin, "segment", number, offset, path))
        for problem in cut.problems:
            self._problem(problem, number, offset)

    def _problem(self, problem: Problem, number: int, offset: int) -> None:
        self.find(problem.code, problem.severity, number, offset, problem.path)

    def _collection_syntax(self, parts: list[str], number: int, offset: int) -> None:
        """P1011: DMG10 and DMG11 together; C1105: DMG11 needs DMG05."""
        ten, eleven = parts[10].strip(), parts[11].strip() if len(parts) > 11 else ""
        if bool(ten) != bool(eleven):
            self.find("x12.dmg.p1011", Severity.ERROR, number, offset, "DMG11" if ten else "DMG10")
        if eleven and not parts[5].strip():
            self.find("x12.dmg.c1105", Severity.ERROR, number, offset, "DMG05")

    def _key(self, *, subscriber: bool) -> tuple[str, str]:
        packed = self.reader._packed
        values = {f"REF*{k}": v for k, v in self.refs.items() if not packed or packed not in v}
        number = text(self.nm1[9]) if len(self.nm1) > 9 else ""
        shared = self.refs.get("0F", "")
        values["NM109"] = number
        values["subscriber"] = "self" if subscriber else ""
        values["INS17"] = self.ins[17].strip() if len(self.ins) > 17 else ""
        values["birth_date"] = self.birth_date
        values["family_name"] = self._part(3).upper()
        values["given_name"] = self._part(4).upper()
        for recipe in self.reader._recipes:
            parts = [values.get(name, "") for name in recipe]
            if not all(parts) or (not subscriber and len(parts) == 1 and parts[0] == shared):
                continue
            return "|".join(parts), "+".join(recipe)
        return "", ""

    def _part(self, place: int) -> str:
        return text(self.nm1[place]) if len(self.nm1) > place else ""

    def _identifiers(self) -> tuple[Identifier, ...]:
        kept = self.reader._kept
        found = [Identifier("", value, f"REF*{kind}") for kind, value in self.refs.items() if kind in kept]
        number = self._part(9)
        if number:
            found.append(Identifier("", number, "NM109", "ssn" if self.nm1[8].strip() == "34" else ""))
        return tuple(found)

    def _name(self) -> Name:
        given = tuple(part for part in (self._part(4), self._part(5)) if part)
        return Name(self._part(3), given, self._part(6), self._part(7))

    def _address(self) -> Address:
        if not self.lines and not self.city:
            return _NO_ADDRESS
        city = [*self.city, "", "", "", "", "", "", ""]
        county = text(city[6]) if city[5].strip() == "CY" else ""
        lines = tuple(line for line in map(text, self.lines) if line)
        return Address(lines, text(city[1]), text(city[2]), text(city[3]), text(city[4]), county)

    def _enrollment(self, *, subscriber: bool) -> Enrollment:
        ins = [*self.ins, "", "", "", ""]
        return Enrollment(
            subscriber,
            ins[2].strip(),
            ins[3].strip(),
            self.refs.get("0F", ""),
            self.refs.get("1L", ""),
            self.coverage,
            tuple((start, end) for start, end in self.spans if start or end),
            len(self.ins) > 13 and self.ins[13].strip() == "R",
        )


Taker = Callable[[_Record, str, int, int], None]
_TAKERS: dict[str, Taker] = {
    "INS": _Record.take_ins,
    "REF": _Record.take_ref,
    "NM1": _Record.take_nm1,
    "N3": _Record.take_n3,
    "N4": _Record.take_n4,
    "DMG": _Record.take_dmg,
    "LUI": _Record.take_lui,
    "HD": _Record.take_hd,
    "DTP": _Record.take_dtp,
    "COB": _Record.leave,
    "LX": _Record.leave,
    "LS": _Record.leave,
}


def iso_date(value: str) -> str:
    """CCYYMMDD -> ISO; empty where it is no calendar date."""
    value = value.strip()
    if len(value) != 8 or not (value.isascii() and value.isdigit()):
        return ""
    year, month, day = int(value[:4]), int(value[4:6]), int(value[6:])
    if not (1 <= month <= 12 and 1 <= day <= _days(year, month) and year >= 1):
        return ""
    return f"{value[:4]}-{value[4:6]}-{value[6:]}"


def _days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31
