"""The trail: complete, chained, sealed, one with the deed, and what was tampered with shows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fhir_equity.errors import StoreError
from fhir_equity.store import Signature, Store
from fhir_equity.store.connection import writing
from fhir_equity.store.trail import FIRST, Head


@pytest.fixture
def trailed(url: str) -> Store:
    """A store with three entries."""
    store = Store(url, Signature("steward", lambda: {"software": "test 1", "tables": "abc"}))
    for number in range(3):
        store.trail.record("ingest", about={"run": number}, counts={"members": number}, topics={"race": number})
    return store


def change(store: Store, *statements: str) -> None:
    """What somebody with the password of the database does, past the seal."""
    with writing(store.engine) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER trail_no_update")
            connection.exec_driver_sql("DROP TRIGGER trail_no_delete")
        else:
            connection.exec_driver_sql("DROP TRIGGER trail_sealed ON trail")
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_an_entry_says_who_what_when_with_which_versions_and_how_many(url: str) -> None:
    store = Store(url, Signature("steward", lambda: {"software": "test 1"}))
    made = store.trail.record(
        "ingest", about={"run": 7}, counts={"members": 3}, topics={"race": 2}, versions={"policy": "p"}
    )
    (entry,) = store.trail.entries()
    assert entry == made
    assert (entry.id, entry.who, entry.action, entry.outcome) == (1, "steward", "ingest", "done")
    assert (entry.about, entry.counts, entry.topics) == ({"run": "7"}, {"members": 3}, {"race": 2})
    assert entry.versions == {"software": "test 1", "policy": "p"}
    assert entry.at.endswith("+00:00")
    assert (entry.previous, len(entry.digest)) == (FIRST, 64)
    assert store.trail.head() == Head(1, entry.digest)
    store.close()


def test_entries_from_a_time_on_and_of_one_action(trailed: Store) -> None:
    trailed.trail.record("retract")
    assert [entry.id for entry in trailed.trail.entries(action="retract")] == [4]
    assert [entry.id for entry in trailed.trail.entries(since="2020")] == [1, 2, 3, 4]
    assert list(trailed.trail.entries(since="9999")) == []
    trailed.close()


def test_nothing_that_came_with_a_person_has_a_place(store: Store) -> None:
    with pytest.raises(ValueError, match="not about member, name"):
        store.trail.record("ingest", about={"name": "Ada", "member": "1", "run": 1})
    assert list(store.trail.entries()) == []


def test_an_entry_stands_and_falls_with_its_deed(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), writing(store.engine) as connection:  # noqa: PT012 - what fails comes after
        store.trail.record("retract", connection=connection)
        raise ZeroDivisionError
    assert store.trail.verify().head == Head()
    with writing(store.engine) as connection:
        store.trail.record("retract", connection=connection)
        store.trail.record("purge", connection=connection)
    assert [entry.action for entry in store.trail.entries()] == ["retract", "purge"]
    assert store.trail.verify().problems == []


def test_writers_at_once_make_one_chain(url: str) -> None:
    stores = [Store(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(store.trail.record, "ingest") for store in stores for _ in range(8)]:
            each.result()
    found = stores[0].trail.verify()
    assert (found.head.entries, found.problems) == (32, [])
    for store in stores:
        store.close()


@pytest.mark.parametrize("statement", ["UPDATE trail SET who = 'me'", "DELETE FROM trail WHERE id = 3"])
def test_the_database_refuses_to_change_it(trailed: Store, statement: str) -> None:
    with pytest.raises(StoreError), writing(trailed.engine) as connection:
        connection.exec_driver_sql(statement)
    assert trailed.trail.verify().problems == []
    trailed.close()


MOVED = ["UPDATE trail SET id = 9 WHERE id = 1", "UPDATE trail SET id = 1 WHERE id = 2"]
TAMPERED: list[tuple[list[str], list[tuple[int, str]]]] = [
    (["UPDATE trail SET who = 'me' WHERE id = 2"], [(2, "edited")]),
    (["UPDATE trail SET counts = '{}' WHERE id = 3"], [(3, "edited")]),
    (["DELETE FROM trail WHERE id = 2"], [(3, "missing")]),
    (["DELETE FROM trail WHERE id = 1"], [(2, "missing")]),
    ([*MOVED, "UPDATE trail SET id = 2 WHERE id = 9"], [(1, "edited"), (1, "chain"), (2, "edited"), (2, "chain"),
                                                       (3, "chain")]),
    (["DELETE FROM trail WHERE id = 3"], [(2, "end")]),
    (["DELETE FROM trail"], [(0, "end")]),
]  # fmt: skip


@pytest.mark.parametrize(("statements", "problems"), TAMPERED)
def test_what_was_tampered_with_shows(trailed: Store, statements: list[str], problems: list[tuple[int, str]]) -> None:
    change(trailed, *statements)
    assert trailed.trail.verify().problems == problems
    trailed.close()


def test_a_head_written_down_elsewhere_shows_what_was_cut_and_written_anew(trailed: Store, url: str) -> None:
    known = trailed.trail.head()
    assert trailed.trail.verify(known).problems == []
    change(trailed, "DELETE FROM trail", "DELETE FROM trail_head")
    for number in range(4):
        trailed.trail.record("ingest", about={"run": number + 5})
    assert trailed.trail.verify().problems == []
    assert trailed.trail.verify(known).problems == [(3, "expected")]
    assert trailed.trail.verify(Head(9, known.digest)).problems == [(9, "expected")]
    assert str(known) == f"3:{known.digest}"
    trailed.close()


def test_a_run_is_on_the_trail_when_it_begins_and_when_it_ends(
    store: Store, save: Callable[..., object], person: Callable[..., object]
) -> None:
    save(person("m1", race="2106-3", language_spoken="en"), person("m2", race="2106-3"))
    begun, done = store.trail.entries()
    assert (begun.action, begun.outcome, begun.counts) == ("ingest", "begun", {})
    assert begun.about == done.about == {"run": "1", "partner": "plan", "as_of": "2026-01-01"}
    assert done.outcome == "done"
    assert done.counts == {"members": 2, "new_answers": 3, "new_members": 2}
    assert done.topics == {"language_spoken": 1, "race_ethnicity": 2}
