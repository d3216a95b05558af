"""Files that others wrote go through audit and convert: members come out, or findings say why not."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_equity.errors import UnreadableError
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings

FOLDERS = ("edi834/samples", "data/real/fhir-r4", "data/real/fhir-r4-oddities")
NOT_INPUT = {"INDEX.csv", "pyx12_on_samples.txt"}


def _files(shared: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        found = sorted(p for p in (shared / folder).rglob("*") if p.is_file() and p.name not in NOT_INPUT)
        assert found, folder
        yield from found


def test_every_real_file_is_read_or_says_why_not(shared: Path, tmp_path: Path) -> None:
    silent = []
    for path in _files(shared):
        with Workspace(Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))) as workspace:
            done = audit(workspace, [path])
            if done.failures:  # nothing at all could be read, so nothing is written
                with pytest.raises(UnreadableError, match=re.escape(done.failures[0])):
                    convert(workspace, path, tmp_path / "out.ndjson")
                continue
            converted = convert(workspace, path, tmp_path / "out.ndjson")
        inputs = done.document["run"]["inputs"]
        members = sum(entry["members"] for entry in inputs)
        if not members and not done.failures and not done.document["findings"]:
            silent.append(path.name)
        assert converted.members == members, path.name
        assert converted.failures == done.failures, path.name
        lines = (tmp_path / "out.ndjson").read_bytes().splitlines()
        assert len(lines) == members, path.name
        assert all(message.count("\n") == 0 for message in done.failures)
    assert silent == []


def test_every_834_sample_has_the_members_its_index_says(shared: Path) -> None:
    samples = shared / "edi834/samples"
    with (samples / "INDEX.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "834"]
    assert len(rows) > 20
    for row in rows:
        with Workspace() as workspace:
            entry = audit(workspace, [samples / row["file"]]).document["run"]["inputs"][0]
        assert entry["members"] + entry["rejected"] == int(row["member_count(INS)"]), row["file"]


def test_an_x12_that_is_no_834_is_refused_by_its_number(shared: Path) -> None:
    samples = shared / "edi834/samples"
    with (samples / "INDEX.csv").open(encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["kind"] == "999"]
    for name in names:
        with Workspace() as workspace:
            done = audit(workspace, [samples / name])
        assert done.failures == [f"{name} is an X12 999, not an 834"]


@pytest.mark.parametrize("omb", ["faithful", "rollup-1997"])
def test_what_we_write_of_real_people_reads_back_to_the_same_counts(shared: Path, tmp_path: Path, omb: str) -> None:
    from fhir_equity.pipeline.leaving import Wish

    source = shared / "data/real/fhir-r4/smart-on-fhir__sample-bulk-fhir-datasets/synthea-bulk-100-Patient.ndjson.gz"
    out = tmp_path / "again.ndjson"
    with Workspace(Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))) as workspace:
        done = convert(workspace, source, out, wish=Wish(omb="faithful" if omb == "faithful" else "rollup-1997"))
        assert done.members > 100
        before, after = (audit(workspace, [path]).document for path in (source, out))
    assert after["views"]["omb2024"] == before["views"]["omb2024"]
    assert after["topics"]["race_ethnicity"]["states"] == before["topics"]["race_ethnicity"]["states"]
    assert after["topics"]["language_spoken"]["values"] == before["topics"]["language_spoken"]["values"]
