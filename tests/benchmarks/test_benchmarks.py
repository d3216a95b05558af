"""The benchmark's file is what it says it is, the same every time, and every step reads all of it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.fhir import ADAPTER as FHIR
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import sources
from fhir_equity.model import Member
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import RunWriter
from tests.benchmarks import (
    bench_audit,
    bench_fhir,
    bench_fhir_write,
    bench_ingest,
    bench_memory,
    bench_peers,
    bench_publish,
    bench_store,
    bench_vocabulary,
    bench_write,
    paths,
    table,
)
from tests.benchmarks import generate_fhir as patients
from tests.benchmarks.generate_834 import file_of, generate, write
from tests.faults.points import everything


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


def test_patients_are_written_as_the_floor_writes_them(tmp_path: Path) -> None:
    seconds = bench_fhir_write.measure(tmp_path, 300, rounds=2)
    assert {name: len(spent) for name, spent in seconds.items()} == {"plain dictionaries": 2, "write Members": 2}
    lines = bench_fhir_write.report({"plain dictionaries": [0.5, 1.0], "write Members": [1.0, 3.0]}, 200).splitlines()
    assert lines[2].split()[:9] == ["write", "Members", "2.000", "s", "100", "members/s", "2.50", "x", "the"]
    assert lines[2].endswith("(at most 4)")


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


def test_a_file_for_readers_without_repeats(tmp_path: Path) -> None:
    many, single = file_of(300, tmp_path), file_of(300, tmp_path, repeats=False)
    assert many != single
    assert b"^" in many.read_bytes().split(b"~", 1)[1]
    assert b"^" not in single.read_bytes().split(b"~", 1)[1]
    assert single.read_bytes().count(b"~") == many.read_bytes().count(b"~")


def test_a_peer_that_miscounts_is_told(tmp_path: Path) -> None:
    path = file_of(20, tmp_path)
    program = bench_peers.Program(Path(sys.executable), bench_peers.OURS)
    assert 0 < bench_peers.cpu_seconds(program, path, 20) < 30
    with pytest.raises(ValueError, match=r"^counted 20 of 21 members"):
        bench_peers.cpu_seconds(program, path, 21)
    with pytest.raises(ValueError, match=r"(?s)^counted nothing of 1 members.*ZeroDivisionError"):
        bench_peers.cpu_seconds(program._replace(script="1/0"), path, 1)


def test_pyx12_is_measured_on_fewer_without_repeats(tmp_path: Path) -> None:
    peer = bench_peers.Program(Path(sys.executable), bench_peers.PYX12, repeats=False, part=10)
    (rates,) = bench_peers.measure({"pyx12": peer}, 300, 1, tmp_path).values()
    assert len(rates) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"bench-1-single.834", "bench-30-single.834"}


def test_the_table_of_the_peers() -> None:
    rates = {"fhir_equity": [90.0, 100.0, 120.0], "pyx12": [1.0, 2.0, 1.0], "other": [5.0, 5.0, 5.0]}
    assert [line.split() for line in bench_peers.report(rates).splitlines()[1:]] == [
        ["fhir_equity", "100"],
        ["pyx12", "1", "fhir_equity", "is", "90", "times", "as", "fast", "(at", "least", "100)"],
        ["other", "5"],
    ]


def test_the_peak_of_an_audit_and_what_a_member_adds(tmp_path: Path) -> None:
    assert bench_memory.peak(file_of(20, tmp_path)) > 30e6
    with pytest.raises(ValueError, match=r"^the audit ended with 3$"):
        bench_memory.peak(tmp_path / "none.834")
    told = bench_memory.report({1000: 60_000_000, 3000: 60_050_000})
    assert told.splitlines() == [
        "peak of audit: 60 MB at 1,000 members (at most 100)",
        "60 MB at 3,000: 25.0 bytes for each member beyond (at most 16)",
    ]


def test_the_same_patients_every_time(tmp_path: Path) -> None:
    content = patients.file_of(400, tmp_path).read_bytes()
    assert hashlib.sha256(content).hexdigest()[:16] == "023ed9f4ce0f5b3d"
    assert 1550 < len(content) / 400 < 1650
    assert 350 < content.count(b'"communication":') < 375
    assert 5 < content.count(b'"as I say it: ') < 25


def test_every_patient_is_read_at_once_and_nothing_is_found(tmp_path: Path) -> None:
    path = patients.file_of(300, tmp_path)
    people = list(FHIR.read(sources([path])[0], Range(), bench_fhir.context()))
    assert all(isinstance(person, Member) and not person.findings and not person.losses for person in people)
    assert len({person.key for person in people if isinstance(person, Member)}) == 300
    assert {len(person.answers) for person in people if isinstance(person, Member)} == {4, 5}
    assert bench_fhir.peak(path) > 30e6
    with pytest.raises(ValueError, match=r"^reading ended with 1$"):
        bench_fhir.peak(tmp_path / "none")


def test_the_floor_and_the_peer_of_reading_patients(tmp_path: Path) -> None:
    path = patients.file_of(120, tmp_path)
    seconds = bench_fhir.measure(path, 120, rounds=2)
    assert [len(spent) for spent in seconds.values()] == [2, 2, 2]
    with pytest.raises(ValueError, match=r"^orjson.loads: 120 of 121 Patients$"):
        bench_fhir.measure(path, 121, rounds=1)
    told = {bench_fhir.FLOOR: [1e-6, 2e-6], bench_fhir.OURS: [2e-6, 6e-6], bench_fhir.PEER: [60e-6, 60e-6]}
    assert [line.split() for line in bench_fhir.report(told, 120).splitlines()[1:]] == [
        ["orjson.loads", "1.50", "us"],
        ["read", "to", "Members", "4.00", "us"],
        ["fhir.resources", "R4B", "60.00", "us"],
        ["reading", "is", "2.50", "x", "orjson.loads", "(at", "most", "3)"],
        ["fhir.resources", "R4B", "is", "20", "x", "reading", "(at", "least", "20)"],
    ]


def test_the_floor_of_an_ingest_writes_the_very_same_rows(new_url: Callable[[], str], tmp_path: Path) -> None:
    urls: list[str] = []

    def remembered() -> str:
        urls.append(new_url())
        return urls[-1]

    ticks = count()
    kinds = {"sqlite": bench_ingest.floor_of_sqlite, "postgresql": bench_ingest.floor_of_postgresql}
    kept, add = {}, RunWriter.add

    def floor(source: str, target: str, clock: bench_ingest.Clock) -> float:
        kept["source"] = everything(source)
        return kinds[source.partition(":")[0]](source, target, clock)

    done = bench_ingest.measure(remembered, floor, file_of(40, tmp_path), lambda: float(next(ticks)))
    assert everything(urls[1]) == kept["source"]
    assert len(kept["source"]["member"]) == 40
    assert len(everything(urls[0])["sighting"]) == 80  # and again
    assert min(done.first, done.again, done.floor, done.resolved) >= 1
    assert {row[5] for row in everything(urls[0])["resolution"]} == {"other"}
    assert RunWriter.add is add


def test_the_table_of_an_ingest() -> None:
    seconds = ((4.0, 1.0, 2.0, 2.0), (3.0, 3.0, 1.0, 3.0), (6.0, 3.0, 2.0, 1.5))
    rounds = [bench_ingest.Round(*each) for each in seconds]
    assert [line.split() for line in bench_ingest.report("SQLite", rounds, 1000).splitlines()[1:]] == [
        ["floor", "2.00", "s"],
        ["first", "4.00", "s", "3.00", "x", "the", "floor", "(at", "most", "4)"],
        ["again", "3.00", "s", "0.50", "x", "the", "first", "(at", "most", "0.5)"],
        ["resolved", "2.00", "s", "0.50", "x", "the", "first", "(at", "most", "1)"],
    ]


def test_the_peak_of_an_ingest(tmp_path: Path) -> None:
    assert bench_ingest.peak(f"sqlite:///{tmp_path}/p.db", file_of(20, tmp_path)) > 30


def test_many_strata_are_published_and_hold() -> None:
    given = bench_publish.audit_of(4)
    assert given["population"] == sum(part["population"] for part in given["strata"])
    found = bench_publish.measure(4)
    assert found.release["found"] == 0
    assert found.release["hidden_small"] > 0
    assert bench_publish.line(found).split()[:2] == ["4", "strata"]


@pytest.mark.parametrize(
    "name", [name for name in paths.PATHS if name not in ("sync client", "Spark audit, local[2] (wall)")]
)
def test_every_path_is_measured_beside_its_floor(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "times", lambda _: 1)
    found = paths.cost(name, 60)
    assert 0 < found.floor < 60
    assert 0 < found.seconds < 60
    assert (found.memory > 20) == (paths.PATHS[name].command is not None)


def test_the_memory_of_a_command_that_fails_is_none() -> None:
    with pytest.raises(ValueError, match="ended with 3"):
        paths.peak([sys.executable, "-c", "raise SystemExit(3)"])


def test_growth_is_an_exponent() -> None:
    assert table.growth({"10": [1.0, 1, 0], "1000": [100.0, 1, 0]}) == pytest.approx(1.0)
    assert table.growth({"10": [1.0, 1, 0], "100": [10.0, 1, 0], "1000": [1000.0, 1, 0]}) == pytest.approx(1.5)
    assert table.growth({"10": [1.0, 1, 0]}) is None
    results = {"paths": {"a": {"10": [1.0, 1, 0], "100": [20.0, 1, 0]}, "b": {"10": [1.0, 1, 0], "100": [9.0, 1, 0]}}}
    assert table.too_steep(results) == ["a: 1.30"]


def test_the_table_says_what_was_measured_and_what_was_not() -> None:
    found = {"834 read": {"10000": [0.2, 0.1, 31.4]}}
    told = table.table({"about": "then, on this", "paths": found, "peers": {"pyx12": 151.4}}).splitlines()
    assert told[0] == "Measured then, on this."
    assert told[4] == "| 834 read | cutting it in plain Python | 20.0, 2.00 x, 31 | - | - | - | 151 x (pyx12) |"
    assert len(told) == 4 + len(paths.PATHS)


def test_the_readme_has_the_table_of_what_was_measured_last() -> None:
    readme = table.README.read_text(encoding="utf-8")
    assert table.written(readme, json.loads(table.RESULTS.read_text())) == readme
    with pytest.raises(ValueError, match="no place"):
        table.written("# nothing", {})


def test_everybody_in_a_store_is_read_and_counted(tmp_path: Path) -> None:
    settings = bench_store.filled(tmp_path, 60)
    reading, auditing = bench_store.measure(settings, 60, rounds=2)
    assert (len(reading), len(auditing)) == (2, 2)
    with pytest.raises(ValueError, match="60 of 61 members were read, 60 counted"):
        bench_store.measure(settings, 61, rounds=1)
    assert bench_store.report([1.0, 2.0], [2.0, 5.0], 60).endswith("the audit takes 2.25 x reading (at most 2)")
