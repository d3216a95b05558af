"""What a guide says of its loops, segments and elements, built once from its tables.

The tables are ``guides/<guide>/loops.csv``, ``segments.csv`` and ``elements.csv``, with the types and
lengths of the data elements in ``guides/x12_data_elements.csv``.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fhir_equity.errors import TableError
from fhir_equity.tables import Row

_UNLIMITED = 10**9  # an empty `repeat` cell: as often as one likes
_RULES = frozenset("PRECL")


class Rule(Struct, frozen=True):
    """A syntax note such as P0102: its letter (P R E C L) and the elements it is about."""

    letter: str
    elements: tuple[int, ...]


class Element(Struct, frozen=True):
    """An element or a component; a composite has `components`, a simple one a `kind` (AN ID DT TM N0 R).

    `usage` is R (required), S (situational) or N (not used). `codes` are what the guide allows,
    `elsewhere` what only the standard itself has. `reference` is the number of the data element.
    """

    usage: str
    repeat: int
    reference: str
    kind: str = ""
    least: int = 0
    most: int = 0
    codes: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    components: tuple[Element, ...] = ()
    rules: tuple[Rule, ...] = ()


class Segment(Struct, frozen=True, eq=False):
    """A segment at its place in a loop; `qualifiers` are the values of its first element that tell it
    from others of the same id, None where nothing has to be told apart.
    """

    loop: str
    name: str
    order: int
    required: bool
    repeat: int
    qualifiers: frozenset[str] | None
    elements: tuple[Element, ...]
    rules: tuple[Rule, ...]

    def takes(self, name: str, qualifier: str) -> bool:
        """Whether a segment of this id and first element belongs here."""
        return self.name == name and (self.qualifiers is None or qualifier in self.qualifiers)


class Loop(Struct, eq=False):
    """A loop with its segments and loops in order; the first child is the segment that opens it."""

    name: str
    order: int
    required: bool
    repeat: int
    children: list[Segment | Loop] = []
    opened_by: list[Segment] = []  # of each child itself, or the segment that opens it
    named: dict[str, tuple[int, ...]] = {}  # the places of the children opened by a segment id

    def settle(self) -> None:
        """Put the children in order, once those of all loops are there, and see what opens them."""
        self.children[1:] = sorted(self.children[1:], key=lambda child: child.order)
        self.opened_by = [child if isinstance(child, Segment) else child.first for child in self.children]
        for at, segment in enumerate(self.opened_by):
            self.named[segment.name] = (*self.named.get(segment.name, ()), at)

    @property
    def first(self) -> Segment:
        """The segment that opens the loop."""
        child = self.children[0]
        return child if isinstance(child, Segment) else child.first


class Structure:
    """A guide: `root` is the transaction set, `isa` and `gs` the segments around it, `names` all segment ids.

    Raises TableError for tables that do not fit together.
    """

    def __init__(
        self, loops: Iterable[Row], segments: Iterable[Row], elements: Iterable[Row], data_elements: Iterable[Row]
    ) -> None:
        self._kinds = {row["data_element"]: row for row in data_elements}
        self._elements: dict[tuple[str, str, str], list[Row]] = {}
        for row in elements:
            self._elements.setdefault((row["loop"], row["segment"], row["number"]), []).append(row)
        try:
            found = [self._segment(row) for row in segments]
            self._loops = self._tree(list(loops), found)
            self.root = self._loops["ST"]
            self.isa = next(segment for segment in found if segment.name == "ISA")
            self.gs = next(segment for segment in found if segment.name == "GS")
        except (KeyError, ValueError, StopIteration, IndexError) as error:
            raise TableError(f"the tables of an X12 guide do not fit together ({type(error).__name__})") from error
        self.names = frozenset(segment.name for segment in found)

    def _tree(self, rows: list[Row], segments: list[Segment]) -> dict[str, Loop]:
        loops = {r["loop"]: Loop(r["loop"], int(r["order"]), r["usage"] == "R", _count(r["repeat"])) for r in rows}
        for segment in segments:
            if segment.loop in loops:
                loops[segment.loop].children.append(segment)
        for row in rows:
            if row["parent"]:
                loops[row["parent"]].children.append(loops[row["loop"]])
        for loop in loops.values():
            loop.settle()
        return loops

    def _segment(self, row: Row) -> Segment:
        rows = self._elements[row["loop"], row["segment"], row["number"]]
        elements = tuple(self._element(r, rows) for r in rows if not r["component"])
        qualifiers = elements[0].codes if row["qualified"] == "Y" else None
        required, rules = row["usage"] == "R", _rules(row["syntax"])
        order, repeat = int(row["order"]), _count(row["repeat"])
        return Segment(row["loop"], row["segment"], order, required, repeat, qualifiers, elements, rules)

    def _element(self, row: Row, rows: list[Row]) -> Element:
        inner = [r for r in rows if r["component"] and r["element"] == row["element"]] if not row["component"] else []
        components = tuple(self._element(r, rows) for r in inner)
        number, kind = row["data_element"], self._kinds.get(row["data_element"])
        if kind is None:  # a composite; one that is not used has no components in the tables
            composite = "" if number.startswith("C") else number
            return Element(
                row["usage"], _count(row["repeat"]), composite, components=components, rules=_rules(row["syntax"])
            )
        return Element(
            row["usage"],
            _count(row["repeat"]),
            number if number.isdecimal() else "",
            kind["type"],
            int(kind["least"]),
            int(kind["most"]),
            frozenset(row["codes"].split()),
            frozenset(kind["also_in_standard"].split()),
        )


def _count(cell: str) -> int:
    return int(cell) if cell else _UNLIMITED


def _rules(cell: str) -> tuple[Rule, ...]:
    rules = []
    for note in cell.split():
        letter, digits = note[0], note[1:]
        if letter not in _RULES or len(digits) % 2 or len(digits) < 4:
            raise ValueError(note)
        rules.append(Rule(letter, tuple(int(digits[at : at + 2]) for at in range(0, len(digits), 2))))
    return tuple(rules)
