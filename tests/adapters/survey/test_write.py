"""Writing: a fixed header, no formula, losses named, and what was written reads back the same."""

from __future__ import annotations

import csv
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.adapters.protocol import Read
from fhir_equity.model import (
    Address,
    Answer,
    Coding,
    Enrollment,
    Expressed,
    Identifier,
    Locator,
    Loss,
    Member,
    Name,
    Origin,
    Outgoing,
    Received,
    Relationship,
    State,
)

Reader = Callable[..., list[Read]]
Writer = Callable[[list[Outgoing]], tuple[bytes, list[Loss]]]

HEADER = (
    "member_id,given_name,middle_name,family_name,name_prefix,name_suffix,birth_date,subscriber_id,relationship,"
    "address_1,address_2,city,state,postal_code,county,country,race_ethnicity,race,ethnicity,tribal_affiliation,"
    "aian_certified,"
    "language_spoken,language_written,language_reading,language_native,interpreter_needed,limited_english,"
    "sexual_orientation,gender_identity,pronouns,birth_sex,recorded_sex,sex,collected_on,answered_by"
)
ASIAN = Coding("cdcrec", "2028-9", "Asian")
CHINESE = Coding("cdcrec", "2034-7", "Chinese")


def cells(data: bytes) -> dict[str, str]:
    header, row = csv.reader(data.decode().splitlines(keepends=True))
    return dict(zip(header, row, strict=True))


def written(write: Writer, *expressed: Expressed, member: Member | None = None) -> tuple[dict[str, str], list[Loss]]:
    data, losses = write([Outgoing(member or Member("p", "M1"), expressed)])
    return cells(data), losses


def test_the_header_is_fixed(write: Writer) -> None:
    assert write([]) == (f"{HEADER}\r\n".encode(), [])


def test_a_member(write: Writer) -> None:
    origin = Origin(collected_on="2026-04-05", method="proxy")
    member = Member(
        "p",
        "M1",
        identifiers=(Identifier("", "M1"), Identifier("", "S9")),
        name=Name("Roe", ("Ana", "B.", "C."), "Dr", "Jr"),
        birth_date="1980-02-03",
        address=Address(("1 Elm St", "Apt 2"), "Reno", "NV", "89501", "US", "Washoe"),
        enrollment=Enrollment(subscriber=False, relationship="19", subscriber_key="S9"),
        answers=(Answer(Received("race", "survey.race"), origin),),
    )
    row, losses = written(write, Expressed("race", State.ANSWERED, (ASIAN,), (CHINESE,)), member=member)
    assert [cell for cell in row.values() if cell != "[no record]"] == [
        *("M1", "Ana", "B. C.", "Roe", "Dr", "Jr", "1980-02-03", "S9", "19"),
        *("1 Elm St", "Apt 2", "Reno", "NV", "89501", "Washoe", "US", "Asian; Chinese", "2026-04-05", "proxy"),
    ]
    assert (row["race"], row["county"], row["country"]) == ("Asian; Chinese", "Washoe", "US")
    assert losses == []


@pytest.mark.parametrize(
    ("expressed", "cell"),
    [
        (
            Expressed("race", State.ANSWERED, (ASIAN,), (CHINESE,), "Asian; Chinese; Garifuna"),
            "Asian; Chinese; Garifuna",
        ),
        (Expressed("race", State.ANSWERED, (ASIAN,), (ASIAN,), "asian"), "Asian"),
        (Expressed("race", State.ANSWERED, (), (Coding("cdcrec", "2034-7"),)), "2034-7"),
        (Expressed("race", State.ANSWERED, text="Garifuna"), "Garifuna"),
        (Expressed("race", State.DECLINED, text="Refused"), "Refused"),
        (Expressed("race", State.DECLINED), "Prefer not to answer"),
        (Expressed("race", State.DONT_KNOW), "Don't know"),
        (Expressed("race", State.UNABLE), "Unable to answer"),
        (Expressed("race", State.NOT_ASKED), "Not asked"),
        (Expressed("race", State.UNKNOWN), "Unknown"),
        (Expressed("race", State.BLANK), ""),
    ],
)
def test_a_topic(write: Writer, expressed: Expressed, cell: str) -> None:
    row, losses = written(write, expressed)
    assert (row["race"], row["ethnicity"], losses) == (cell, "[no record]", [])


