"""Loop 2700 is written by the table it is read with, and read back the same."""

from __future__ import annotations

import io
from typing import Any

import pytest

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Enrollment, Expressed, Member, Name, Outgoing, State
from tests.adapters.edi834.files import GUIDE, members

FEMALE = Coding("snomed", "446141000124107", "Identifies as female gender")
MALE = Coding("snomed", "446151000124109", "Identifies as male gender")
GENDER = {
    "name": "GENDER IDENTITY",
    "topic": "gender_identity",
    "values": {"F": "snomed|446141000124107", "W": "snomed|446141000124107", "N": "Nonbinary"},
}
SEX = {"name": "SEX CODE", "reference": "17", "topic": "recorded_sex"}
ADA = Member(
    "plan",
    "M1",
    name=Name("ALDER", ("ADA",)),
    birth_date="1980-01-31",
    enrollment=Enrollment(True, "18", "021", "S1", "", "HLT", (("2026-01-01", ""),)),
)


def said(topic: str, *codings: Coding, text: str = "") -> Expressed:
    return Expressed(topic, State.ANSWERED, details=codings, text=text or "; ".join(c.display for c in codings))


def written(*expressed: Expressed, rows: tuple[dict[str, Any], ...] = (GENDER, SEX)) -> tuple[list[str], list[str]]:
    """The segments after the coverage, and the losses; what is written is read back."""
    context = Context(partner="plan", guide={**GUIDE, "reporting": list(rows)}, created="2026-01-15T12:30:00")
    out = io.BytesIO()
    losses = list(ADAPTER.write([Outgoing(ADA, expressed)], out, context))
    lines = out.getvalue().decode("ascii").replace("~", "").splitlines()
    (member,) = members(out.getvalue(), context)
    answers = [a for a in member.answers if a.received.element == "x12.2750"]
    assert member.findings == ()
    assert len(answers) == sum(line.startswith("LX*") for line in lines)
    after = lines.index("DTP*348*D8*20260101") + 1
    return lines[after : next(at for at, line in enumerate(lines) if line[:3] == "SE*")], [
        f"{loss.rule} {loss.topic}".strip() for loss in losses if loss.topic != "sex"
    ]


def test_several_categories() -> None:
    x = said("recorded_sex", text="X")
    assert written(said("gender_identity", FEMALE), x) == (
        [
            *("LS*2700", "LX*1", "N1*75*GENDER IDENTITY", "REF*ZZ*F"),
            *("LX*2", "N1*75*SEX CODE", "REF*17*X", "LE*2700"),
        ],
        [],
    )


@pytest.mark.parametrize(("text", "value"), [("Nonbinary", "N"), ("Two-Spirit", "Two-Spirit")])
def test_words_without_a_code(text: str, value: str) -> None:
    assert written(said("gender_identity", text=text))[0][3] == f"REF*ZZ*{value}"


def test_what_the_table_has_no_value_for_is_a_loss() -> None:
    assert written(said("gender_identity", MALE)) == ([], ["edi834.no_category gender_identity"])
    found, losses = written(said("gender_identity", FEMALE, MALE))
    assert (found[3], losses) == ("REF*ZZ*F", ["edi834.no_category gender_identity"])
    found, losses = written(said("gender_identity", FEMALE, text=f"{FEMALE.display}; and more"))
    assert (found[3], losses) == ("REF*ZZ*F", ["edi834.no_category gender_identity"])


def test_without_a_row_there_is_no_place() -> None:
    assert written(said("gender_identity", FEMALE), rows=()) == ([], ["edi834.no_place gender_identity"])
    assert written(said("pronouns", text="she/her")) == ([], ["edi834.no_place pronouns"])


def test_words_too_long_for_a_reference_are_left_out_and_told() -> None:
    assert written(said("gender_identity", text="x" * 51)) == ([], ["edi834.too_long"])
