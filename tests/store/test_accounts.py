"""What the store accounts for in counts: cases by age, disclosures by rule and outcome, what is kept back."""

from __future__ import annotations

import msgspec
import pytest

from fhir_equity.store import CaseCount, Disclosure, Kept, Store, Told
from fhir_equity.store.connection import writing
from tests.store.conftest import PersonMaker, Save

ADA = Disclosure("ada", "plan", "state", "hie-1", "operations", "an agreement", ("race", "sex"), "rule-1", "2026")


@pytest.fixture
def full(store: Store, save: Save, person: PersonMaker) -> Store:
    """Three people, two of the plan, with cases of two patterns."""
    save(person("m1"), person("m2", given="Bo"))
    save(person("m3", given="Cy", partner="other"), partner="other", name="b.834")
    pattern = "INSERT INTO pattern VALUES ({0}, 'd{0}', '{1}', 'race', {2})"
    case = "INSERT INTO \"case\" (member_id, pattern_id, source, state, since) VALUES ({}, {}, '', '{}', '{}')"
    sides = "X'5B5D'" if store.engine.dialect.name == "sqlite" else "'[]'::bytea"
    with writing(store.engine) as connection:
        for number, kind in ((1, "tie"), (2, "source_against_source")):
            connection.exec_driver_sql(pattern.format(number, kind, sides))
        for given in (
            *((1, 1, "open", "2026-01-01"), (2, 1, "open", "2026-01-01T08:00:00+00:00")),
            *((1, 2, "decided", "2026-01-02"), (3, 1, "reopened", "2026-01-03")),
        ):
            connection.exec_driver_sql(case.format(*given))
    return store


def test_cases_by_kind_state_and_day(full: Store) -> None:
    tie = CaseCount("tie", "race", "open", "2026-01-01", 2)
    decided = CaseCount("source_against_source", "race", "decided", "2026-01-02", 1)
    assert full.accounts.cases() == [decided, tie, CaseCount("tie", "race", "reopened", "2026-01-03", 1)]
    assert full.accounts.cases(["plan"]) == [decided, tie]
    assert full.accounts.cases(["nobody"]) == []


def test_disclosures_by_recipient_rule_topics_and_outcome(store: Store) -> None:
    def other(**changed: str) -> Disclosure:
        return msgspec.structs.replace(ADA, **changed)

    store.disclosures.intend([ADA, other(pseudonym="bob"), other(transmission="hie-2")])
    store.disclosures.intend([other(recipient="county", partner="other", transmission="x")])
    store.disclosures.settle("hie-1", "verified", ["ada", "bob"])
    county, intended, verified = store.accounts.disclosures()
    assert county.recipient == "county"
    assert (intended.state, intended.records, intended.people) == ("intended", 1, 1)
    assert (verified.records, verified.people) == (2, 2)
    assert msgspec.structs.replace(verified, first="", last="") == Told(
        "state", "operations", "an agreement", "rule-1", ("race", "sex"), "verified", 2, 2, "", ""
    )
    assert verified.first <= verified.last
    assert verified.first.endswith("+00:00")
    assert [each.recipient for each in store.accounts.disclosures(["other"])] == ["county"]


def test_one_member_told_of_twice_is_one_person(store: Store) -> None:
    store.disclosures.intend([ADA, msgspec.structs.replace(ADA, transmission="hie-2")])
    (told,) = store.accounts.disclosures()
    assert (told.records, told.people) == (2, 1)


def test_what_members_keep_back(full: Store) -> None:
    full.opt_outs.record([Kept(1, "2026-01-01"), Kept(2, "2026-01-01"), Kept(3, "2026-01-01", "state", "race")])
    assert full.accounts.kept_back() == [("", "", 2), ("state", "race", 1)]
    assert full.accounts.kept_back(["other"]) == [("state", "race", 1)]
