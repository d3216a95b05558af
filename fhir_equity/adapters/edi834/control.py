"""The envelope's own segments: what is open, the counts and control numbers that must agree."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from fhir_equity.adapters.edi834.delimiters import Delimiters
from fhir_equity.adapters.protocol import Context, Read
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Frame, Locator, Severity

_MOST = 100_000  # control numbers remembered; no file has so many interchanges


class Control:
    """Follows ISA, GS, ST, SE, GE and IEA of one source.

    `taking` is whether we are inside an 834 set, `ended` whether no interchange is open; `members`
    counts the INS of all sets.
    """

    def __init__(self, name: str, context: Context) -> None:
        self.name = name
        self._versions: dict[str, str] = context.guide.get("versions", {})
        self._sets = 0  # 834 transaction sets seen
        self._others: set[str] = set()  # other transaction sets seen
        self._seen: set[str] = set()  # ISA13
        self._closed = True  # no ST without its SE
        self._group_version = ""
        self._control = {"ISA": "", "GS": "", "ST": ""}
        self._count = {"GS": 0, "ST": 0}
        self._set_start = 0
        self.members = 0
        self._members_before = 0  # the set
        self._promised: int | None = None
        self.taking = False
        self.ended = True

    def within(self, number: int) -> int:
        """The number of a segment in its set, ST being 1; 0 outside of sets, and where the ST is in another range."""
        return number - self._set_start + 1 if self._set_start and not self._closed else 0

    @property
    def stray(self) -> bool:
        """Whether we are outside of any set."""
        return self._closed

    @property
    def strict(self) -> bool:
        """Whether a segment we do not know is worth a finding: not inside a set that is no 834."""
        return self._closed or self.taking

    def segment(self, kind: str, cells: list[str], place: Locator, marks: Delimiters) -> Iterator[Read]:
        """One of the envelope's segments."""
        cells = [*(cell.strip(" ") for cell in cells), *("",) * 17]
        if kind != "SE" and not self._closed:
            yield from self._unclosed(place)
        match kind:
            case "ISA":
                yield from self._isa(cells, marks, place)
            case "TA1":
                self._others.add("TA1")
            case "GS":
                self._control["GS"], self._group_version = cells[6], cells[8]
                self._count["GS"] += 1
                self._count["ST"] = 0
            case "ST":
                yield from self._st(cells, place)
            case "SE":
                yield from self._se(cells, place)
            case "GE":
                yield from self._agree("ge", cells, self._count["ST"], self._control["GS"], place)
            case "IEA":
                self.ended = True
                yield from self._agree("iea", cells, self._count["GS"], self._control["ISA"], place)

    def without_set(self, place: Locator) -> Iterator[Read]:
        """An INS without an ST before it. Such members are read all the same."""
        yield Finding("x12.st.missing", Severity.ERROR, place)
        self._open(place)
        self.taking = True
        self._sets += 1

    def header(self, kind: str, cells: list[str], place: Locator) -> Iterator[Read]:
        """A segment before the first member of a set: BGN, QTY and those that say nothing to us."""
        value = [*(cell.strip(" ") for cell in cells), *("",) * 9]
        if kind == "BGN" and value[7] in ("2", "4", "RX") and not value[8]:
            yield Finding("x12.bgn08.shifted", Severity.WARNING, place)
        if kind == "QTY" and value[1] == "TO" and value[2].isdecimal():
            self._promised = _number(value[2])

    def cut_off(self, place: Locator) -> Iterator[Read]:
        """The interchange stops without its IEA."""
        self._closed, self.taking, self.ended = True, False, True
        yield Finding("x12.truncated", Severity.ERROR, place)

    def refuse_others(self) -> None:
        """Raise UnreadableError where no 834 set was met, naming what was."""
        if self._sets:
            return
        found = ", ".join(sorted(self._others))
        if found:
            raise UnreadableError(f"{self.name} is an X12 {found}, not an 834")
        raise UnreadableError(f"{self.name} is an X12 interchange without an 834 transaction set")

    def _isa(self, cells: list[str], marks: Delimiters, place: Locator) -> Iterator[Read]:
        self.ended = False
        self._control["ISA"] = cells[13]
        self._count = {"GS": 0, "ST": 0}
        isa = marks.element.join(["ISA", *cells[1:16], marks.component]) + marks.segment
        yield Frame(isa.encode("latin-1"), place, f"{cells[6]}|{cells[13]}" if cells[13] else "")
        if not marks.padded:
            yield Finding("x12.isa.not_padded", Severity.WARNING, place)
        if not marks.repetition:
            yield Finding("x12.isa11.no_repetition_separator", Severity.WARNING, place)
        if cells[13] in self._seen:
            yield Finding("x12.isa13.duplicate", Severity.ERROR, place)
        if len(self._seen) >= _MOST:
            self._seen.clear()
        self._seen.add(cells[13])

    def _st(self, cells: list[str], place: Locator) -> Iterator[Read]:
        self._control["ST"] = cells[2]
        self._count["ST"] += 1
        self._open(place)
        self.taking = cells[1] == "834"
        if not self.taking:
            if len(cells[1]) == 3 and cells[1].isalnum() and cells[1].isascii():
                self._others.add(cells[1])
            yield Finding("x12.st01.not_834", Severity.ERROR, place)
            return
        self._sets += 1
        known = self._versions.get(cells[3] or self._group_version)
        if known is None:
            yield Finding("x12.version.unknown", Severity.WARNING, place)
        elif known != "full":
            yield Finding("x12.version.shared_parts_only", Severity.WARNING, place)

    def _open(self, place: Locator) -> None:
        self._set_start, self._members_before, self._promised = place.number, self.members, None
        self._closed = False

    def _se(self, cells: list[str], place: Locator) -> Iterator[Read]:
        if self._closed:
            yield Finding("x12.st.missing", Severity.ERROR, place)
            return
        yield from self._agree("se", cells, place.number - self._set_start + 1, self._control["ST"], place)
        yield from self._total(place)
        self._closed, self.taking = True, False

    def _total(self, place: Locator) -> Iterator[Read]:
        counted = self.members - self._members_before
        if self._promised is not None and self.taking and self._promised != counted:
            yield Finding("x12.qty.total_differs", Severity.WARNING, place, f"counted {counted}")

    def _unclosed(self, place: Locator) -> Iterator[Read]:
        yield Finding("x12.se.missing", Severity.ERROR, place)
        yield from self._total(place)
        self._closed, self.taking = True, False

    def _agree(self, name: str, cells: list[str], counted: int, expected: str, place: Locator) -> Iterator[Read]:
        if not cells[1].isdecimal() or _number(cells[1]) != counted:
            yield Finding(f"x12.{name}01.count_differs", Severity.ERROR, place, f"counted {counted}")
        if cells[2] != expected:
            yield Finding(f"x12.{name}02.control_number_differs", Severity.ERROR, place)


