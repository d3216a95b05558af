"""IK4: each kind of error at its place, and nothing for what is right."""

from __future__ import annotations

import pytest

from tests.adapters.edi834.ack.answers import ADA, HEADER, enrolled, interchange, one_set, said
from tests.adapters.edi834.files import join


def ik4(*segments: str) -> list[str]:
    """The IK4 and CTX for segments added to Ada's."""
    return [segment for segment in said(enrolled(*segments)) if segment.startswith(("IK4", "CTX"))]


def of_ada(place: int, segment: str) -> list[str]:
    """What is said when one of Ada's own segments is another."""
    mine = [*ADA[:place], segment, *ADA[place + 1 :]]
    return said(join(interchange(one_set(*HEADER, *mine))))


def test_a_file_without_a_fault() -> None:
    assert said(enrolled("LUI*LE*SPA**7", "HD*030**HLT", "DTP*348*D8*20260101")) == ["IK5*A"]


@pytest.mark.parametrize(
    ("race", "told"),
    [
        ("b", ["IK4*5:1*1109*7"]),
        ("C^b", ["IK4*5:1:2*1109*7"]),
        ("C^B^:RET:2106-3^b", ["IK4*5:1:4*1109*7"]),
        ("^".join("CBHIAEFGJNO"), ["IK4*5**12"]),
        ("^".join("CBHIAEFGJN"), []),
        ("^".join("bBHIAEFGJNO"), ["IK4*5**12", "IK4*5:1:1*1109*7"]),
        ("Q", ["IK4*5:1*1109*I6"]),
        ("W", ["IK4*5:1*1109*I6"]),
        ("2106-3", ["IK4*5:1*1109*5", "IK4*5:1*1109*7"]),
        (":RET", ["IK4*5:3*1271*2", "CTX*SITUATIONAL TRIGGER*DMG*8*2100A*5:2*1270"]),
        ("::2106-3", ["IK4*5:2*1270*2", "CTX*SITUATIONAL TRIGGER*DMG*8*2100A*5:3*1271"]),
        ("C^:RET", ["IK4*5:3:2*1271*2", "CTX*SITUATIONAL TRIGGER*DMG*8*2100A*5:2:2*1270"]),
        (":REC:2106-3", ["IK4*5:2*1270*7"]),
        ("C:RET:2106-3:X", ["IK4*5:4**13"]),
        ("C:::", []),
        ("C:RET:2106-3", []),
    ],
)
def test_race(race: str, told: list[str]) -> None:
    found = of_ada(3, f"DMG*D8*19800131*F**{race}")
    if told:
        assert found[0] == "IK3*DMG*8*2100A*8"
        assert found[1:-1] == told
    else:
        assert found == ["IK5*A"]


@pytest.mark.parametrize(
    ("dmg", "told"),
    [
        ("DMG*D8*19800231*F", ["IK4*2*1251*8"]),
        ("DMG*D8*800131*F", ["IK4*2*1251*8"]),
        ("DMG*D8**F", ["IK4*2*1251*1"]),
        ("DMG**19800131*F", ["IK4*1*1250*1"]),
        ("DMG*D9*19800131*F", ["IK4*1*1250*7"]),
        ("DMG*D8*19800131*X", ["IK4*3*1068*I6"]),
        ("DMG*D8*19800131*K", ["IK4*3*1068*7"]),
        ("DMG*D8*19800131*F^M", ["IK4*3*1068*12"]),
        ("DMG*D8*19800131*F:M", ["IK4*3*1068*13"]),
        ("DMG*D8*19800131*F****US", ["IK4*7*26*I10"]),
        ("DMG*D8*19800131*F**C*****REC", ["IK4*11*1271*2", "CTX*SITUATIONAL TRIGGER*DMG*8*2100A*10*1270"]),
        ("DMG*D8*19800131*F**C******2", ["IK4*10*1270*2", "CTX*SITUATIONAL TRIGGER*DMG*8*2100A*11*1271"]),
        ("DMG*D8*19800131*F*******REC*2", ["IK4*5**2", "CTX*SITUATIONAL TRIGGER*DMG*8*2100A*11*1271"]),
        ("DMG*D8*19800131*F**C*****REC*2*MORE", ["IK4*12**3"]),
        ("DMG*D8*19800131*F**C*****REC*2*", []),
        ("DMG*D8*19800131*F *********", []),
    ],
)
def test_demographics(dmg: str, told: list[str]) -> None:
    found = of_ada(3, dmg)
    assert found[1:-1] == told
    assert found[-1] == ("IK5*A" if not told else "IK5*E*I5" if told[0][-3:] in ("*I6", "I10") else "IK5*E*5")


