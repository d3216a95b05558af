"""A store on a PostgreSQL server: never in the clear over a network, no password told, text that it does not take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import make_url, text

from fhir_equity.errors import FhirEquityError, StoreError, StoreUnavailableError, UsageError
from fhir_equity.model import Member
from fhir_equity.store import RunWriter, Store
from fhir_equity.store.connection import reading
from fhir_equity.store.postgresql import Postgresql, _encryption

PersonMaker = Callable[..., Member]


@pytest.fixture(params=["postgresql"])
def new_url(new_url: Callable[[], str]) -> Callable[[], str]:
    return new_url


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://db.example/x", {"sslmode": "verify-full"}),
        ("postgresql://db.example/x?sslmode=require", {"sslmode": "require"}),
        ("postgresql://db.example/x?sslmode=verify-ca", {"sslmode": "verify-ca"}),
        ("postgresql://10.0.0.5/x", {"sslmode": "verify-full"}),
        ("postgresql:///x?host=10.0.0.5", {"sslmode": "verify-full"}),
        ("postgresql:///x?host=/run/pg,db.example", {"sslmode": "verify-full"}),
        ("postgresql:///x?host=localhost:5432&host=db.example:5432", {"sslmode": "verify-full"}),
        ("postgresql://localhost/x?hostaddr=10.0.0.5", {"sslmode": "verify-full"}),
        ("postgresql:///x?service=remote", {"sslmode": "verify-full"}),
        ("postgresql://localhost.example/x", {"sslmode": "verify-full"}),
        ("postgresql:///x", {}),
        ("postgresql:///x?host=/run/pg", {}),
        ("postgresql://localhost:5433/x", {}),
        ("postgresql://127.0.0.1/x?sslmode=disable", {"sslmode": "disable"}),
        ("postgresql://[::1]/x", {}),
        ("postgresql:///x?host=localhost:5432", {}),
    ],
)
def test_outside_this_machine_it_is_encrypted(url: str, mode: dict[str, str]) -> None:
    assert _encryption(make_url(url)) == mode


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_what_does_not_encrypt_is_refused(mode: str) -> None:
    with pytest.raises(UsageError) as refused:
        Store(f"postgresql://me:secret@db.example/x?sslmode={mode}")
    assert str(refused.value) == (
        f"sslmode={mode} does not encrypt; outside this machine it is one of require, verify-ca, verify-full"
    )


def test_a_host_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    assert _encryption(make_url("postgresql:///x")) == {"sslmode": "verify-full"}
    assert _encryption(make_url("postgresql://localhost/x")) == {}


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        ("connection failed: SSL error: certificate verify failed", StoreError, "the server's certificate"),
        ("connection failed: server does not support SSL, but SSL was required", StoreError, "does not offer"),
        ('connection failed: password authentication failed for user "me"', StoreError, "does not know this user"),
        ('connection failed: FATAL: database "x" does not exist', StoreError, "no such database"),
        ("connection failed: fe_sendauth: no password supplied", StoreError, "wants a password"),
        ("connection timeout expired", StoreUnavailableError, "cannot be reached"),
        ("the connection is closed", StoreUnavailableError, "was lost"),
    ],
)
def test_what_is_said_before_there_is_a_connection(words: str, kind: type[FhirEquityError], sentence: str) -> None:
    found, said = Postgresql().said(OSError(words))
    assert found is kind
    assert sentence in said
    assert "me" not in said.split()


def test_a_server_that_is_away_is_told_without_the_password() -> None:
    with pytest.raises(StoreUnavailableError) as away:
        Store("postgresql://me:CANARYSECRET@127.0.0.1:9/x")
    assert str(away.value) == "the store's server cannot be reached"
    assert away.value.__cause__ is None
    assert away.value.exit_code == 4


def test_a_database_that_is_missing(server: str) -> None:
    with pytest.raises(StoreError, match=r"^the store's server has no such database or user$"):
        Store(server.replace("/postgres?", "/nowhere?"))


def test_a_schema_that_is_missing(server: str) -> None:
    with pytest.raises(StoreError, match=r"^the schema of the store does not exist; make it first$"):
        Store(f"{server}&options=-csearch_path%3Dnowhere")


def test_a_connection_that_is_lost_writes_nothing_and_the_next_try_works(
    store: Store,
    run: Callable[..., RunWriter],
    person: PersonMaker,
    record: Callable[..., Any],
    rows: Callable[..., Any],
) -> None:
    writer = run()
    artefact = writer.artefact("a.834", "edi834")
    with reading(store.engine) as connection:
        (number,) = connection.execute(text("SELECT pg_backend_pid()")).one()
    rows("SELECT pg_terminate_backend(?)", number)
    with pytest.raises(StoreUnavailableError, match=r"^the connection to the store's server was lost; run it again"):
        writer.add(artefact, [record(person("m1", race="2106-3"), "2026-01-01")])
    assert rows("SELECT count(*) FROM member") == [(0,)]
    writer.add(artefact, [record(person("m1", race="2106-3"), "2026-01-01")])
    assert rows("SELECT count(*) FROM answer") == [(1,)]


def test_a_character_that_postgresql_does_not_take_is_kept_as_an_escape(
    run: Callable[..., RunWriter], person: PersonMaker, record: Callable[..., Any], rows: Callable[..., Any]
) -> None:
    writer = run()
    artefact = writer.artefact("a.834", "edi834")
    writer.add(artefact, [record(person("m\0", given="A\0", race="x"), "2026-01-01")])
    assert rows("SELECT key, given FROM member") == [("m\\x00", "A\\x00")]
    writer.add(artefact, [record(person("m\0", given="A\0", race="x"), "2026-01-01")])
    assert writer.written.members == 1
