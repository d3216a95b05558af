"""What is written is read back the same; every difference is told as a loss."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tests.adapters.edi834.files import CONTEXT, GUIDE, codes, read

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
    return Context(guide={**GUIDE, "write": {**GUIDE["write"], **changes}}, created=CONTEXT.created, control=7)


def test_the_whole_file_of_one_member() -> None:
    sex, race = _said("sex", Coding("x12-1068", "F")), _said("race_ethnicity", Coding("cdcrec", "2106-3"))
    spoken = _said("language_spoken", Coding("iso639", "spa"), text="Mam")
    data, losses = _written(Outgoing(ADA, (sex, race, spoken)), context=_guide(sender="PLAN A", line_end=""))
    assert losses == []
    assert data.decode().split("~") == [
        "ISA*00*          *00*          *ZZ*PLAN A         *ZZ*RECEIVER       *260115*1230*^*00501*000000007*0*T*:",
        "GS*BE*PLAN A*RECEIVER*20260115*1230*7*X*005010X220A1",
        "ST*834*0001*005010X220A1",
        "BGN*00*000000007*20260115*1230****4",
        "N1*P5*SPONSOR*FI*000000000",
        "N1*IN*PAYER*FI*000000000",
        *("INS*Y*18*030**A", "REF*0F*S1", "REF*1L*G1", "REF*17*X1", "NM1*IL*1*ALDER*ADA*MAY*DR*JR*ZZ*M1"),
        *("N3*1 OAK WAY*APT 2", "N4*SAMPLETON*OR*97001*US*CY*033", "DMG*D8*19800131*F**:RET:2106-3"),
        *("LUI*LE*SPA**7", "LUI***Mam*7", "HD*030**HLT", "DTP*348*D8*20260101", "DTP*349*D8*20261231", "HD*030**HLT"),
        *("DTP*348*D8*20270101", "SE*20*0001", "GE*1*7", "IEA*1*000000007", ""),
    ]


def test_an_empty_file_has_no_members_and_right_counts() -> None:
    data, losses = _written()
    assert codes(read(data)) == []
    assert losses == []


def test_a_whole_member_comes_back() -> None:
    (member,), losses = _back(Outgoing(ADA, ()))
    assert losses == []
    assert (member.name, member.birth_date, member.address) == (ADA.name, ADA.birth_date, ADA.address)
    assert member.identifiers == ADA.identifiers
    written = Enrollment(True, "18", "030", "S1", "G1", "HLT", ADA.enrollment.spans, benefit="A")
    assert member.enrollment == written


@pytest.mark.parametrize(("subscriber", "start"), [(True, "INS*Y*18*030**A"), (False, "INS*N*G8*030**A")])
def test_a_member_of_another_format_has_no_relationship(subscriber: bool, start: str) -> None:
    member = Member("plan", "k", identifiers=(Identifier("u", "55", "MR"),), enrollment=Enrollment(subscriber))
    data, losses = _written(Outgoing(member, ()))
    text = data.decode()
    assert f"{start}~\nREF*0F*55~\nNM1*IL*1******ZZ*55~\n" in text
    assert losses == []


def test_a_restriction_goes_along() -> None:
    member = Member("plan", "k", identifiers=ADA.identifiers, enrollment=Enrollment(restricted=True))
    (back,), _ = _back(Outgoing(member, ()))
    assert back.enrollment.restricted


def test_dates_without_a_coverage_are_those_of_the_member() -> None:
    spans = (("2026-01-01", ""), ("2027-01-01", "2027-02-01"))
    member = Member("plan", "k", identifiers=ADA.identifiers, enrollment=Enrollment(spans=spans))
    (back,), losses = _back(Outgoing(member, ()))
    assert back.enrollment.spans == spans[:1]
    assert losses == ["edi834.more_spans"]


def test_a_social_security_number_is_never_written() -> None:
    ids = (
        Identifier("", "123454321", "NM109", "ssn"),
        Identifier("", "X1", "REF*17"),
        Identifier("", "E2", "MR", "ssn"),
    )
    data, losses = _written(Outgoing(Member("plan", "X1", identifiers=ids), ()))
    assert b"123454321" not in data
    assert b"E2" not in data
    assert b"NM1*IL*1~" in data
    assert [loss.rule for loss in losses] == ["edi834.identifier_withheld"] * 2


LOSSES: list[tuple[dict[str, Any], tuple[Expressed, ...], str]] = [
    ({"name": Name("NÚÑEZ")}, (), "edi834.characters"),
    ({"name": Name("A*B~C^D:E")}, (), "edi834.characters"),
    ({"name": Name("A\nB")}, (), "edi834.characters"),
    ({"name": Name("山田")}, (), "edi834.characters"),
    ({"name": Name("X" * 61)}, (), "edi834.shortened"),
    ({"name": Name("A", ("B", "C", "D"))}, (), "edi834.more_given_names"),
    ({"address": Address(("1", "2", "3"))}, (), "edi834.more_address_lines"),
    ({"birth_date": "1980"}, (), "edi834.no_whole_date"),
    ({"birth_date": "1980-02-30"}, (), "edi834.no_whole_date"),
    ({"identifiers": (Identifier("", "1", "MR"), Identifier("", "2", "MR"))}, (), "edi834.more_identifiers"),
    ({}, (_said("gender_identity", Coding("x", "y")),), "edi834.no_place"),
    ({}, (_said("race_ethnicity", *[Coding("cdcrec", f"{n}-1") for n in range(1000, 1011)]),), "edi834.more_races"),
    ({}, (_said("language_spoken", text="Ñ"),), "edi834.characters"),
]


@pytest.mark.parametrize(("changes", "expressed", "rule"), LOSSES)
def test_what_cannot_be_carried_is_told(changes: dict[str, Any], expressed: tuple[Expressed, ...], rule: str) -> None:
    fields = {"partner": "plan", "key": "k", "identifiers": (Identifier("", "M1", "NM109"),), **changes}
    _, losses = _back(Outgoing(Member(**fields), expressed))
    assert losses == [rule]


def test_a_loss_names_its_topic() -> None:
    _, losses = _written(Outgoing(ADA, (_said("sexual_orientation", text="x"),)))
    assert losses == [Loss("edi834.no_place", Relationship.UNMATCHED, "sexual_orientation")]


def test_ten_races_at_most() -> None:
    many = tuple(Coding("cdcrec", f"{n}-1") for n in range(1000, 1012))
    (member,), _ = _back(Outgoing(ADA, (_said("race_ethnicity", *many),)))
    assert [c.code for c in member.answers[0].received.codings] == [c.code for c in many[:10]]


@pytest.mark.parametrize("marks", ["*:^~", "|>!\n", "+;,'", "\x1d\x1f\x1e\x1c", "\t:^~"])
def test_any_delimiters_of_the_guide(marks: str) -> None:
    names = ("element", "component", "repetition", "segment")
    context = _guide(**dict(zip(names, marks, strict=True)), line_end="\r\n" if marks[3] != "\n" else "")
    race = _said("race_ethnicity", Coding("x12-1109", "C"), Coding("cdcrec", "2135-2"))
    awkward = Member("plan", "M1", identifiers=ADA.identifiers, name=Name("A*|+B"))
    data, _ = _written(Outgoing(awkward, (race,)), context=context)
    (member,) = [item for item in read(data) if isinstance(item, Member)]
    assert codes(read(data)) == []
    assert [(c.system, c.code) for c in member.answers[0].received.codings] == [("1109", "C"), ("RET", "2135-2")]


@pytest.mark.parametrize("marks", [{"element": ":"}, {"segment": "~~"}, {"component": "A"}, {"repetition": "§"}])
def test_delimiters_that_cannot_be_told_apart(marks: dict[str, str]) -> None:
    with pytest.raises(TableError, match="four different delimiters"):
        _written(context=_guide(**marks))


TEXT = st.text(max_size=70) | st.sampled_from(["ALDER", "O'HARA-LEE", "NÚÑEZ", "A*B~C", "VAN DER BERG", " ", ""])
DAY = st.dates().map(str)
NUMBER = st.from_regex(r"[A-Z0-9]{1,12}", fullmatch=True)
RACES = st.lists(
    st.one_of(
        st.sampled_from("7BCHINOP").map(lambda letter: Coding("x12-1109", letter)),
        st.sampled_from(["2106-3", "2135-2", "2118-8", "2034-7"]).map(lambda code: Coding("cdcrec", code)),
    ),
    max_size=12,
    unique=True,
)
LANGUAGES = st.dictionaries(
    st.sampled_from(["language_spoken", "language_written", "language_reading", "language_native"]),
    st.tuples(st.lists(st.sampled_from(["eng", "spa", "chi"]), max_size=2, unique=True), TEXT),
)


@st.composite
def _outgoing(draw: st.DrawFn) -> Outgoing:
    number = "M" + draw(NUMBER)
    enrollment = Enrollment(
        subscriber=draw(st.booleans()),
        subscriber_key="F" + draw(NUMBER),
        group=draw(NUMBER | st.just("")),
        coverage=draw(st.sampled_from(["HLT", "DEN", ""])),
        spans=tuple(draw(st.lists(st.tuples(DAY, DAY | st.just("")), max_size=3))),
        restricted=draw(st.booleans()),
    )
    member = Member(
        "plan",
        number,
        identifiers=(Identifier("", number, "NM109"),),
        name=Name(draw(TEXT), tuple(draw(st.lists(TEXT.filter(bool), max_size=3))), draw(TEXT), draw(TEXT)),
        birth_date=draw(DAY | st.just("")),
        address=Address(
            tuple(draw(st.lists(TEXT.filter(bool), max_size=3))), draw(TEXT), "OR", "97001", "", draw(TEXT)
        ),
        enrollment=enrollment,
    )
    races = Expressed("race_ethnicity", State.ANSWERED, details=tuple(draw(RACES)))
    spoken = [
        Expressed(topic, State.ANSWERED, details=tuple(Coding("iso639", c) for c in found), text=words)
        for topic, (found, words) in draw(LANGUAGES).items()
    ]
    return Outgoing(member, (races, *spoken))


def _races(member: Member) -> list[str]:
    return [c.code for a in member.answers if a.topic == "race_ethnicity" for c in a.received.codings]


def _languages(member: Member) -> dict[str, tuple[list[str], str]]:
    spoken = [a for a in member.answers if a.topic.startswith("language")]
    return {a.topic: ([c.code.lower() for c in a.received.codings], a.received.text) for a in spoken}


@given(_outgoing())
def test_what_is_written_comes_back_or_the_loss_says_why(record: Outgoing) -> None:
    (back,), losses = _back(record)
    member, enrollment = record.member, record.member.enrollment
    race, *spoken = record.expressed
    text = {"edi834.characters", "edi834.shortened"}
    sent = {e.topic: ([c.code for c in e.details], e.text) for e in spoken if e.details or e.text}
    read_again = back.enrollment
    assert back.birth_date == member.birth_date
    assert back.identifiers[-1].value == member.key
    assert (read_again.subscriber_key, read_again.group) == (enrollment.subscriber_key, enrollment.group)
    assert (read_again.subscriber, read_again.restricted) == (enrollment.subscriber, enrollment.restricted)
    assert read_again.coverage == enrollment.coverage
    assert read_again.spans == enrollment.spans or "edi834.more_spans" in losses
    assert _races(back) == [c.code for c in race.details][:10]
    assert len(race.details) <= 10 or "edi834.more_races" in losses
    assert back.name == member.name or (text | {"edi834.more_given_names"}) & set(losses)
    assert back.address == member.address or (text | {"edi834.more_address_lines"}) & set(losses)
    assert _languages(back) == sent or text & set(losses)
    if not losses:
        assert (back.name, back.address, _languages(back)) == (member.name, member.address, sent)
