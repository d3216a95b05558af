"""Several processes write the bytes and the rows of one, and Ctrl-C leaves nobody behind and a store that goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from fhir_equity.adapters.edi834 import ranges
from fhir_equity.pipeline import ingest as ingesting
from fhir_equity.pipeline import together
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.ingest import Ingested, ingest
from fhir_equity.pipeline.leaving import Converted, Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, PrivacySettings, Settings, StoreSettings
from tests.adapters.edi834.files import join
from tests.adapters.edi834.test_ranges import sets
from tests.benchmarks.generate_834 import file_of
from tests.benchmarks.generate_fhir import file_of as fhir_file_of
from tests.faults.points import everything

TARGETS = [
    Wish(to="fhir"),
    Wish(to="fhir", form="bundle", us_core="9.0.0", include_sensitive=True, validate=True),
    Wish(to="fhir", form="bulk"),
    Wish(to="edi834", control_number=7),
    Wish(to="survey"),
]


@pytest.fixture(autouse=True)
def _share_what_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "LEAST", 1000)
    monkeypatch.setattr(together, "LEAST", 1000)
    monkeypatch.setattr(together, "RANGE", 20_000)
    monkeypatch.setattr("fhir_equity.adapters.fhir.layout.GRAIN", 10_000)


def inputs(folder: Path) -> Path:
    """Ranges that fit and ranges that do not, what the envelope says of all, records that are none, two formats."""
    place = folder / "in"
    place.mkdir(exist_ok=True)
    generated = file_of(300, place)
    generated.write_bytes(generated.read_bytes().replace(b"~INS*Y*18", b"~INS*Q*18", 2))
    (place / "lines.834").write_bytes(generated.read_bytes().replace(b"~", b"~\r\n").replace(b"N4*S", b"N4*\xc9S"))
    wrong = join(sets(40, 2)).replace(b"SE*20*0030", b"SE*11*0030").replace(b"QTY*TO*4", b"QTY*TO*9", 3)
    (place / "sets.834").write_bytes(wrong)
    whole = join(sets(90, 1))
    (place / "stray.834").write_bytes(whole[:9_000] + whole[9_000:].replace(b"ST*834", b"ST*820"))
    (place / "cut.834").write_bytes(whole[: len(whole) // 2 + 7])
    patients = fhir_file_of(60, place)
    patients.write_bytes(patients.read_bytes().replace(b'{"resourceType"', b'{"resourceType', 3))
    return place


def settings(folder: Path, url: str = "") -> Settings:
    store = StoreSettings(url=url or f"sqlite:///{folder}/none.db")
    return Settings(store=store, privacy=PrivacySettings(key_file=folder / "equity.key"))


def contents(place: Path) -> dict[str, bytes]:
    files = [place] if place.is_file() else sorted(place.iterdir())
    return {file.name if place.is_dir() else "": file.read_bytes() for file in files if file.name != "manifest.json"}


@pytest.mark.parametrize("wish", TARGETS, ids=lambda wish: f"{wish.to}-{wish.form}")
def test_what_is_written_does_not_depend_on_the_workers(
    tmp_path: Path, wish: Wish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_equity.pipeline.convert.datetime", Noon)
    place, done = inputs(tmp_path), list[Converted]()
    for workers in (1, 2):
        told: list[tuple[str, int]] = []

        def hear(name: str, count: int, _total: int = 0, heard: list[tuple[str, int]] = told) -> None:
            heard.append((name, count))

        chosen = settings(tmp_path, f"sqlite:///{tmp_path}/{workers}.db")
        with Workspace(chosen, "2026-01-01", hear) as workspace:
            dst, losses = tmp_path / f"out{workers}", tmp_path / f"losses{workers}"
            done.append(convert(workspace, place, dst, wish=wish, losses=losses, workers=workers))
    assert done[0] == done[1]
    assert contents(tmp_path / "out1") == contents(tmp_path / "out2")
    assert (tmp_path / "losses1").read_bytes() == (tmp_path / "losses2").read_bytes()
    assert done[0].members > 900
    assert done[0].findings["x12.se01.count_differs"] >= 1
    assert max(count for name, count in told if name == "lines.834") == 298


class Noon:
    """A clock that stands still: an 834 and a manifest say when they were made."""

    @staticmethod
    def now(zone: object) -> Noon:
        return Noon()

    @staticmethod
    def isoformat(timespec: str) -> str:
        return "2026-01-01T12:00:00+00:00"


def test_rows_do_not_depend_on_the_workers(
    new_url: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "CHUNK", 50)
    place, urls, done = inputs(tmp_path), (new_url(), new_url()), list[Ingested]()
    for day in ("2026-01-01", "2026-01-02"):
        for workers, url in zip((1, 2), urls, strict=True):
            with Workspace(settings(tmp_path, url), day) as workspace:
                done.append(ingest(workspace, [place], partner="plan", workers=workers, accept_drop=True))
        stored = [everything(url) for url in urls]
        assert stored[0] == stored[1]
        generated = place / "bench-300.834"
        generated.write_bytes(generated.read_bytes().replace(b":RET:2106-3", b":RET:2131-1"))
    assert done[0] == done[1]
    assert done[2] == done[3]
    assert len(stored[0]["member"]) > 300
    assert {row for row in stored[0]["finding"] if "x12.se01.count_differs" in row}


def test_a_file_that_a_guide_refuses_breaks_off_at_the_same_place(tmp_path: Path) -> None:
    guide = tmp_path / "ours" / "guides"
    guide.mkdir(parents=True)
    (guide / "edi834.toml").write_text('[header.purposes]\n"2" = "refuse"\n')
    text, done = join(sets(300, 1)), list[Converted]()
    (tmp_path / "in.834").write_bytes(text[:50_000] + text[50_000:].replace(b"****4~", b"****2~"))
    chosen = settings(tmp_path).model_copy(update={"mappings": MappingSettings(overlay=tmp_path / "ours")})
    for workers in (1, 2):
        with Workspace(chosen, "2026-01-01") as workspace:
            done.append(convert(workspace, tmp_path / "in.834", tmp_path / f"{workers}.ndjson", workers=workers))
    assert done[0] == done[1]
    assert "refuses" in done[0].failures[0]
    assert 100 < done[0].members < 500
    assert contents(tmp_path / "1.ndjson") == contents(tmp_path / "2.ndjson")


# Ctrl-C ------------------------------------------------------------------------------------------


def large(folder: Path) -> Path:
    """A file that is shared without being asked to in a test: larger than LEAST."""
    path = file_of(24_000, folder)
    assert path.stat().st_size > 8 * 1024 * 1024
    return path


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "fhir_equity", "--quiet", "--store", f"sqlite:///{folder}/equity.db", *words]


def workers_of(pid: int) -> list[int]:
    """The children that are workers, at their work or about to be."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and "spawn_main" in (place / "cmdline").read_text():
                found.append(int(place.name))
    return found


