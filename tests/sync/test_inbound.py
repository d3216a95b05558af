"""The inbound policy, and what is an echo of our own word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.errors import TableError
from fhir_equity.sync.echo import is_echo
from fhir_equity.sync.inbound import Inbound
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Codes

CODES = Codes(Tables())
RULE = {"id": "r", "hie": "*", "purpose": "operations", "topics": ["race"], "from": "2026-01-01"}
RACE = "race_ethnicity"


def inbound(*rules: Any, part_2: Any = ()) -> Inbound:
    return Inbound({"rule": list(rules), "part_2": part_2}, CODES)


@pytest.mark.parametrize(
    ("rule", "matter", "accepted"),
    [
        (RULE, RACE, True),
        (RULE, "language_spoken", False),
        (RULE, "gender_identity", False),
        (RULE | {"topics": ["gender_identity"]}, "gender_identity", True),
        (RULE | {"hie": "hx"}, RACE, True),
        (RULE | {"hie": "other"}, RACE, False),
        (RULE | {"from": "2026-06-02"}, RACE, False),
        (RULE | {"to": "2026-05-31"}, RACE, False),
        (RULE | {"from": "2026-06-01", "to": "2026-06-01"}, RACE, True),
        (RULE | {"methods": ["self"]}, RACE, False),
        (RULE | {"methods": ["unstated", "self"]}, RACE, True),
    ],
)
def test_what_a_rule_lets_in(rule: Any, matter: str, accepted: bool) -> None:
    assert inbound(rule).accepts("hx", matter, "unstated", "2026-06-01") is accepted
    assert not inbound().accepts("hx", matter, "unstated", "2026-06-01")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"topics": []}, "topics is missing"),
        ({"from": ""}, "from is missing"),
        ({"from": "soon"}, "from and to are dates"),
        ({"to": "2026-13-01"}, "from and to are dates"),
        ({"methods": ["guessed"]}, "there is no method guessed"),
        ({"topics": ["colour"]}, "colour"),
    ],
)
def test_rules_that_cannot_be_meant(change: Any, said: str) -> None:
    with pytest.raises(TableError, match=said):
        inbound(RULE | change)


def test_the_default_takes_no_sensitive_topic() -> None:
    built_in = Inbound(Tables().document("policies/inbound.toml"), CODES)
    taken = {
        name for name, topic in CODES.topics.items() if built_in.accepts("any", topic.matter, "self", "2026-06-01")
    }
    assert {"race", "ethnicity", "language_spoken", "tribal_affiliation"} <= taken
    assert not [name for name in taken if CODES.topic(name).sensitive]
    assert "aian_certified" not in taken


def test_labels_of_part_2() -> None:
    marked = inbound(part_2=["urn:x|P2"])
    label = {"system": "urn:x", "code": "P2"}
    assert marked.is_part_2({"meta": {"security": [{"code": "R"}, label]}})
    for meta in (None, {}, {"security": "x"}, {"security": [{"code": "P2"}, 7]}, {"tag": [label]}):
        assert not marked.is_part_2({"meta": meta})


def said(*codes: str) -> str:
    return "\n".join(sorted(f"cdcrec|{code}" for code in codes))


WHITE, ASIAN, CHINESE, MENA, LEBANESE = "2106-3", "2028-9", "2034-7", "2118-8", "2123-8"
HISPANIC, MEXICAN, NOT_HISPANIC = "2135-2", "2148-5", "2186-5"


@pytest.mark.parametrize(
    ("there", "ours", "echo"),
    [
        (said(ASIAN), said(ASIAN, CHINESE), True),
        (said(ASIAN), said(CHINESE), True),
        (said(WHITE), said(MENA, LEBANESE), True),
        (said(WHITE, NOT_HISPANIC), said(MENA), True),
        (said(WHITE, HISPANIC), said(WHITE, MEXICAN), True),
        (said(WHITE), said(WHITE, ASIAN), False),  # a race of ours is not there: somebody else's word
        (said(WHITE, ASIAN), said(WHITE), False),
        (said(CHINESE), said(ASIAN), False),  # says more than we did
        (said(ASIAN), said(WHITE), False),
        (said("1000-9"), said(WHITE), False),
        (said(NOT_HISPANIC), said(WHITE), False),
        (said(ASIAN) + "\ntext|asian", said(CHINESE) + "\ntext|chinese", True),
        ("bcp47|es", "bcp47|es-MX", False),
        ("state|declined", "state|declined", True),
        ("state|declined", said(WHITE), False),
        ("text|asian", "text|chinese", False),
    ],
)
def test_echoes(there: str, ours: str, echo: bool) -> None:
    assert is_echo(there, [ours], CODES) is echo
    assert is_echo(there, ["state|unknown", ours], CODES) is echo
    assert not is_echo(there, [], CODES)


@given(st.sets(st.sampled_from(sorted(CODES.cdcrec)), min_size=1, max_size=4))
def test_every_answer_is_its_own_echo(codes: set[str]) -> None:
    assert is_echo(said(*codes), [said(*codes)], CODES)
