"""INS, the REF of loop 2000 and the dates of coverage -> Enrollment and identifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fhir_equity.adapters.edi834.batch import Raw
from fhir_equity.adapters.edi834.dates import iso_date
from fhir_equity.adapters.edi834.envelope import text
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.adapters.edi834.shape import Note, Places, Shape
from fhir_equity.model import Enrollment, Identifier, Loss, Relationship, Severity

Span = tuple[str, str]
Losses = tuple[Loss, ...]
# Begin and end, which DTP were no dates, and which are not kept.
Spans = Memory[str | tuple[str, ...], tuple[Span, tuple[int, ...], Losses]]

VERIFY = "030"  # INS03: audit or compare
OPEN: Span = ("", "")
NAMED = ("0F", "1L")  # they have fields of their own
_NOT_KEPT = (6, 7, 14, 15, 16)  # Medicare, COBRA, and three that the guide does not use


class Insured(Struct, frozen=True, gc=False):
    """What an INS says; the same text says the same of many members. `indicator` is INS01."""

    indicator: str
    relationship: str
    maintenance: str
    restricted: bool
    reason: str
    benefit: str
    employment: str
    student: str
    disability: str
    deceased_on: str
    birth_sequence: str
    notes: tuple[Note, ...]
    losses: tuple[Loss, ...]


# The REF of loop 2000: REF02 by REF01, those that identify the person, and the others.
References = tuple[dict[str, str], list[Identifier], list[tuple[str, str]]]


class InsuredReader:
    """Reads what is not about the person but about the insurance, of one interchange."""

    def __init__(self, element: str, person: Mapping[str, Any]) -> None:
        self._element = element
        self.kept = {kind: f"REF*{kind}" for kind in person.get("identifiers", [])}
        self.insured: Memory[str, Insured] = Memory(self._insured)
        self.verified: Memory[str, Insured] = Memory(self._verified)  # the same in a set that verifies
        self.eligible = self._spans("356", "357")  # 2000
        self.covered = self._spans("348", "349")  # 2300
        self.coverage: Memory[str, tuple[str, Losses]] = Memory(self._hd)

    def _cells(self, segment: str, least: int) -> list[str]:
        cells = [text(cell) for cell in segment.split(self._element)]
        return cells + [""] * (least - len(cells))

    def _insured(self, segment: str) -> Insured:
        ins = self._cells(segment, 18)
        deceased_on = iso_date(ins[12]) if ins[11] == "D8" else ""
        wrong = bool(ins[11] or ins[12]) and not deceased_on  # P1112, and D8 is the only format
        notes = (Note("x12.ins12.not_a_date", Severity.WARNING, 0, "INS12"),) if wrong else ()
        losses = tuple([not_kept(f"INS{at:02}") for at in _NOT_KEPT if ins[at]])
        said = (ins[1], ins[2], ins[3], ins[13] == "R", ins[4], ins[5], ins[8], ins[9], ins[10], deceased_on, ins[17])
        return Insured(*said, notes, losses)

    def _verified(self, segment: str) -> Insured:
        """Where BGN08 is 4, INS03 has to be 030, and whatever else it is changes no enrollment."""
        found = self.insured[segment]
        if found.maintenance == VERIFY:
            return found
        notes = (Note("x12.ins03.not_verify", Severity.WARNING, 0, "INS03"),) if found.maintenance else ()
        return replace(found, maintenance=VERIFY, notes=(*notes, *found.notes))

    def _hd(self, segment: str) -> tuple[str, Losses]:
        """HD03; the plan, the level and what follows are no business of ours."""
        hd = self._cells(segment, 12)
        return hd[3], tuple([not_kept(f"HD{at:02}") for at in range(4, 12) if hd[at]])

    def references(self, raw: Raw, shape: Shape, notes: list[Note]) -> References:
        """REF01 -> REF02; another value for a kind that was there is a finding."""
        values: dict[str, str] = {}
        identifiers: list[Identifier] = []
        others: list[tuple[str, str]] = []
        segments, element, kept = raw.segments, self._element, self.kept
        for place in shape.refs:
            segment = segments[place]
            ref = segment.split(element, 3)
            if " " in segment or not raw.ascii_only:
                ref = [text(cell) for cell in ref]
            if len(ref) < 3 or not ref[2]:
                continue
            kind, value = ref[1], ref[2]
            if kind not in values:
                values[kind] = value
                if kind in kept:
                    identifiers.append(Identifier("", value, kept[kind]))
                elif kind not in NAMED:
                    others.append((kind, value))
            elif values[kind] != value:
                notes.append(Note("x12.ref.repeated", Severity.WARNING, place, "REF01"))
        return values, identifiers, others

    def enrollment(
        self,
        insured: Insured,
        refs: References,
        segments: list[str],
        shape: Shape,
        notes: list[Note],
        lost: list[Losses],
    ) -> Enrollment:
        """INS, REF*0F, REF*1L, the dates of 2000, and HD03 and dates of each 2300; `lost` takes what is not kept."""
        values, _, references = refs
        coverage = ""
        spans: list[Span] = []
        others: dict[str, list[Span]] = {}
        if shape.dates.at:
            span, faults, losses = self.eligible[shape.dates.of(segments)]
            if losses:
                lost.append(losses)
            if span != OPEN:
                spans = [span]
            if faults:
                notes += _no_dates(shape.dates, faults)
        if shape.coverages:
            spans = []  # the dates of the coverages say more than the eligibility of 2000
        for place, dates in shape.coverages:
            code, losses = self.coverage[segments[place]]
            if losses:
                lost.append(losses)
            coverage = coverage or code
            other = bool(code) and code != coverage
            if other:
                others.setdefault(code, [])
            if dates.at:
                span, faults, losses = self.covered[dates.of(segments)]
                if losses:
                    lost.append(losses)
                if span != OPEN and other:
                    others[code].append(span)
                elif span != OPEN:
                    spans.append(span)
                if faults:
                    notes += _no_dates(dates, faults)
        return enrolled(insured, values.get("0F", ""), values.get("1L", ""), coverage, spans, references, others)

    def _spans(self, begin: str, end: str) -> Spans:
        """Cuts the DTP of a loop, in which DTP01 `begin` and `end` give the two dates; remembers what it has seen."""

        def cut(segments: str | tuple[str, ...]) -> tuple[Span, tuple[int, ...], Losses]:
            found = {begin: "", end: ""}
            faults: list[int] = []
            others: dict[str, None] = {}
            for at, segment in enumerate([segments] if isinstance(segments, str) else segments):
                dtp = self._cells(segment, 4)
                if dtp[1] in found:
                    found[dtp[1]] = iso_date(dtp[3])
                    if dtp[3] and not found[dtp[1]]:
                        faults.append(at)
                elif any(dtp[1:]):
                    others[dtp[1] if dtp[1].isdecimal() else ""] = None
            losses = tuple([not_kept(f"DTP*{kind}" if kind else "DTP") for kind in others])
            return (found[begin], found[end]), tuple(faults), losses

        return Memory(cut)


def enrolled(
    insured: Insured,
    family: str,
    group: str,
    coverage: str,
    spans: Iterable[Span],
    references: Iterable[tuple[str, str]],
    others: Mapping[str, Iterable[Span]],
) -> Enrollment:
    """The enrollment that an INS, REF*0F, REF*1L, the dates of coverage and the other REF make."""
    return Enrollment(
        insured.indicator == "Y",
        insured.relationship,
        insured.maintenance,
        family,
        group,
        coverage,
        tuple(spans),
        insured.restricted,
        insured.reason,
        insured.benefit,
        insured.employment,
        insured.student,
        insured.disability,
        insured.deceased_on,
        insured.birth_sequence,
        tuple(references),
        tuple([(code, tuple(theirs)) for code, theirs in others.items()]) if others else (),
    )


def not_kept(what: str) -> Loss:
    """The loss of an element that is read over."""
    return Loss(f"x12.not_kept.{what}", Relationship.UNMATCHED)


def _no_dates(places: Places, faults: tuple[int, ...]) -> list[Note]:
    return [Note("x12.dtp03.not_a_date", Severity.WARNING, places.at[at], "DTP03") for at in faults]
