"""Who is the same person, what answers say, which Patients are in use, and by what people are known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.model import Coding, Concept, Identifier, Meaning, Member, Name, Relationship, State
from fhir_equity.sync.exchange import (
    Ours,
    Theirs,
    fingerprint,
    id_of,
    is_active,
    is_as_sent,
    same_person,
    tokens_of,
)

BORN = "1980-01-02"


def person(family: str = "Ashgrove", given: str = "Ada", born: str = BORN) -> Member:
    return Member("p", "k", name=Name(family, (given,) if given else ()), birth_date=born)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (person(), person(), True),
        (person("ASHGROVE", "ADA"), person("Ashgrove ", " Ada"), True),
        (person("O\u00a0Neill"), person("o  neill"), True),
        (person("Jose\u0301"), person("JOS\u00c9"), True),
        (person("Stra\u00dfe"), person("STRASSE"), True),
        (person("Sukarno", ""), person("Sukarno", ""), True),
        (person("", "Madonna"), person("", "Madonna"), True),
        (person(), person(given="Amir"), False),
        (person(), person(family="Birchwood"), False),
        (person(), person(given=""), False),
        (person(), person(family=""), False),
        (person(), person(born="1980-02-01"), False),
        (person("", ""), person("", ""), False),
        (person(" ", " "), person(" ", " "), False),
        (person(born=""), person(born=""), False),
        (person(born="1980"), person(born="1980"), False),
        (person(born="1980-01"), person(), False),
    ],
)
def test_same_person(one: Member, other: Member, same: bool) -> None:
    assert same_person(one, other) is same
    assert same_person(other, one) is same


def test_only_the_first_given_name_has_to_agree() -> None:
    long = Member("p", "k", name=Name("Ashgrove", ("Ada", "Bea")), birth_date=BORN)
    assert same_person(person(), long)


def concept(code: str) -> Concept:
    return Concept(Coding("cdcrec", code), Relationship.EQUIVALENT, "rule")


def meaning(*codes: str, text: str = "", state: State = State.ANSWERED) -> Meaning:
    return Meaning("race", state, tuple(map(concept, codes)), text=text)


@given(st.lists(st.sampled_from(["2106-3", "2028-9", "2054-5"]), min_size=1), st.randoms())
def test_a_fingerprint_does_not_depend_on_order_or_form(codes: list[str], dice: Any) -> None:
    shuffled = codes[:]
    dice.shuffle(shuffled)
    apart = [meaning(code) for code in shuffled]
    assert fingerprint([meaning(*codes)], State.ANSWERED) == fingerprint(apart, State.ANSWERED)


def test_fingerprints() -> None:
    assert fingerprint([meaning("2106-3", text="Ghanaian")], State.ANSWERED) == "cdcrec|2106-3\ntext|ghanaian"
    assert fingerprint([meaning("2106-3")], State.ANSWERED) != fingerprint([meaning("2028-9")], State.ANSWERED)
    assert fingerprint([meaning(state=State.DECLINED)], State.DECLINED) == "state|declined"
    # an absence beside an answer says nothing more
    assert fingerprint([meaning("2106-3"), meaning(state=State.UNKNOWN)], State.ANSWERED) == "cdcrec|2106-3"


def test_tokens_follow_the_order_of_the_systems() -> None:
    found = [
        Identifier("b", "1"),
        Identifier("a", "2"),
        Identifier("c", "3"),
        Identifier("a", "4"),
        Identifier("a", ""),
    ]
    assert tokens_of(found, ["a", "b"]) == [("a", "2"), ("a", "4"), ("b", "1")]
    assert tokens_of(found, []) == []


@pytest.mark.parametrize(
    ("patient", "active"),
    [
        ({}, True),
        ({"active": True}, True),
        ({"active": False}, False),
        ({"active": "false"}, True),
        ({"link": [{"type": "replaces"}, {"type": "seealso"}, {"type": "refer"}]}, True),
        ({"link": [{"type": "seealso"}, {"type": "replaced-by"}]}, False),
        ({"active": True, "link": [{"type": "replaced-by"}]}, False),
        ({"link": "replaced-by"}, True),
        ({"link": [None, "replaced-by"]}, True),
    ],
)
def test_active(patient: dict[str, Any], active: bool) -> None:
    assert is_active(patient) is active


@pytest.mark.parametrize(("key", "usable"), [("a-1.B", True), ("", False), (7, False), ("../a", False), ("..", False)])
def test_ids(key: Any, usable: bool) -> None:
    assert id_of({"id": key}) == (key if usable else "")
    assert id_of({}) == ""


def test_as_sent() -> None:
    sent = {"resourceType": "Patient", "name": [{"family": "A"}], "meta": {"profile": ["p"]}}
    there = {**sent, "id": "1", "meta": {"versionId": "1", "profile": ["p"]}, "text": {"status": "generated"}}
    assert is_as_sent(there, sent)
    assert not is_as_sent({**there, "name": [{"family": "B"}]}, sent)
    assert not is_as_sent({**there, "active": True}, sent)


def test_nothing_of_a_record_is_in_a_repr() -> None:
    theirs = Theirs(person(), {}, {}, {"race_ethnicity": "cdcrec|2106-3"})
    assert repr(theirs) == "Theirs(race_ethnicity)"
    assert "Ashgrove" not in Ours.__repr__(_ours())


def _ours() -> Ours:
    from fhir_equity.model import Outgoing
    from fhir_equity.store import Person

    return Ours(Person(1, "0123456789abcdef", person(), ()), {}, Outgoing(person(), ()), {}, {}, {}, {}, {})
