"""What is written is read back the same; every difference is told as a loss."""

from __future__ import annotations

import io
from itertools import count
from typing import Any

import pytest

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import TableError
from fhir_equity.model import (
    Address,
    Coding,
    Enrollment,
    Expressed,
    Identifier,
    Loss,
    Member,
    Name,
    Outgoing,
    Relationship,
    State,
)
from tests.adapters.edi834.files import CONTEXT, GUIDE, answer, codes, codings, read

ADA = Member(
    "plan",
    "M1",
    identifiers=(Identifier("", "S1", "REF*0F"), Identifier("", "X1", "REF*17"), Identifier("", "M1", "NM109")),
    name=Name("ALDER", ("ADA", "MAY"), "DR", "JR"),
    birth_date="1980-01-31",
    address=Address(("1 OAK WAY", "APT 2"), "SAMPLETON", "OR", "97001", "US", "033"),
    enrollment=Enrollment(True, "18", "021", "S1", "G1", "HLT", (("2026-01-01", "2026-12-31"), ("2027-01-01", ""))),
)


def _said(topic: str, *codings: Coding, text: str = "") -> Expressed:
    return Expressed(topic, State.ANSWERED, details=codings, text=text)


def _written(*records: Outgoing, context: Context = CONTEXT) -> tuple[bytes, list[Loss]]:
    out = io.BytesIO()
    losses = list(ADAPTER.write(records, out, context))
    return out.getvalue(), losses


def _back(*records: Outgoing) -> tuple[list[Member], list[str]]:
    data, losses = _written(*records)
    items = read(data)
    assert codes(items) == []
    found = [item for item in items if isinstance(item, Member)]
    assert len(found) == len(records) == len(items)
    return found, [loss.rule for loss in losses]


def _guide(**changes: Any) -> Context:
    return Context(guide={**GUIDE, "write": {**GUIDE["write"], **changes}}, created=CONTEXT.created, control=count(7))


FEMALE = _said("sex", Coding("x12-1068", "F"))
WHITE = _said("race_ethnicity", Coding("cdcrec", "2106-3"))


def test_the_whole_file_of_one_member() -> None:
    spoken = _said("language_spoken", Coding("iso639", "spa"), text="Mam")
    data, losses = _written(Outgoing(ADA, (FEMALE, WHITE, spoken)), context=_guide(sender="PLAN A", line_end=""))
    assert losses == []
    assert data.decode().split("~") == [
        "ISA*00*          *00*          *ZZ*PLAN A         *ZZ*RECEIVER       *260115*1230*^*00501*000000007*0*T*:",
        "GS*BE*PLAN A*RECEIVER*20260115*1230*7*X*005010X220A1",
        "ST*834*0008*005010X220A1",
        "BGN*00*000000008*20260115*1230****4",
        "N1*P5*SPONSOR*FI*000000000",
        "N1*IN*PAYER*FI*000000000",
        *("INS*Y*18*030**A", "REF*0F*S1", "REF*1L*G1", "REF*17*X1", "NM1*IL*1*ALDER*ADA*MAY*DR*JR*ZZ*M1"),
        *("N3*1 OAK WAY*APT 2", "N4*SAMPLETON*OR*97001*US*CY*033", "DMG*D8*19800131*F**:RET:2106-3"),
        *("LUI*LE*SPA**7", "LUI***Mam*7", "HD*030**HLT", "DTP*348*D8*20260101", "DTP*349*D8*20261231", "HD*030**HLT"),
        *("DTP*348*D8*20270101", "SE*20*0008", "GE*1*7", "IEA*1*000000007", ""),
    ]


def test_an_empty_file_has_no_members_and_right_counts() -> None:
    data, losses = _written()
    assert codes(read(data)) == []
    assert losses == []


def test_a_whole_member_comes_back() -> None:
    (member,), losses = _back(Outgoing(ADA, (FEMALE,)))
    assert losses == []
    assert (member.name, member.birth_date, member.address) == (ADA.name, ADA.birth_date, ADA.address)
    assert member.identifiers == ADA.identifiers
    written = Enrollment(True, "18", "030", "S1", "G1", "HLT", ADA.enrollment.spans, benefit="A")
    assert member.enrollment == written


@pytest.mark.parametrize(("subscriber", "start"), [(True, "INS*Y*18*030**A"), (False, "INS*N*G8*030**A")])
def test_a_member_of_another_format_has_no_relationship(subscriber: bool, start: str) -> None:
    member = Member(
        "plan",
        "k",
        identifiers=(Identifier("u", "55", "MR"),),
        name=Name("ALDER"),
        enrollment=Enrollment(subscriber),
    )
    data, losses = _written(Outgoing(member, ()))
    text = data.decode()
    assert f"{start}~\nREF*0F*55~\nNM1*IL*1*ALDER*****ZZ*55~\n" in text
    assert losses == []


