"""The answer to one interchange: TA1, and AK1 to AK9 for each of its functional groups."""

from __future__ import annotations

from typing import IO

from msgspec import Struct

from fhir_equity.adapters.edi834.ack.elements import Elements
from fhir_equity.adapters.edi834.ack.letter import Letter
from fhir_equity.adapters.edi834.ack.sets import Answered, How, SetAnswer
from fhir_equity.adapters.edi834.ack.structure import Segment, Structure
from fhir_equity.adapters.edi834.ack.verdicts import Decision, Notes
from fhir_equity.adapters.edi834.ack.walk import Walk
from fhir_equity.adapters.edi834.control import Control
from fhir_equity.adapters.edi834.delimiters import Delimiters
from fhir_equity.model import Finding, Locator

BOUNDARIES = frozenset(("ISA", "TA1", "GS", "ST", "SE", "GE", "IEA"))
_DELIMITERS = (11, 16)  # elements of the ISA that are delimiters, which `delimiters` has read


class Guides(Struct, frozen=True):
    """The guides we know: `versions` by GS08, `structures` of those we have whole, `envelope` with ISA and GS."""

    versions: frozenset[str]
    structures: dict[str, Structure]
    envelope: Structure


class _Group(Struct):
    """A functional group being answered; the sets of one that is not `heard` are not looked at."""

    cells: list[str]
    notes: Notes
    heard: bool
    told: bool  # a group of acknowledgements is not
    numbers: set[str] = set()  # ST02
    received: int = 0
    rejected: int = 0


