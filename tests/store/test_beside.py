"""What others take out of a store while something long runs: ids that were remembered are nobody's, or another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_equity.model import Contention, Member, Side
from fhir_equity.store import Cutoffs, Judge, Record, RunWriter, Store, Written, resolve

PersonMaker = Callable[..., Member]
Rows = Callable[..., list[tuple[Any, ...]]]
OLD, BEFORE = "2015-01-01", "2021-01-01"
SAID = (
    "SELECT member.key, received.topic, origin.collected_on FROM answer JOIN member ON member.id = member_id "
    "JOIN received ON received.id = received_id JOIN origin ON origin.id = origin_id ORDER BY 1"
)


CASE = Contention("conflict", "race_ethnicity", (Side("plan", "plan", "unstated", ()),), ((0,),), "open", OLD)


def purge(url: str) -> None:
    other = Store(url)
    other.purge.purge(Cutoffs(*[BEFORE] * 5), lambda partner: Judge("1", lambda _: {}, partner=partner), lambda _: {})
    other.close()


def test_what_an_ingest_remembers_may_have_been_purged_meanwhile(
    url: str, person: PersonMaker, record: Callable[..., Record], run: Callable[..., RunWriter], rows: Rows
) -> None:
    late = run(as_of=OLD)
    artefact = late.artefact("old.834", "edi834")
    late.add(artefact, [record(person("m1", race="2106-3", collected="2014-01-01"), OLD)])
    purge(url)  # an old file has people whom nobody has met since
    assert rows(SAID) == []
    late.add(artefact, [record(person("m2", language_spoken="en", collected="2014-02-02"), OLD)])
    late.add(artefact, [record(person("m3", race="2106-3", collected="2014-01-01"), OLD)])
    assert rows(SAID) == [("m2", "language_spoken", "2014-02-02"), ("m3", "race", "2014-01-01")]
    sayings = "SELECT member.key, matter FROM sighting JOIN member ON member.id = member_id "
    sayings += "JOIN saying_part ON saying_part.saying_id = sighting.saying_id ORDER BY 1"
    assert rows(sayings) == [("m2", "language_spoken"), ("m3", "race_ethnicity")]


def test_what_a_resolve_remembers_may_have_been_purged_between_two_pages(
    url: str,
    store: Store,
    person: PersonMaker,
    save: Callable[..., Written],
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolve, "PAGE", 1)
    save(person("m1", race="2106-3"), as_of=OLD)
    save(person("m2", race="2106-3"))
    pages = store.resolve(lambda partner: Judge("1", lambda _: {}, lambda *_: [CASE], partner), dry_run=False)
    next(pages)
    purge(url)  # m1 and, with the only case there was, its pattern
    assert rows("SELECT count(*) FROM pattern") == [(0,)]
    list(pages)
    cases = 'SELECT key, kind FROM "case" JOIN member ON member.id = member_id JOIN pattern ON pattern.id = pattern_id'
    assert rows(cases) == [("m2", "conflict")]
