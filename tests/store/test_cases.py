"""Lists of cases and the past of a member are found by an index, however many there are."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Select

from fhir_equity.store import Store
from fhir_equity.store.cases import case_query, group_query
from fhir_equity.store.connection import reading, writing

MANY = 3000


def plan(store: Store, query: Select[Any]) -> str:
    """How the database goes about a query, with sequential scans of PostgreSQL left to large tables only."""
    text = str(query.compile(store.engine, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN " if store.engine.dialect.name == "sqlite" else "EXPLAIN "
    with reading(store.engine) as connection:
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + text.replace("%", "%%")))


@pytest.fixture
def full(store: Store) -> Store:
    """A store with many cases of two patterns, known to the planner."""
    member = 'INSERT INTO member (id, partner, "key", twin, key_rule, pseudonym, family, given, birth_date, details)'
    member += " VALUES ({0}, 'plan', 'k{0}', 0, '', 'p{0}', '', '', '', '')"
    pattern = "INSERT INTO pattern VALUES ({0}, 'd{0}', 'tie', 'race', {1})"
    case = "INSERT INTO \"case\" (member_id, pattern_id, source, state, since) VALUES ({0}, {1}, '', '{2}', '')"
    sides = "X'5B5D'" if store.engine.dialect.name == "sqlite" else "'[]'::bytea"
    with writing(store.engine) as connection:
        for number in (1, 2):
            connection.exec_driver_sql(pattern.format(number, sides))
        for number in range(1, MANY + 1):
            connection.exec_driver_sql(member.format(number))
            state = "open" if number % 3 else "decided"
            connection.exec_driver_sql(case.format(number, 1 + number % 2, state))
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if store.engine.dialect.name == "sqlite":
            connection.exec_driver_sql("ANALYZE")
    return store


def test_the_lists_are_right(full: Store) -> None:
    counted = [(group.pattern, group.waiting, group.decided) for group in full.cases.groups()]
    assert counted == [(1, 1000, 500), (2, 1000, 500)]
    assert [case.pseudonym for case in full.cases.cases(2, limit=2)] == ["p1", "p5"]
    assert len(full.cases.cases(2)) == 1000


def test_the_counts_come_from_an_index_alone(full: Store) -> None:
    told = plan(full, group_query())
    if full.engine.dialect.name == "sqlite":
        assert "COVERING INDEX ix_case_pattern_id" in told
    assert "SEARCH patterns" in told or "pattern" in told


def test_the_first_cases_of_a_pattern_come_without_reading_the_others(full: Store) -> None:
    told = plan(full, case_query(2, limit=20))
    assert "ix_case_pattern_id" in told
    assert "SCAN case" not in told
    assert 'Seq Scan on "case"' not in told