class Reply:
    """Follows the segments of one interchange and writes its answer."""

    def __init__(self, control: Control, marks: Delimiters, letter: Letter, guides: Guides, how: How) -> None:
        self._control, self._marks, self._letter, self._guides, self._how = control, marks, letter, guides, how
        self._elements = Elements(marks)
        self._notes = Notes(how.verdicts)
        self._group: _Group | None = None
        self._set: SetAnswer | None = None
        self._inside = False  # between ST and SE, looked at or not
        self._numbers: set[str] = set()  # GS06
        self._acknowledges = self._asks = False  # holds acknowledgements; holds something to be answered
        self.found = Answered()

    def take(self, kind: str, raw: str, place: Locator) -> None:
        """The next segment, without the blanks before it."""
        if kind in BOUNDARIES:
            self._boundary(kind, raw, place)
        elif self._set is not None:
            self._set.take(kind, raw, self._marks)
        elif not self._inside and kind:
            self._note("x12.st.missing" if kind == "INS" else "x12.segment.unexpected")

    def cut_off(self, place: Locator) -> None:
        """The interchange stops without its IEA."""
        self._end_group()
        for finding in self._control.cut_off(place):
            if isinstance(finding, Finding):
                self._note(finding.code)

    def send(self, out: IO[bytes], *, ta1: bool, sets: bool) -> Answered:
        """Write the answer and say what was answered; to acknowledgements alone there is none.

        An interchange that is rejected has no 999: nobody looked into it any further.
        """
        decision = self._notes.decision
        if self._acknowledges and not self._asks:
            return Answered()
        told = Answered(causes=self.found.causes) if decision is Decision.REJECTED else self.found
        told.interchanges[decision] += 1
        code = self._notes.codes[0] if self._notes.codes else self._how.verdicts.of("").code
        self._letter.send(out, (decision, code) if ta1 else None, body=sets and decision is not Decision.REJECTED)
        return told

    def _boundary(self, kind: str, raw: str, place: Locator) -> None:
        cells = raw.split(self._marks.element)
        read = [
            item.code for item in self._control.segment(kind, cells, place, self._marks) if isinstance(item, Finding)
        ]
        cells = [*(cell.strip(" ") for cell in cells), *[""] * 17]
        if kind != "SE":
            self._end_set(closed=False)
        match kind:
            case "ISA":
                self._isa(raw, cells)
            case "TA1":
                self._acknowledges = True
            case "GS":
                self._end_group()
                self._gs(raw, cells)
            case "ST":
                self._st(raw, cells, read)
            case "SE" if self._inside:
                self._note_all(read)
                self._end_set(closed=True)
            case "SE":
                self._note("x12.st.missing")
            case "GE" if self._group is not None:
                self._note_all(read)
                self._close_group(self._group, cells[1])
            case "GE":
                self._note("x12.gs.missing")
            case "IEA":
                self._end_group()
        if kind in ("ISA", "IEA"):
            self._note_all(read)

    def _note_all(self, causes: list[str]) -> None:
        for cause in causes:
            if cause != "x12.se.missing":  # told where the set ends
                self._note(cause)

    def _note(self, cause: str) -> None:
        """Note a cause where the table says that it is told: at the interchange, the group or the set."""
        match self._how.verdicts.level(cause):
            case "TA105":
                self._notes.add(cause)
                self.found.causes[cause] += 1
            case "AK905" if self._group is not None and self._group.told:
                self._group.notes.add(cause)
                self.found.causes[cause] += 1
            case "IK502" if self._set is not None:
                self._set.note(cause)

    def _isa(self, raw: str, cells: list[str]) -> None:
        self._letter.isa = cells
        self._check(self._guides.envelope.isa, raw, passed_over=_DELIMITERS)

    def _gs(self, raw: str, cells: list[str]) -> None:
        answered = cells[1] != "FA"
        known = cells[1] == "BE" and cells[8] in self._guides.versions
        self._acknowledges = self._acknowledges or not answered
        self._asks = self._asks or answered
        self._group = _Group(cells, Notes(self._how.verdicts), known, answered)
        if not answered:
            return
        self._check(self._guides.envelope.gs, raw, passed_over=(8,))
        if cells[8] not in self._guides.versions:
            self._note("GS08")
        if cells[6] in self._numbers:
            self._note("x12.gs06.duplicate")
        self._numbers.add(cells[6])
        self._letter.open_group(cells)

    def _check(self, segment: Segment, raw: str, passed_over: tuple[int, ...]) -> None:
        """The elements of ISA and GS; blanks fill the ISA, so that nothing is too short there."""
        faults = [f for f in self._elements.faults(segment, raw) if f.at.element not in passed_over]
        for fault in faults:
            if fault.cause != "element.too_short" or segment.name != "ISA":
                self._note(f"{segment.name}{fault.at.element:02}")

    def _st(self, raw: str, cells: list[str], read: list[str]) -> None:
        self._inside = True
        group = self._group
        if group is None:
            self._note("x12.gs.missing")
            return
        group.received += 1
        if not group.heard:
            return
        structure = self._guides.structures.get(cells[3] or group.cells[8]) if cells[1] == "834" else None
        walk = Walk(structure, self._elements, self._marks) if structure is not None else None
        self._set = SetAnswer(cells, walk, self._letter, self._how, self.found)
        self._note_all(read)
        if cells[2] in group.numbers:
            self._note("x12.st02.duplicate")
        group.numbers.add(cells[2])
        self._set.take("ST", raw, self._marks)

    def _end_set(self, *, closed: bool) -> None:
        if self._inside and self._set is not None and self._group is not None:
            if not closed:
                self._note("x12.se.missing")
            decision = self._set.end(closed=closed)
            self._group.rejected += decision is Decision.REJECTED
            if decision is not Decision.REJECTED:
                self._group.notes.weigh(decision)
        self._set, self._inside = None, False

    def _end_group(self) -> None:
        """The group stops without its GE."""
        self._end_set(closed=False)
        if self._group is not None:
            self._note("x12.ge.missing")
            self._close_group(self._group, "")

    def _close_group(self, group: _Group, promised: str) -> None:
        """AK9."""
        self._group = None
        if not group.told:
            return
        accepted = group.received - group.rejected
        if group.received and not accepted:
            group.notes.weigh(Decision.REJECTED)
        elif group.rejected:
            group.notes.weigh(Decision.PARTLY)
        decision = group.notes.decision
        if decision is Decision.REJECTED:
            accepted = 0
        included = str(int(promised)) if promised.isascii() and promised.isdecimal() and len(promised) <= 6 else ""
        counts = (included or str(group.received), str(group.received), str(accepted))
        self._letter.segment("AK9", decision, *counts, *group.notes.codes[:5])
        self._letter.close_group()
        self.found.groups[decision] += 1
