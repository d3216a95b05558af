"""The audit of several workers is that of one, to the last count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_equity.adapters.edi834 import ranges
from fhir_equity.pipeline import together
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.workspace import Workspace
from tests.adapters.edi834.files import ADA, join
from tests.adapters.edi834.test_ranges import sets
from tests.benchmarks.generate_834 import file_of

STRATA = ("relationship", "coverage,county,age", "language,month", "source")
PROGRAMS = ("base", "rdm-style", "ldm-style", "tmsis", "masshealth")


@pytest.fixture(autouse=True)
def _share_what_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "LEAST", 1000)
    monkeypatch.setattr(together, "LEAST", 1000)


def counted(paths: list[Path], workers: int) -> tuple[dict[str, Any], list[str]]:
    workspace = Workspace(as_of="2026-01-01")
    done = audit(workspace, paths, by=STRATA, programs=PROGRAMS, workers=workers)
    return {name: value for name, value in done.document.items() if name != "generated"}, done.failures


def test_workers_change_nothing(tmp_path: Path) -> None:
    generated = file_of(500, tmp_path)
    small = tmp_path / "sets.834"
    small.write_bytes(join(sets(40, 1)).replace(b"SE*12*0030", b"SE*11*0030"))
    orphan = tmp_path / "orphan.834"
    orphan.write_bytes(join(sets(3, 1)).replace(b"INS*Y", b"INS*N").replace(b"REF*0F*S1", b"REF*0F*S77"))
    paths = [generated, small, orphan]
    alone, together = counted(paths, 1), counted(paths, 3)
    assert together == alone
    assert [entry["members"] for entry in alone[0]["run"]["inputs"]] == [500, 80, 6]
    assert all(entry["sha256"] for entry in together[0]["run"]["inputs"])
    assert all(program["population"]["counted"] for program in alone[0]["programs"].values())
    found = {finding["code"] for finding in alone[0]["findings"]}
    assert "source.written_copies_spoken" in found
    assert {"x12.se01.count_differs", "member.duplicate", "x12.member.subscriber_unknown"} <= found


def test_what_is_too_long_in_a_range_is_too_long_in_one(tmp_path: Path) -> None:
    path = tmp_path / "endless.834"
    endless = join(["INS*Y*18", *["REF*ZZ*1"] * 150_000])
    path.write_bytes(join(sets(30, 1)[:-2]) + endless + join([*ADA, "GE*30*1", "IEA*1*000000001"]))
    alone, together = counted([path], 1), counted([path], 2)
    assert alone == together
    assert "x12.member.too_long" in {finding["code"] for finding in alone[0]["findings"]}
    assert alone[0]["run"]["inputs"][0]["members"] == 61


def test_ranges_that_do_not_fit_are_counted_in_one(tmp_path: Path) -> None:
    path = tmp_path / "stray.834"
    path.write_bytes(join(sets(20, 1)).replace(b"ST*834*0001", b"ST*820*0001").replace(b"SE*", b"XX*", 15))
    alone = counted([path], 1)
    assert counted([path], 3) == alone
    assert alone[0]["run"]["inputs"][0]["members"] == 38


def test_workers_tell_how_far_they_are(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []

    def progress(name: str, members: int, total: int = 0) -> None:
        told.append((name, members))

    with Workspace(as_of="2026-01-01", progress=progress) as workspace:
        audit(workspace, [file_of(900, tmp_path)], workers=2)
    assert told
    assert {name for name, _ in told} == {file_of(900, tmp_path).name}
    assert [members for _, members in told] == sorted(members for _, members in told)
    assert told[-1][1] == 900