def test_losses(write: Writer) -> None:
    first = Answer(Received("race", "x"), Origin(method="self"), "segment", 4)
    member = Member(
        "p",
        "M1",
        identifiers=(Identifier("", "M1"), Identifier("", "900000000", use="ssn")),
        address=Address(("a", "b", "c")),
        enrollment=Enrollment(restricted=True),
        answers=(first, Answer(Received("sex", "x"), Origin(method="proxy"))),
    )
    spoken = Expressed("language_spoken", State.ANSWERED, (), (Coding("bcp47", "ca", "Catalan; Valencian"),))
    gone = (Expressed("previous_name", State.ANSWERED, text="x"), Expressed("sex", State.INVALID))
    row, losses = written(write, spoken, *gone, member=member)
    assert (row["address_2"], row["language_spoken"], row["sex"]) == ("b, c", "Catalan; Valencian", "[no record]")
    assert "900000000" not in row.values()
    assert {str(loss.locator) for loss in losses} == {str(Locator("", "segment", 4))}
    assert sorted((loss.rule, loss.relationship, loss.topic) for loss in losses) == [
        ("survey.write.address", Relationship.EQUIVALENT, ""),
        ("survey.write.enrollment", Relationship.UNMATCHED, ""),
        ("survey.write.identifiers", Relationship.UNMATCHED, ""),
        ("survey.write.origin", Relationship.INEXACT, ""),
        ("survey.write.separator", Relationship.INEXACT, "language_spoken"),
        ("survey.write.state", Relationship.UNMATCHED, "sex"),
        ("survey.write.topic", Relationship.UNMATCHED, "previous_name"),
    ]


def test_text_that_has_no_bytes(write: Writer) -> None:
    row, losses = written(write, member=Member("p", "M1", name=Name("Ro\ud800e")))
    assert row["family_name"] == "Ro?e"
    assert losses == [Loss("survey.write.text", Relationship.INEXACT)]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'=", "''+"])
def test_no_cell_is_a_formula(read: Reader, write: Writer, start: str) -> None:
    name = f"{start}1+1"
    data, _ = write([Outgoing(Member("p", "M1", name=Name(name)), ())])
    assert f"'{name}".encode() in data
    assert read(data)[0].name == Name(name.strip())  # type: ignore[union-attr]


def expressed_of(member: Member) -> Outgoing:
    """A member's answers as they would be expressed in the words in which they came."""
    blank = Coding("survey", "blank")
    return Outgoing(
        member,
        tuple(
            Expressed(a.topic, State.BLANK) if blank in a.received.codings
            else Expressed(a.topic, State.ANSWERED, (), a.received.codings)
            for a in member.answers
        ),
    )  # fmt: skip


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8).map(str.strip)
SOME = TEXT.filter(bool) | st.sampled_from(["=1", "'=1", "-", "@x", "a,b", 'a"b', "a\r\nb", "'"])
WORDING = SOME.filter(lambda word: not {";", "|", "\n"} & set(word) and word != "[no record]")
PEOPLE = st.builds(
    lambda key, name, city, race, spoken, method, day: Outgoing(
        Member(
            "p",
            key,
            "survey.member_key",
            (Identifier("", key, "member_id"),),
            Name(name[0], tuple(filter(None, name[1:]))),
            "1980-02-03",
            Address(city=city),
            answers=(Answer(Received("race", "x"), Origin("p", "s.csv", method=method, collected_on=day)),),
        ),
        (
            Expressed("race", State.ANSWERED, (), tuple(Coding("wording", word) for word in race)),
            *((Expressed("language_spoken", State.BLANK),) if spoken else ()),
        ),
    ),
    SOME,
    st.tuples(TEXT, SOME, TEXT),
    TEXT,
    st.lists(WORDING, min_size=1, max_size=3, unique_by=str.casefold),
    st.booleans(),
    st.sampled_from(["self", "proxy", "relayed", "unstated", "observed"]),
    st.sampled_from(["", "2026-04-05"]),
)


@given(st.lists(PEOPLE, max_size=3))
def test_round_trip(read: Reader, write: Writer, people: list[Outgoing]) -> None:
    data, losses = write(people)
    found = [each for each in read(data) if isinstance(each, Member)]
    assert (losses, len(found)) == ([], len(people))
    for before, after in zip(people, found, strict=True):
        member = before.member
        assert (after.key, after.key_rule, after.identifiers) == (member.key, member.key_rule, member.identifiers)
        assert (after.name, after.birth_date, after.address) == (member.name, member.birth_date, member.address)
        assert (after.enrollment, after.findings) == (member.enrollment, ())
        assert [answer.origin for answer in after.answers] == [member.answers[0].origin] * len(before.expressed)
        assert after.answers[0].received.codings == before.expressed[0].details
        assert [answer.topic for answer in after.answers] == [each.topic for each in before.expressed]
    again, _ = write([expressed_of(member) for member in found])
    assert again == data
    assert read(again) == found