def ended(pids: list[int]) -> bool:
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() and "spawn_main" in _words(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _words(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def interrupted(words: list[str], number: int, ready: Callable[[], bool]) -> tuple[int, str, float]:
    """Run a command as a terminal would and send a signal to all of its processes when they are at work.

    Returns its exit code, what it said, and how long it took to end. No worker is left.
    """
    process = subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 120
    while len(pids := workers_of(process.pid)) < 2 or not ready():
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < until
        time.sleep(0.02)
    started = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    took = time.monotonic() - started
    assert ended(pids), "a worker was left behind"
    return process.returncode, said.decode(), took


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupt", "kill"])
def test_what_is_interrupted_leaves_nobody_and_goes_on(tmp_path: Path, number: int) -> None:
    path, whole = large(tmp_path), tmp_path / "whole"
    whole.mkdir()
    how = ("--workers", "2", "--as-of", "2026-01-01", "--partner", "plan")
    db = tmp_path / "equity.db"
    for words, ready in (
        (command(tmp_path, "audit", str(path), *how), lambda: True),
        (command(tmp_path, "convert", str(path), str(tmp_path / "out.ndjson"), *how[:2]), lambda: _size(tmp_path) > 0),
        (command(tmp_path, "ingest", str(path), *how), lambda: db.exists() and db.stat().st_size > 2_000_000),
    ):
        code, said, took = interrupted(words, number, ready)
        assert took < 20, words[6]
        if number == signal.SIGINT:
            assert (code, said.strip()) in ((130, ""), (130, "stopped"))
            assert not (tmp_path / "out.ndjson.part").exists()
    assert not (tmp_path / "out.ndjson").exists()
    for folder in (tmp_path, whole):
        (whole / "equity.key").write_bytes((tmp_path / "equity.key").read_bytes())
        assert subprocess.run(command(folder, "ingest", str(path), *how), check=False).returncode == 0
    assert everything(f"sqlite:///{db}") == everything(f"sqlite:///{whole}/equity.db")


def _size(folder: Path) -> int:
    part = folder / "out.ndjson.part"
    return part.stat().st_size if part.exists() else 0
