"""Change an 834 as its senders and their networks might: by segment, element and delimiter, seeded and repeatable."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

SEGMENTS = (
    *(b"INS*Y*18*030*XN*A***FT", b"INS*N*19*030", b"INS*?", b"INS", b"REF*0F*S1", b"REF*1L*G1", b"REF*17*;;202502;"),
    *(b"NM1*IL*1*ALDER*ADA****ZZ*M1", b"NM1*74*1*ALDER*ADA****34*M1", b"NM1*70*1*OLDER", b"NM1*IN", b"NM1", b"DMG"),
    *(b"DMG*D8*19800131*F**:RET:2106-3^C^:RET:R5.01", b"DMG*D8*19800131*U**7***D8*****1*2", b"N3*1 HILL", b"N4*TOWN"),
    *(b"LUI*LE*SPA**7", b"LUI*LD*1*MAM", b"LUI***SPANISH*6", b"HD*030**HLT", b"DTP*348*D8*20260101", b"DTP*356*D8*x"),
    *(b"LX*1", b"LS*2700", b"LE*2700", b"N1*75*GENDER IDENTITY", b"REF*17*MALE", b"COB*P*X*1", b"PER*IP**HP*5550100"),
    *(b"ST*834*0001*005010X220A1", b"ST*837*0002*005010X222A1", b"SE*12*0001", b"GE*1*1", b"IEA*1*000000001", b"TA1"),
    *(b"GS*BE*S*R*20260101*1200*1*X*005010X220A1", b"BGN*00*1*20260101*1200****4", b"QTY*TO*2", b"XX*1", b"", b" "),
)
VALUES = (
    *(b"", b" ", b"Y", b"N", b"IL", b"74", b"70", b"834", b"D8", b"F", b"U", b"7", b"C^7", b":RET:2034-7", b":RET"),
    *(b"::2028-9", b"ZZZ::", b"^", b":", b"^" * 12, b"20260230", b"20260101", b"9" * 12, b"-1", b"\xb2", b"\xc3\x91"),
    *(b"\xff", b"\x00", b"ISA", b"INS", b" 34 ", b"LE", b"34", b"TO", b"4", b"RX", b"0F", b"R", b"A" * 1100),
)
LINE_ENDS = (b"", b"\n", b"\r\n", b"\n\r", b" ", b"\t")
MARKS = b"*|:>^!~'\n\x1c\x1d\x1f+\\.-;#A 1\xff"

Segments = list[bytes]
Change = Callable[[Segments, Random, bytes], None]


def mutated(data: bytes, seed: int, most: int) -> bytes:
    """`data` with one to four changes, at most `most` bytes long; the same seed makes the same changes."""
    random = Random(seed)
    for _ in range(random.choice((1, 1, 2, 3, 4))):
        whole = random.choice((_change_mark, _cut, _again, _change_line_ends, _splice, None, None, None, None, None))
        data = whole(data, random) if whole else _by_segment(data, random)
    return data[:most]


def _marks(data: bytes) -> tuple[bytes, bytes]:
    """The element separator and the terminator that the ISA seems to name."""
    found = re.match(rb"\s*ISA(.)(?:.{1,30}?\1){15}.(.)", data, re.DOTALL)
    return (found[1], found[2]) if found and found[1] != found[2] else (b"*", b"~")


def _by_segment(data: bytes, random: Random) -> bytes:
    element, end = _marks(data)
    segments = data.split(end)
    change: Change = random.choice((_drop, _repeat, _insert, _move, _set_element, _set_element, _add_element, _pad))
    change(segments, random, element)
    return end.join(segments)


def _place(segments: Segments, random: Random) -> int:
    return random.randrange(len(segments))


def _drop(segments: Segments, random: Random, element: bytes) -> None:
    start = _place(segments, random)
    del segments[start : start + random.choice((1, 1, 1, 3))]


def _repeat(segments: Segments, random: Random, element: bytes) -> None:
    start = _place(segments, random)
    segments[start:start] = segments[start : start + random.choice((1, 1, 2, 8))] * random.choice((1, 1, 2, 12))


def _insert(segments: Segments, random: Random, element: bytes) -> None:
    segments.insert(_place(segments, random), random.choice(SEGMENTS).replace(b"*", element))


def _move(segments: Segments, random: Random, element: bytes) -> None:
    segments.insert(_place(segments, random), segments.pop(_place(segments, random)))


def _set_element(segments: Segments, random: Random, element: bytes) -> None:
    at = _place(segments, random)
    cells = segments[at].split(element)
    other = random.choice(segments).split(element)
    cells[random.randrange(len(cells))] = random.choice((random.choice(VALUES), random.choice(other)))
    segments[at] = element.join(cells)


def _add_element(segments: Segments, random: Random, element: bytes) -> None:
    segments[_place(segments, random)] += element * random.randrange(1, 6) + random.choice(VALUES)


def _pad(segments: Segments, random: Random, element: bytes) -> None:
    at = _place(segments, random)
    segments[at] = (
        random.choice((b" ", b"\r\n", b"\n ", b"\t", b"\xef\xbb\xbf")) + segments[at] + random.choice((b"", b" "))
    )


def _change_mark(data: bytes, random: Random) -> bytes:
    """Another delimiter everywhere, or in the ISA only."""
    old, new = random.choice((*_marks(data), b":", b"^")), bytes([random.choice(MARKS)])
    if random.random() < 0.7:
        return data.replace(old, new)
    return data[:106].replace(old, new) + data[106:]


def _cut(data: bytes, random: Random) -> bytes:
    """Cut off the end, or take a piece out."""
    start = random.randrange(len(data) + 1)
    return data[:start] + (data[start + random.randrange(1, 200) :] if random.random() < 0.6 else b"")


def _again(data: bytes, random: Random) -> bytes:
    """The whole file once more, under other delimiters perhaps."""
    return data + random.choice(LINE_ENDS) + (_change_mark(data, random) if random.random() < 0.5 else data)


def _change_line_ends(data: bytes, random: Random) -> bytes:
    """Line ends after every terminator, or after some."""
    end, line_end = _marks(data)[1], random.choice(LINE_ENDS)
    if random.random() < 0.5:
        return re.sub(re.escape(end) + rb"[\r\n \t]*", lambda _: end + line_end, data)
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at:].replace(end, end + line_end, random.randrange(1, 9))


def _splice(data: bytes, random: Random) -> bytes:
    """A piece of the file somewhere else in it."""
    start, at = random.randrange(len(data) + 1), random.randrange(len(data) + 1)
    return data[:at] + data[start : start + random.randrange(1, 300)] + data[at:]
