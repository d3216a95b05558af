"""A store for each kind of database, and a workspace on it as the module of a test opens one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fhir_equity.pipeline.workspace import Workspace


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


@pytest.fixture
def workspace(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Iterator[Workspace]:
    """What the module's `opened(url, folder)` opens."""
    with request.module.opened(url, tmp_path) as made:
        yield made
