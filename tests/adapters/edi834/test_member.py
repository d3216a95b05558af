"""Which segments are the member's own, who the member is, and what the envelope of a member says."""

from __future__ import annotations

import pytest

from fhir_equity.adapters.edi834.dates import iso_date
from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import TableError
from fhir_equity.model import Address, Enrollment, Identifier, Member, Name, Rejected
from tests.adapters.edi834.files import ADA, GUIDE, codes, codings, file, members, only, read

INS, REF, NM1, DMG = ADA
CHILD = "INS*N*19*030"


def test_a_whole_member() -> None:
    member = only(
        *("INS*Y*18*030*28*A***FT*****R", "REF*0F*S1", "REF*1L*G1", "REF*17*X1", "REF*DX*none", "DTP*356*D8*20260101"),
        *("DTP*357*D8*20261231", "DTP*303*D8*20250101", "NM1*IL*1*ALDER*ADA*MAY*DR*JR*ZZ*M1", "PER*IP**TE*5550100"),
        *("N3*1 OAK WAY*APT 2", "N4*SAMPLETON*OR*97001**CY*033", "DMG*D8*19800131*F**C"),
        *("LUI*LE*SPA**7", "HD*021**HLT*P1*IND", "DTP*348*D8*20260201", "DTP*349*D8*20261130", "REF*1L*OTHER"),
        *("REF*17*OTHER", "HD*021**DEN", "DTP*348*D8*20260301"),
    )
    assert member.partner == "plan"
    assert (member.key, member.key_rule) == ("M1", "NM109")
    assert member.identifiers == (
        Identifier("", "S1", "REF*0F"),
        Identifier("", "X1", "REF*17"),
        Identifier("", "M1", "NM109"),
    )
    assert member.name == Name("ALDER", ("ADA", "MAY"), "DR", "JR")
    assert member.birth_date == "1980-01-31"
    assert member.address == Address(("1 OAK WAY", "APT 2"), "SAMPLETON", "OR", "97001", "", "033")
    assert member.enrollment == Enrollment(
        subscriber=True,
        relationship="18",
        maintenance="030",
        subscriber_key="S1",
        group="G1",
        coverage="HLT",
        spans=(("2026-02-01", "2026-11-30"),),
        other_coverages=(("DEN", (("2026-03-01", ""),)),),
        restricted=True,
        reason="28",
        benefit="A",
        employment="FT",
        references=(("DX", "none"),),
    )
    assert [answer.topic for answer in member.answers] == ["sex", "race_ethnicity", "language_spoken"]
    assert (member.findings, member.resource) == ((), None)
    lost = ("PER", "REF", "DTP*303", "HD04", "HD05")
    assert {loss.rule for loss in member.losses} == {f"x12.not_kept.{what}" for what in lost}


def test_a_bare_member() -> None:
    member = only("INS*N*19", "REF*17*X", "NM1*IL*1*ALDER")
    assert member.name == Name("ALDER")
    assert member.address == Address()
    assert member.enrollment == Enrollment(subscriber=False, relationship="19", maintenance="030")
    assert (member.birth_date, member.answers) == ("", ())


def test_the_attestation_says_where_answers_come_from() -> None:
    said = {"collector": "plan", "method": "self", "standard": "omb1997", "question": "form-7"}
    (member,) = members(file(ADA), Context(partner="p", guide=GUIDE, attestation=said))
    origin = member.answers[0].origin
    assert (origin.collector, origin.method, origin.standard, origin.question) == tuple(said.values())
    assert (origin.partner, origin.artefact, origin.collected_on) == ("p", "f.834", "")
    plain = only(*ADA).answers[0].origin
    assert (plain.collector, plain.method, plain.standard, plain.question) == ("other", "unstated", "", "")


