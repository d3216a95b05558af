"""Every older layout becomes the one of today, with its rows, and the scripts make what the models declare."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from fhir_equity.store import Store
from fhir_equity.store.connection import open_engine, reading, writing
from fhir_equity.store.migrations import migrate
from fhir_equity.store.schema import VERSION
from tests.conftest import select_rows

LAYOUTS = Path(__file__).parent / "layouts"  # stores as the programs of their time wrote them


def differences(store: Store) -> list[Any]:
    with reading(store.engine) as connection:
        # Of SQLite an empty text is not recognised as the same default.
        defaults = connection.dialect.name != "sqlite"
        context = MigrationContext.configure(connection, opts={"compare_server_default": defaults})
        return list(compare_metadata(context, SQLModel.metadata))


def test_a_new_store_is_as_the_models_declare_it(store: Store) -> None:
    assert differences(store) == []


@pytest.mark.parametrize("layout", range(1, VERSION))
def test_from_every_layout_to_that_of_today(url: str, monkeypatch: pytest.MonkeyPatch, layout: int) -> None:
    monkeypatch.setattr("fhir_equity.store.connection.VERSION", layout)
    older = open_engine(url)
    with writing(older) as connection:
        connection.exec_driver_sql("INSERT INTO run (id, partner, as_of, started, finished, software)"
                                   " VALUES (7, 'plan', '2026-01-01', 's', 'f', 'w')")  # fmt: skip
        connection.exec_driver_sql("INSERT INTO artefact (id, run_id, name, format, sha256, bytes, members, rejected)"
                                   " VALUES (9, 7, 'a.834', 'edi834', 'd', 1, 2, 3)")  # fmt: skip
        connection.exec_driver_sql('INSERT INTO quarantine (id, artefact_id, partner, code, digest, unit, number,'
                                   ' "offset", path, raw)'
                                   " VALUES (5, 9, 'plan', 'c', 'd', 'segment', 1, 0, '', '')")  # fmt: skip
        if layout > 3:
            connection.exec_driver_sql("INSERT INTO quarantined_in (quarantine_id, artefact_id) VALUES (5, 9)")
    older.dispose()
    monkeypatch.undo()
    store = Store(url)
    assert differences(store) == []
    assert select_rows(url, "SELECT version FROM store_version") == [(VERSION,)]
    assert select_rows(url, "SELECT id, partner, inputs FROM run") == [(7, "plan", "")]
    assert select_rows(url, "SELECT id, name, position FROM artefact") == [(9, "a.834", 0)]
    assert select_rows(url, "SELECT quarantine_id, artefact_id FROM quarantined_in") == [(5, 9)]
    store.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_equity.store.connection.VERSION", 3)
    engine = open_engine(url)
    with pytest.raises(ZeroDivisionError), writing(engine) as connection:  # noqa: PT012 - what fails comes after
        connection.exec_driver_sql("DROP TABLE beaten")
        connection.exec_driver_sql("DROP TABLE resolution")
        connection.exec_driver_sql("ALTER TABLE run DROP COLUMN inputs")
        connection.exec_driver_sql("ALTER TABLE artefact DROP COLUMN position")
        connection.exec_driver_sql("ALTER TABLE artefact DROP COLUMN losses_of")
        migrate(connection, 2, 3)
        raise ZeroDivisionError
    assert select_rows(url, "SELECT version FROM store_version") == [(3,)]
    assert select_rows(url, "SELECT count(*) FROM beaten") == [(0,)]
    engine.dispose()


@pytest.mark.parametrize("layout", range(1, VERSION))
def test_a_store_as_its_program_wrote_it(tmp_path: Path, layout: int) -> None:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript((LAYOUTS / f"layout_{layout}.sql").read_text(encoding="utf-8"))
    kept = {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in KEPT}  # noqa: S608 - our names
    artefacts = connection.execute("SELECT id FROM artefact").fetchall()
    connection.close()
    store = Store(str(path))
    types = [each for each in differences(store) if isinstance(each, tuple)]
    assert types == []  # SQLite has one type for whole numbers of any size, so those lists of tuples are passed over
    assert [len(person.events) for person in store.people] == [3, 2 if layout < 4 else 3]
    assert store.hie("north").since() == "2026-01-02T00:00:00Z"
    after = {name: select_rows(f"sqlite:///{path}", f"SELECT * FROM {name} ORDER BY 1, 2") for name in KEPT}  # noqa: S608
    if layout < 4:
        kept["sighting"] = [(*row, 0) for row in kept["sighting"]]  # what those runs said is not known
    assert after == kept
    run = store.run("demo-plan", "2026-02-01", "test", lambda *_: "p")
    assert (run.id, run.artefact("b.834", "edi834")) == (2, len(artefacts) + 1)
    store.close()


KEPT = ("member", "member_identifier", "received", "origin", "answer", "sighting", "quarantine", "cursor")
