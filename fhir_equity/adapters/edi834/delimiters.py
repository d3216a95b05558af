"""The delimiters of an interchange, from its ISA."""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.errors import UnreadableError

ISA_LENGTH = 106
BLANK = " \r\n\t"


class Delimiters(Struct, frozen=True):
    """The four delimiters of one interchange; `repetition` is empty where ISA11 names none.

    `line_end` are the blanks after the ISA, which most files repeat after every segment.
    """

    element: str
    component: str
    repetition: str
    segment: str
    padded: bool = True
    isa11: str = ""
    line_end: str = ""


def delimiters(isa: str, name: str) -> Delimiters:
    """Read the delimiters from the first characters of an interchange, never assumed.

    The ISA has 16 elements of fixed width (106 characters with its terminator). Unpadded ones are
    read by counting separators. Raises UnreadableError when the ISA is incomplete or names
    delimiters that cannot be told apart.
    """
    element = isa[3:4]
    place = -1
    for _ in range(16):
        place = isa.find(element, place + 1) if element else -1
        if place < 0:
            raise UnreadableError(f"{name} ends inside its first segment (ISA)")
    if len(isa) < place + 3:
        raise UnreadableError(f"{name} ends inside its first segment (ISA)")
    component, segment = isa[place + 1], isa[place + 2]
    ambiguous = len({element, component, segment}) < 3 or segment in isa[: place + 1]  # the ISA would end there
    # Spaces and line ends stand between segments, where nobody could tell them from an empty one.
    blank = element in " \r\n" or component in " \r\n"
    if ambiguous or blank or any(mark.isalnum() for mark in (element, component, segment)):
        raise UnreadableError(f"{name} names no usable delimiters in its first segment (ISA)")
    isa11 = isa.split(element, 12)[11]
    # ISA11 was "U" (standards id) until 4010 and still is in many 00501 files: no separator then.
    usable = len(isa11) == 1 and not isa11.isalnum() and isa11 not in (" ", element, component, segment)
    after = isa[place + 3 :]
    line_end = after[: len(after) - len(after.lstrip(BLANK.replace(segment, "")))]
    repetition = isa11 if usable else ""
    return Delimiters(element, component, repetition, segment, place + 3 == ISA_LENGTH, isa11, line_end)


def starts_isa(text: str) -> bool:
    """Whether text looks like the start of an interchange, whatever its delimiters."""
    return text.startswith("ISA") and not text[3:4].isalnum()


def lead(segment: str) -> int:
    """How many blanks stand before a segment."""
    return len(segment) - len(segment.lstrip(BLANK))
