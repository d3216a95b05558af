"""TA1, AK9 and IK5: what is wrong with interchanges, groups and sets, and what is answered to it."""

from __future__ import annotations

import pytest

from fhir_equity.adapters.edi834.ack import Wish
from fhir_equity.errors import UnreadableError
from tests.adapters.edi834.ack.answers import (
    ADA,
    GS,
    HEADER,
    answer_of,
    answered,
    interchange,
    one_set,
    segments_of,
)
from tests.adapters.edi834.files import isa, join

GOOD = interchange(one_set(*HEADER, *ADA))
OLD = "IEA*1*000000001"


def swapped(old: str, new: str, parts: list[str] = GOOD) -> bytes:
    """A file in which one text stands for another."""
    assert any(old in part for part in parts)
    return join([part.replace(old, new) for part in parts])


def ta1(data: bytes) -> str:
    """TA104 and TA105."""
    (segment,) = segments_of(answer_of(data), "TA1")
    assert segment.startswith("TA1*")
    return "*".join(segment.split("*")[4:])


def ak(data: bytes) -> list[str]:
    """IK5 and AK9."""
    return segments_of(answer_of(data), "IK5", "AK9")


def test_the_whole_answer_to_a_good_file() -> None:
    names = f"ZZ*{'RECEIVER':15}*ZZ*{'SENDER':15}"
    assert segments_of(answer_of(join(GOOD))) == [
        f"ISA*00*{'':10}*00*{'':10}*{names}*260115*1230*^*00501*000000001*0*T*:",
        "TA1*000000001*260101*1200*A*000",
        "GS*FA*RECEIVER*SENDER*20260115*1230*7*X*005010X231A1",
        "ST*999*0001*005010X231A1",
        "AK1*BE*7*005010X220A1",
        "AK2*834*0001*005010X220A1",
        "IK5*A",
        "AK9*A*1*1*1",
        "SE*6*0001",
        "GE*1*7",
        "IEA*1*000000001",
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (OLD, "IEA*1*000000002", "R*001"),
        ("*ZZ*SENDER ", "*QQ*SENDER ", "E*005"),
        ("SENDER         *ZZ", "               *ZZ", "E*006"),
        ("*ZZ*RECEIVER ", "*99*RECEIVER ", "E*007"),
        ("RECEIVER       *260101", "               *260101", "E*008"),
        ("ISA*00", "ISA*04", "E*010"),
        ("          *00*", "          *02*", "E*012"),
        ("260101*1200*^", "261301*1200*^", "E*014"),
        ("260101*1200*^", "260101*1260*^", "E*015"),
        ("1200*^", "1200*U", "E*016"),
        ("*00501*", "*00401*", "E*017"),
        ("*0*T*:", "*2*T*:", "E*019"),
        ("*0*T*:", "*0*X*:", "E*020"),
        (OLD, "IEA*2*000000001", "R*021"),
        (OLD, "IEA**000000001", "R*021"),
        ("GE*1*7", "HD*030**HLT~GE*1*7", "E*022"),
        ("GE*1*7", "INS*Y*18*030~GE*1*7", "R*022"),
        ("GE*1*7", "SE*1*0001~GE*1*7", "R*022"),
        (GS, "REF*1*1", "R*022"),
        ("SENDER         *", "SENDER*", "E*022"),
        ("*RECEIVER*2026", "*R*2026", "E*024"),
        ("20260101*1200*7*X", "20261301*1200*7*X", "E*024"),
        ("*7*X*005010X220A1", "*7*X*005010X220A1*MORE", "E*024"),
    ],
)
def test_the_interchange(old: str, new: str, told: str) -> None:
    assert ta1(swapped(old, new)) == told


def test_a_control_number_that_is_none() -> None:
    data = swapped("000000001", "00000000A")
    assert ta1(data) == "R*018"
    assert segments_of(answer_of(data))[0].split("*")[13] == "000000001"


@pytest.mark.parametrize("left", range(2, 14))
def test_a_file_that_stops_early_is_rejected(left: int) -> None:
    assert ta1(join(GOOD[:-1][:left])) == "R*023"
    assert not segments_of(answer_of(join(GOOD[:-1][:left])), "GS", "AK9")


def test_a_rejected_interchange_has_no_999_and_its_sets_are_not_counted() -> None:
    answer, done = answered(swapped(OLD, "IEA*1*000000002"))
    assert [segment[:3] for segment in segments_of(answer)] == ["ISA", "TA1", "IEA"]
    assert segments_of(answer)[-1] == "IEA*0*000000001"
    assert (dict(done.interchanges), dict(done.groups), dict(done.sets)) == ({"R": 1}, {}, {})
    assert done.causes == {"x12.iea02.control_number_differs": 1}


def test_what_rejects_is_told_before_what_does_not() -> None:
    data = join([GOOD[0].replace("*0*T*:", "*2*T*:"), *GOOD[1:-1], "IEA*2*000000001"])
    assert ta1(data) == "R*021"


