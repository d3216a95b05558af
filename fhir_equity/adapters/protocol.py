"""The one protocol every format follows."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import IO, Any, Protocol

from msgspec import Struct, field

from fhir_equity.adapters.source import Source
from fhir_equity.model import Finding, Frame, Loss, Member, Outgoing, Rejected
from fhir_equity.privacy import KEY_BYTES, Pseudonyms


class Range(Struct, frozen=True):
    """A piece of a source that can be read alone: bytes `start` to `stop` (-1 = to the end).

    `before` is how many units (segments) come before it, where the format counts them, and `opened` the number of
    the one that began what the range stands in (the ST of its set), -1 where nobody has looked.
    """

    start: int = 0
    stop: int = -1
    before: int = 0
    opened: int = -1


class Cut(Struct, frozen=True):
    """Where a source may be cut by somebody who only looks for bytes and knows nothing of the format.

    It is cut wherever `mark` stands, before the last `keep` bytes of it. `unit` is what is counted before a
    range. Each piece must match `every` (a regular expression of RE2 over its bytes), else the source stays
    whole; empty for any.
    """

    mark: bytes
    keep: int
    unit: bytes
    every: str = ""


class Seam(Struct):
    """What one range of several cannot judge alone, in its place; `state` is the adapter's own and can be pickled."""

    state: Any


class Piece(Struct, frozen=True, gc=False):
    """One member as a format writes them, without what stands around members: written anywhere, bound in one place.

    `parts` are bytes by kind (the type of a resource; elsewhere the kind is empty), `losses` what they could not
    carry. `units` says how many segments it has, `family` whom it must stand beside and `leads` whether it comes
    first there, where the format cares.
    """

    parts: tuple[tuple[str, bytes], ...]
    losses: tuple[Loss, ...] = ()
    units: int = 0
    family: str = ""
    leads: bool = False


Read = Member | Rejected | Finding | Loss | Frame | Seam


class Joint(Protocol):
    """Puts the ranges of one source together, seam by seam in their order."""

    def take(self, seam: Seam) -> list[Read] | None:
        """What stands in the place of a seam: what it shows with all that came before.

        None where the ranges do not fit together: then the source must be read in one. Raises
        UnreadableError as `Adapter.read` does.
        """

    def end(self) -> list[Read]:
        """What only all ranges together show. Raises UnreadableError as `Adapter.read` does."""

    @property
    def whole(self) -> bool:
        """What `Source.whole` is of a source that was read in one."""


class NoJoint:
    """Of a format whose ranges leave nothing open."""

    whole = False

    def take(self, seam: Seam) -> list[Read] | None:
        """Nothing."""
        return []

    def end(self) -> list[Read]:
        """Nothing."""
        return []


def join(adapter: Adapter, seams: Iterable[Seam]) -> list[Read] | None:
    """What all seams of a source show, in order; None where its ranges do not fit. Raises UnreadableError."""
    joint, found = adapter.joint(), list[Read]()
    for seam in seams:
        shown = joint.take(seam)
        if shown is None:
            return None
        found += shown
    return found + joint.end()


class Context(Struct, frozen=True):
    """What a reader or writer is handed by the pipeline.

    `guide` is the format's guide table with the partner's sheet laid over it
    (``guides/<format>.toml``). `attestation` is the partner's word on what its data is
    (``attestation.toml``, the section of this format): collector, method, standard, question.
    `systems` gives the URI of each code system by its key (``codes/systems.csv``).
    `as_of` is the ISO date of the run. `created` (ISO date and time), `control` (the next control
    numbers, 1 to 999999999, none of them given before) and `uuid` are for writers. `uuid` makes an id of an
    identifier given in parts (`Pseudonyms.uuid`): unless given, with a key that nobody keeps.
    """

    partner: str = ""
    guide: Mapping[str, Any] = {}
    attestation: Mapping[str, str] = {}
    systems: Mapping[str, str] = {}
    as_of: str = ""
    created: str = ""
    control: Iterator[int] = field(default_factory=lambda: count(1))
    uuid: Callable[..., str] = field(default_factory=lambda: Pseudonyms(secrets.token_bytes(KEY_BYTES)).uuid)


class Adapter(Protocol):
    """One format. Adapters hold no state; everything a run needs is in its Context.

    `writes` says whether there is a writer; `ending` is the usual file name ending; `families` is
    whether a file has the subscribers that its dependents name (`Enrollment.subscriber_key`).
    """

    name: str
    ending: str
    writes: bool
    families: bool

    def recognises(self, head: bytes, name: str) -> bool:
        """Whether the first bytes (up to 64 KiB, decompressed) look like this format."""

    def split(self, source: Source, pieces: int) -> list[Range]:
        """Cut a source into at most `pieces` ranges that can be read one by one, in order."""

    def cut(self, head: bytes) -> Cut | None:
        """Where a source with this head (up to 64 KiB) may be cut; None where it must stay whole."""

    def read(self, source: Source, part: Range, context: Context) -> Iterator[Read]:
        """Read a range in constant memory.

        Yields Members, Rejected (verbatim bytes that are no member), Findings about the artefact
        and Losses; a Frame before the records that stand in it; in one range of several a Seam for what
        it cannot judge, where the format needs one. Raises UnreadableError only when nothing at all can be read.
        """

    def joint(self) -> Joint:
        """What puts the ranges of one source together."""

    def again(self, rejected: Rejected, frame: bytes, context: Context) -> Iterator[Read]:
        """Read a rejected record once more, alone, as it would now be read in its artefact.

        `frame` is the `raw` of the Frame it stood in, empty in formats without one; positions are
        those of the artefact. Yields it as Rejected if it still is no member. Raises UnreadableError
        where the frame cannot be used.
        """

    def pieces(self, context: Context) -> Callable[[Outgoing], Piece]:
        """What writes one member after the other, each alone: any process may, in any order."""

    def bind(self, pieces: Iterable[Piece], out: IO[bytes], context: Context) -> Iterator[Loss]:
        """Write pieces to `out` with what stands around them, yielding all that the format could not carry.

        Consume the iterator to write.
        """

    def write(self, records: Iterable[Outgoing], out: IO[bytes], context: Context) -> Iterator[Loss]:
        """Write members to `out`: bind their pieces. Formats with `writes` False raise UsageError."""
