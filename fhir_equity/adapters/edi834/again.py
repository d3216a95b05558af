"""A rejected member read once more, alone: in an interchange of its own with the delimiters of its first one."""

from __future__ import annotations

import io
from collections.abc import Iterator

from msgspec.structs import replace

from fhir_equity.adapters.edi834.envelope import delimiters
from fhir_equity.adapters.edi834.read import read
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Locator, Member, Rejected

_TRUNCATED = "x12.member.truncated"
_BEFORE = (("GS", "BE", "", "", "", "", "1", "X", "005010X220A1"), ("ST", "834", "0001", "005010X220A1"))
_AFTER = (("SE", "", "0001"), ("GE", "1", "1"), ("IEA", "1", ""))


def read_again(rejected: Rejected, frame: bytes, context: Context) -> Iterator[Read]:
    """Read a rejected member; `frame` is the ISA it stood under. Raises UnreadableError without one.

    What was cut off stays cut off: its end is not to be had from any table.
    """
    place = rejected.finding.locator
    if rejected.finding.code == _TRUNCATED:
        yield rejected
        return
    if not frame:
        raise UnreadableError(f"{place.artefact}: the ISA of its records was not kept; ingest it again")
    marks = delimiters(frame.decode("latin-1"), place.artefact)

    def text(segments: tuple[tuple[str, ...], ...]) -> bytes:
        return "".join(marks.element.join(cells) + marks.segment for cells in segments).encode("latin-1")

    head = frame + text(_BEFORE)
    source = Source(place.artefact, lambda: io.BytesIO(head + rejected.raw + text(_AFTER)))
    move = _Move(place.number - len(_BEFORE) - 2, place.offset - len(head), place.within)
    for item in read(source, Range(), context):
        if isinstance(item, Member):
            yield move.member(item)
        elif isinstance(item, Rejected):
            yield Rejected(item.raw, replace(item.finding, locator=move.locator(item.finding.locator)))


class _Move:
    """From positions in the interchange of its own to those in the artefact."""

    def __init__(self, number: int, offset: int, within: int) -> None:
        self._number = number
        self._offset = offset
        self._within = within  # of the INS in its set, which is the second segment of the one of its own

    def locator(self, place: Locator) -> Locator:
        """A position."""
        within = place.within + self._within - 2 if self._within else 0
        return replace(place, number=place.number + self._number, offset=place.offset + self._offset, within=within)

    def member(self, member: Member) -> Member:
        """A member with everything that has a position."""
        return replace(
            member,
            number=member.number + self._number,
            offset=member.offset + self._offset,
            answers=tuple(
                replace(answer, number=answer.number + self._number, offset=answer.offset + self._offset)
                for answer in member.answers
            ),
            findings=tuple(replace(each, locator=self.locator(each.locator)) for each in member.findings),
        )
