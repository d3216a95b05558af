"""The policy file: what it says when it is right, and what is said of it when it is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fhir_equity.errors import TableError
from fhir_equity.model import State
from fhir_equity.survivorship import Policy, policy_from
from fhir_equity.survivorship.policy import REASONS, RULES
from tests.survivorship.said import CODES, DOCUMENT, POLICY, policy


def test_the_policy_of_the_package() -> None:
    assert Policy(
        version="2026-11-29",
        methods={"self": 0, "proxy": 1, "relayed": 2, "unstated": 3, "observed": 4},
        absent={
            State.DECLINED: 0,
            State.DONT_KNOW: 1,
            State.UNABLE: 2,
            State.NOT_ASKED: 3,
            State.BLANK: 4,
            State.INVALID: 5,
            State.UNKNOWN: 6,
            State.NOT_APPLICABLE: 7,
        },
        rules=frozenset(RULES),
        one_only=("one race only",),
        own_word=frozenset(("self",)),
        partners={"default": {}},
        collectors={"default": {}},
        currency={"default": 0},
        declined={"default": "keep"},
        telling=frozenset(("nothing_known", "known_over_unknown", "never_filled", "refused_later")),
    ) == msgspec.structs.replace(POLICY, why={})


def test_the_rules_stand_in_the_file_as_they_are_asked_and_each_has_its_sentence() -> None:
    assert tuple(DOCUMENT["rules"]) == RULES
    assert set(DOCUMENT["why"]) == {*RULES, *REASONS}


EVERY_METHOD = "methods must rank every one once: self, proxy, relayed, unstated, observed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": DOCUMENT["methods"][1:]}, EVERY_METHOD),
        ({"methods": [*DOCUMENT["methods"], "self"]}, EVERY_METHOD),
        ({"methods": [*DOCUMENT["methods"], "guessed"]}, "methods: 'guessed' does not exist; there are: self, proxy"),
        ({"methods": "self"}, "methods: Input should be a valid list"),
        ({"absent": DOCUMENT["absent"][1:]}, "absent must rank every one once: declined, dont_know"),
        ({"absent": [*DOCUMENT["absent"], "blank"]}, "absent must rank every one once"),
        ({"absent": [*DOCUMENT["absent"], "answered"]}, "absent: 'answered' does not exist"),
        ({"version": ""}, "version: String should have at least 1 character"),
        ({"version": 2}, "version: Input should be a valid string"),
        ({"methdos": []}, "methdos: there is no such name; there are: version, methods, absent, one_only"),
        ({"own_word": ["me"]}, "own_word: 'me' does not exist; there are: self"),
        ({"telling": ["luck"]}, "telling: 'luck' does not exist; there are: never_filled"),
        ({"rules": {"newst": False}}, "rules: 'newst' does not exist; there are: never_filled, several_over_one"),
        ({"rules": {"known_over_unknown": False}}, "rules: 'known_over_unknown' does not exist"),
        ({"rules": {"newest": "no"}}, "rules.newest: Input should be a valid boolean"),
        ({"declined": {"default": "forget"}}, "declined.default: Input should be 'keep' or 'replace'"),
        ({"declined": {"race": "keep"}}, "declined: race is decided together with others as race_ethnicity"),
        ({"currency": {"default": -1}}, "currency.default: Input should be greater than or equal to 0"),
        ({"currency": {"default": 1.5}}, "currency.default: Input should be a valid integer"),
        ({"currency": {"shoe_size": 1}}, "currency: there is no topic 'shoe_size'; there are: default, race_ethnicity"),
        ({"partners": {"default": ["a", "b", "a"]}}, "partners.default names one twice"),
        ({"partners": {"ethnicity": ["a"]}}, "partners: ethnicity is decided together with others"),
        ({"collectors": {"default": ["boss"]}}, "collectors.default: 'boss' does not exist; there are: plan, state"),
        ({"collectors": {"sex": ["plan", "plan"]}}, "collectors.sex names one twice"),
        ({"why": {"luck": "It was lucky."}}, "why: 'luck' does not exist; there are: never_filled"),
    ],
)
def test_a_policy_that_is_wrong_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    with pytest.raises(TableError) as refused:
        policy_from({**DOCUMENT, **change}, CODES)
    assert str(refused.value).startswith(f"policies/survivorship.toml: {words}")


@pytest.mark.parametrize("name", ["version", "methods", "absent"])
def test_a_policy_without_ranks_or_version_is_refused(name: str) -> None:
    with pytest.raises(TableError, match=rf"survivorship.toml: {name}: Field required$"):
        policy_from({each: said for each, said in DOCUMENT.items() if each != name}, CODES)


def test_a_policy_that_says_otherwise_needs_a_version_of_its_own() -> None:
    POLICY.require_version_of_its_own(policy())
    policy(version="ours", own_word=[]).require_version_of_its_own(POLICY)
    with pytest.raises(TableError, match="needs a version of its own"):
        policy(own_word=[]).require_version_of_its_own(POLICY)
