"""A mocked HIE, a client for it, and no waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import respx

from fhir_equity.settings import HieSettings
from fhir_equity.sync.client import Client


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token for whoever asks an endpoint that is not on this machine."""
    monkeypatch.setenv("EQUITY_LOGIN", "t0ken")


def sleep_as(monkeypatch: pytest.MonkeyPatch, nap: Callable[[float], object]) -> None:
    """Let this thread do something else where it would sleep; those of others (Spark's) must go on sleeping."""
    real, mine = time.sleep, threading.get_ident()
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds) if threading.get_ident() == mine else real(seconds))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nothing sleeps; how long it would have."""
    waited: list[float] = []
    sleep_as(monkeypatch, waited.append)
    return waited


@pytest.fixture
def hie(waits: list[float]) -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(HieSettings(url="https://hie.example/fhir", token_env="EQUITY_LOGIN")) as made:
        yield made
