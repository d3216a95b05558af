"""Write members as an 834 by the partner's guide, full (BGN08 = 4) or change (2), counted and controlled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

from fhir_equity.adapters.edi834.characters import Characters, Element
from fhir_equity.adapters.edi834.waiting import Waiting
from fhir_equity.adapters.edi834.write_member import MemberWriter
from fhir_equity.adapters.protocol import Context, Piece
from fhir_equity.errors import TableError
from fhir_equity.model import Loss, Member, Outgoing, Relationship

VERSION = "005010X220A1"
_MARKS = ("element", "component", "repetition", "segment")
# GS02 and GS03 have 15 characters (data elements 142, 124), N102 sixty, N104 eighty.
_NAMES = {"sender": 15, "receiver": 15, "sponsor": 60, "sponsor_id": 80, "payer": 60, "payer_id": 80}


def segments(context: Context) -> Callable[[Outgoing], Piece]:
    """What writes the segments of one member after the other.

    Raises TableError for a guide whose delimiters cannot be told apart, or that cannot be used.
    """
    marks = _marks(context.guide["write"])
    members = MemberWriter(context, Characters(context.guide["write"], "".join(marks)), marks[:3])
    end = _end(context, marks)

    def piece(record: Outgoing) -> Piece:
        found = members.segments(record)
        losses = tuple(members.losses)
        members.losses.clear()
        leads = record.member.enrollment.subscriber
        return Piece((("", _text(found, end)),), losses, len(found), _family(record.member), leads)

    return piece


def bind(pieces: Iterable[Piece], out: IO[bytes], context: Context) -> Iterator[Loss]:
    """Write one interchange to `out`, yielding what could not be carried.

    A dependent follows their subscriber: one who comes before, or among another family, waits in a
    temporary file and is written after everybody else, so memory is constant whatever the order.
    Raises TableError as `segments` does.
    """
    marks = _marks(context.guide["write"])
    interchange = _Interchange(out, context, marks, Characters(context.guide["write"], "".join(marks)))
    yield from interchange.losses
    with Waiting() as waiting:
        subscriber = ""
        for piece in pieces:
            ((_, text),) = piece.parts
            if piece.leads:
                subscriber = piece.family
            if piece.family == subscriber:
                interchange.member(text, piece.units)
            else:
                waiting.add(text, piece.units)
            yield from piece.losses
        for text, count in waiting:
            interchange.member(text, count)
    interchange.close()


def _end(context: Context, marks: tuple[str, str, str, str]) -> str:
    return f"{marks[3]}{context.guide['write']['line_end']}"


def _text(found: list[str], end: str) -> bytes:
    """Segments with their terminators."""
    return (end.join(found) + end).encode("ascii")


def _marks(guide: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """The delimiters: element, component, repetition, segment."""
    element, component, repetition, segment = marks = tuple(guide[name] for name in _MARKS)
    if len(set(marks)) < 4 or any(len(mark) != 1 or mark.isalnum() or not mark.isascii() for mark in marks):
        raise TableError("guides/edi834.toml, write: four different delimiters of one character are needed")
    return element, component, repetition, segment


def _family(member: Member) -> str:
    """The number that a subscriber and their dependents share; of a member without one, their own key."""
    return member.enrollment.subscriber_key or next(
        (each.value for each in member.identifiers if each.kind == "REF*0F"), member.key
    )


class _Interchange:
    """ISA to IEA around members that come as bytes; one ST for all of them, or for as many as the guide says."""

    def __init__(
        self, out: IO[bytes], context: Context, marks: tuple[str, str, str, str], characters: Characters
    ) -> None:
        self._out, self._control = out, context.control
        guide: Mapping[str, Any] = context.guide["write"]
        self._element, self._end = marks[0], _end(context, marks)
        self._purpose: str = guide["purpose"]
        self._most: int = guide["members_per_set"]
        self.losses: list[Loss] = []
        self._names = {n: Element(characters, self._lose, 1, most, cut=True)[guide[n]] for n, most in _NAMES.items()}
        self._day, self._time = context.created[:10].replace("-", ""), context.created[11:16].replace(":", "")
        self._number = next(self._control)
        self._sets = self._set = self._segments = self._members = 0
        self._open(marks, guide["usage"])

    def member(self, text: bytes, segments: int) -> None:
        """Write one member, in a new set where the one before is full."""
        if not self._set or self._members == self._most > 0:
            self._open_set()
        self._out.write(text)
        self._segments += segments
        self._members += 1

    def close(self) -> None:
        """SE to IEA. A file without members has a set without members."""
        if not self._set:
            self._open_set()
        self._close_set()
        trailer = (("GE", str(self._sets), str(self._number)), ("IEA", "1", f"{self._number:09d}"))
        self._out.write(_text([self._element.join(each) for each in trailer], self._end))

    def _open(self, marks: tuple[str, str, str, str], usage: str) -> None:
        sender, receiver = self._names["sender"], self._names["receiver"]
        blank, number = " " * 10, f"{self._number:09d}"
        isa = ["ISA", "00", blank, "00", blank, "ZZ", f"{sender:<15}", "ZZ", f"{receiver:<15}", f"{self._day[2:]:<6}"]
        isa += [f"{self._time:<4}", marks[2], "00501", number, "0", usage, marks[1]]
        group = ("GS", "BE", sender, receiver, self._day, self._time, str(self._number), "X", VERSION)
        self._out.write(_text([self._element.join(isa), self._element.join(group)], self._end))

    def _open_set(self) -> None:
        """ST to the payer; BGN02 is the set's own number, which no other set has."""
        if self._set:
            self._close_set()
        self._set = next(self._control)
        names = self._names
        header = (
            ("ST", "834", f"{self._set:04d}", VERSION),
            ("BGN", "00", f"{self._set:09d}", self._day, self._time, "", "", "", self._purpose),
            ("N1", "P5", names["sponsor"], "FI", names["sponsor_id"]),
            ("N1", "IN", names["payer"], "FI", names["payer_id"]),
        )
        self._out.write(_text([self._element.join(each) for each in header], self._end))
        self._segments, self._members = len(header), 0
        self._sets += 1

    def _close_set(self) -> None:
        self._out.write(_text([self._element.join(("SE", str(self._segments + 1), f"{self._set:04d}"))], self._end))

    def _lose(self, rule: str) -> None:
        self.losses.append(Loss(rule, Relationship.WIDER))
