"""The client over a real socket, against the sandbox, on good and on bad days."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina

from fhir_equity import sandbox
from fhir_equity.errors import RemoteError
from fhir_equity.settings import HieSettings
from fhir_equity.sync.client import Client, Conflict, OutcomeUnknownError
from fhir_equity.sync.search import query, token

SYSTEM = "https://example.org/members"
# In two pieces, so that a line of this file in a traceback is not taken for a leak.
MARK = "MAR" + "KED"


def patient(value: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more}


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=20, cap=True):
        yield


def test_a_good_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUITY_TEST_TOKEN", "s3cret")
    with (
        sandbox.running(tmp_path / "sandbox.db", token="s3cret") as url,
        Client(HieSettings(url=url, token_env="EQUITY_TEST_TOKEN", page_size=2)) as client,
    ):
        assert client.capability()["fhirVersion"] == "4.0.1"
        only = query({"identifier": token(SYSTEM, "A,1")})
        first = client.create(patient("A,1"), only)
        assert (first.status, first.etag) == (201, 'W/"1"')
        assert client.create(patient("A,1"), only).resource == first.resource
        second = client.update(first.resource | {"gender": "other"}, first.etag)
        assert (second.etag, second.resource["gender"]) == ('W/"2"', "other")
        with pytest.raises(Conflict):
            client.update(first.resource, first.etag)
        assert client.read("Patient", first.resource["id"]) == second
        assert client.read("Patient", "none") is None
        for n in range(4):
            client.create(patient(f"B{n}"))
        found = [one["identifier"][0]["value"] for one in client.search("Patient", {"identifier": f"{SYSTEM}|"})]
        assert found == ["A,1", "B0", "B1", "B2", "B3"]
        assert list(client.search("Patient", {"identifier": token(SYSTEM, "A,1")})) == [second.resource]


def test_a_token_that_is_not_taken(tmp_path: Path) -> None:
    with (
        sandbox.running(tmp_path / "sandbox.db", token="s3cret") as url,
        Client(HieSettings(url=url)) as client,
        pytest.raises(RemoteError, match=r"^127\.0\.0\.1 refused a request with 401 \(login\)$"),
    ):
        client.read("Patient", "p1")


def test_a_bad_day_makes_nobody_twice(tmp_path: Path) -> None:
    """Everyone is there once, with the last value, whatever went wrong on the way."""
    faults = "429:0.1,503:0.1,drop:0.1,lost:0.2,seed=7"
    with (
        sandbox.running(tmp_path / "sandbox.db", faults=faults) as url,
        Client(HieSettings(url=url, attempts=20)) as client,
    ):
        repeated = []
        for n in range(30):
            made = client.create(patient(f"A{n}"), query({"identifier": token(SYSTEM, f"A{n}")}))
            try:
                client.update(made.resource | {"gender": "other"}, made.etag)
            except Conflict as conflict:
                repeated.append(conflict.repeated)
                found = client.read("Patient", made.resource["id"])
                assert found is not None
                assert (found.etag, found.resource["gender"]) == ('W/"2"', "other")
        assert repeated
        assert all(repeated)
        people = list(client.search("Patient", {"_sort": "_lastUpdated"}))
        assert sorted(one["identifier"][0]["value"] for one in people) == sorted(f"A{n}" for n in range(30))
        assert {one["gender"] for one in people} == {"other"}


@pytest.mark.parametrize(("faults", "made"), [("lost:1", 1), ("drop:1", 0)])
def test_a_create_whose_answer_is_lost_is_not_repeated(tmp_path: Path, faults: str, made: int) -> None:
    with (
        sandbox.running(tmp_path / "sandbox.db", faults=faults) as url,
        Client(HieSettings(url=url)) as client,
        pytest.raises(OutcomeUnknownError),
    ):
        client.create(patient("A1"))
    with sandbox.running(tmp_path / "sandbox.db") as url, Client(HieSettings(url=url)) as client:
        assert len(list(client.search("Patient", {}))) == made


def test_one_client_serves_several_threads(tmp_path: Path) -> None:
    only = query({"identifier": token(SYSTEM, "A1")})
    with (
        sandbox.running(tmp_path / "sandbox.db") as url,
        Client(HieSettings(url=url)) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        made = list(pool.map(lambda _: client.create(patient("A1"), only), range(20)))
        assert sorted(one.status for one in made) == [200] * 19 + [201]
        assert len({one.resource["id"] for one in made}) == 1


def test_nobody_is_listening(tmp_path: Path) -> None:
    with sandbox.running(tmp_path / "sandbox.db") as url:
        pass
    with (
        Client(HieSettings(url=url)) as client,
        pytest.raises(RemoteError, match=r"^127\.0\.0\.1 cannot be reached \(ConnectError\)$"),
    ):
        client.create(patient("A1"))


def _canary(url: str) -> Iterator[RemoteError]:
    """Provoke every kind of trouble with marked values; yields what is raised."""
    settings = HieSettings(url=url, attempts=3)
    with Client(settings) as client:
        steps = (
            lambda: client.create(patient(f"{MARK}-1", id=f"{MARK}-2", name=[{"family": f"{MARK}-3"}])),
            lambda: client.create(patient(f"{MARK}-1"), query({"identifier": token(SYSTEM, f"{MARK}-1")})),
            lambda: client.update(patient(f"{MARK}-4", id=f"{MARK}-5"), f'W/"{MARK}-6"'),
            lambda: client.read("Patient", f"{MARK}-7"),
            lambda: client.create({"resourceType": "Observation", "status": f"{MARK}-8"}),
            lambda: list(client.search("Patient", {"identifier": f"{MARK}-1"})),
            lambda: list(client.search("Patient", {"name": f"{MARK}-9"})),
        )
        for step in steps:
            try:
                step()
            except RemoteError as error:
                yield error


@pytest.mark.parametrize("faults", ["", "503:0.5,seed=3", "drop:0.5,seed=5", "lost:1", "429:1"])
def test_no_value_is_logged_or_said(tmp_path: Path, faults: str, caplog: pytest.LogCaptureFixture) -> None:
    for name in (
        "",
        "httpx",
        "httpcore",
        "httpcore.http11",
        "httpcore.connection",
        "uvicorn",
        "stamina",
        "fhir_equity",
    ):
        caplog.set_level(logging.DEBUG, logger=name)
    with sandbox.running(tmp_path / "sandbox.db", faults=faults) as url:
        errors = list(_canary(url))
    assert errors
    said = [word for error in errors for word in (str(error), repr(error), *traceback.format_exception(error))]
    logged = [str(record.__dict__) + record.getMessage() for record in caplog.records]
    assert not [words for words in [*said, *logged] if MARK in words]
    assert not [words for words in logged if "/Patient" in words or SYSTEM in words]


def test_others_may_still_log_what_they_do_with_httpx(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with sandbox.running(tmp_path / "sandbox.db") as url:
        with Client(HieSettings(url=url)) as client:
            client.capability()
        assert not [record for record in caplog.records if record.name.startswith("httpx")]
        httpx.get(f"{url}/metadata", trust_env=False)
    assert [record for record in caplog.records if record.name == "httpx"]
