"""Put the ranges of an 834 together: what its envelope says is judged where it stands, knowing all that came before."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fhir_equity.adapters.edi834.control import Control
from fhir_equity.adapters.edi834.delimiters import Delimiters
from fhir_equity.adapters.protocol import Range, Read, Seam
from fhir_equity.model import Finding, Locator, Severity


class Start(Struct):
    """The beginning of a range in the middle, and whether its set is taken to be one that only verifies (BGN08 = 4)."""

    part: Range
    verifies: bool


class Edges(Struct):
    """The end of a range: the delimiters, which segment comes next, the members, and the encoding.

    `control` is that of the first range, which saw the beginning. A member that is open belongs to the range.
    """

    part: Range
    marks: Delimiters
    next: tuple[int, int]
    members: int
    dependents: int
    encoding: str
    control: Control | None = None


class Sets:
    """Follows the envelope from range to range."""

    def __init__(self) -> None:
        self._control: Control | None = None
        self._marks = Delimiters("", "", "", "")  # of the first interchange
        self._next = (0, 0)
        self._before = (0, 0)  # members and dependents of the ranges before
        self._encodings: list[str] = []

    @property
    def whole(self) -> bool:
        """Whether every set was a full file."""
        return self._control is not None and bool(self._control.whole)

    def take(self, seam: Seam) -> list[Read] | None:
        """See `Joint`: a range must go on, inside of an 834 set, where the one before it stopped."""
        state, control = seam.state, self._control
        if isinstance(state, Edges):
            return self._edge(state)
        if control is None:
            return None
        if isinstance(state, Start):
            part = state.part
            same = part.opened in (-1, control.opened) and state.verifies == control.verifies
            return [] if same and self._next == (part.before + 1, part.start) else None
        members, dependents = self._before
        control.members, control.dependents = members + state.members, dependents + state.dependents
        return list(state.told(control))

    def _edge(self, edges: Edges) -> list[Read] | None:
        if edges.control is not None:
            self._control, self._marks = edges.control, edges.marks
        if self._control is None:
            return None
        members, dependents = self._before
        self._before = (members + edges.members, dependents + edges.dependents)
        self._control.members, self._control.dependents = self._before
        self._next = edges.next
        self._encodings.append(edges.encoding)
        inside = self._control.taking and not self._control.ended and edges.marks == self._marks
        return [] if edges.part.stop < 0 or (inside and edges.next[1] == edges.part.stop) else None

    def end(self) -> list[Read]:
        """The encoding of all. Raises UnreadableError where there is no 834 set in any range."""
        if self._control is None:
            return []
        self._control.refuse_others()
        return [*told_encoding(self._control.name, self._encodings)]


def told_encoding(name: str, encodings: Iterable[str]) -> list[Finding]:
    """What the bytes of a source are that are no ASCII: one piece that is no UTF-8 decides for all."""
    known = set(encodings) - {""}
    code = "latin1" if "latin1" in known else "utf8"
    return [Finding(f"x12.encoding.{code}", Severity.INFO, Locator(name))] if known else []