def test_the_same_number_twice() -> None:
    data = join([*GOOD, *GOOD])
    assert [s.split("*")[4:] for s in segments_of(answer_of(data), "TA1")] == [["A", "000"], ["R", "025"]]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("GS*BE", "GS*HC", ["AK9*R*1*1*0*1"]),
        ("*X*005010X220A1", "*X*005010X221A1", ["AK9*R*1*1*0*2"]),
        ("GE*1*7~", "", ["IK5*A", "AK9*R*1*1*0*3"]),
        ("GE*1*7", "GE*1*8", ["IK5*A", "AK9*R*1*1*0*4"]),
        ("GE*1*7", "GE*3*7", ["IK5*A", "AK9*R*3*1*0*5"]),
        ("GE*1*7", "GE*x*7", ["IK5*A", "AK9*R*1*1*0*5"]),
        ("GE*1*7", "GE*999999*7", ["IK5*A", "AK9*R*999999*1*0*5"]),
        ("GE*1*7", "GE*1000000*7", ["IK5*A", "AK9*R*1*1*0*5"]),
        ("*1200*7*X", "*1200*7A*X", ["IK5*A", "AK9*R*1*1*0*4*6"]),
        ("ST*834", "ST*837", ["IK5*R*1", "AK9*R*1*1*0"]),
        ("SE*9*0001~", "", ["IK5*R*2", "AK9*R*1*1*0"]),
        ("SE*9*0001", "SE*9*0002", ["IK5*R*3", "AK9*R*1*1*0"]),
        ("SE*9*0001", "SE*8*0001", ["IK5*R*4", "AK9*R*1*1*0"]),
        ("SE*9*0001", "SE*8*0002", ["IK5*R*4*3", "AK9*R*1*1*0"]),
        ("0001*005010X220A1", "0001*005010X777", ["IK5*R*I6", "AK9*R*1*1*0"]),
        ("0001*005010X220A1", "0001", ["IK5*E*5", "AK9*E*1*1*1"]),
        ("*F**C", "*F**b", ["IK5*E*5", "AK9*E*1*1*1"]),
        ("*F**C", "*X**b", ["IK5*E*I5*5", "AK9*E*1*1*1"]),
    ],
)
def test_groups_and_sets(old: str, new: str, told: list[str]) -> None:
    text = "".join(part + "~" for part in GOOD)
    assert old in text
    assert ak(text.replace(old, new, 1).encode()) == told


def test_a_set_control_number_that_is_too_short() -> None:
    data = join(interchange(one_set(*HEADER, *ADA, number="1")))
    assert segments_of(answer_of(data), "AK2", "IK3", "IK4", "IK5", "AK9") == [
        *("AK2*834*1*005010X220A1", "IK3*ST*1**8", "IK4*2*329*4", "IK5*E*5*7", "AK9*E*1*1*1")
    ]


def test_what_is_copied_has_no_more_than_its_place() -> None:
    data = join(interchange(one_set(*HEADER, *ADA, number="1234567890", version="V" * 36)))
    answer, done = answered(data)
    assert segments_of(answer, "AK2") == [f"AK2*834*123456789*{'V' * 35}"]
    assert done.causes == {"x12.version.unknown": 1}


def test_no_more_than_five_codes_those_that_reject_first() -> None:
    bad = [*one_set(*HEADER, *ADA[:3], "DMG*D8*19800131*X**b", number="1")[:-1], "SE*1*9"]
    data = join(interchange(bad, bad))
    first, second = segments_of(answer_of(data), "IK5")
    assert first == "IK5*R*4*3*5*7*I5"
    assert second == "IK5*R*4*3*23*5*7"


def test_causes_are_counted_once() -> None:
    data = join(interchange([*one_set(*HEADER, *ADA[:3], "DMG*D8*19800131*F**b")[:-1], "SE*1*9"]))
    answer, done = answered(data)
    assert segments_of(answer, "IK5") == ["IK5*R*4*3*5"]
    assert done.causes == {
        "element.not_in_code_list": 1,
        "x12.se01.count_differs": 1,
        "x12.se02.control_number_differs": 1,
    }


def test_some_sets_of_a_group() -> None:
    good, bad = one_set(*HEADER, *ADA), [*one_set(*HEADER, *ADA, number="0002")[:-1], "SE*9*9"]
    faulty = one_set(*HEADER, *ADA[:-1], "DMG*D8*19800131*F**b", number="0003")
    assert ak(join(interchange(good, bad, faulty))) == ["IK5*A", "IK5*R*3", "IK5*E*5", "AK9*P*3*3*2"]
    assert ak(join(interchange(bad)))[-1] == "AK9*R*1*1*0"
    assert ak(join(interchange(good, good))) == ["IK5*A", "IK5*E*23", "AK9*E*2*2*2"]
    assert ak(join(interchange())) == ["AK9*A*0*0*0"]


