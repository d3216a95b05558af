"""What is published holds against an attacker that is not ours."""

from __future__ import annotations

from random import Random

import pytest

from fhir_equity.quality.publish.document import publish
from tests.quality.publish.audits import RULE
from tests.quality.publish.outsider import Outsider, audit_of, later, people_of


@pytest.mark.parametrize("seed", range(24))
def test_an_outsider_finds_nothing(seed: int) -> None:
    audit = audit_of(people_of(Random(seed)))
    done = publish(audit, RULE)
    assert done.held
    assert Outsider(done.document, audit).found(RULE.width) == []


def test_an_outsider_finds_what_is_not_hidden() -> None:
    audit = audit_of(people_of(Random(5)))
    assert Outsider(audit, audit).found(RULE.width)


@pytest.mark.parametrize("seed", [*range(10), 100, 125])
def test_nor_what_a_few_have_changed_since(seed: int) -> None:
    random = Random(seed)
    people = people_of(random)
    before, now = audit_of(people), audit_of(later(random, people), "0b")
    first = publish(before, RULE)
    second = publish(now, RULE, [first.publication])
    assert second.held
    outsider = Outsider(second.document, now)
    assert outsider.found(RULE.width) == []
    assert outsider.changed(Outsider(first.document, before), RULE.width) == []
