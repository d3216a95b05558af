"""One member as segments: loop 2000, 2100A (2100B on a correction), 2300 and 2700."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_equity.adapters.edi834.characters import Characters, Element
from fhir_equity.adapters.edi834.dates import written_date
from fhir_equity.adapters.edi834.write_answers import AnswerWriter, Said
from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import TableError
from fhir_equity.model import Address, Enrollment, Loss, Member, Outgoing, Relationship, Spans

_CHANGES = ("001", "021", "024", "025")  # INS03 where BGN08 is 2
_MOST = 20_000  # places and coverages remembered
_NEITHER = "U"  # DMG03: neither M nor F can be sent (X12 RFI 2311)


class MemberWriter:
    """Writes members for one receiver. What could not be carried is added to `losses`.

    Raises TableError for a BGN08 that the guide has no INS03 for.
    """

    def __init__(self, context: Context, characters: Characters, marks: tuple[str, str, str]) -> None:
        guide: Mapping[str, Any] = context.guide["write"]
        self.losses: list[Loss] = []
        self._element = marks[0]
        self._changing = guide["purpose"] == "2"
        self._maintenance: str = guide["maintenance"].get(guide["purpose"], "")
        if not self._maintenance:
            raise TableError("guides/edi834.toml, write.purpose: write.maintenance has no INS03 for this BGN08")
        self._kinds = {f"REF*{kind}": kind for kind in guide["references"]}
        self._answers = AnswerWriter(context, characters, marks, self.losses)
        self._places: dict[tuple[str, ...], str] = {}
        self._covered: dict[tuple[str, Spans], list[str]] = {}

        def words(most: int, least: int = 1) -> Element:
            return Element(characters, self._lose, least, most, cut=True)

        def code(least: int, most: int) -> Element:
            return Element(characters, self._lose, least, most)

        # The lengths of data elements 1035, 1036, 1037, 1038 (and 1039), 166, 19, 310; 67, 127, 1069,
        # 1205, 156, 116, 26.
        self._family, self._given, self._middle, self._affix = words(60), words(35), words(25), words(10)
        self._line, self._city, self._county = words(55), words(30, 2), words(30)
        self._number, self._reference, self._relation = code(2, 80), code(1, 50), code(2, 2)
        self._coverage, self._state, self._postal, self._country = code(2, 3), code(2, 2), code(3, 15), code(2, 3)

    def segments(self, record: Outgoing) -> list[str]:
        """The segments of a member without terminators, INS first."""
        member, element = record.member, self._element
        enrollment = member.enrollment
        code = self._code(enrollment.maintenance)
        said = self._answers.of(record.expressed)
        number, references = self._numbers(member)
        corrected = self._corrected(member, said, record.before) if record.before else []
        coverages = [(kept, spans) for line, spans in enrollment.coverages if (kept := self._coverage[line])]
        segments = [self._start(enrollment, code), *references]
        if not coverages:
            self._eligibility(enrollment, segments)
        segments.append(self._name("74" if corrected else "IL", member, number))
        self._address(member.address, segments)
        self._demographics(member.birth_date, said, segments)
        segments += said.languages
        segments += corrected
        for coverage, spans in coverages:
            segments += self._coverages(f"HD{element}{code}{element}{element}{coverage}", spans)
        segments += said.reports
        return segments

    def _start(self, enrollment: Enrollment, code: str) -> str:
        """INS: subscriber or not, relationship, INS03, benefit status active, INS13 where restricted."""
        element, subscriber = self._element, enrollment.subscriber
        relation = self._relation[enrollment.relationship] or ("18" if subscriber else "G8")
        ins = f"INS{element}{'Y' if subscriber else 'N'}{element}{relation}{element}{code}{element}{element}A"
        return f"{ins}{element * 8}R" if enrollment.restricted else ins

    def _code(self, own: str) -> str:
        """INS03: in a change file the member's own, where it is one."""
        return own if self._changing and own in _CHANGES else self._maintenance

    def _numbers(self, member: Member) -> tuple[str, list[str]]:
        """NM109 and the REF segments: 0F, 1L, and what else the guide lists, each kind once.

        NM109 is the one that came, else the first identifier that is no REF. A social security number
        is never written.
        """
        element, family = self._element, member.enrollment.subscriber_key
        own: list[str] = []
        sent: dict[str, str] = {}
        for identifier in member.identifiers:
            name, value = identifier.kind, identifier.value
            if identifier.use:
                self._lose("edi834.identifier_withheld")
            elif name in self._kinds:
                sent.setdefault(self._kinds[name], value)
            elif name == "REF*0F":
                family = family or value
            elif name == "NM109":
                own.insert(0, value)
            elif name[:4] != "REF*":
                own.append(value)
            elif name != "REF*1L":
                self._lose("edi834.more_identifiers")
        for other in own[1:]:
            if other != own[0]:
                self._lose("edi834.more_identifiers")
        number = self._number.once(own[0]) if own else ""
        reference = self._reference.once
        key = reference(family) or number
        if not key:
            self._lose("edi834.no_subscriber_number")
        segments = [f"REF{element}0F{element}{key}"] if key else []
        if group := reference(member.enrollment.group):
            segments.append(f"REF{element}1L{element}{group}")
        for kind, value in sent.items():
            if known := reference(value):
                segments.append(f"REF{element}{kind}{element}{known}")
        return number, segments

    def _name(self, who: str, member: Member, number: str) -> str:
        name, element = member.name, self._element
        first, second = self._given_names(name.given)
        family = self._family[name.family]
        if not family:
            self._lose("edi834.no_family_name")
        affixes = element
        if name.prefix or name.suffix:
            affixes = f"{self._affix[name.prefix]}{element}{self._affix[name.suffix]}"
        start = f"NM1{element}{who}{element}1{element}{family}{element}{first}{element}{second}{element}{affixes}"
        return f"{start}{element}ZZ{element}{number}" if number else start.rstrip(element)

    def _given_names(self, given: tuple[str, ...]) -> tuple[str, str]:
        """Those that NM1 has places for."""
        first = self._given[given[0]] if given else ""
        others = [part for each in given[1:] if (part := self._middle[each])] if len(given) > 1 else []
        if not first and others:
            first = others.pop(0)
        if len(others) > 1:
            self._lose("edi834.more_given_names")
        return first, others[0] if others else ""

    def _address(self, address: Address, segments: list[str]) -> None:
        """N3 and N4; N4 needs its city."""
        element = self._element
        if address.lines:
            lines = [line for line in map(self._line.once, address.lines) if line]
            if lines:
                segments.append(f"N3{element}{element.join(lines[:2])}")
            if len(lines) > 2:
                self._lose("edi834.more_address_lines")
        key = (address.city, address.state, address.postal_code, address.country, address.county)
        place = self._places.get(key)
        if place is None:
            known = len(self.losses)
            place = self._place(address)
            if known == len(self.losses) and len(self._places) < _MOST:
                self._places[key] = place
        if place:
            segments.append(place)

    def _place(self, address: Address) -> str:
        """N4; empty where there is no city."""
        element = self._element
        city, state, country = self._city[address.city], self._state[address.state], self._country[address.country]
        postal = self._postal[address.postal_code.replace("-", "")]  # ZIP+4 without its dash, as X12 wants it
        county = self._county[address.county]
        if city:
            tail = f"{element}CY{element}{county}" if county else ""
            return f"N4{element}{city}{element}{state}{element}{postal}{element}{country}{tail}".rstrip(element)
        if county or state or postal or country:
            self._lose("edi834.no_city")
        return ""

    def _demographics(self, birth_date: str, said: Said, segments: list[str]) -> None:
        """DMG: it needs a birth date and a sex; where the one is unknown the rest cannot be sent."""
        born = self._day(birth_date) if birth_date else ""
        if born:
            if not said.sex:
                self._lose("edi834.sex_required", "sex")
            segments.append(self._dmg(born, said.sex or _NEITHER, said.races))
        elif said.races:
            self._lose("edi834.no_birth_date", "race_ethnicity")
        elif said.sex:
            self._lose("edi834.no_birth_date", "sex")

    def _dmg(self, born: str, sex: str, races: str) -> str:
        element = self._element
        start = f"DMG{element}{'D8' if born else ''}{element}{born}{element}{sex}"
        return f"{start}{element}{element}{races}" if races else start.rstrip(element)

    def _corrected(self, member: Member, said: Said, before: Outgoing) -> list[str]:
        """2100B: the old name and the old DMG as a whole, where one of them is another than before.

        What was not known before, or is not said now, or differs in capitals only, corrects nothing.
        """
        old, known = before.member, len(self.losses)
        was = self._answers.of(before.expressed)
        named = old if old.name.family else member
        names = self._name("70", named, ""), self._name("70", member, "")
        pairs = names, (old.birth_date, member.birth_date), (was.sex, said.sex), (was.races, said.races)
        segments: list[str] = []
        if any(then and now and then.upper() != now.upper() for then, now in pairs):
            segments.append(names[0])
            born = written_date(old.birth_date)
            if born or was.sex or was.races:
                segments.append(self._dmg(born, was.sex, was.races))
        del self.losses[known:]  # they were told when the old values were sent
        return segments

    def _eligibility(self, enrollment: Enrollment, segments: list[str]) -> None:
        """DTP*356 and DTP*357 of 2000, where no coverage has the dates."""
        for start, end in enrollment.spans[:1]:
            self._dates("356", start, segments)
            self._dates("357", end, segments)
        if len(enrollment.spans) > 1:
            self._lose("edi834.more_spans")

    def _coverages(self, start: str, spans: Spans) -> list[str]:
        """A 2300 for each span; it needs a date. Equal ones without a loss are put together once."""
        segments = self._covered.get((start, spans))
        if segments is None:
            segments, known = [], len(self.losses)
            for begin, end in spans or (("", ""),):
                dates: list[str] = []
                self._dates("348", begin, dates)
                self._dates("349", end, dates)
                if dates:
                    segments += [start, *dates]
                else:
                    self._lose("edi834.coverage_without_date")
            if known == len(self.losses) and len(self._covered) < _MOST:
                self._covered[start, spans] = segments
        return segments

    def _dates(self, qualifier: str, value: str, segments: list[str]) -> None:
        if value and (day := self._day(value)):
            segments.append(f"DTP{self._element}{qualifier}{self._element}D8{self._element}{day}")

    def _day(self, value: str) -> str:
        """CCYYMMDD of a whole ISO date; empty, with a loss, for anything less."""
        day = written_date(value)
        if not day:
            self._lose("edi834.no_whole_date")
        return day

    def _lose(self, rule: str, topic: str = "") -> None:
        self.losses.append(Loss(rule, Relationship.UNMATCHED if topic else Relationship.WIDER, topic))
