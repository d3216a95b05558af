"""The envelope's own segments: what is open, the counts and control numbers that must agree."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from fhir_equity.adapters.edi834.delimiters import Delimiters
from fhir_equity.adapters.protocol import Context, Read, Seam
from fhir_equity.errors import TableError, UnreadableError
from fhir_equity.model import Finding, Frame, Locator, Severity

_MOST = 100_000  # control numbers remembered; no file has so many interchanges
# Totals by QTY01: all members, dependents, subscribers.
_TOTALS = {"TO": "total_differs", "DT": "dependents_differ", "ET": "subscribers_differ"}


PURPOSE = 8  # the place of BGN08
FULL = "4"  # BGN08: verify, as full files say


class Control:
    """Follows ISA, GS, ST, SE, GE and IEA of one source.

    `taking` is whether we are inside an 834 set, `ended` whether no interchange is open; `members`
    counts the INS of all sets, `dependents` those with INS01 = N. Raises TableError for a guide that
    says neither read nor refuse of a BGN08.
    """

    def __init__(self, name: str, context: Context) -> None:
        self.name = name
        self._versions: dict[str, str] = context.guide.get("versions", {})
        header = context.guide.get("header", {})
        self._kinds = frozenset(header.get("kinds", []))  # BGN01
        self._purposes: dict[str, str] = header.get("purposes", {})  # BGN08
        if not set(self._purposes.values()) <= {"read", "refuse"}:
            raise TableError("guides/edi834.toml, header.purposes: a BGN08 is read or refuse")
        self._parties: dict[str, str] = header.get("parties", {})  # N101
        self._sets = 0  # 834 transaction sets seen
        self._others: set[str] = set()  # other transaction sets seen
        self._seen: set[str] = set()  # ISA13
        self._closed = True  # no ST without its SE
        self._group_version = ""
        self._control = {"ISA": "", "GS": "", "ST": ""}
        self._count = {"GS": 0, "ST": 0}
        self._set = Locator(name)  # where it starts
        self.verifies = False  # whether the set asks only whether it is so (BGN08 = 4)
        self.whole: bool | None = None  # whether every set so far is a full file (BGN08 = 4)
        self._missing: dict[str, str] = {}  # parties that the set has not named
        self.members = self.dependents = 0
        self._before = (0, 0)  # members and dependents before the set
        self._promised: dict[str, int] = {}  # by QTY01
        self.taking = False
        self.ended = True

    def within(self, number: int) -> int:
        """The number of a segment in its set, ST being 1; 0 outside of sets, and where the ST is in another range."""
        return number - self._set.number + 1 if self._set.number and not self._closed else 0

    @property
    def opened(self) -> int:
        """The number of the segment with which the set began."""
        return self._set.number

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
        if kind == "BGN":
            yield from self._bgn(value, place)
        elif kind == "QTY" and value[1] in _TOTALS and value[2].isdecimal():
            self._promised[value[1]] = _number(value[2])
        elif kind == "N1":
            self._missing.pop(value[1], None)

    def cut_off(self, place: Locator) -> Iterator[Read]:
        """The interchange stops without its IEA."""
        self._closed, self.taking, self.ended = True, False, True
        yield Finding("x12.truncated", Severity.ERROR, place)

    def _bgn(self, bgn: list[str], place: Locator) -> Iterator[Read]:
        """BGN01 and BGN08, by the code lists of the guide. Raises UnreadableError for a BGN08 that it refuses."""
        if self._kinds and bgn[1] not in self._kinds:
            yield Finding("x12.bgn01.not_in_code_list", Severity.WARNING, place)
        self.verifies = bgn[PURPOSE] == FULL
        self.whole = self.verifies and self.whole is not False
        purpose = self._purposes.get(bgn[8])
        if purpose is None and self._purposes:
            shifted = bgn[7] in self._purposes and not bgn[8]
            yield Finding(f"x12.bgn08.{'shifted' if shifted else 'not_in_code_list'}", Severity.WARNING, place)
        if purpose == "refuse":
            raise UnreadableError(f"{place}: BGN08 is {bgn[8]}, which this partner's guide refuses (header.purposes)")

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
        else:
            self._missing = dict(self._parties)

    def _open(self, place: Locator) -> None:
        self._set, self._before = place, (self.members, self.dependents)
        self._promised, self._missing = {}, {}
        self._closed = self.verifies = False

    def _se(self, cells: list[str], place: Locator) -> Iterator[Read]:
        if self._closed:
            yield Finding("x12.st.missing", Severity.ERROR, place)
            return
        yield from self._agree("se", cells, place.number - self._set.number + 1, self._control["ST"], place)
        yield from self._close(place)

    def _close(self, place: Locator) -> Iterator[Read]:
        """What only the whole of a set shows: totals that differ, and parties that it does not name."""
        members, dependents = self.members - self._before[0], self.dependents - self._before[1]
        counted = {"TO": members, "DT": dependents, "ET": members - dependents}
        if self.taking:
            for kind, name in _TOTALS.items():
                if self._promised.get(kind, counted[kind]) != counted[kind]:
                    yield Finding(f"x12.qty.{name}", Severity.WARNING, place, f"counted {counted[kind]}")
            for party in self._missing.values():
                yield Finding(f"x12.n1.no_{party}", Severity.WARNING, self._set)
        self._closed, self.taking = True, False

    def _unclosed(self, place: Locator) -> Iterator[Read]:
        yield Finding("x12.se.missing", Severity.ERROR, place)
        yield from self._close(place)

    def _agree(self, name: str, cells: list[str], counted: int, expected: str, place: Locator) -> Iterator[Read]:
        if not cells[1].isdecimal() or _number(cells[1]) != counted:
            yield Finding(f"x12.{name}01.count_differs", Severity.ERROR, place, f"counted {counted}")
        if cells[2] != expected:
            yield Finding(f"x12.{name}02.control_number_differs", Severity.ERROR, place)


class Saw(Struct):
    """What a Recorder met, the members and dependents before it, and what a Control would have been asked."""

    members: int
    dependents: int
    what: str
    given: tuple[Any, ...]

    def told(self, control: Control) -> Iterator[Read]:
        """What a Control that knows what came before says of it."""
        found: Iterator[Read] = getattr(control, self.what)(*self.given)
        return found


class Recorder(Control):
    """A Control in the middle of a set whose beginning another range has: it judges nothing.

    What it meets is a Seam in its place. `opened` is the number of the set's ST; without it positions in the set are 0.
    `verifies` says what the beginning is taken to have said.
    """

    def __init__(self, name: str, context: Context, opened: int, *, verifies: bool) -> None:
        super().__init__(name, context)
        self.verifies = verifies
        self._closed, self.taking, self.ended = False, True, False
        self._set = Locator(name, number=max(opened, 0))

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
        yield Seam(Saw(self.members, self.dependents, what, given))
        deque(judge(*given), maxlen=0)  # for what becomes of it; what it finds is found where the seam is taken


def _number(digits: str) -> int:
    """A count of at most ten digits (data elements 96, 97, 380); -1 for more, which no file has."""
    return int(digits) if len(digits) <= 10 else -1
