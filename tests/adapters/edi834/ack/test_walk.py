"""IK3: each segment at its place in the guide, or what is said of it."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.adapters.edi834.ack.answers import ADA, HEADER, answered, enrolled, interchange, one_set, said
from tests.adapters.edi834.files import join

COVERAGE = ("HD*030**HLT", "DTP*348*D8*20260101")
PROVIDER = ("LX*1", "NM1*P3*1*DOCTOR*****XX*1234567893*25")
OTHER = ("COB*P*X1*1", "NM1*IN*2*OTHER INSURANCE")
CATEGORIES = ("LS*2700", "LX*1", "N1*75*REGION", "REF*17*NORTH", "LX*2", "N1*75*UNIT", "LE*2700")


def ik3(*segments: str) -> list[str]:
    """The IK3 for segments added to Ada's, whose last is segment 8."""
    return [segment for segment in said(enrolled(*segments)) if segment.startswith("IK3")]


def of_set(*segments: str) -> list[str]:
    """The IK3 for a set of these segments."""
    return [segment for segment in said(join(interchange(one_set(*segments)))) if segment.startswith("IK3")]


@pytest.mark.parametrize(
    "segments",
    [
        COVERAGE,
        (*COVERAGE, *COVERAGE, *PROVIDER, *PROVIDER, *OTHER, *COVERAGE),
        (*COVERAGE, "AMT*P3*10", "REF*1L*G", "REF*QQ*3", "REF*17*X", "IDC*CARD*H"),
        ("NM1*70*1*ALDER*ADA", "DMG*D8*19800131*F**B", "NM1*QD*1*GUARDIAN", *COVERAGE),
        ("NM1*31*1", "N3*BOX 1", "N4*TOWN*NY*10001", "NM1*70*1*ALDER", *COVERAGE),
        ("DSB*1", "DTP*360*D8*20260101", *COVERAGE, *CATEGORIES),
        (*COVERAGE, *PROVIDER, *CATEGORIES, *ADA, *COVERAGE, *CATEGORIES),
        ("LUI*LE*SPA**7", "LUI*LE*ENG**6") * 40,
        ADA * 3,
    ],
)
def test_what_stands_where_the_guide_has_it(segments: tuple[str, ...]) -> None:
    assert ik3(*segments) == []


@pytest.mark.parametrize(
    ("segments", "told"),
    [
        (("XYZ*1",), ["IK3*XYZ*9**1"]),
        (("xyz*1",), ["IK3*ZZZ*9**1"]),
        (("CANARYNAME*1",), ["IK3*ZZZ*9**1"]),
        (("",), ["IK3*ZZZ*9**1"]),
        (("BGN*00*1*20260101*1200****4",), ["IK3*BGN*9**7"]),
        (("N3*1 MAIN",), ["IK3*N3*9**7"]),
        (("N1*75*REGION",), ["IK3*N1*9**2"]),
        (("PLA*2*1P*20260101**AA",), ["IK3*PLA*9**2"]),
        (("DMG*D8*19800131*F",), ["IK3*DMG*9*2100A*5"]),
        (("AMT*B9*1",) * 8, ["IK3*AMT*16*2100A*5"]),
        (COVERAGE[:1], ["IK3*DTP*10*2300*3"]),
        ((COVERAGE[0], *COVERAGE), ["IK3*DTP*10*2300*3"]),
        ((*COVERAGE, *PROVIDER[:1], *COVERAGE), ["IK3*NM1*12*2310*3"]),
        ((*COVERAGE, "NM1*P3*1*DOCTOR"), ["IK3*NM1*11**2"]),
        ((*COVERAGE, *OTHER, *PROVIDER), ["IK3*LX*13**7", "IK3*NM1*14**2"]),
        ((*COVERAGE, *(OTHER[:1] * 6)), ["IK3*COB*16*2320*4"]),
        ((*COVERAGE, *CATEGORIES[:1], "LE*2700"), []),
        (("NM1*70*1*ALDER", "NM1*70*1*ALDER"), ["IK3*NM1*10*2100B*4"]),
        (("NM1*31*1", *COVERAGE), ["IK3*N3*10*2100C*3", "IK3*N4*10*2100C*3"]),
        (("NM1*31*1", *ADA), ["IK3*N3*10*2100C*3", "IK3*N4*10*2100C*3"]),
        (("NM1*XX*1*WHO",), ["IK3*NM1*9**2"]),
        ((*COVERAGE, "DTP*356*D8*20260101"), ["IK3*DTP*11*2300*8"]),
        ((*COVERAGE, *CATEGORIES[:3], "REF*AA*1", "LE*2700"), ["IK3*REF*14*2750*8"]),
    ],
)
def test_what_does_not(segments: tuple[str, ...], told: list[str]) -> None:
    assert ik3(*segments) == told