@pytest.mark.parametrize(
    ("dates", "lost"),
    [
        (("DTP*336*D8*20260101", "DTP*356*D8*20260101", "DTP*336*D8*20260201"), ["DTP*336"]),
        (("DTP*3X6*D8*20260101",), ["DTP"]),
        (("DTP*357*D8*20260101", "DTP"), []),
    ],
)
def test_dates_that_are_not_kept(dates: tuple[str, ...], lost: list[str]) -> None:
    member = only(INS, REF, *dates, NM1, DMG, "HD*030**HLT", *dates[:1], "HD*030**HLT")
    assert [loss.rule for loss in member.losses][: len(lost)] == [f"x12.not_kept.{what}" for what in lost]


def test_the_other_elements_of_ins() -> None:
    found = only("INS*N*19*030*XN*C*A*1**F*Y*D8*20260131*U*A*B*C*2", *ADA[1:])
    enrollment = found.enrollment
    assert (enrollment.reason, enrollment.benefit, enrollment.employment, enrollment.student) == ("XN", "C", "", "F")
    assert (enrollment.disability, enrollment.deceased_on, enrollment.birth_sequence) == ("Y", "2026-01-31", "2")
    assert {loss.rule for loss in found.losses} == {f"x12.not_kept.INS{n:02}" for n in (6, 7, 14, 15, 16)}


@pytest.mark.parametrize("death", ["D8*20260231", "RD8*20260131", "*20260131", "D8*"])
def test_a_date_of_death_that_is_none(death: str) -> None:
    (member,) = members(file((f"INS*N*19*030********{death}", *ADA[1:])))
    assert member.enrollment.deceased_on == ""
    assert [(f.code, f.locator.path) for f in member.findings] == [("x12.ins12.not_a_date", "INS12")]


def test_other_references_are_kept_as_sent() -> None:
    member = only(INS, REF, "REF*3H*19;10;CASE;;", "REF*6O*X Y", "REF*QQ*1", "REF*QQ*1", NM1, DMG)
    assert member.enrollment.references == (("3H", "19;10;CASE;;"), ("6O", "X Y"), ("QQ", "1"))
    assert [i.kind for i in member.identifiers] == ["REF*0F", "NM109"]


@pytest.mark.parametrize(("code", "restricted"), [("R", True), ("U", False), ("", False)])
def test_ins13_restricts(code: str, restricted: bool) -> None:
    assert only(f"INS*Y*18*030**********{code}", *ADA[1:]).enrollment.restricted is restricted


def test_coded_elements_may_be_padded() -> None:
    member = only(
        "INS*Y *18 *030  *XN*A*****", "REF*0F *S1 ", "NM1*IL *1* ALDER *ADA****34 *M1 ", "DMG*D8*19800131 *F **C  "
    )
    assert member.name.family == "ALDER"
    assert member.identifiers == (Identifier("", "S1", "REF*0F"), Identifier("", "M1", "NM109", "ssn"))
    assert (member.birth_date, member.enrollment.maintenance) == ("1980-01-31", "030")
    assert codings(member, "race_ethnicity") == [("1109", "C")]


@pytest.mark.parametrize("who", ["IL", "74"])
def test_a_corrected_member_is_the_member_and_the_old_values_are_history(who: str) -> None:
    (member,) = members(
        file((INS, REF, f"NM1*{who}*1*NEW*ADA****ZZ*M1", DMG, "NM1*70*1*OLD*EVA", "DMG*D8*19700101*M**B"))
    )
    assert member.name.family == "NEW"
    assert member.birth_date == "1980-01-31"
    assert codings(member, "race_ethnicity") == [("1109", "C")]
    assert [a.topic for a in member.answers] == ["sex", "race_ethnicity"]
    assert [f.code for f in member.findings] == ["x12.2100b.old_values"]


def test_old_values_under_the_wrong_qualifier_stay_history() -> None:
    (member,) = members(file((INS, REF, NM1, "NM1*IL*1*OLD*EVA", "DMG*D8*19700101*M**B")))
    assert member.name.family == "ALDER"
    assert (member.birth_date, member.answers) == ("", ())


