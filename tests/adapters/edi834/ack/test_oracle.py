"""Our 999 beside pyx12's, for files without repeats: the same segments in error, the same elements, the same codes.

Where we differ on purpose, `_as_pyx12` says so, one rule a line.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.edi834.ack.answers import ADA, HEADER, answer_of, interchange, one_set, segments_of
from tests.adapters.edi834.files import join
from tests.conftest import missing

CRAFTED = (
    *("bad_1109_Q", "bad_1109_lower", "bad_cdc_in_c05601", "bad_comma", "bad_gender_X", "bad_notcdc", "dep_first"),
    *("dmg11", "isa11_U", "lui_bcp47", "lui_desc", "lui_desc_ok", "lui_lower", "lui_no_07", "lui_nouse", "mena_new"),
    *("ok_both", "ok_gender_U", "sogi_2750"),
)
SAMPLES = (
    *("LinuxForHealth__add-dependent.834", "LinuxForHealth__cancel-dependent.834", "LinuxForHealth__demo.834"),
    *("LinuxForHealth__change-subscriber-information.834", "LinuxForHealth__reinstate-employee.834"),
    *("LinuxForHealth__reinstate-employee-coverage-level.834", "LinuxForHealth__terminate-subscriber-eligibility.834"),
    *("azoner__834_deident_family.txt", "azoner__834_deident_term.txt", "azoner__834_ls_le_ls.txt"),
    *("azoner__multiple_st_loops.txt", "emedny_MCE834Sample_2.txt", "impendjcs__resources_valid-834.edi"),
    *("mimilabs__sample_834_03.txt", "mimilabs__sample_834_04.txt", "mimilabs__sample_834_06.txt"),
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def pyx12(data: bytes, folder: Path) -> list[str]:
    """AK and IK segments of pyx12's 999, without the values that it sends back and the positions of loops."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from pyx12.params import ParamsBase
            from pyx12.x12n_document import x12n_document
        except ImportError:
            missing("pyx12 is not installed")
        (folder / "f.834").write_bytes(data)
        out = io.StringIO()
        x12n_document(ParamsBase(), str(folder / "f.834"), out, None)
    found = [segment.strip() for segment in out.getvalue().split("~")]
    return [_without(segment) for segment in found if segment.startswith(("AK", "IK"))]


def _without(segment: str) -> str:
    cells = segment.split("*")
    if cells[0] == "IK4":
        cells = cells[:4]
    if cells[0] == "IK3":
        cells[3] = ""
    if cells[0] in ("AK9", "IK5"):
        cells = [cells[0], *sorted(cells[2:])] if cells[0] == "IK5" else cells[:1] + cells[2:4]
    return "*".join(cells)


def _as_pyx12(segments: list[str]) -> list[str]:
    found = [_without(segment) for segment in segments]
    rules = (
        (r"(IK3\*.*)\*[27]$", r"\1*1"),  # we tell what is out of order or not expected from what nobody knows
        (r"(IK4\*.*)\*I6$", r"\1*7"),  # a code of the standard that the guide leaves out is not an unknown one
        (r"(IK4\*.*)\*I10$", r"\1*10"),  # `not used` is a matter of the guide, not an exclusion of the standard
        (r"^IK5\*I5$", "IK5*5"),  # and so is what follows for the set
        (r"^IK5\*5\*I5$", "IK5*5"),
    )
    for pattern, replacement in rules:
        found = [re.sub(pattern, replacement, segment) for segment in found]
    return found


def agree(data: bytes, folder: Path) -> None:
    ours = _as_pyx12(segments_of(answer_of(data), "AK1", "AK2", "IK3", "IK4", "IK5", "AK9"))
    assert ours == pyx12(data, folder)
    assert len(ours) >= 4


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_files(name: str, shared: Path, tmp_path: Path) -> None:
    agree((shared / f"edi834/samples/crafted/{name}.edi").read_bytes(), tmp_path)


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str, shared: Path, tmp_path: Path) -> None:
    agree((shared / "edi834/samples" / name).read_bytes(), tmp_path)