def test_several_groups_and_interchanges() -> None:
    one = one_set(*HEADER, *ADA)
    group = [GS, *one, "GE*1*7"]
    first = [isa(), *group, *group, "IEA*2*000000001"]
    second = [isa("000000002"), *group, "IEA*1*000000002"]
    found = segments_of(answer_of(join([*first, *second])), "ISA", "TA1", "ST", "AK9", "IEA")
    assert [segment[:20] for segment in found if not segment.startswith("ISA")] == [
        "TA1*000000001*260101",
        "ST*999*0001*005010X2",
        "AK9*A*1*1*1",
        "ST*999*0002*005010X2",
        "AK9*E*1*1*1*19",
        "IEA*2*000000001",
        "TA1*000000002*260101",
        "ST*999*0003*005010X2",
        "AK9*A*1*1*1",
        "IEA*1*000000002",
    ]


def test_one_of_the_two_answers() -> None:
    only_ta1 = segments_of(answer_of(join(GOOD), wish=Wish(sets=False)))
    assert [segment[:3] for segment in only_ta1] == ["ISA", "TA1", "IEA"]
    only_999 = segments_of(answer_of(join(GOOD), wish=Wish(ta1=False)), "TA1", "AK9", "IEA")
    assert only_999 == ["AK9*A*1*1*1", "IEA*1*000000001"]
    assert answer_of(join(GOOD[:-1]), wish=Wish(ta1=False)) == b""


def test_control_numbers_of_ones_own() -> None:
    second = [isa("000000002"), GS, *one_set(*HEADER, *ADA), "GE*1*7", "IEA*1*000000002"]
    found = segments_of(answer_of(join([*GOOD, *second]), wish=Wish(control=41)), "ISA", "GS", "GE", "IEA")
    numbers = [s.split("*")[{"ISA": 13, "GS": 6}.get(s.split("*")[0], 2)] for s in found]
    assert numbers == ["000000041", "41", "41", "000000041", "000000042", "42", "42", "000000042"]


@pytest.mark.parametrize("marks", ["*:^~", "|>!\n", "\x1d\x1f\x1e\x1c", "+:^'", "*|^~"])
def test_the_answer_has_the_delimiters_of_the_file(marks: str) -> None:
    bad = interchange(one_set(*HEADER, *ADA[:-1], "DMG*D8*19800131*F**C^b"))
    answer = answer_of(join(bad, marks=marks)).decode()
    element, component, repetition, segment = tuple(marks)
    assert answer[3] == element
    assert answer[82] == repetition
    assert answer[104:106] == component + segment
    assert f"{segment}\nIK4{element}" in answer or segment == "\n"
    assert element.join(("IK4", component.join("512"), "1109", "7")) in answer


def test_without_a_repetition_separator_the_answer_has_one_all_the_same() -> None:
    answer = answer_of(swapped("1200*^", "1200*U"))
    assert answer[82:83] == b"^"
    assert answer_of(join([p.replace("*^*", "*U*") for p in GOOD], marks="^:!~"))[82:83] == b"!"


def test_an_unpadded_isa_is_answered_with_a_padded_one() -> None:
    answer = answer_of(swapped("SENDER         *", "SENDER*"))
    assert answer[105:106] == b"~"


def test_what_cannot_be_answered() -> None:
    for data, sentence in (
        (b"", "is empty"),
        (b"INS*Y~", "does not start with ISA"),
        (join([isa(), "TA1*000000001*260101*1200*A*000", "IEA*0*000000001"]), "acknowledgements only"),
        (answer_of(join(GOOD)), "acknowledgements only"),
    ):
        with pytest.raises(UnreadableError, match=sentence):
            answer_of(data)


def test_a_group_of_acknowledgements_is_passed_over_and_the_others_answered() -> None:
    theirs = segments_of(answer_of(join(GOOD)))[2:-1]
    data = join([GOOD[0], "TA1*000000001*260101*1200*A*000", *theirs, *GOOD[1:-1], "IEA*2*000000001"])
    assert segments_of(answer_of(data), "TA1", "AK9") == ["TA1*000000001*260101*1200*A*000", "AK9*A*1*1*1"]


def test_a_guide_that_we_have_not_whole_is_answered_for_its_envelope() -> None:
    data = join([part.replace("005010X220A1", "005010X307") for part in GOOD])
    answer, done = answered(data)
    assert segments_of(answer, "IK5", "AK9") == ["IK5*A", "AK9*A*1*1*1"]
    assert done.unchecked == 1
    assert answered(join(GOOD))[1].unchecked == 0
    assert answered(swapped("ST*834", "ST*837"))[1].unchecked == 0


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\r", "   "])
def test_line_ends_change_nothing(end: str) -> None:
    assert answer_of(join(GOOD, end=end)) == answer_of(join(GOOD))
    assert answer_of(join(GOOD)[:-1]) == answer_of(join(GOOD))
