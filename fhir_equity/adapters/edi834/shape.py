"""Loop 2000 and what is below it: which segment means what in which loop, found once for each shape of member.

The shape of a member is the sequence of its segment ids, with the NM101 of each NM1. A file of a
million members has some hundreds of shapes, so the loops are walked some hundred times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter

import msgspec
from msgspec import Struct

from fhir_equity.adapters.edi834.delimiters import BLANK, starts_isa
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.model import Loss, Relationship, Severity

BOUNDARIES = frozenset(("INS", "ISA", "TA1", "GS", "ST", "SE", "GE", "IEA"))
_INSURED = ("IL", "74")  # 74 = corrected insured: still the member, with the new values
_NAMES = ("2000", "2100A", "2100B", "2100")  # loops after which another name of the member may come
_OWN = ("2000", "2100A")  # a DMG before any NM1*IL is out of order but can only be the member's
_FRAME = ("LS", "LE", "LX")  # they only open and close loops


def is_boundary(kind: str) -> bool:
    """Whether a segment ends what was before it."""
    return kind in BOUNDARIES or starts_isa(kind)


class Note(Struct, frozen=True, gc=False):
    """A finding to be: `place` is that of the segment in the member, counted from its INS at 0."""

    code: str
    severity: Severity
    place: int
    path: str = ""


class Places(Struct, frozen=True):
    """Some segments of a member, and `of`, which takes them out: one as it is, several as a tuple."""

    at: tuple[int, ...]
    of: Callable[[list[str]], str | tuple[str, ...]]


def _places(at: list[int]) -> Places:
    return Places(tuple(at), itemgetter(*at) if at else tuple)


class Shape(Struct, frozen=True):
    """Where in a member what stands, counted from its INS at 0; -1 and empty where it is not.

    `dates` are the DTP of 2000, `coverages` each HD with the DTP of its 2300. A DMG of 2100B (the old
    values) or an N3 of 2310 is nowhere here, so it never reaches the member. `reports` are each N1 of
    2750 with its REF and DTP, where the guide reads them. `losses` name the segments that are read over.
    `stop` is where the member ends: at a segment of the envelope or the next INS, else after its last
    segment. `loops` are those of the segments.
    """

    nm1: int
    n3: int
    n4: int
    dmg: int
    refs: tuple[int, ...]
    dates: Places
    languages: tuple[int, ...]
    coverages: tuple[tuple[int, Places], ...]
    notes: tuple[Note, ...]
    reports: tuple[tuple[int, ...], ...] = ()
    losses: tuple[Loss, ...] = ()
    stop: int = 0
    loops: tuple[str, ...] = ()


class Shapes:
    """Finds the shape of a member, walking the loops for one that was not seen before.

    `known` are the segment ids that the guide has; any other is a finding. `reporting` is whether it reads 2750.
    """

    def __init__(self, known: frozenset[str], element: str, *, reporting: bool = False) -> None:
        self._known = known
        self._reporting = reporting
        self._element = element
        self._insured = element.join(("NM1", "IL", ""))
        self._usual: Memory[str, Shape | None] = Memory(self._walked_usual)
        self._names: Memory[str, tuple[int, ...]] = Memory(self._names_of)
        self._shapes: Memory[tuple[str, ...], Shape] = Memory(self._walked)

    def of(self, segments: list[str], kinds: list[str]) -> Shape:
        """The shape of a member that starts with the first of these segments; what follows it may be among them."""
        joined = self._element.join(kinds)
        usual = self._usual[joined]
        if usual is not None and segments[usual.nm1].startswith(self._insured):
            return usual
        who = [segments[place].split(self._element, 2)[1:2] for place in self._names[joined]]
        return self._shapes[(joined, *[found[0] if found else "" for found in who])]

    def _names_of(self, kinds: str) -> tuple[int, ...]:
        """The places of the NM1."""
        return tuple(place for place, kind in enumerate(kinds.split(self._element)) if kind.strip(BLANK) == "NM1")

    def _walked_usual(self, kinds: str) -> Shape | None:
        """What a member with a single NM1 is when that is an NM1*IL."""
        return self._walked((kinds, "IL")) if len(self._names[kinds]) == 1 else None

    def _walked(self, seen: tuple[str, ...]) -> Shape:
        joined, *who = seen
        kinds = [kind.strip(BLANK) for kind in joined.split(self._element)]
        stop = next((place for place, kind in enumerate(kinds) if place and is_boundary(kind)), len(kinds))
        walk = _Walk(self._known, who, reporting=self._reporting)
        loops = []
        for place, kind in enumerate(kinds[:stop]):
            walk.take(place, kind)
            loops.append(walk.loop)
        return msgspec.structs.replace(walk.shape(), stop=stop, loops=tuple(loops))


class _Walk:
    """One walk through the loops of a member."""

    def __init__(self, known: frozenset[str], who: Iterable[str], *, reporting: bool) -> None:
        self._known = known
        self._who = iter(who)  # NM101 of each NM1
        self._reporting = reporting
        self.loop = "2000"
        self._first: dict[str, int] = {}
        self._refs: list[int] = []
        self._dates: list[int] = []
        self._languages: list[int] = []
        self._coverages: list[tuple[int, list[int]]] = []
        self._reports: list[list[int]] = []
        self._notes: list[Note] = []
        self._left: dict[str, None] = {}  # ids of what is read over: no writer can give it back

    def take(self, place: int, kind: str) -> None:
        """One segment, in the loop we are in."""
        match kind:
            case "NM1":
                self._name(place, next(self._who).strip(" "))
            case "HD":
                self.loop = "2300"
                self._coverages.append((place, []))
            case "COB" | "LX" | "LS":  # none of these holds anything of the person's own
                self.loop = {"COB": "2320", "LS": "2700"}.get(kind, "2310" if self.loop in ("2300", "2310") else "2710")
            case "N1" if self._reporting:  # which no other loop of a member has
                self.loop = "2750"
                self._reports.append([place])
            case "REF" | "DTP" if self.loop == "2750":
                self._reports[-1].append(place)
            case "LE" if self.loop == "2750":
                self.loop = "2700"
            case "REF" if self.loop == "2000":
                self._refs.append(place)
            case "DTP" if self.loop == "2000":
                self._dates.append(place)
            case "DTP" if self.loop == "2300":
                self._coverages[-1][1].append(place)
            case "N3" | "N4" if self.loop == "2100A":
                self._first.setdefault(kind, place)
            case "LUI" if self.loop in _OWN:
                self._languages.append(place)
            case "DMG" if self.loop in _OWN:
                if self._first.setdefault(kind, place) != place:
                    self._note("x12.dmg.repeated", Severity.ERROR, place, kind)
            case "DMG" | "LUI" if (kind, self.loop) != ("DMG", "2100B"):
                self._note(f"x12.{kind.lower()}.out_of_place", Severity.ERROR, place, kind)
            case _ if place and kind not in self._known:
                self._note(f"x12.segment.{'unexpected' if kind else 'empty'}", Severity.WARNING, place)
            case _ if place and kind not in _FRAME:
                self._left[kind] = None

    def _name(self, place: int, who: str) -> None:
        if self.loop == "2750":  # which has no names
            self.loop = "2700"
        if self.loop not in _NAMES:  # a provider's or an insurer's; another member's has lost its INS
            if who in _INSURED:
                self._note("x12.nm1.out_of_place", Severity.ERROR, place, "NM1")
        elif who in _INSURED and "NM1" not in self._first:
            self._first["NM1"] = place
            self.loop = "2100A"
        elif who == "70" or who in _INSURED:  # the CMS guide prints IL for the old values of 2100B
            self.loop = "2100B"
            self._note("x12.2100b.old_values", Severity.INFO, place, "NM1")
        else:
            self.loop = "2100"
            self._left["NM1"] = None

    def _note(self, code: str, severity: Severity, place: int, path: str = "") -> None:
        last = self._notes[-1] if self._notes else None
        if last is None or last.code != code or code != "x12.segment.empty":  # a run of empty ones is one finding
            self._notes.append(Note(code, severity, place, path))

    def shape(self) -> Shape:
        """What was found."""
        nm1, n3, n4, dmg = (self._first.get(kind, -1) for kind in ("NM1", "N3", "N4", "DMG"))
        refs, dates, languages = tuple(self._refs), _places(self._dates), tuple(self._languages)
        coverages = tuple((place, _places(spans)) for place, spans in self._coverages)
        losses = tuple(Loss(f"x12.not_kept.{kind}", Relationship.UNMATCHED) for kind in self._left)
        reports = tuple(tuple(report) for report in self._reports)
        return Shape(nm1, n3, n4, dmg, refs, dates, languages, coverages, tuple(self._notes), reports, losses)