INS, REF, NM1, DMG = ADA
HD = ("HD*030**HLT", "DTP*348*D8*20260101")
FAULTY: dict[str, tuple[str, ...]] = {
    "nothing": ADA,
    "two members": (*ADA, *HD, INS.replace("Y*18", "N*19"), REF, NM1, *HD, *HD),
    "no name": (INS, REF, *HD, *ADA),
    "no subscriber number": (INS, NM1, DMG),
    "a stray segment": (INS, "XYZ*1", REF, NM1),
    "too many": (*ADA, *(["AMT*B9*1"] * 9)),
    "dmg twice": (*ADA, DMG),
    "old values": (INS, REF, "NM1*74*1*NEW*ADA", DMG, "NM1*70*1*OLD*ADA", "DMG*D8*19800131*M"),
    "cob too often": (*ADA, *HD, *(["COB*P*X1*1"] * 6)),
    "wrong birth date": (*ADA[:3], "DMG*D8*19801331*F"),
    "wrong relationship": ("INS*Y*99*030*XN*A***FT", REF, NM1),
    "wrong codes": ("INS*Y*18*999*ZZ*X***QQ", REF, NM1, "DMG*D8*19800131*K**$*9*"),
    "too long": (INS, REF, f"NM1*IL*1*{'A' * 61}*ADA", f"N3*{'B' * 56}", f"N4*{'C' * 31}*NY*1"),
    "address": (INS, REF, NM1, "N3*1 MAIN", "N4*TOWN*NY*10001", DMG),
    "languages": (*ADA, "LUI*LE*SPA**7", "LUI*LD*ENG**8", "LUI***SPANISH*6"),
    "categories": (*ADA, *HD, "LS*2700", "LX*1", "N1*75*REGION", "REF*17*NORTH", "LX*2", "N1*75*UNIT", "LE*2700"),
    "providers": (*ADA, *HD, "LX*1", "NM1*P3*1*DOCTOR*****XX*1234567893*25", "COB*P*X1*1", "NM1*IN*2*OTHER"),
    "not a number": (*ADA, "ICM*1*12,50"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_crafted_errors(name: str, tmp_path: Path) -> None:
    agree(join(interchange(one_set(*HEADER, *FAULTY[name])), end="\n"), tmp_path)


@pytest.mark.parametrize(("right", "wrong"), [("SE*9*0001", "SE*8*0001"), ("SE*9*0001", "SE*9*0002")])
def test_counts_and_control_numbers(right: str, wrong: str, tmp_path: Path) -> None:
    agree(join(interchange(one_set(*HEADER, *ADA))).replace(right.encode(), wrong.encode()), tmp_path)


LOST = ["IK3*REF*6**1", "IK3*NM1*7**1", "IK3*INS*7**3"]  # a member whose INS pyx12 does not take for one


@pytest.mark.parametrize(
    ("segments", "ours", "theirs"),
    [
        # what is missing at the end is expected where the SE stands, not before it
        ((), ["IK3*INS*5**3"], ["IK3*INS*4**3"]),
        # the required segment of a loop that repeats at once
        ((*ADA, HD[0], *HD), ["IK3*DTP*10**3"], []),
        # the place and the code of what is too much
        ((*ADA[:3], "DMG*D8*19800131*F**C*1****REC*2*X"), ["IK3*DMG*8**8", "IK4*12**3"], ["IK3*DMG*8**8"]),
        # pairs inside a composite, and pairs of elements
        ((*ADA[:3], "DMG*D8*19800131*F**:RET"), ["IK3*DMG*8**8", "IK4*5:3*1271*2"], []),
        ((*ADA, "LUI*LE"), ["IK3*LUI*9**8", "IK4*2*67*2"], ["IK3*LUI*9**8"]),
        # a code that is not in the list, of a segment that nothing else could be
        (("INS*Q*18*030**A", REF, NM1), ["IK3*INS*5**8", "IK4*1*1073*7"], ["IK3*INS*5**1", *LOST]),
        # a date of another kind: the same
        ((*ADA, *HD, "DTP*356*D8*20260101"), ["IK3*DTP*11**8", "IK4*1*374*7"], ["IK3*DTP*11**1"]),
    ],
)
def test_where_pyx12_says_less(segments: tuple[str, ...], ours: list[str], theirs: list[str], tmp_path: Path) -> None:
    data = join(interchange(one_set(*HEADER, *segments)))
    told = _as_pyx12(segments_of(answer_of(data), "IK3", "IK4"))
    assert told == ours
    assert [segment for segment in pyx12(data, tmp_path) if segment[:3] in ("IK3", "IK4")] == theirs


def test_pyx12_rejects_an_enrolment_for_a_race_code_and_we_do_not() -> None:
    data = join(interchange(one_set(*HEADER, *ADA[:3], "DMG*D8*19800131*F**b")))
    assert segments_of(answer_of(data), "IK5", "AK9") == ["IK5*E*5", "AK9*E*1*1*1"]
