"""The X12 834 Benefit Enrollment and Maintenance (005010X220A1): DMG05 and LUI told apart, not kept opaque."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO

from fhir_equity.adapters.edi834.again import read_again
from fhir_equity.adapters.edi834.joint import Sets
from fhir_equity.adapters.edi834.ranges import cut, split
from fhir_equity.adapters.edi834.read import read
from fhir_equity.adapters.edi834.write import bind, segments
from fhir_equity.adapters.protocol import Context, Cut, Joint, Piece, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.model import Loss, Outgoing, Rejected


class Edi834:
    """The adapter of the 834."""

    name = "edi834"
    ending = ".834"
    writes = True
    families = True

    def recognises(self, head: bytes, name: str) -> bool:
        """Any X12 interchange; one that holds no 834 is refused when it is read, with its number."""
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:4]
        return start[:3] == b"ISA" and not start[3:4].isalnum() and start[3:4] != b" "

    def split(self, source: Source, pieces: int) -> list[Range]:
        """See `fhir_equity.adapters.edi834.ranges`."""
        return split(source, pieces)

    def cut(self, head: bytes) -> Cut | None:
        """See `fhir_equity.adapters.edi834.ranges`."""
        return cut(head)

    def read(self, source: Source, part: Range, context: Context) -> Iterator[Read]:
        """See `fhir_equity.adapters.edi834.read`."""
        return read(source, part, context)

    def joint(self) -> Joint:
        """See `fhir_equity.adapters.edi834.joint`."""
        return Sets()

    def again(self, rejected: Rejected, frame: bytes, context: Context) -> Iterator[Read]:
        """Read a rejected member again; its frame is the ISA of its interchange."""
        return read_again(rejected, frame, context)

    def pieces(self, context: Context) -> Callable[[Outgoing], Piece]:
        """See `fhir_equity.adapters.edi834.write`."""
        return segments(context)

    def bind(self, pieces: Iterable[Piece], out: IO[bytes], context: Context) -> Iterator[Loss]:
        """See `fhir_equity.adapters.edi834.write`."""
        return bind(pieces, out, context)

    def write(self, records: Iterable[Outgoing], out: IO[bytes], context: Context) -> Iterator[Loss]:
        """One interchange with these members."""
        return bind(map(segments(context), records), out, context)


ADAPTER = Edi834()