def test_addresses_of_others_are_not_the_residence() -> None:
    member = only(
        *(INS, REF, NM1, "N3*HOME", "N4*SAMPLETON*OR*97001", DMG, "NM1*31*1", "N3*MAIL", "N4*MAILTOWN*NY*10001"),
        *("NM1*QD*1*ELSE", "N3*THEIRS", "N4*OTHER*CA*90001", "HD*030**HLT", "LX*1", "NM1*Y2*2", "N3*CLINIC"),
        *("N4*CLINICTOWN*CA*90002", "COB*U*1*1", "NM1*IN*2*X", "N3*INSURER", "N4*DETROIT*MI*48202", "REF*17*Z"),
        *("LS*2700", "LX*1", "N1*75*SEX CODE", "REF*17*X", "DTP*348*D8*20260101", "LE*2700"),
    )
    assert member.address == Address(("HOME",), "SAMPLETON", "OR", "97001")
    assert member.identifiers == (Identifier("", "S1", "REF*0F"), Identifier("", "M1", "NM109"))
    assert member.enrollment.spans == ()


def test_only_a_mailing_address_is_no_residence() -> None:
    assert only(*ADA, "NM1*31*1", "N3*MAIL", "N4*MAILTOWN*NY*10001").address == Address()


def test_a_county_needs_its_qualifier() -> None:
    assert only(INS, REF, NM1, "N4*A*OR*97001*CA*60*X").address == Address((), "A", "OR", "97001", "CA", "")


def test_demographics_before_the_name_are_the_members() -> None:
    assert codings(only(INS, REF, DMG, "LUI*LE*SPA**7", NM1), "language_spoken") == [("LE", "SPA")]


@pytest.mark.parametrize("segment", ["DMG*D8*19700101*M**B", "LUI*LE*ENG**7"])
@pytest.mark.parametrize("after", ["HD*030**HLT", "LX*1", "COB*U*1*1", "LS*2700", "NM1*31*1"])
def test_demographics_in_a_loop_that_has_none_are_nobodys(segment: str, after: str) -> None:
    (member,) = members(file((*ADA, after, segment)))
    assert [f.code for f in member.findings] == [f"x12.{segment[:3].lower()}.out_of_place"]
    assert [a.topic for a in member.answers] == ["sex", "race_ethnicity"]


def test_a_member_that_lost_its_ins_does_not_vanish() -> None:
    (member,) = members(file((*ADA, "HD*030**HLT", "XNS*Y*18", "REF*0F*S2", "NM1*IL*1*FIRTH", "DMG*D8*19800131*F**C")))
    assert [f.code for f in member.findings] == [
        "x12.segment.unexpected",
        "x12.nm1.out_of_place",
        "x12.dmg.out_of_place",
    ]


def test_a_second_dmg_is_a_finding() -> None:
    (member,) = members(file((*ADA, "DMG*D8*19700101*M**B")))
    assert [f.code for f in member.findings] == ["x12.dmg.repeated"]
    assert member.birth_date == "1980-01-31"


KEYS = [
    (("INS*Y*18", "REF*17*X1", NM1), "M1", "NM109"),
    (("INS*Y*18", "REF*17*X1", "REF*23*C1", "NM1*IL*1*ALDER"), "X1", "REF*17"),
    (("INS*Y*18", "REF*17*202605;;202510;", "REF*23*C1", "NM1*IL*1*ALDER"), "C1", "REF*23"),
    (("INS*Y*18", "REF*0F*S1", "REF*17*;;1;", "REF*23*2;2;", "NM1*IL*1*ALDER"), "S1|self", "REF*0F+subscriber"),
    ((CHILD, "REF*0F*S1", "NM1*IL*1*ALDER*ADA****ZZ*S1", DMG), "S1|1980-01-31|ADA", "REF*0F+birth_date+given_name"),
    ((f"{CHILD}**************2", "REF*0F*S1", "NM1*IL*1*ALDER"), "S1|2", "REF*0F+INS17"),
    ((CHILD, "REF*0F*S1", "REF*17*S1", "REF*23*C9", "NM1*IL*1*ALDER"), "C9", "REF*23"),
    (("INS*Y*18", "NM1*IL*1*alder*ada", DMG), "ALDER|ADA|1980-01-31", "family_name+given_name+birth_date"),
    (("INS*Y*18", "REF*0F*S1", "NM1*IL*1*ALDER****ZZ*S1"), "S1|self", "REF*0F+subscriber"),
]


