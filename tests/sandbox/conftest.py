"""The sandbox as tests speak to it: in this process, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_equity import sandbox

BASE = "http://127.0.0.1/fhir"


class Endpoint:
    """One sandbox application and how to send it a request."""

    def __init__(self, path: Path, token: str = "", faults: str = "") -> None:
        self.app = sandbox.create_app(path, token=token, faults=faults)

    def __call__(self, method: str, address: str = "", body: Any = None, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, timeout=60) as client:
                url = address if address.startswith("http") else f"{BASE}/{address}".rstrip("/")
                return await client.request(method, url, json=body, **options)

        return asyncio.run(send())

    def form(self, kind: str, **parameters: str) -> httpx.Response:
        """A search by POST."""
        return self("POST", f"{kind}/_search", data=parameters)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Endpoint]:
    """Make a sandbox with options."""
    return lambda **options: Endpoint(tmp_path / "sandbox.db", **options)


@pytest.fixture
def fhir(make: Callable[..., Endpoint]) -> Endpoint:
    """A sandbox without token and faults."""
    return make()
