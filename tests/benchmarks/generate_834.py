"""Write a deterministic 834 of any size, of invented people, for measuring: about 430 bytes and 18 segments a member.

A quarter are dependents, races come as composites with repeats, 13 % as legacy letters, languages
repeat, and REF*1L comes again inside 2300 where it is not the member's. The same number of members
gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import IO

_FAMILIES = ("ALDER", "BIRCH", "CEDAR", "DOGWOOD", "ELMWOOD", "FIRTH", "GINKGO", "HAZELTON", "IRONWOOD", "JUNIPER")
_GIVEN = (
    "ADA",
    "BRUNO",
    "CHIARA",
    "DIEGO",
    "ESPERANZA",
    "FARID",
    "GRETA",
    "HIRO",
    "INES",
    "JOSEPHINE",
    "KWAME",
    "LIEN",
)
_STREETS = ("ORCHARD STREET", "RIVER ROAD", "HILLSIDE AVENUE", "OLD MILL LANE", "STATION SQUARE APARTMENTS")
_TOWNS = (("SAMPLETON", "OR", "97001"), ("FIXTURE CITY", "CA", "90001"), ("MOCKVILLE", "NY", "10001"))
_RACES = ("2106-3", "2054-5", "2028-9", "2034-7", "2036-2", "1002-5", "2076-8", "2131-1", "2118-8")
_ETHNICITIES = ("2135-2", "2186-5", "2148-5", "2180-8")
_LETTERS = "7ABCEHIJNOPZ"
_LANGUAGES = ("ENG", "SPA", "CHI", "VIE", "KOR", "RUS")
_ENVELOPE = (
    "ISA*00*          *00*          *ZZ*BENCH SENDER   *ZZ*BENCH RECEIVER *260101*1200*^*00501*000000001*0*T*:",
    "GS*BE*SENDER*RECEIVER*20260101*1200*1*X*005010X220A1",
    "ST*834*0001*005010X220A1",
    "BGN*00*BENCH*20260101*1200****4",
    "N1*P5*SPONSOR*FI*000000001",
    "N1*IN*PAYER*FI*000000002",
)


def generate(members: int, seed: int = 834) -> Iterator[str]:
    """The segments of one interchange with `members` members in one set, without terminators."""
    yield from _ENVELOPE
    random = Random(seed)
    count, family = 4, 0
    for number in range(1, members + 1):
        dependent = number > 1 and random.random() < 0.25
        family = family if dependent else number
        segments = _member(random, number, family, dependent=dependent)
        count += len(segments)
        yield from segments
    yield f"SE*{count + 1}*0001"
    yield "GE*1*1"
    yield "IEA*1*000000001"


def write(members: int, out: IO[bytes], *, line_end: str = "", repeats: bool = True) -> None:
    """Write the interchange of `generate` to `out`, `line_end` after every terminator.

    Without `repeats` everybody has one race at most: pyx12 cannot read a repeated DMG05.
    """
    end = "~" + line_end
    for segment in generate(members):
        one = segment if repeats or not segment.startswith("DMG") else segment.partition("^")[0]
        out.write((one + end).encode("ascii"))


def file_of(members: int, folder: Path, *, repeats: bool = True) -> Path:
    """A generated file of `members` members in `folder`."""
    path = folder / f"bench-{members}{'' if repeats else '-single'}.834"
    with path.open("wb") as out:
        write(members, out, repeats=repeats)
    return path


def _member(random: Random, number: int, family: int, *, dependent: bool) -> list[str]:
    start = f"20{random.randrange(10, 26):02d}{random.randrange(1, 13):02d}01"
    group = f"GRP{family % 97:05d}"
    town, state, code = random.choice(_TOWNS)
    segments = [
        f"INS*{'N*19' if dependent else 'Y*18'}*030*XN*A{'' if dependent else '***FT'}",
        f"REF*0F*S{family:09d}",
        f"REF*1L*{group}",
        f"REF*17*X{number:09d}",
        f"REF*23*C{number:09d}",
        f"DTP*336*D8*{start}",
        f"DTP*356*D8*{start}",
        f"NM1*IL*1*{random.choice(_FAMILIES)}*{random.choice(_GIVEN)}*{random.choice('ABCDEFG')}***ZZ*M{number:09d}",
        f"PER*IP**HP*555{random.randrange(10**7):07d}*EM*MEMBER{number}@EXAMPLE.ORG",
        f"N3*{random.randrange(1, 9999)} {random.choice(_STREETS)}",
        f"N4*{town}*{state}*{code}**CY*{random.randrange(1, 99):03d}",
        f"DMG*D8*{_birth(random)}*{random.choice('FM')}**{_race(random)}".rstrip("*"),
    ]
    segments += _languages(random)
    segments += [f"HD*030**HLT*PLAN{family % 13:04d}*{'FAM' if dependent else 'IND'}", f"DTP*348*D8*{start}"]
    segments += ["DTP*349*D8*20261231", f"REF*1L*{group}", f"AMT*P3*{random.randrange(10, 900)}.00"]
    if random.random() < 0.3:
        segments += ["HD*030**DEN*PLAN0099*IND", f"DTP*348*D8*{start}"]
    return segments


def _birth(random: Random) -> str:
    return f"{random.randrange(1930, 2025)}{random.randrange(1, 13):02d}{random.randrange(1, 29):02d}"


def _race(random: Random) -> str:
    kind = random.random()
    if kind < 0.13:
        return random.choice(_LETTERS)
    if kind < 0.20:
        return ""
    codes = random.sample(_RACES, random.choices((1, 2, 3), (75, 20, 5))[0])
    if random.random() < 0.4:
        codes.append(random.choice(_ETHNICITIES))
    return "^".join(f":RET:{code}" for code in codes)


def _languages(random: Random) -> list[str]:
    uses = random.choices(("", "7", "67", "567"), (62, 20, 14, 4))[0]
    code = random.choice(_LANGUAGES)
    return [f"LUI*LE*{code}**{use}" for use in uses]
