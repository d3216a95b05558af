"""How far a run has come: which is gone on with, what is passed over, and who has to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_equity.errors import StoreError, StoreLockedError
from fhir_equity.model import Finding, Locator, Loss, Member, Relationship, Severity
from fhir_equity.store import RunWriter, Store
from fhir_equity.store.progress import Progress

PersonMaker = Callable[..., Member]
Rows = Callable[..., list[tuple[Any, ...]]]
FOUND = Finding("a", Severity.INFO, Locator("a.834"))


def begin(store: Store, inputs: str = "digest", **other: str) -> RunWriter:
    who = {"partner": "plan", "as_of": "2026-01-01", "software": "test 1"} | other
    return store.run(who["partner"], who["as_of"], who["software"], lambda *parts: "|".join(parts), inputs)


def test_what_is_ahead_is_passed_over_as_a_whole() -> None:
    progress = Progress(stored=5)
    assert (progress.has(2), progress.has(5), progress.has(6 - 5)) == (True, True, True)
    with pytest.raises(StoreError, match="was cut otherwise"):
        progress.has(6)
    progress.moved(5)
    assert (progress.has(0), progress.has(1)) == (True, False)
    progress.moved(3)
    assert (progress.stored, progress.passed) == (8, 8)


@pytest.mark.parametrize(
    "other", [{"inputs": "other"}, {"partner": "x"}, {"as_of": "2026-01-02"}, {"software": "test 2"}]
)
def test_only_the_same_run_goes_on(store: Store, other: dict[str, str]) -> None:
    assert begin(store).id == 1
    assert begin(store).id == 1
    assert begin(store, **other).id == 2
    assert begin(store).finish() is not None
    assert begin(store).id == 3


def test_a_run_whose_inputs_nobody_knows_is_always_a_new_one(store: Store) -> None:
    assert [begin(store, "").id, begin(store, "").id] == [1, 2]


def test_what_is_stored_is_passed_over_and_the_rest_is_written(
    store: Store, record: Callable[..., Any], person: PersonMaker, rows: Rows
) -> None:
    people = [record(person(f"m{n}", race="2106-3"), "2026-01-01") for n in (1, 2, 1)]
    first = begin(store)
    artefact = first.artefact("a.834", "edi834")
    first.add(artefact, people[:1], findings=[FOUND])
    again = begin(store)
    assert again.artefact("a.834", "edi834") == artefact
    again.add(artefact, people[:1], findings=[FOUND])
    assert (again.written.members, rows("SELECT count(*) FROM finding")) == (0, [(1,)])
    again.add(artefact, people[1:])
    assert again.written.findings == {"member.duplicate": 1}
    assert rows("SELECT position FROM artefact") == [(4,)]
    again.close(artefact, sha256="d", size=1, members=3, rejected=0)
    with pytest.raises(StoreLockedError, match=r"^another process ingests the same files"):
        first.add(artefact, people[1:])
    assert rows("SELECT position, sha256 FROM artefact") == [(5, "d")]


def test_an_artefact_that_is_ended_is_not_ended_again(store: Store, rows: Rows) -> None:
    for size in (1, 2):
        run = begin(store)
        artefact = run.artefact("a.834", "edi834")
        run.add(artefact, [], findings=[FOUND])
        run.close(artefact, sha256="d", size=size, members=0, rejected=0)
    assert rows("SELECT bytes, position FROM artefact") == [(1, 2)]
    assert rows("SELECT count(*) FROM finding") == [(1,)]


def test_two_inputs_of_one_name_are_taken_up_in_order(store: Store) -> None:
    def both() -> list[int]:
        run = begin(store)
        return [run.artefact("a.834", "edi834"), run.artefact("a.834", "edi834"), run.artefact("a.834", "survey")]

    assert both() == both() == [1, 2, 3]


def test_people_who_are_gone_are_told(store: Store, record: Callable[..., Any], person: PersonMaker) -> None:
    first = begin(store)
    first.add(first.artefact("a.834", "edi834"), [record(person("m1"), "2026-01-01")])
    again = begin(store)
    with pytest.raises(StoreError, match=r"^the store lacks people of a run that it says it has read"):
        again.add(again.artefact("a.834", "edi834"), [record(person("m2"), "2026-01-01")])


LOST = Loss("x12.not_kept.PER", Relationship.NARROWER, "", Locator("a.834", "segment", 9))


def test_the_same_inputs_lose_the_same_which_is_kept_once(store: Store, rows: Rows) -> None:
    def read(inputs: str, *, names: tuple[str, ...] = ("a.834", "a.834"), finish: bool = True) -> None:
        run = begin(store, inputs)
        for name in names:
            artefact = run.artefact(name, "edi834")
            run.add(artefact, [], losses=[LOST, LOST] if name == "a.834" else [LOST])
            run.close(artefact, sha256="d", size=1, members=0, rejected=0)
        if finish:
            run.finish()

    read("digest")
    read("digest")
    assert store.people.losses() == [("x12.not_kept.PER", "narrower", 4)]
    read("digest")
    assert rows("SELECT artefact_id, count(*) FROM loss GROUP BY artefact_id ORDER BY 1") == [(1, 2), (2, 2)]
    assert rows("SELECT losses_of FROM artefact ORDER BY id") == [(None,), (None,), (1,), (2,), (1,), (2,)]
    assert store.people.losses() == [("x12.not_kept.PER", "narrower", 4)]
    read("other", names=("b.834",), finish=False)
    read("other", names=("b.834",))
    assert store.people.losses() == [("x12.not_kept.PER", "narrower", 5)]
    read("", names=("a.834",))
    read("", names=("a.834",))
    assert rows("SELECT count(*) FROM loss") == [(4 + 1 + 2 + 2,)]


def test_a_run_that_was_interrupted_has_losses_of_its_own(store: Store, rows: Rows) -> None:
    first = begin(store)
    first.add(first.artefact("a.834", "edi834"), [], losses=[LOST])
    other = begin(store, as_of="2026-02-01")
    other.add(other.artefact("a.834", "edi834"), [], losses=[LOST])
    assert rows("SELECT artefact_id, losses_of FROM loss JOIN artefact ON artefact.id = artefact_id ORDER BY 1") == [
        (1, None),
        (2, None),
    ]
