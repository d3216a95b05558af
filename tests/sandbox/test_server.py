"""Serving on a real socket."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import httpx
import pytest

from fhir_equity import sandbox
from fhir_equity.errors import UsageError


def test_running_serves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with sandbox.running(tmp_path / "sandbox.db") as url:
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/fhir")
        with httpx.Client(trust_env=False) as client:
            made = client.post(f"{url}/Patient", json={"resourceType": "Patient"})
            assert made.headers["location"].startswith(f"{url}/Patient/")
            assert "server" not in made.headers
    assert set(threading.enumerate()) == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/metadata", trust_env=False)


def test_a_drop_cuts_the_connection(tmp_path: Path) -> None:
    with (
        sandbox.running(tmp_path / "sandbox.db", faults="drop:1") as url,
        httpx.Client(trust_env=False) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.post(f"{url}/Patient", json={"resourceType": "Patient"})
    with sandbox.running(tmp_path / "sandbox.db") as url:
        assert httpx.get(f"{url}/Patient", trust_env=False).json()["total"] == 0


def test_an_answer_is_cut_off_in_the_middle(tmp_path: Path) -> None:
    with (
        sandbox.running(tmp_path / "sandbox.db", faults="truncated:1") as url,
        httpx.Client(trust_env=False) as client,
        client.stream("POST", f"{url}/Patient", json={"resourceType": "Patient"}) as answer,
    ):
        blocks = answer.iter_raw()
        assert answer.status_code == 201
        assert next(blocks).startswith(b"{")
        with pytest.raises(httpx.RemoteProtocolError):
            list(blocks)
    with sandbox.running(tmp_path / "sandbox.db") as url:
        assert httpx.get(f"{url}/Patient", trust_env=False).json()["total"] == 1


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"port {port} cannot be used"),
            sandbox.running(tmp_path / "sandbox.db", port=port),
        ):
            pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", ""])  # noqa: S104 -- must be refused
def test_nothing_but_loopback(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match="loopback"), sandbox.running(tmp_path / "sandbox.db", host=host):
        pass
    with pytest.raises(UsageError, match="loopback"):
        sandbox.serve(tmp_path / "sandbox.db", host=host)


def test_serve_ends_with_an_interrupt(tmp_path: Path) -> None:
    seen: list[str] = []

    def ready(url: str) -> None:
        seen.append(url)
        os.kill(os.getpid(), signal.SIGINT)

    sandbox.serve(tmp_path / "sandbox.db", ready=ready)
    assert len(seen) == 1
    assert seen[0].startswith("http://127.0.0.1:")