def test_the_header() -> None:
    assert of_set(*HEADER) == ["IK3*INS*5*2000*3"]
    assert of_set(*HEADER[1:], *ADA) == ["IK3*BGN*2**3"]
    assert of_set(HEADER[0], *ADA) == ["IK3*N1*3*1000A*3", "IK3*N1*3*1000B*3"]
    assert of_set() == ["IK3*BGN*2**3", "IK3*N1*2*1000A*3", "IK3*N1*2*1000B*3", "IK3*INS*2*2000*3"]
    assert of_set(HEADER[0], "QTY*TO*1", "QTY*ET*1", "QTY*DT*1", "QTY*TO*1", *HEADER[1:], *ADA) == ["IK3*QTY*6**5"]
    assert of_set(*HEADER, *(["N1*BO*BROKER*94*123"] * 3), *ADA) == ["IK3*N1*7*1000C*4"]


def test_the_member() -> None:
    ins, ref, nm1, dmg = ADA
    assert of_set(*HEADER, ins, nm1, dmg) == ["IK3*REF*6*2000*3"]
    assert of_set(*HEADER, ins, ref, ins, ref, nm1) == ["IK3*NM1*7*2100A*3"]
    assert of_set(*HEADER, ins, ref, dmg) == ["IK3*DMG*7**2", "IK3*NM1*8*2100A*3"]
    assert of_set(*HEADER, ins, ref, ref, nm1) == ["IK3*REF*7*2000*5"]
    assert of_set(*HEADER, ins, "REF*17*A", ref, "REF*1L*G", "REF*23*B", nm1) == []
    assert of_set(*HEADER, ins, ref, "NM1*70*1*OLD", nm1) == []
    assert of_set(*HEADER, ins, ref, *(["REF*17*A"] * 14), nm1) == ["IK3*REF*20*2000*5"]


def test_an_unknown_qualifier_is_a_wrong_code_of_this_loop() -> None:
    ins, ref, nm1, dmg = ADA
    data = join(interchange(one_set(*HEADER, ins, ref, "REF*XX*1", "REF*ZA*2", nm1, dmg)))
    told = ["IK3*REF*7*2000*8", "IK4*1*128*7", "IK3*REF*8*2000*8", "IK4*1*128*7", "IK5*E*5"]
    assert said(data) == told


def test_no_more_than_the_most_is_listed_and_the_rest_is_counted() -> None:
    data = enrolled(*["LUI*LE*SPA**9"] * 30)
    answer, done = answered(data, most=10)
    assert answer.count(b"IK3*") == 10
    assert done.unlisted == 20
    assert done.causes["element.not_in_code_list"] == 30
    assert answered(data, most=30)[1].unlisted == 0


def test_errors_beyond_the_most_are_not_kept_in_memory() -> None:
    def peak(count: int) -> int:
        data = enrolled(*["LUI*LE*SPA**9"] * count)
        tracemalloc.start()
        answered(data, most=10)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found - len(data)

    assert peak(16_000) < peak(4_000) + 400_000
