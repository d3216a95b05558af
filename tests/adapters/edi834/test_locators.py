"""A locator's byte offset is where the segment starts, and its number counts every segment from the first ISA."""

from __future__ import annotations

import pytest

from fhir_equity.adapters.protocol import Read
from fhir_equity.model import Finding, Locator, Member, Rejected
from tests.adapters.edi834.files import ADA, BRUNO, file, join, read, segments

SPEAKER = (
    *("INS*N*01*030", "REF*0F*S1", "REF*ZZ*A", "REF*ZZ*B", "DTP*356*D8*2026", "NM1*IL*1*CEDAR*INES****ZZ*M3"),
    *("XX*", "DMG*D8*19900101*F**:RET^C", "LUI*LE*SPA**6", "LUI*LE*ENG**7", "LUI*LE*KOR**9", "NM1*70*1"),
    *("DMG*D8*1*F", "HD*030**HLT", "DTP*349*D8*x", "NM1*IL*1"),
)
BAD = ("INS*X*18", "REF*0F*S9")
TWISTED = b"".join(
    (
        b"\xef\xbb\xbf",
        file(ADA, BAD, SPEAKER, end="\r\n").replace(b"\r\nLUI", b"\n  LUI"),
        join(segments(BRUNO, SPEAKER, control="2"), marks="|>!\n"),
    )
)


def _locators(items: list[Read]) -> list[tuple[Locator, str]]:
    """Every locator with the id of the segment it must point at; empty where the path does not say."""
    found: list[tuple[Locator, str]] = []
    for item in items:
        if isinstance(item, Member):
            found += [(a.locator, a.path[:3]) for a in item.answers]
            found += [(f.locator, f.locator.path[:3]) for f in item.findings]
        elif isinstance(item, Rejected):
            found.append((item.finding.locator, "INS"))
        elif isinstance(item, Finding) and item.locator.unit:  # the encoding is that of the whole
            found.append((item.locator, item.locator.path))
    return found


@pytest.mark.parametrize("data", [file(ADA, BAD, SPEAKER), TWISTED], ids=["plain", "twisted"])
def test_the_bytes_at_every_offset_are_the_segment(data: bytes) -> None:
    found = _locators(read(data))
    assert len(found) >= 15
    for place, kind in found:
        assert place.artefact == "f.834"
        assert place.unit == "segment"
        here = data[place.offset :].decode("latin-1")
        assert here.startswith(kind or "XX")


def test_the_number_is_that_of_the_segment() -> None:
    data = file(ADA, BAD, SPEAKER)
    parts = data.decode().split("~")
    for place, kind in _locators(read(data)):
        assert parts[place.number - 1].startswith(kind or "XX")
        assert place.offset == sum(len(part) + 1 for part in parts[: place.number - 1])


def test_the_loop_and_the_number_in_the_set() -> None:
    second = ["ST*834*0002*005010X220A1", "BGN*00*2*20260101*1200****4", *BAD, *SPEAKER, "SE*21*0002"]
    parts = segments(ADA)
    data = join([*parts[:-2], *second, "GE*2*1", parts[-1]])
    starts = [number for number, part in enumerate(data.decode().split("~"), start=1) if part.startswith("ST")]
    seen = {}
    for place, _ in _locators([item for item in read(data) if not isinstance(item, Member)]):
        assert place.within == place.number - starts[1] + 1
    for item in read(data):
        if isinstance(item, Member):
            for finding in item.findings:
                assert finding.locator.within == finding.locator.number - starts[1] + 1
                seen[finding.code] = finding.locator.loop
        elif isinstance(item, Rejected):
            seen[item.finding.code] = item.finding.locator.loop
    assert seen == {
        "x12.ins01.not_in_code_list": "2000",
        "x12.ref.repeated": "2000",
        "x12.segment.unexpected": "2100A",
        "x12.dmg05.p0203": "2100A",
        "x12.lui04.not_in_code_list": "2100A",
        "x12.2100b.old_values": "2100B",
        "x12.dtp03.not_a_date": "2300",
        "x12.nm1.out_of_place": "2300",
    }


@pytest.mark.parametrize(
    ("parts", "loop"),
    [
        (("LX*1", "LX*2", "LUI*LE*ENG**7"), "2310"),
        (("LX*1", "LUI*LE*ENG**7"), "2310"),
        (("COB*U*1*1", "LUI*LE*ENG**7"), "2320"),
        (("LS*2700", "LUI*LE*ENG**7"), "2700"),
        (("LS*2700", "LX*1", "LUI*LE*ENG**7"), "2710"),
    ],
)
def test_the_loops_below(parts: tuple[str, ...], loop: str) -> None:
    (member,) = [item for item in read(file((*ADA, "HD*030**HLT", *parts))) if isinstance(item, Member)]
    assert [(f.code, f.locator.loop) for f in member.findings] == [("x12.lui.out_of_place", loop)]


def test_a_locator_in_words() -> None:
    place = Locator("a.834", "segment", 30, 700, "DMG05:1", "2100A", 9)
    assert str(place) == "a.834, segment 30 (9 of its set), loop 2100A, byte 700, DMG05:1"
    assert str(Locator("a.csv", "row", 3)) == "a.csv, row 3"


def test_each_language_points_at_its_own_segment() -> None:
    (member,) = [item for item in read(file(SPEAKER)) if isinstance(item, Member)]
    languages = {a.topic: (a.path, a.number) for a in member.answers if a.path.startswith("LUI")}
    assert languages == {"language_written": ("LUI02", 14), "language_spoken": ("LUI02", 15)}


def test_every_finding_of_one_member_with_its_place() -> None:
    (member,) = [item for item in read(file(SPEAKER)) if isinstance(item, Member)]
    assert [(f.code, f.locator.number, f.locator.path) for f in member.findings] == [
        ("x12.ref.repeated", 9, "REF01"),
        ("x12.dtp03.not_a_date", 10, "DTP03"),
        ("x12.segment.unexpected", 12, ""),
        ("x12.dmg05.p0203", 13, "DMG05:1:3"),
        ("x12.lui04.not_in_code_list", 16, "LUI04"),
        ("x12.2100b.old_values", 17, "NM1"),
        ("x12.dtp03.not_a_date", 20, "DTP03"),
        ("x12.nm1.out_of_place", 21, "NM1"),
    ]