def test_a_restriction_goes_along() -> None:
    member = Member("plan", "k", identifiers=ADA.identifiers, enrollment=Enrollment(restricted=True))
    (back,), _ = _back(Outgoing(member, ()))
    assert back.enrollment.restricted


def test_dates_without_a_coverage_are_those_of_the_member() -> None:
    spans = (("2026-01-01", ""), ("2027-01-01", "2027-02-01"))
    member = Member("plan", "k", identifiers=ADA.identifiers, name=Name("A"), enrollment=Enrollment(spans=spans))
    (back,), losses = _back(Outgoing(member, ()))
    assert back.enrollment.spans == spans[:1]
    assert losses == ["edi834.more_spans"]


def test_a_social_security_number_is_never_written() -> None:
    ids = (
        Identifier("", "123454321", "NM109", "ssn"),
        Identifier("", "X1", "REF*17"),
        Identifier("", "E2", "MR", "ssn"),
        Identifier("", "543212345", "REF*ZZ", "ssn"),
        Identifier("", "543212346", "REF*SY"),
    )
    data, losses = _written(Outgoing(Member("plan", "X1", identifiers=ids, name=Name("A")), ()))
    assert b"REF*17*X1~" in data
    assert not [secret for secret in (b"123454321", b"E2", b"54321234") if secret in data]
    assert b"NM1*IL*1*A~" in data
    assert [loss.rule for loss in losses] == [
        *["edi834.identifier_withheld"] * 3,
        "edi834.more_identifiers",
        "edi834.no_subscriber_number",
    ]


def test_the_number_that_came_as_nm109_wins_over_others() -> None:
    ids = (Identifier("", "55", "MR"), Identifier("", "66", "NM109"), Identifier("", "G", "REF*1L"))
    data, losses = _written(Outgoing(Member("plan", "k", identifiers=ids, name=Name("A")), ()))
    assert b"REF*0F*66~\nNM1*IL*1*A*****ZZ*66~" in data
    assert [loss.rule for loss in losses] == ["edi834.more_identifiers"]
    same = (Identifier("", "66", "MR"), Identifier("", "66", "NM109"))
    _, losses = _written(Outgoing(Member("plan", "k", identifiers=same, name=Name("A")), ()))
    assert losses == []


LOSSES: list[tuple[dict[str, Any], tuple[Expressed, ...], list[str]]] = [
    ({"name": Name("NÚÑEZ")}, (), ["transliterated"]),
    ({"name": Name("A*B~C^D:E")}, (), ["delimiter_replaced"]),
    ({"name": Name("A\nB")}, (), ["characters"]),
    ({"name": Name("山田")}, (), ["characters"]),
    ({"name": Name("X" * 61)}, (), ["shortened"]),
    ({"name": Name("X", ("Y" * 35, "Z" * 25))}, (), []),
    ({"name": Name("X", ("Y" * 36,))}, (), ["shortened"]),
    ({"name": Name("X", ("Y", "Z" * 26))}, (), ["shortened"]),
    ({"name": Name("")}, (), ["no_family_name"]),
    ({"name": Name("A", ("B", "C", "D"))}, (), ["more_given_names"]),
    ({"address": Address(("1", "2", "3"))}, (), ["more_address_lines"]),
    ({"address": Address((), "", "OR", "97001")}, (), ["no_city"]),
    ({"address": Address((), "", "", "", "", "033")}, (), ["no_city"]),
    ({"address": Address((), "SALEM", "Oregon")}, (), ["too_long"]),
    ({"address": Address((), "X", "")}, (), ["too_short"]),
    ({"birth_date": "1980"}, (), ["no_whole_date"]),
    ({"birth_date": "1980-02-30"}, (), ["no_whole_date"]),
    ({"birth_date": "1980-02-28"}, (), ["sex_required"]),
    ({}, (WHITE,), ["no_birth_date"]),
    ({}, (FEMALE,), ["no_birth_date"]),
    ({"enrollment": Enrollment(coverage="HLT")}, (), ["coverage_without_date"]),
    ({"enrollment": Enrollment(subscriber_key="X" * 51)}, (), ["too_long"]),
    ({"identifiers": (Identifier("", "11", "MR"), Identifier("", "22", "MR"))}, (), ["more_identifiers"]),
    ({}, (_said("gender_identity", Coding("x", "y")),), ["no_place"]),
    ({}, (_said("language_spoken", text="Ñ"),), ["transliterated"]),
]


@pytest.mark.parametrize(("changes", "expressed", "rules"), LOSSES)
def test_what_cannot_be_carried_is_told(
    changes: dict[str, Any], expressed: tuple[Expressed, ...], rules: list[str]
) -> None:
    plain = {"partner": "plan", "key": "k", "identifiers": (Identifier("", "M1", "NM109"),), "name": Name("ALDER")}
    for _ in range(2):  # told of each member, also when it was met before
        _, losses = _back(Outgoing(Member(**{**plain, **changes}), expressed))
        assert losses == [f"edi834.{rule}" for rule in rules]