@pytest.mark.parametrize(("parts", "key", "rule"), KEYS)
def test_the_key_is_the_first_recipe_whose_parts_are_all_there(parts: tuple[str, ...], key: str, rule: str) -> None:
    (member,) = members(file(parts))
    assert (member.key, member.key_rule) == (key, rule)


@pytest.mark.parametrize("parts", [(CHILD, "REF*0F*S1", "NM1*IL*1*ALDER*ADA"), ("INS*Y*18", "NM1*IL*1*ALDER", DMG)])
def test_a_member_nobody_can_tell_from_others_is_rejected(parts: tuple[str, ...]) -> None:
    (item,) = read(file(parts))
    assert isinstance(item, Rejected)
    assert item.finding.code == "x12.member.no_identity"


@pytest.mark.parametrize("recipe", [[], ["NM110"], ["subscriber", "ref*17"]])
def test_a_recipe_that_cannot_be_used_is_told_at_once(recipe: list[str]) -> None:
    with pytest.raises(TableError, match=r"person\.key"):
        read(file(ADA), Context(guide={"person": {"key": [recipe]}}))


def test_people_who_share_a_key_all_come_out() -> None:
    twin = ("INS*Y*18", "REF*0F*S1", "NM1*IL*1*ALDER*EVA****ZZ*M1", DMG)
    assert [(m.key, m.name.given) for m in members(file(ADA, twin))] == [("M1", ("ADA",)), ("M1", ("EVA",))]


def test_a_reference_sent_twice() -> None:
    assert only(INS, REF, "REF*0F*S1", NM1, DMG).enrollment.subscriber_key == "S1"
    (member,) = members(file((INS, REF, "REF*0F*S2", "REF*17", "REF*17*", NM1, DMG)))
    assert member.enrollment.subscriber_key == "S1"
    assert [i.kind for i in member.identifiers] == ["REF*0F", "NM109"]
    assert [f.code for f in member.findings] == ["x12.ref.repeated"]


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("20240229", "2024-02-29"),
        ("20230229", ""),
        ("19000229", ""),
        ("20000229", "2000-02-29"),
        ("20261301", ""),
        ("20260100", ""),
        ("20260431", ""),
        ("00000101", ""),
        ("2026-1-1", ""),
        ("2026W101", ""),
        ("\xb2\xb20240101"[:8], ""),
        (" 20240101 ", "2024-01-01"),
        ("", ""),
        ("randomDoB", ""),
        ("20240101-20240201", ""),
    ],
)
def test_dates(value: str, day: str) -> None:
    assert iso_date(value) == day


@pytest.mark.parametrize(
    ("dmg", "expected"),
    [
        ("DMG*D8*20230229*F", ["x12.dmg02.not_a_date"]),
        ("DMG*D8**F", ["x12.dmg.p0102"]),
        ("DMG**19800131*F", ["x12.dmg.p0102"]),
        ("DMG***F", []),
        ("DMG*RD8*19800131-19810101*F", ["x12.dmg02.not_a_date"]),
        ("DMG", []),
    ],
)
def test_a_birth_date_that_is_none(dmg: str, expected: list[str]) -> None:
    assert codes(read(file((INS, REF, NM1, dmg)))) == expected


@pytest.mark.parametrize(
    ("purpose", "sent", "kept", "found"),
    [
        ("4", "021", "030", ["x12.ins03.not_verify"]),
        ("4", "030", "030", []),
        ("4", "", "030", []),
        ("2", "021", "021", []),
        ("2", "030", "030", []),
        ("RX", "021", "021", []),
    ],
)
def test_a_file_that_only_verifies_changes_no_enrollment(purpose: str, sent: str, kept: str, found: list[str]) -> None:
    data = file((f"INS*Y*18*{sent}*XN*A", *ADA[1:])).replace(b"****4~", f"****{purpose}~".encode())
    items = read(data)
    assert [item.enrollment.maintenance for item in items if isinstance(item, Member)] == [kept]
    assert codes(items) == found
