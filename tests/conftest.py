"""What every test may use: where the shared reference files are, and how a missing thing skips."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def missing(reason: str) -> None:
    """Skip because this machine lacks something; in CI (FHIR_EQUITY_REQUIRE_ALL=1) fail instead."""
    if os.environ.get("FHIR_EQUITY_REQUIRE_ALL") == "1":
        pytest.fail(f"required here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference files: FHIR_EQUITY_SHARED, else ../shared beside the repository."""
    place = Path(os.environ.get("FHIR_EQUITY_SHARED", ROOT.parent / "shared"))
    if not place.is_dir():
        missing("the shared reference files are not on this machine (FHIR_EQUITY_SHARED)")
    return place
