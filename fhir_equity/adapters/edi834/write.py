"""Write members as a full 834 (BGN08 = 4) by the partner's guide: one set, counted and controlled."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Expressed, Loss, Member, Outgoing, Relationship

VERSION = "005010X220A1"
_FAMILY, _GIVEN, _ADDRESS, _IDENTIFIER = 60, 35, 55, 80  # most characters of NM103, NM104, N301, NM109
_USES = {
    "language_reading": "5",
    "language_written": "6",
    "language_spoken": "7",
    "language_native": "8",
}


def write(records: Iterable[Outgoing], out: IO[bytes], context: Context) -> Iterator[Loss]:
    """Write one interchange with one transaction set to `out`, yielding what could not be carried."""
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
        self._languages = context.guide.get("language", {}).get("use", {})
        self.losses: list[Loss] = []
        marks = [self._guide[name] for name in ("element", "component", "repetition", "segment")]
        self._forbidden = {ord(mark): " " for mark in (*marks, "\r", "\n")}

    def _segment(self, *parts: str) -> None:
        line: str = self._guide["element"].join(parts).rstrip(self._guide["element"])
        self._out.write((line + self._guide["segment"] + self._guide["line_end"]).encode("ascii"))
        self._segments += 1

    def header(self) -> None:
        guide, context = self._guide, self._context
        day, time = context.created[:10].replace("-", ""), context.created[11:16].replace(":", "")
        control = f"{context.control:09d}"
        isa = ["ISA", "00", " " * 10, "00", " " * 10, "ZZ", f"{guide['sender']:<15.15}", "ZZ"]
        isa += [f"{guide['receiver']:<15.15}", day[2:], time, guide["repetition"], "00501", control, "0"]
        isa += [guide["usage"], guide["component"]]
        self._segment(*isa)
        self._segment("GS", "BE", guide["sender"], guide["receiver"], day, time, str(context.control), "X", VERSION)
        self._segments = 0
        self._segment("ST", "834", "0001", VERSION)
        self._segment("BGN", "00", control, day, time, "", "", "", guide["purpose"])
        self._segment("N1", "P5", guide["sponsor"], "FI", guide["sponsor_id"])
        self._segment("N1", "IN", guide["payer"], "FI", guide["payer_id"])

    def trailer(self) -> None:
        self._segment("SE", str(self._segments + 1), "0001")
        self._segment("GE", "1", str(self._context.control))
        self._segment("IEA", "1", f"{self._context.control:09d}")

    def member(self, record: Outgoing) -> None:
        """Loop 2000 and 2100A of one member."""
        member, enrollment = record.member, record.member.enrollment
        relation = enrollment.relationship or ("18" if enrollment.subscriber else "G8")
        yes = "Y" if enrollment.subscriber else "N"
        restricted = ["", "", "", "", "", "", "", "R"] if enrollment.restricted else []
        self._segment("INS", yes, relation, self._guide["maintenance"], "", "A", *restricted)
        self._references(member)
        self._eligibility(member)
        self._name(member)
        self._address(member)
        self._demographics(record)
        for expressed in record.expressed:
            self._language(expressed)
        if enrollment.coverage:
            self._segment("HD", self._guide["maintenance"], "", enrollment.coverage)
            for start, end in enrollment.spans:
                self._dates("348", "349", start, end)

    def _references(self, member: Member) -> None:
        sent = {i.kind[4:]: i.value for i in member.identifiers if i.kind.startswith("REF*") and not i.use}
        family = member.enrollment.subscriber_key or sent.get("0F", "") or self._number(member)
        written = {"0F": family, **{kind: value for kind, value in sent.items() if kind != "0F"}}
        if member.enrollment.group:
            written["1L"] = member.enrollment.group
        for kind, value in written.items():
            if value:
                self._segment("REF", kind, self._clean(value, 50))

    def _number(self, member: Member) -> str:
        """The member's own number: NM109 as it came, else the first identifier that is no SSN."""
        own = [i for i in member.identifiers if not i.use]
        for identifier in own:
            if identifier.kind == "NM109":
                return identifier.value
        return own[0].value if own and not own[0].kind.startswith("REF*") else ""

    def _eligibility(self, member: Member) -> None:
        if not member.enrollment.coverage:
            for start, end in member.enrollment.spans[:1]:
                self._dates("356", "357", start, end)

    def _dates(self, begin: str, finish: str, start: str, end: str) -> None:
        for qualifier, value in ((begin, start), (finish, end)):
            if value:
                self._segment("DTP", qualifier, "D8", value.replace("-", ""))

    def _name(self, member: Member) -> None:
        name = member.name
        family = self._clean(name.family, _FAMILY)
        given = [self._clean(part, _GIVEN) for part in name.given[:2]] + ["", ""]
        if len(name.given) > 2:
            self._lose("edi834.more_given_names")
        number = self._clean(self._number(member), _IDENTIFIER)
        tail = ["ZZ", number] if number else []
        suffix = self._clean(name.suffix, 10)
        self._segment("NM1", "IL", "1", family, given[0], given[1], self._clean(name.prefix, 10), suffix, *tail)

    def _address(self, member: Member) -> None:
        address = member.address
        if address.lines:
            lines = [self._clean(line, _ADDRESS) for line in address.lines[:2]]
            self._segment("N3", *lines)
            if len(address.lines) > 2:
                self._lose("edi834.more_address_lines")
        if address.city or address.state or address.postal_code:
            county = ["", "CY", self._clean(address.county, 30)] if address.county else []
            code = address.postal_code.replace("-", "")
            parts = [self._clean(address.city, 30), address.state, code, address.country, *county]
            self._segment("N4", *(self._clean(part, 30) for part in parts))

    def _demographics(self, record: Outgoing) -> None:
        expressed = {e.topic: e for e in record.expressed}
        sex = expressed["sex"].details[0].code if "sex" in expressed and expressed["sex"].details else ""
        race = expressed.get("race_ethnicity")
        composites = [self._composite(coding) for coding in race.details] if race else []
        born = record.member.birth_date.replace("-", "")
        if born or sex or composites:
            dated = ["D8", born] if born else ["", ""]
            self._segment("DMG", *dated, sex, "", self._guide["repetition"].join(composites))

    def _composite(self, coding: Coding) -> str:
        if coding.system == "x12-1109":
            return coding.code
        component: str = self._guide["component"]
        return component.join(("", "RET", coding.code))

    def _language(self, expressed: Expressed) -> None:
        use = _USES.get(expressed.topic)
        if use is None:
            if expressed.topic not in ("sex", "race_ethnicity"):
                self._lose("edi834.no_place", expressed.topic)
            return
        for coding in expressed.details:
            self._segment("LUI", self._guide["language_qualifier"], coding.code.upper(), "", use)
        if expressed.text and not expressed.details:
            self._segment("LUI", "", "", self._clean(expressed.text, 80), use)

    def _clean(self, value: str, most: int) -> str:
        """X12 basic characters only: no delimiter, no accent, no more than `most`; losses are told."""
        plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
        plain = "".join(c if c.isprintable() else " " for c in plain.translate(self._forbidden)).strip()
        if plain != value:
            self._lose("edi834.characters")
        if len(plain) > most:
            self._lose("edi834.shortened")
        return plain[:most].strip()

    def _lose(self, rule: str, topic: str = "") -> None:
        self.losses.append(Loss(rule, Relationship.WIDER if not topic else Relationship.UNMATCHED, topic))
