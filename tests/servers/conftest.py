"""The referees: software of others that judges what we write."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.servers.hies import KINDS, Hie, Started
from tests.servers.programs import ProgramError, lacking
from tests.servers.renderer import PROGRAMS, RendererError, browser, fetched
from tests.servers.validator import BuildError, Validator, built


@pytest.fixture(scope="session")
def validator(shared: Path) -> Iterator[Validator]:
    """HAPI's validator with the US Core packages, offline, one process for the whole run."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            missing(f"{program} is not on this machine (Java 17 and Maven)")
    try:
        classpath = built()
    except BuildError as error:
        missing(f"the validator cannot be built here: {error}")
    with Validator(classpath, shared) as running:
        yield running


@pytest.fixture(scope="session")
def renderer() -> Path:
    """The folder of LHC-Forms, where this machine has a browser to show it in."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            missing(f"{program} is not on this machine (Node 20 or newer)")
    if not browser():
        missing("there is no Chromium on this machine")
    try:
        return fetched()
    except RendererError as error:
        missing(f"the renderer cannot be fetched here: {error}")
        raise


@pytest.fixture(scope="session")
def started() -> Iterator[Started]:
    """The HIEs and the fault proxy before them, started together."""
    try:
        running = Started()
    except ProgramError as error:
        missing(f"the servers of others cannot be built here: {error}")
        raise
    yield running
    running.stop()


@pytest.fixture(scope="session")
def hie(request: pytest.FixtureRequest, started: Started) -> Hie:
    """One of the HIEs, by name."""
    kind = next(kind for kind in KINDS if kind.name == request.param)
    if absent := lacking(*kind.programs):
        missing(f"{absent} is not on this machine, which {kind.title} needs")
    try:
        return started[kind.name]
    except ProgramError as error:
        missing(f"{kind.title} cannot be built or started here: {error}")
        raise
