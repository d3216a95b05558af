"""Rules look at a member and never change it."""

from __future__ import annotations

import msgspec
import pytest

from fhir_equity.model import Answer, Finding, Locator, Meaning, Member, Origin, Received, Severity, State
from fhir_equity.quality.rules import findings

RECEIVED = Received("race", "x12.dmg05", (), "", "secret")
ANSWER = Answer(RECEIVED, Origin("plan", "a.834"), "segment", 9, 400, "DMG05")
OWN = Finding("x12.dmg.repeated", Severity.ERROR, Locator("a.834", "segment", 3))
PROBLEMS = (("not_in_code_list", Severity.ERROR), ("not_mapped", Severity.INFO))


def meaning(received: Received) -> Meaning:
    return Meaning(received.topic, State.INVALID, problems=PROBLEMS if received is RECEIVED else ())


def test_the_readers_findings_come_first_then_those_of_the_values() -> None:
    member = Member("plan", "m1", birth_date="1980-01-01", answers=(ANSWER,), findings=(OWN,))
    before = msgspec.json.encode(member)
    assert list(findings(member, meaning, "2026-01-01")) == [
        OWN,
        Finding("x12.dmg05.not_in_code_list", Severity.ERROR, ANSWER.locator),
        Finding("x12.dmg05.not_mapped", Severity.INFO, ANSWER.locator),
    ]
    assert msgspec.json.encode(member) == before


@pytest.mark.parametrize(
    ("born", "found"),
    [("2026-01-02", True), ("2027", True), ("2026-01-01", False), ("", False), ("[not a date]", False)],
)
def test_nobody_is_born_after_the_run(born: str, found: bool) -> None:
    calm = msgspec.structs.replace(ANSWER, received=msgspec.structs.replace(RECEIVED, raw="calm"))
    future = Finding("member.birth_date.future", Severity.ERROR, ANSWER.locator)
    with_answer = Member("plan", "m1", birth_date=born, answers=(calm,))
    assert list(findings(with_answer, meaning, "2026-01-01")) == ([future] if found else [])
    nowhere = Finding("member.birth_date.future", Severity.ERROR, Locator(""))
    without = Member("plan", "m1", birth_date=born)
    assert list(findings(without, meaning, "2026-01-01")) == ([nowhere] if found else [])