def test_equal_answers_tell_their_loss_for_every_member() -> None:
    odd = (FEMALE, _said("language_spoken", text="Ñ"))
    _, losses = _back(Outgoing(ADA, odd), Outgoing(ADA, odd))
    assert losses == ["edi834.transliterated"] * 2


def test_a_loss_names_its_topic() -> None:
    _, losses = _written(Outgoing(ADA, (FEMALE, _said("sexual_orientation", text="x"))))
    assert losses == [Loss("edi834.no_place", Relationship.UNMATCHED, "sexual_orientation")]


def test_without_a_sex_the_dmg_says_neither_and_tells_it() -> None:
    data, losses = _written(Outgoing(ADA, (WHITE,)))
    assert b"DMG*D8*19800131*U**:RET:2106-3~" in data
    assert losses == [Loss("edi834.sex_required", Relationship.UNMATCHED, "sex")]


def test_ten_races_at_most() -> None:
    many = tuple(Coding("cdcrec", f"{n}-1") for n in range(1000, 1011))
    (member,), losses = _back(Outgoing(ADA, (FEMALE, _said("race_ethnicity", *many))))
    assert [c.code for c in answer(member, "race_ethnicity").received.codings] == [c.code for c in many[:10]]
    assert losses == ["edi834.more_races"]
    _, losses = _back(Outgoing(ADA, (FEMALE, _said("race_ethnicity", *many[:10]))))
    assert losses == []


LETTER, HISPANIC = Coding("x12-1109", "C"), Coding("cdcrec", "2135-2")
HIERARCHICAL = Coding("cdcrec-hierarchical", "R5.02")


@pytest.mark.parametrize(
    ("joined", "said", "races"),
    [
        (False, (LETTER, HISPANIC), "C^:RET:2135-2"),
        (True, (LETTER, HISPANIC), "C:RET:2135-2"),
        (True, (HISPANIC, LETTER), ":RET:2135-2^C"),
        (True, (LETTER, LETTER, HISPANIC, HISPANIC), "C^C:RET:2135-2^:RET:2135-2"),
        (False, (HIERARCHICAL,), ":RET:R5.02"),
    ],
)
def test_the_spelling_of_race(joined: bool, said: tuple[Coding, ...], races: str) -> None:
    data, losses = _written(Outgoing(ADA, (FEMALE, _said("race_ethnicity", *said))), context=_guide(race_joined=joined))
    assert f"DMG*D8*19800131*F**{races}~" in data.decode()
    assert losses == []


def test_the_spelling_of_languages() -> None:
    spoken = tuple(
        _said(f"language_{use}", Coding("iso639", "spa")) for use in ("reading", "written", "spoken", "native")
    )
    data, _ = _written(Outgoing(ADA, (FEMALE, *spoken)), context=_guide(language_qualifier="LD", language_case="lower"))
    assert [line for line in data.decode().split("~\n") if line.startswith("LUI")] == [
        f"LUI*LD*spa**{use}" for use in "5678"
    ]


@pytest.mark.parametrize("marks", ["*:^~", "|>!\n", "+;,'", "\x1d\x1f\x1e\x1c", "\t:^~"])
def test_any_delimiters_of_the_guide(marks: str) -> None:
    names = ("element", "component", "repetition", "segment")
    context = _guide(**dict(zip(names, marks, strict=True)), line_end="\r\n" if marks[3] != "\n" else "")
    race = _said("race_ethnicity", LETTER, HISPANIC)
    awkward = Member("plan", "M1", identifiers=ADA.identifiers, name=Name("A*|+B"), birth_date="1980-01-31")
    data, _ = _written(Outgoing(awkward, (FEMALE, race)), context=context)
    (member,) = [item for item in read(data) if isinstance(item, Member)]
    assert codes(read(data)) == []
    assert codings(member, "race_ethnicity") == [("1109", "C"), ("RET", "2135-2")]


@pytest.mark.parametrize("marks", [{"element": ":"}, {"segment": "~~"}, {"component": "A"}, {"repetition": "§"}])
def test_delimiters_that_cannot_be_told_apart(marks: dict[str, str]) -> None:
    with pytest.raises(TableError, match="four different delimiters"):
        _written(context=_guide(**marks))


def test_a_guide_that_cannot_be_used() -> None:
    with pytest.raises(TableError, match=r"write\.characters: there are basic, extended"):
        _written(context=_guide(characters="klingon"))
    with pytest.raises(TableError, match=r"write\.purpose"):
        _written(context=_guide(purpose="RX"))
