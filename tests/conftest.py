"""What every test may use: where the shared reference files are, and how a missing thing skips."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.engine import make_url

from fhir_equity.store.sqlite import Sqlite
from tests import postgresql

# How long an example takes says more about the machine than about us.
settings.register_profile("fhir-equity", deadline=None)
settings.load_profile("fhir-equity")

ROOT = Path(__file__).resolve().parent.parent


def missing(reason: str) -> None:
    """Skip because this machine lacks something; in CI (FHIR_EQUITY_REQUIRE_ALL=1) fail instead."""
    if os.environ.get("FHIR_EQUITY_REQUIRE_ALL") == "1":
        pytest.fail(f"required here: {reason}")
    pytest.skip(reason)


# What shares a costly server is run by one process; every other file goes to whichever process is free.
TOGETHER = ("servers", "engine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let `pytest -n` hand out whole files, and whole folders that share a server."""
    from xdist.scheduler import LoadScopeScheduling

    class Whole(LoadScopeScheduling):  # type: ignore[misc] # which has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder = file.split("/")[1]
            return folder if folder in TOGETHER else file

    return Whole(config, log)


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Leave our logging as it was: a command that ran in the test's own process has set it up."""
    own, root = logging.getLogger("fhir_equity"), logging.getLogger()
    handlers, propagate, level, of_root = own.handlers[:], own.propagate, own.level, root.handlers[:]
    yield
    own.handlers[:], own.propagate, root.handlers[:] = handlers, propagate, of_root
    own.setLevel(level)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference files: FHIR_EQUITY_SHARED, else ../shared beside the repository."""
    place = Path(os.environ.get("FHIR_EQUITY_SHARED", ROOT.parent / "shared"))
    if not place.is_dir():
        missing("the shared reference files are not on this machine (FHIR_EQUITY_SHARED)")
    return place


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server that is started for this session."""
    if not postgresql.program("initdb"):
        missing("PostgreSQL is not on this machine (Debian: apt-get install postgresql)")
    with postgresql.cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """`new_url()` is the URL of a place for one more empty store; the test runs for every kind of database."""
    numbers = count()
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"
    return partial(postgresql.new_schema, request.getfixturevalue("server"))


# With a key every store of the tests in a SQLite file is encrypted: FHIR_EQUITY_TEST_KEY=... pytest tests/store
KEYS = [os.environ.get("FHIR_EQUITY_TEST_KEY", "")]  # the last one counts; tests/store add one of their own


@pytest.fixture(autouse=True)
def encrypted_by_the_key_of_the_tests() -> Iterator[None]:
    """Open stores with the key of the environment, where a test names none."""
    with pytest.MonkeyPatch.context() as patch:
        plain = Sqlite.engine
        patch.setattr(Sqlite, "engine", lambda self, url, key: plain(self, url, key or KEYS[-1]))
        yield


def engine_of(url: str) -> Engine:
    """A connection of its own to the database of a store."""
    if KEYS[-1] and url.startswith("sqlite"):
        return Sqlite().engine(make_url(url), KEYS[-1])
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)


def select_rows(url: str, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    """The rows of a query through a connection of its own; ``?`` stands for an argument."""
    engine = engine_of(url)
    if engine.dialect.name == "postgresql":
        query = query.replace("?", "%s")
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query, arguments)]
