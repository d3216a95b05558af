"""explain and review list answer at once: none of their queries reads a large table through, on either database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from fhir_equity.pipeline.explain import explain
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.review import review_decide, review_list
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from fhir_equity.store import Store
from tests.conftest import select_rows
from tests.pipeline.test_ingest import file, member

PEOPLE = 3000
LARGE = ("answer", "beaten", "member", "member_identifier", "resolution", "sighting")
Asked = list[tuple[str, Any]]


@pytest.fixture
def workspace(url: str, tmp_path: Path) -> Iterator[Workspace]:
    """A store of two files that contradict each other, with what the planner wants to know."""
    one = file(tmp_path / "one.834", [member(n, "CBA"[n % 3]) for n in range(PEOPLE)])
    other = file(tmp_path / "other.834", [member(n, "BAC"[n % 3], "ENG") for n in range(PEOPLE)])
    settings = Settings(store=StoreSettings(url=url), privacy=PrivacySettings(key_file=tmp_path / "equity.key"))
    with Workspace(settings, "2026-01-01") as opened:
        ingest(opened, [one, other], partner="plan")
        with opened.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
        yield opened


@contextmanager
def listening(store: Store) -> Iterator[Asked]:
    """Every query that is sent meanwhile, with its arguments."""
    asked: Asked = []

    def told(_connection: object, _cursor: object, statement: str, arguments: Any, *_: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            asked.append((statement, arguments))

    event.listen(store.engine, "before_cursor_execute", told)
    try:
        yield asked
    finally:
        event.remove(store.engine, "before_cursor_execute", told)


def read_through(store: Store, asked: Asked) -> set[str]:
    """The tables that these queries read from beginning to end, by the plans of the database."""
    found: set[str] = set()
    lite = store.engine.dialect.name == "sqlite"
    with store.engine.connect() as connection:
        for statement, arguments in asked:
            plan = connection.exec_driver_sql(
                f"EXPLAIN {'QUERY PLAN ' if lite else ''}{statement}", arguments or None
            ).all()
            for row in plan:
                through = re.search(r"^SCAN (\w+)" if lite else r"Seq Scan on (\w+)", str(row[-1]))
                if through:
                    found.add(through[1])
    return found


def test_the_store_is_large_enough_for_the_planner_to_choose(workspace: Workspace, url: str) -> None:
    counts = {name: select_rows(url, f"SELECT count(*) FROM {name}")[0][0] for name in LARGE}  # noqa: S608 - our names
    assert min(counts.values()) >= PEOPLE
    with listening(workspace.store) as asked:
        for _ in workspace.store.people:  # everybody, who are indeed read through
            pass
    assert "answer" in read_through(workspace.store, asked)


@pytest.mark.parametrize("partner", ["", "plan"])
def test_explain_reads_no_large_table_through(workspace: Workspace, partner: str) -> None:
    review_decide(workspace, "1", "1", "asked them")
    with listening(workspace.store) as asked:
        by_key = explain(workspace, "FX000007", partner=partner, show_values=True)
        explain(workspace, by_key["member"]["pseudonym"], partner=partner)
    assert len(by_key["matters"]) > 1
    assert len(asked) > 10
    assert read_through(workspace.store, asked).isdisjoint(LARGE)


def test_a_list_of_cases_reads_no_large_table_through(workspace: Workspace) -> None:
    with listening(workspace.store) as asked:
        document = review_list(workspace)
        review_list(workspace, group=True, every=True)
        review_list(workspace, which=f"{document['patterns'][0]['pattern']}")
    assert sum(pattern["waiting"] for pattern in document["patterns"]) > PEOPLE
    assert len(asked) >= 6
    assert read_through(workspace.store, asked).isdisjoint(LARGE)