@pytest.mark.parametrize(
    ("segment", "told"),
    [
        ("LUI*LE*SPA**9", ["IK4*4*1303*7"]),
        ("LUI*LE", ["IK4*2*67*2", "CTX*SITUATIONAL TRIGGER*LUI*9*2100A*1*66"]),
        ("LUI****7", ["IK4*2*67*2", "CTX*SITUATIONAL TRIGGER*LUI*9*2100A*4*1303"]),
        ("LUI***SPANISH*7", []),
        ("LUI*LE*SPA**7*1", ["IK4*5*1476*I10"]),
        ("LUI*LE*E\x07**7", ["IK4*2*67*6"]),
        ("LUI*LE*S", ["IK4*2*67*4"]),
        ("LUI*LE*spa**7", []),
        ("LUI*LE*SPA*ESPA\xd1OL*7", []),
        ("EC*01", []),
        ("ICM*1*12.50", []),
        ("ICM*1*12,50", ["IK4*2*782*6"]),
        ("ICM*1*-.5", []),
        ("ICM*1*.", ["IK4*2*782*4", "IK4*2*782*6"]),
        ("HLH*N*5.25*110", []),
    ],
)
def test_the_segments_after(segment: str, told: list[str]) -> None:
    assert ik4(segment) == told


def test_a_utf8_character_counts_once() -> None:
    words = "Ñ" * 80
    assert ik4(f"LUI***{words.encode().decode('latin-1')}*7") == []
    assert ik4(f"LUI***{words.encode().decode('latin-1')}N*7") == ["IK4*3*352*5"]


def test_periods_and_times() -> None:
    coverage = "HD*030**HLT"
    assert ik4(coverage, "DTP*348*RD8*20260101-20261231") == []
    assert ik4(coverage, "DTP*348*RD8*20260101") == ["IK4*3*1251*8"]
    assert ik4(coverage, "DTP*348*RD8*20260101-20261331") == ["IK4*3*1251*8"]
    assert ik4(coverage, "DTP*348*D8*20260101-20261231") == ["IK4*3*1251*8"]
    for time, code in (("2561", "9"), ("120", "4"), ("1200", ""), ("235959", ""), ("23595999", "")):
        header = [f"BGN*00*1*20260101*{time}****4", *HEADER[1:]]
        found = [s for s in said(join(interchange(one_set(*header, *ADA)))) if s.startswith("IK4")]
        assert found[:1] == ([f"IK4*4*337*{code}"] if code else [])


@pytest.mark.parametrize(
    ("types", "told"),
    [
        ("1", []),
        ("1^48^35", []),
        ("1^^35", []),
        ("Q", ["IK4*4*1365*7"]),
        ("1^Q", ["IK4*4::2*1365*7"]),
        ("1^1:2", ["IK4*4::2*1365*13"]),
        ("^".join(["1"] * 10), ["IK4*4*1365*12"]),
    ],
)
def test_an_element_that_repeats(types: str, told: list[str]) -> None:
    assert ik4("HD*030**HLT", "DTP*348*D8*20260101", f"COB*P*X1*1*{types}") == told


def test_either_or() -> None:
    city = "N4*TOWN*NY*10001"
    mine = [*ADA[:3], "N3*1 MAIN", f"{city}****ON", ADA[3]]
    assert said(join(interchange(one_set(*HEADER, *mine))))[1:-1] == [
        "IK4*7*1715*10",
        "CTX*SITUATIONAL TRIGGER*N4*9*2100A*2*156",
        "IK4*4*26*2",
        "CTX*SITUATIONAL TRIGGER*N4*9*2100A*7*1715",
    ]


def test_a_quantity_needs_one_of_two() -> None:
    header = ["BGN*00*1*20260101*1200****4", "QTY*TO", *HEADER[1:]]
    assert said(join(interchange(one_set(*header, *ADA))))[1:-1] == ["IK4*2*380*1"]


def test_values_are_told_only_when_asked_for() -> None:
    data = enrolled("LUI*LE*SPA**9")
    assert "IK4*4*1303*7" in said(data)
    assert "IK4*4*1303*7*9" in said(data, with_values=True)
    assert "CTX*SUBSCRIBER NUMBER REF02:S1" in said(data, with_values=True)
    assert not [segment for segment in said(data) if "S1" in segment]
