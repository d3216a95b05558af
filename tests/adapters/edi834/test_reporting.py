"""Loop 2750: only categories that the partner's guide names are read, whatever stands around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import TableError
from fhir_equity.model import Answer, Coding, Member, Received, State
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary
from tests.adapters.edi834.files import ADA, BRUNO, GUIDE, answer, codes, file, members, read
from tests.refresh_sources import MAPPINGS

GENDER = {
    "name": "Gender  Identity",
    "reference": "ZZ",
    "topic": "gender_identity",
    "values": {"F": "snomed|446141000124107", "nb": "Nonbinary"},
}
SEX = {"name": "SEX CODE", "topic": "recorded_sex", "values": {"F": "snomed|248152002", "X": "X"}}
COVERED = (*ADA, "HD*030**HLT", "DTP*348*D8*20260101", "LX*1", "NM1*P3*1*CLINIC", "REF*17*P9")
SAID = ("LX*1", "N1*75*GENDER IDENTITY", "REF*ZZ*F", "DTP*007*D8*20250601")
NOT_KEPT = "x12.not_kept.2750"


def context(*rows: dict[str, Any]) -> Context:
    return Context(partner="plan", guide={**GUIDE, "reporting": list(rows)})


def reported(*parts: str, rows: tuple[dict[str, Any], ...] = (GENDER, SEX)) -> tuple[Member, list[Answer]]:
    """The member with these segments after their coverage, and what 2750 said."""
    (member,) = members(file((*COVERED, *parts)), context(*rows))
    return member, [a for a in member.answers if a.received.element == "x12.2750"]


def rules(member: Member) -> set[str]:
    return {loss.rule for loss in member.losses}


def test_the_base_guide_reads_none() -> None:
    assert "reporting" not in GUIDE
    (member,) = members(file((*COVERED, "LS*2700", *SAID, "LE*2700")))
    assert [a.topic for a in member.answers] == ["sex", "race_ethnicity"]
    assert rules(member) >= {"x12.not_kept.N1", "x12.not_kept.REF", "x12.not_kept.DTP"}
    assert NOT_KEPT not in rules(member)


def test_a_category_of_the_guide() -> None:
    data = file((*COVERED, "LS*2700", *SAID, "LE*2700"), BRUNO)
    items = members(data, context(GENDER))
    found = answer(items[0], "gender_identity")
    assert found.received == Received(
        "gender_identity",
        "x12.2750",
        (Coding("snomed", "446141000124107"),),
        raw="N1*75*GENDER IDENTITY\nREF*ZZ*F",
    )
    assert (found.origin.collected_on, found.origin.partner) == ("2025-06-01", "plan")
    assert (found.unit, found.path) == ("segment", "REF02")
    assert found.number == data[: found.offset].count(b"~") + 1
    assert data[found.offset :].startswith(b"REF*ZZ*F~DTP*007")
    assert items[0].findings == ()
    assert NOT_KEPT not in rules(items[0])
    assert not {"x12.not_kept.N1"} & rules(items[0])
    assert "gender_identity" not in {a.topic for a in items[1].answers}


def test_a_value_that_the_table_does_not_list_is_a_wording() -> None:
    for sent, text in (("NB", "Nonbinary"), ("Two-Spirit", "Two-Spirit"), ("nB", "Nonbinary")):
        _, (found,) = reported("LX*1", "N1*75*gender identity", f"REF*ZZ*{sent}")
        assert (found.received.codings, found.received.text) == ((), text)
        assert found.origin.collected_on == ""


def test_what_it_means_is_understood() -> None:
    vocabulary = Vocabulary(Tables())
    cases = [("F", "446141000124107"), ("NB", "33791000087105"), ("Two-Spirit", "911541000124103")]
    for sent, code in cases:
        _, (found,) = reported("LX*1", "N1*75*GENDER IDENTITY", f"REF*ZZ*{sent}")
        meaning = vocabulary.meaning(found.received)
        assert [c.coding.code for c in meaning.concepts] == [code]
    _, (x,) = reported("N1*75*SEX CODE", "REF*17*X")
    meaning = vocabulary.meaning(x.received)
    assert (meaning.topic, meaning.state, meaning.concepts, meaning.text) == ("recorded_sex", State.ANSWERED, (), "X")


@pytest.mark.parametrize(
    "parts",
    [
        SAID,  # no LS
        ("LS*2700", *SAID),  # no LE
        ("LS*2700", *SAID[1:]),  # no LX
        ("LS*2700", "\n LX*1", "\n N1 *75 * GENDER IDENTITY ", "\n REF*ZZ *F ", "DTP*007*D8*20250601 ", "LE*2700"),
        ("LS*2700", "LX*1", *SAID[1:], "LE*2700", "COB*U*1*1", "REF*ZZ*F", "NM1*IN*2*X", "REF*ZZ*F"),
        ("LS*2700", *SAID, "HD*030**DEN", "REF*ZZ*F"),
        ("LS*2700", *SAID, "LX*2", "REF*ZZ*F"),
    ],
)
def test_the_loops_around_it_may_be_broken(parts: tuple[str, ...]) -> None:
    member, answers = reported(*parts)
    assert [(a.received.codings[0].code, a.origin.collected_on) for a in answers] == [("446141000124107", "2025-06-01")]
    assert member.enrollment.spans[0] == ("2026-01-01", "")


def test_a_member_who_lost_the_ins_gives_nothing_to_the_one_before() -> None:
    member, answers = reported("LS*2700", *SAID, "NM1*IL*1*FIRTH", "REF*ZZ*nb", "DTP*007*D8*20200101")
    assert [f.code for f in member.findings] == ["x12.nm1.out_of_place"]
    assert len(answers) == 1


def test_a_coverage_after_it_has_its_dates() -> None:
    member, _ = reported("LS*2700", *SAID, "HD*030**DEN", "DTP*348*D8*20260301")
    assert member.enrollment.spans == (("2026-01-01", ""),)
    assert member.enrollment.other_coverages == (("DEN", (("2026-03-01", ""),)),)


def test_several_categories_and_repeats() -> None:
    _, answers = reported("LS*2700", *SAID, "LX*2", "N1*75*SEX CODE", "REF*17*F", "LX*1", *SAID[1:3], "REF*ZZ*nb")
    assert [(a.topic, a.received.text or a.received.codings[0].code, a.origin.collected_on) for a in answers] == [
        ("gender_identity", "446141000124107", "2025-06-01"),
        ("recorded_sex", "248152002", ""),
        ("gender_identity", "446141000124107", ""),
        ("gender_identity", "Nonbinary", ""),
    ]
    assert len({a.offset for a in answers}) == 4


@pytest.mark.parametrize(
    "category",
    [
        ("N1*75*FAM IND", "REF*17*F", "DTP*007*D8*20250601"),
        ("N1*AG*GENDER IDENTITY", "REF*ZZ*F"),
        ("N1*75*GENDER IDENTITY", "REF*17*F"),  # another REF01 than the guide's
        ("N1*75*GENDER IDENTITY 2", "REF*ZZ*F"),
        ("N1",),
    ],
)
def test_a_category_that_no_row_has_is_told_once(category: tuple[str, ...]) -> None:
    member, answers = reported("LS*2700", "LX*1", *category, "LX*2", *category, "LE*2700")
    assert answers == []
    assert [loss.rule for loss in member.losses].count(NOT_KEPT) == 1
    assert member.findings == ()


def test_rows_of_one_name_are_told_apart_by_their_reference() -> None:
    other = {"name": "GENDER IDENTITY", "reference": "17", "topic": "pronouns"}
    _, answers = reported("N1*75*GENDER IDENTITY", "REF*17*she/her", "REF*ZZ*F", rows=(GENDER, other))
    assert [(a.topic, a.path) for a in answers] == [("pronouns", "REF02"), ("gender_identity", "REF02")]


@pytest.mark.parametrize("parts", [(), ("REF*ZZ",), ("REF*ZZ*  ", "DTP*007*D8*20250601")])
def test_a_category_without_a_value_is_a_finding(parts: tuple[str, ...]) -> None:
    member, answers = reported("LX*1", "N1*75*GENDER IDENTITY", *parts)
    assert answers == []
    assert [(f.code, f.locator.path) for f in member.findings] == [("x12.2750.no_value", "N102")]


@pytest.mark.parametrize(
    ("dates", "day", "finding"),
    [
        (("DTP*007*D8*20240229",), "2024-02-29", []),
        (("DTP*007*RD8*20240101-20241231",), "2024-01-01", []),
        (("DTP*007*D8*20230229",), "", ["x12.2750.not_a_date"]),
        (("DTP*007*D8",), "", ["x12.2750.not_a_date"]),
        (("DTP*348*D8*20240101",), "", []),
        ((), "", []),
    ],
)
def test_when_it_was_said(dates: tuple[str, ...], day: str, finding: list[str]) -> None:
    member, (found,) = reported(*SAID[:3], *dates)
    assert found.origin.collected_on == day
    assert [f.code for f in member.findings] == finding
    assert [f.locator.path for f in member.findings] == ["DTP03"] * len(finding)


@pytest.mark.parametrize(
    "row", [{"topic": "pronouns"}, {"name": "X"}, {**SEX, "qualifier": "17"}, {**SEX, "values": {"F": 1}}]
)
def test_a_row_that_cannot_be_used_is_told_at_once(row: dict[str, Any]) -> None:
    with pytest.raises(TableError, match=r"guides/edi834\.toml, reporting: "):
        read(file(ADA), context(row))


def test_no_finding_has_a_value() -> None:
    member, _ = reported("N1*75*GENDER IDENTITY", "DTP*007*D8*SECRET", "N1*75*SEX CODE", "REF*17*F", "DTP*007*D8*HUSH")
    assert codes([member]) == ["x12.2750.no_value", "x12.2750.not_a_date", "x12.2750.not_a_date"]
    assert not any(word in str(member.findings) for word in ("SECRET", "HUSH"))


PARTS = ["LS*2700", "LE*2700", "LX*1", *SAID, "N1*75*SEX CODE", "REF*17*X", "HD*030**HLT", "NM1*31*1", "COB*U", "N1"]


@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_whatever_stands_where_an_answer_is_one_of_the_file(parts: list[str]) -> None:
    data = file((*ADA, *parts))
    (member,) = members(data, context(GENDER, SEX))
    for found in member.answers:
        assert data[found.offset :].startswith(found.path[:3].encode())
        if found.received.element == "x12.2750":
            assert found.topic in ("gender_identity", "recorded_sex")
    assert member.key == "M1"
    assert [a.topic for a in members(data)[0].answers] == ["sex", "race_ethnicity"]


def test_the_examples_in_the_guide_work_as_they_stand(tmp_path: Path) -> None:
    lines = (MAPPINGS / "guides" / "edi834.toml").read_text(encoding="utf-8").splitlines()
    starts = [at for at, line in enumerate(lines) if line == "# [[reporting]]"]
    example = [line.removeprefix("# ") for at in starts for line in lines[at : at + 5] if " = " in line or "[[" in line]
    place = tmp_path / "partners" / "acme" / "guides" / "edi834.toml"
    place.parent.mkdir(parents=True)
    place.write_text("\n".join(example), encoding="utf-8")
    guide = Tables("acme", tmp_path).document("guides/edi834.toml")
    assert [row["topic"] for row in guide["reporting"]] == ["gender_identity", "recorded_sex", "aian_certified"]
    said = ("LX*1", "N1*75*GENDER IDENTITY", "REF*ZZ*D", "LX*2", "N1*75*SEX CODE", "REF*17*M")
    (member,) = members(file((*COVERED, *said)), Context(partner="acme", guide=guide))
    understood = [Vocabulary(Tables()).meaning(a.received) for a in member.answers if a.received.element == "x12.2750"]
    assert [(m.state, [c.coding.code for c in m.concepts]) for m in understood] == [
        (State.DECLINED, []),
        (State.ANSWERED, ["248153007"]),
    ]
