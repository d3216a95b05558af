"""A store on each kind of database, invented people to put in it, and the rows as another connection sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.model import (
    Address,
    Answer,
    Coding,
    Enrollment,
    Finding,
    Identifier,
    Member,
    Name,
    Origin,
    Received,
    Rejected,
)
from fhir_equity.quality.people import events_of
from fhir_equity.store import Record, RunWriter, Store, Written
from tests import postgresql
from tests.conftest import KEYS, missing, select_rows

MATTERS = {"race": "race_ethnicity", "ethnicity": "race_ethnicity"}
PersonMaker = Callable[..., Member]
Save = Callable[..., Written]
Rows = Callable[..., list[tuple[Any, ...]]]


KEY = "0123456789abcdef" * 4  # raw, so that no passphrase has to be stretched for every connection


@pytest.fixture(params=["sqlite", "sqlcipher", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """As everywhere, and for an encrypted file, too."""
    numbers = count()
    if request.param == "postgresql":
        yield partial(postgresql.new_schema, request.getfixturevalue("server"))
        return
    if request.param == "sqlcipher":
        if find_spec("sqlcipher3") is None:
            missing("the extra sqlcipher is not installed")
        KEYS.append(KEY)
    yield lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"
    if request.param == "sqlcipher":
        KEYS.pop()


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


def answers_from(said: dict[str, str], origin: Origin) -> tuple[Answer, ...]:
    return tuple(
        Answer(Received(topic, f"test.{topic}", (Coding("cdcrec", code),), "", code), origin, "row", 7, 99, topic)
        for topic, codes in said.items()
        for code in codes.split("+")
    )


@pytest.fixture
def person() -> PersonMaker:
    """`person("m1", race="2106-3+2054-5", born="1980-02-03", ...)`."""

    def make(
        key: str,
        *,
        born: str = "1980-02-03",
        family: str = "Alder",
        given: str | tuple[str, ...] = "Ada",
        artefact: str = "a.834",
        collected: str = "",
        partner: str = "plan",
        address: Address | None = None,
        enrollment: Enrollment | None = None,
        identifiers: tuple[Identifier, ...] = (),
        **said: str,
    ) -> Member:
        origin = Origin(partner, artefact, "plan", "unstated", collected_on=collected)
        first = (given,) if isinstance(given, str) and given else tuple(given)
        return Member(
            partner,
            key,
            "NM109",
            identifiers,
            Name(family, first),
            born,
            address or Address(),
            enrollment or Enrollment(),
            answers_from(said, origin),
        )

    return make


def record_of(member: Member, as_of: str, findings: tuple[Finding, ...] = ()) -> Record:
    events = events_of(member.answers, lambda topic: MATTERS.get(topic, topic), as_of)
    matters = [MATTERS.get(event.received[0].topic, event.received[0].topic) for event in events]
    return Record(member, tuple(zip(matters, events, strict=True)), findings)


def begin(store: Store, partner: str = "plan", as_of: str = "2026-01-01") -> RunWriter:
    return store.run(partner, as_of, "test 1", lambda *parts: "|".join(parts))


@pytest.fixture
def save(store: Store) -> Save:
    """Write members as one chunk of one run of its own."""

    def write(
        *members: Member,
        as_of: str = "2026-01-01",
        partner: str = "plan",
        name: str = "a.834",
        rejected: Sequence[Rejected] = (),
        findings: Iterable[Finding] = (),
    ) -> Written:
        run = begin(store, partner, as_of)
        artefact = run.artefact(name, "edi834")
        run.add(artefact, [record_of(member, as_of) for member in members], rejected, findings)
        run.close(artefact, sha256="f00", size=12, members=len(members), rejected=len(rejected))
        return run.finish()

    return write


@pytest.fixture
def rows(url: str) -> Rows:
    """`rows("select ...", argument)` through a connection of its own."""
    return partial(select_rows, url)


@pytest.fixture
def record() -> Callable[..., Record]:
    return record_of


@pytest.fixture
def run(store: Store) -> Callable[..., RunWriter]:
    """`run(as_of="2026-01-01")` begins a run of the partner ``plan``."""

    def start(partner: str = "plan", as_of: str = "2026-01-01") -> RunWriter:
        return begin(store, partner, as_of)

    return start
