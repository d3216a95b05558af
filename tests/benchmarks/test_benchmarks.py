"""The benchmark's file is what it says it is, the same every time, and every step reads all of it."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import pytest

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import sources
from fhir_equity.model import Member
from fhir_equity.pipeline.workspace import Workspace
from tests.benchmarks import bench_audit, bench_vocabulary, bench_write
from tests.benchmarks.generate_834 import file_of, generate, write


def test_the_same_bytes_every_time() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    write(50, first)
    write(50, second)
    assert first.getvalue() == second.getvalue()
    assert hashlib.sha256(first.getvalue()).hexdigest()[:16] == "bda4910125661c09"


def test_the_shape_of_the_file() -> None:
    segments = list(generate(4000))
    kinds = [segment.split("*")[0] for segment in segments]
    races = [s.split("*")[5] for s in segments if s.startswith("DMG") and s.count("*") == 5]
    assert kinds.count("INS") == 4000
    assert 17.5 < len(segments) / 4000 < 19
    assert 415 < sum(len(s) + 1 for s in segments) / 4000 < 445
    assert 0.22 < sum(s.startswith("INS*N") for s in segments) / 4000 < 0.28
    assert 0.11 < sum(len(race) == 1 for race in races) / 4000 < 0.15
    assert sum("^" in race for race in races) > 1000
    assert kinds.count("LUI") > 2000


def test_everybody_is_read_and_nothing_is_found(tmp_path: Path) -> None:
    for end in ("", "\r\n"):
        path = tmp_path / "bench.834"
        with path.open("wb") as out:
            write(300, out, line_end=end)
        items = list(ADAPTER.read(sources([path])[0], Range(), Workspace().context("bench", "edi834")))
        assert len(items) == 301  # and the frame
        people = [item for item in items if isinstance(item, Member)]
        assert len({person.key for person in people}) == 300
        assert not [finding for person in people for finding in person.findings]


def test_every_step_counts_everybody(tmp_path: Path) -> None:
    path = file_of(200, tmp_path)
    seconds = bench_audit.measure(path, 200, rounds=1)
    assert list(seconds) == ["split limit", "read to Members", "whole audit"]
    lines = bench_audit.report({"split limit": [0.5, 1.0], "whole audit": [2.0, 2.0]}, 200).splitlines()
    assert lines[1].split() == ["split", "limit", "0.750", "s", "267", "members/s", "1.00", "x", "the", "limit"]
    assert lines[2].split() == ["whole", "audit", "2.000", "s", "100", "members/s", "3.00", "x", "the", "limit"]


def test_everybody_is_read_and_written(tmp_path: Path) -> None:
    reading, writing = bench_write.measure(tmp_path, 200, rounds=2)
    assert (len(reading), len(writing)) == (2, 2)
    lines = bench_write.report([0.5, 1.0], [0.25, 0.5], 200).splitlines()
    assert lines[1].split() == ["read", "to", "Members", "0.750", "s", "267", "members/s", "1.00", "x", "reading"]
    assert lines[2].split() == ["write", "Members", "0.375", "s", "533", "members/s", "2.00", "x", "reading"]
    first, second = (tmp_path / name for name in ("bench-200.834", "written.834"))
    people = [bench_write.people(path, Workspace(as_of="2026-01-01")) for path in (first, second)]
    assert [o.expressed for o in people[0]] == [o.expressed for o in people[1]]
    assert [o.member.key for o in people[0]] == [o.member.key for o in people[1]]


def test_a_pair_seen_before_costs_little_more_than_a_dictionary(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_vocabulary, "ROUNDS", 5)
    bench_vocabulary.main()
    told = re.findall(
        r"^(\w+): \d+ ns, dictionary \d+ ns, ratio ([\d.]+) \(at most 5\)$", capsys.readouterr().out, re.M
    )
    assert [name for name, _ in told] == ["lookup", "translate"]
    assert all(float(ratio) <= bench_vocabulary.ALLOWED for _, ratio in told), told