class Recorder(Control):
    """A Control in the middle of a set whose beginning another range has: it writes down and judges nothing.

    `seen` is for `replay`: the members before, what happened, and with what.
    """

    def __init__(self, name: str, context: Context) -> None:
        super().__init__(name, context)
        self._closed, self.taking, self.ended = False, True, False
        self.seen: list[tuple[int, str, tuple[Any, ...]]] = []

    def segment(self, kind: str, cells: list[str], place: Locator, marks: Delimiters) -> Iterator[Read]:
        """See `Control.segment`."""
        return self._saw("segment", super().segment, kind, cells, place, marks)

    def without_set(self, place: Locator) -> Iterator[Read]:
        """See `Control.without_set`."""
        return self._saw("without_set", super().without_set, place)

    def header(self, kind: str, cells: list[str], place: Locator) -> Iterator[Read]:
        """See `Control.header`."""
        return self._saw("header", super().header, kind, cells, place)

    def cut_off(self, place: Locator) -> Iterator[Read]:
        """See `Control.cut_off`."""
        return self._saw("cut_off", super().cut_off, place)

    def refuse_others(self) -> None:
        """Nothing is refused in the middle."""

    def _saw(self, what: str, judge: Callable[..., Iterator[Read]], *given: Any) -> Iterator[Read]:
        self.seen.append((self.members, what, given))
        deque(judge(*given), maxlen=0)  # for what becomes of it; what it finds is found by `replay`
        return iter(())


def replay(control: Control, recorder: Recorder) -> Iterator[Read]:
    """Let a Control that knows what came before judge what a Recorder saw."""
    before = control.members
    for members, what, given in recorder.seen:
        control.members = before + members
        yield from getattr(control, what)(*given)
    control.members = before + recorder.members


def _number(digits: str) -> int:
    """A count of at most ten digits (data elements 96, 97, 380); -1 for more, which no file has."""
    return int(digits) if len(digits) <= 10 else -1
