"""An audit on Spark is the audit of this process, to the last count."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.cluster import count as cluster
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings
from tests.adapters.edi834.files import join
from tests.adapters.edi834.test_ranges import sets
from tests.benchmarks.generate_834 import file_of
from tests.benchmarks.generate_fhir import file_of as fhir_file_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROGRAMS = ("base", "rdm-style", "masshealth")


def counted(paths: list[Path], engine: str, settings: Settings | None = None) -> tuple[dict[str, Any], list[str]]:
    with Workspace(settings, as_of="2026-01-01") as workspace:
        done = audit(workspace, paths, by=("relationship",), programs=PROGRAMS, engine=engine)
    return {name: value for name, value in done.document.items() if name != "generated"}, done.failures


def files(tmp_path: Path) -> list[Path]:
    """Some that are cut, some whole, some that cannot be read, with everything that ranges and files share."""
    folder = tmp_path / "in [1] {b}"
    folder.mkdir()
    generated = file_of(600, folder)
    patients = fhir_file_of(120, folder)
    mixed = folder / "mixed.ndjson"
    other = b'{"resourceType":"Observation","id":"o"}\n'
    mixed.write_bytes(patients.read_bytes() + other)
    small = folder / "sets.834"
    small.write_bytes(join(sets(40, 1)).replace(b"SE*12*0030", b"SE*11*0030"))
    orphan = folder / "orphan.834"
    orphan.write_bytes(join(sets(3, 1)).replace(b"INS*Y", b"INS*N").replace(b"REF*0F*S1", b"REF*0F*S77"))
    latin = folder / "latin.834"
    latin.write_bytes(generated.read_bytes().replace(b"N4*S", b"N4*\xc9S").replace(b"N4*M", b"N4*\xd1M"))
    lines = folder / "lines.834"
    lines.write_bytes(generated.read_bytes().replace(b"~", b"~\r\n").replace(b"DMG*", b" DMG*", 3))
    packed = folder / "packed.834.gz"
    packed.write_bytes(gzip.compress(generated.read_bytes()))
    stray = folder / "stray.834"
    whole = join(sets(90, 1))
    stray.write_bytes(whole[:5_000] + whole[5_000:].replace(b"ST*834", b"ST*820"))
    (folder / "no.834").write_bytes(b"nothing of ours")
    (folder / "empty.csv").write_bytes(b"")
    return [generated, folder]


def test_spark_changes_nothing(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought: list[str] = []
    bring = cluster.Cluster.here

    def here(self: cluster.Cluster, result: cluster.Result) -> None:
        brought.append(result.file.name)
        bring(self, result)

    monkeypatch.setattr(cluster.Cluster, "here", here)
    paths = files(tmp_path)
    alone, together = counted(paths, "local"), counted(paths, "spark")
    assert together[0]["run"] == alone[0]["run"]
    assert together == alone
    assert [each["members"] for each in alone[0]["run"]["inputs"]].count(600) == 5
    assert brought == ["stray.834"]
    assert len(alone[1]) == 2
    found = {finding["code"] for finding in alone[0]["findings"]}
    assert {"x12.se01.count_differs", "member.duplicate", "x12.member.subscriber_unknown"} <= found
    assert "x12.encoding.latin1" in found


def test_the_users_own_tables_travel(spark: SparkSession, tmp_path: Path) -> None:
    sheet = tmp_path / "ours" / "partners" / "local" / "crosswalks"
    sheet.mkdir(parents=True)
    (sheet / "x12_1109_to_cdcrec.csv").write_text(
        "applies_to,source_system,source_code,target_system,target_code,relationship,note,retired\n"
        "race_ethnicity,x12-1109,C,cdcrec,2118-8,equivalent,a letter,\n"
    )
    path = tmp_path / "one.834"
    path.write_bytes(join(sets(2, 1)))
    settings = Settings(mappings=MappingSettings(overlay=tmp_path / "ours"))
    assert counted([path], "spark", settings) == counted([path], "local", settings)
