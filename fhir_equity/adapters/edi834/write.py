"""Write members as a full 834 (BGN08 = 4) by the partner's guide: one set, counted and controlled."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from fhir_equity.adapters.edi834.dates import iso_date
from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import TableError
from fhir_equity.model import Coding, Expressed, Loss, Member, Outgoing, Relationship

VERSION = "005010X220A1"
# The most characters of NM103, NM104/05/06/07, N301/02, N401, NM109, REF02, LUI03 (data elements 1035 ... 352).
_FAMILY, _GIVEN, _AFFIX, _LINE, _CITY, _NUMBER, _REFERENCE, _WORDS = 60, 35, 10, 55, 30, 80, 50, 80
_MARKS = ("element", "component", "repetition", "segment")


def write(records: Iterable[Outgoing], out: IO[bytes], context: Context) -> Iterator[Loss]:
    """Write one interchange with one transaction set to `out`, yielding what could not be carried.

    Raises TableError for a guide whose delimiters cannot be told apart.
    """
    writer = _Writer(out, context)
    writer.header()
    for record in records:
        writer.member(record)
        yield from writer.losses
        writer.losses.clear()
    writer.trailer()


class _Writer:
    """One interchange being written."""

    def __init__(self, out: IO[bytes], context: Context) -> None:
        self._out = out
        self._context = context
        self._guide: Mapping[str, Any] = context.guide["write"]
        self._segments = 0
        self._uses = {topic: use for use, topic in context.guide.get("language", {}).get("use", {}).items()}
        self._most_races = int(context.guide.get("race", {}).get("most_repeats", 10))
        self.losses: list[Loss] = []
        self._element, self._component, self._repetition, self._end = (self._guide[name] for name in _MARKS)
        marks = [self._element, self._component, self._repetition, self._end]
        if len(set(marks)) < 4 or any(len(mark) != 1 or mark.isalnum() or not mark.isascii() for mark in marks):
            raise TableError("guides/edi834.toml, write: four different delimiters of one character are needed")
        self._forbidden = {ord(mark): " " for mark in marks}

    def _segment(self, *parts: str) -> None:
        line = self._element.join(parts).rstrip(self._element)
        self._out.write((line + self._end + self._guide["line_end"]).encode("ascii"))
        self._segments += 1

    def header(self) -> None:
        """ISA to the payer."""
        guide, context = self._guide, self._context
        names = ("sender", "receiver", "sponsor", "sponsor_id", "payer", "payer_id")
        sender, receiver, sponsor, sponsor_id, payer, payer_id = (self._clean(guide[name], _FAMILY) for name in names)
        day, time = context.created[:10].replace("-", ""), context.created[11:16].replace(":", "")
        control = f"{context.control:09d}"
        isa = ["ISA", "00", " " * 10, "00", " " * 10, "ZZ", f"{sender:<15.15}", "ZZ"]
        isa += [f"{receiver:<15.15}", f"{day[2:]:<6}", f"{time:<4}", self._repetition, "00501", control, "0"]
        self._segment(*isa, guide["usage"], self._component)
        self._segment("GS", "BE", sender, receiver, day, time, str(context.control), "X", VERSION)
        self._segments = 0
        self._segment("ST", "834", "0001", VERSION)
        self._segment("BGN", "00", control, day, time, "", "", "", guide["purpose"])
        self._segment("N1", "P5", sponsor, "FI", sponsor_id)
        self._segment("N1", "IN", payer, "FI", payer_id)

    def trailer(self) -> None:
        """SE to IEA."""
        self._segment("SE", str(self._segments + 1), "0001")
        self._segment("GE", "1", str(self._context.control))
        self._segment("IEA", "1", f"{self._context.control:09d}")

    def member(self, record: Outgoing) -> None:
        """Loop 2000, 2100A and 2300 of one member."""
        member, enrollment = record.member, record.member.enrollment
        relation = self._clean(enrollment.relationship, 2) or ("18" if enrollment.subscriber else "G8")
        restricted = ["", "", "", "", "", "", "", "R"] if enrollment.restricted else []
        indicator = "Y" if enrollment.subscriber else "N"
        self._segment("INS", indicator, relation, self._guide["maintenance"], "", "A", *restricted)
        number = self._number(member)
        self._references(member, number)
        coverage = self._clean(enrollment.coverage, 3)
        if not coverage:
            self._eligibility(member)
        self._name(member, number)
        self._address(member)
        self._demographics(record)
        for expressed in record.expressed:
            self._language(expressed)
        for start, end in (enrollment.spans or (("", ""),)) if coverage else ():
            self._segment("HD", self._guide["maintenance"], "", coverage)
            self._dates("348", "349", start, end)

    def _number(self, member: Member) -> str:
        """The member's own number: NM109 as it came, else the first identifier that is no REF; never an SSN."""
        own = [i for i in member.identifiers if not i.use]
        found = [i for i in own if i.kind == "NM109"] or [i for i in own if not i.kind.startswith("REF*")]
        for identifier in member.identifiers:
            if identifier not in found[:1] and (identifier.use or not identifier.kind.startswith("REF*")):
                self._lose("edi834.identifier_withheld" if identifier.use else "edi834.more_identifiers")
        return self._clean(found[0].value, _NUMBER) if found else ""

    def _references(self, member: Member, number: str) -> None:
        sent = {i.kind[4:]: i.value for i in member.identifiers if i.kind.startswith("REF*") and not i.use}
        family = member.enrollment.subscriber_key or sent.pop("0F", "") or number
        for kind, sent_value in {"0F": family, "1L": member.enrollment.group, **sent}.items():
            value = self._clean(sent_value, _REFERENCE)
            if value:
                self._segment("REF", self._clean(kind, 3), value)

    def _eligibility(self, member: Member) -> None:
        spans = member.enrollment.spans
        for start, end in spans[:1]:
            self._dates("356", "357", start, end)
        if len(spans) > 1:
            self._lose("edi834.more_spans")

    def _dates(self, begin: str, finish: str, start: str, end: str) -> None:
        for qualifier, value in ((begin, start), (finish, end)):
            if value and (day := self._day(value)):
                self._segment("DTP", qualifier, "D8", day)

    def _day(self, value: str) -> str:
        """CCYYMMDD of a whole ISO date; empty, with a loss, for anything less."""
        day = value.replace("-", "")
        if iso_date(day) == value:
            return day
        self._lose("edi834.no_whole_date")
        return ""

    def _name(self, member: Member, number: str) -> None:
        name = member.name
        first, second, *more = [self._clean(part, _GIVEN) for part in name.given] + ["", ""]
        if any(more):
            self._lose("edi834.more_given_names")
        family, prefix = self._clean(name.family, _FAMILY), self._clean(name.prefix, _AFFIX)
        tail = ["ZZ", number] if number else []
        self._segment("NM1", "IL", "1", family, first, second, prefix, self._clean(name.suffix, _AFFIX), *tail)

    def _address(self, member: Member) -> None:
        address = member.address
        lines = [line for line in (self._clean(line, _LINE) for line in address.lines) if line]
        if lines:
            self._segment("N3", *lines[:2])
        if len(lines) > 2:
            self._lose("edi834.more_address_lines")
        code = self._clean(address.postal_code, 16).replace("-", "")  # ZIP+4 without its dash, as X12 wants it
        parts = [self._clean(address.city, _CITY), self._clean(address.state, 2), code, self._clean(address.country, 3)]
        county = self._clean(address.county, _CITY)
        if any(parts) or county:
            self._segment("N4", *parts, *(("CY", county) if county else ()))

    def _demographics(self, record: Outgoing) -> None:
        expressed = {e.topic: e for e in record.expressed}
        sex = "".join([coding.code for coding in expressed["sex"].details[:1]]) if "sex" in expressed else ""
        race = expressed.get("race_ethnicity")
        composites = [self._composite(coding) for coding in race.details] if race else []
        if len(composites) > self._most_races:
            self._lose("edi834.more_races", "race_ethnicity")
        born = self._day(record.member.birth_date) if record.member.birth_date else ""
        if born or sex or composites:
            races = self._repetition.join(composites[: self._most_races])
            self._segment("DMG", *(("D8", born) if born else ("", "")), self._clean(sex, 1), "", races)

    def _composite(self, coding: Coding) -> str:
        code = self._clean(coding.code, 30)
        return code if coding.system == "x12-1109" else self._component.join(("", "RET", code))

    def _language(self, expressed: Expressed) -> None:
        use = self._uses.get(expressed.topic)
        if use is None:
            if expressed.topic not in ("sex", "race_ethnicity"):
                self._lose("edi834.no_place", expressed.topic)
            return
        for coding in expressed.details:
            code = self._clean(coding.code, 80).upper()
            self._segment("LUI", self._guide["language_qualifier"], code, "", str(use))
        words = self._clean(expressed.text, _WORDS)
        if words:
            self._segment("LUI", "", "", words, str(use))

    def _clean(self, value: str, most: int) -> str:
        """X12 basic characters only: no delimiter, no accent, no more than `most`; losses are told."""
        plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode().translate(self._forbidden)
        plain = "".join(c if c.isprintable() else " " for c in plain).strip()
        if plain != value:
            self._lose("edi834.characters")
        if len(plain) > most:
            self._lose("edi834.shortened")
        return plain[:most].strip()

    def _lose(self, rule: str, topic: str = "") -> None:
        self.losses.append(Loss(rule, Relationship.WIDER if not topic else Relationship.UNMATCHED, topic))
