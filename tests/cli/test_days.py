"""Days that somebody types: YYYY-MM-DD, or one clear sentence and nothing done."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.cli import run
from tests.conftest import ROOT

LEBANESE = str(ROOT / "fixtures/people/lebanese/enrollment.834")


@pytest.mark.parametrize("day", ["20260131", "01/31/2026"])
@pytest.mark.parametrize(
    ("option", "command"),
    [
        ("--as-of", ("ingest", LEBANESE)),
        ("--as-of", ("explain", "M1")),
        ("--since", ("trail", "list")),
        ("--since", ("trail", "export", "--out", "trail.ndjson")),
        ("--born", ("split", "M1", "--run", "1", "--reason", "twins")),
        ("--collected", ("split", "M1", "--reason", "twins")),
    ],
)
def test_another_way_to_write_a_day_is_refused(
    command: tuple[str, ...],
    option: str,
    day: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["--quiet", "ingest", LEBANESE]) == 0
    assert run([*command, option, day]) == 2
    assert capsys.readouterr().err.startswith(f"error: {option} takes an ISO date such as ")
