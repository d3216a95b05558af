"""The account of disclosures: written before sending, once, settled afterwards, kept by pseudonym."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fhir_equity.store import Disclosure, Store
from fhir_equity.store.connection import writing

ADA = Disclosure("ada", "plan", "state", "hie-1", "operations", "an agreement", ("race", "sex"), "rule-1", "2026")


def other(**changed: Any) -> Disclosure:
    return msgspec.structs.replace(ADA, **changed)


def test_what_is_intended_is_written_down_once(store: Store) -> None:
    assert store.disclosures.intend([ADA, ADA, other(pseudonym="bob"), other(rule="rule-2", topics=("x",))]) == 3
    assert store.disclosures.intend([ADA, other(transmission="hie-2")]) == 1
    found = store.disclosures.of("ada")
    assert [(each.transmission, each.rule, each.topics) for each in found] == [
        ("hie-1", "rule-1", ("race", "sex")),
        ("hie-1", "rule-2", ("x",)),
        ("hie-2", "rule-1", ("race", "sex")),
    ]
    assert found[0] == other(intended_at=found[0].intended_at)
    assert found[0].intended_at.endswith("+00:00")
    assert found[0].state == "intended"
    assert [each.pseudonym for each in store.disclosures.in_transmission("hie-1")] == ["ada", "bob", "ada"]


def test_what_several_records_of_a_member_tell_is_told_together(store: Store) -> None:
    more = other(topics=("sex", "language"))
    assert store.disclosures.intend([ADA, more]) == 1
    assert [each.topics for each in store.disclosures.of("ada")] == [("race", "sex", "language")]
    assert store.disclosures.intend([other(topics=("gender", "race"))]) == 0
    assert [each.topics for each in store.disclosures.of("ada")] == [("race", "sex", "language", "gender")]
    store.disclosures.settle("hie-1", "sent")
    assert store.disclosures.intend([other(topics=("name",))]) == 0
    (told,) = store.disclosures.of("ada")
    assert (told.topics, told.state) == (("race", "sex", "language", "gender", "name"), "sent")
    store.disclosures.settle("hie-1", "failed")
    assert store.disclosures.intend([more]) == 0
    (told,) = store.disclosures.of("ada")
    assert (told.topics, told.state, told.settled_at) == (("sex", "language"), "intended", "")


def states(store: Store) -> list[tuple[str, str]]:
    return [(each.pseudonym, each.state) for each in store.disclosures.in_transmission("hie-1")]


def test_it_is_settled_for_some_or_for_all(store: Store) -> None:
    store.disclosures.intend([ADA, other(pseudonym="bob"), other(pseudonym="cyd"), other(transmission="hie-2")])
    assert store.disclosures.settle("hie-1", "verified", ["ada", "bob", "nobody"]) == 2
    assert states(store) == [("ada", "verified"), ("bob", "verified"), ("cyd", "intended")]
    assert store.disclosures.settle("hie-1", "recalled") == 3
    assert states(store) == [("ada", "recalled"), ("bob", "recalled"), ("cyd", "recalled")]
    ada, again = store.disclosures.of("ada")
    assert ada.settled_at.endswith("+00:00")
    assert (again.state, again.settled_at) == ("intended", "")
    with pytest.raises(ValueError, match=r"^a disclosure is intended, sent, verified, failed, recalled$"):
        store.disclosures.settle("hie-1", "lost")


def test_what_failed_may_be_tried_again_and_what_arrived_stays(store: Store) -> None:
    store.disclosures.intend([ADA, other(pseudonym="bob")])
    store.disclosures.settle("hie-1", "failed", ["ada"])
    store.disclosures.settle("hie-1", "sent", ["bob"])
    assert store.disclosures.intend([ADA, other(pseudonym="bob")]) == 0
    assert states(store) == [("ada", "intended"), ("bob", "sent")]
    assert store.disclosures.of("ada")[0].settled_at == ""


def test_within_the_transaction_of_what_is_sent(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), writing(store.engine) as connection:  # noqa: PT012 - what fails comes after
        store.disclosures.intend([ADA], connection=connection)
        store.disclosures.settle("hie-1", "sent", connection=connection)
        raise ZeroDivisionError
    assert store.disclosures.of("ada") == []


def test_many_at_once(store: Store) -> None:
    many = [other(pseudonym=f"m{number}") for number in range(1200)]
    assert store.disclosures.intend(many) == 1200
    assert store.disclosures.intend(many) == 0
    assert store.disclosures.settle("hie-1", "sent", [each.pseudonym for each in many[:700]]) == 700
    assert sum(state == "sent" for _, state in states(store)) == 700
