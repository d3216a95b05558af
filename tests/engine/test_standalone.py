"""A cluster with a master and two worker processes: the same result, also when some of them are killed in mid-run.

The driver is the command line in a process of its own, as a user starts it. Executors log as Spark does unless told
otherwise; nothing of a record may stand in any log.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.benchmarks.generate_834 import file_of
from tests.benchmarks.generate_fhir import file_of as fhir_file_of
from tests.conftest import missing
from tests.engine.test_spark_convert import lines
from tests.servers.programs import free_port

CANARY = "QUETZALCANARY"
SHEET = "applies_to,source_system,source_code,target_system,target_code,relationship,note,retired\n"
OURS = "race_ethnicity,x12-1109,C,cdcrec,2118-8,equivalent,a letter,\n"


class Standalone:
    """A running master and its workers; `logs` is where all of them and the executors write."""

    def __init__(self, folder: Path) -> None:
        self.logs = folder / "logs"
        self.logs.mkdir()
        self._started: list[subprocess.Popen[bytes]] = []
        port = free_port()
        self.url = f"spark://127.0.0.1:{port}"
        self._start("master", "master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
        self.workers = [self._worker(number) for number in (1, 2)]

    def wait(self) -> None:
        """Until both workers know their master."""
        self._wait("Successfully registered with master", ["worker1", "worker2"])

    def _worker(self, number: int) -> subprocess.Popen[bytes]:
        own = ("--webui-port", "0", "-c", "1", "-m", "1g", "-d", str(self.logs / f"work{number}"))
        return self._start(f"worker{number}", "worker.Worker", "--host", "127.0.0.1", *own, self.url)

    def _start(self, name: str, kind: str, *words: str) -> subprocess.Popen[bytes]:
        import pyspark

        program = Path(pyspark.__file__).parent / "bin" / "spark-class"
        with (self.logs / f"{name}.log").open("wb") as log:
            command = [str(program), f"org.apache.spark.deploy.{kind}", *words]
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._started.append(process)
        return process

    def _wait(self, words: str, names: list[str]) -> None:
        until = time.monotonic() + 120
        while not all(words in (self.logs / f"{name}.log").read_text() for name in names):
            assert time.monotonic() < until, "the cluster did not start"
            time.sleep(0.3)

    def executors(self) -> list[int]:
        """The processes of executors that have Python workers of their own: they are at our work."""
        parents: dict[int, list[int]] = {}
        names: dict[int, str] = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (place / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(words[1]), []).append(int(place.name))
                names[int(place.name)] = (place / "cmdline").read_text()
        found = [child for worker in self.workers for child in parents.get(worker.pid, ())]
        return [each for each in found if any("pyspark" in names.get(c, "") for c in parents.get(each, ()))]

    def stop(self) -> None:
        """End what was started here, and its executors."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._started:
            process.wait(60)


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    if shutil.which("java") is None:
        missing("Spark needs Java 17")
    found = Standalone(tmp_path_factory.mktemp("standalone"))
    try:
        found.wait()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs with names that must not be seen again, a partner's sheet, and the settings of a user."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "in").mkdir()
    for path in (file_of(4000, folder / "in"), fhir_file_of(500, folder / "in")):
        content = path.read_bytes().replace(b"*ADA*", f"*{CANARY}*".encode()).replace(b'"Ada"', f'"{CANARY}"'.encode())
        assert CANARY.encode() in content
        path.write_bytes(content.replace(b"DMG*D8", b"DMG*XX", 3))
    (folder / "in" / "broken.834").write_bytes(f"ISA*{CANARY}".encode())
    sheet = folder / "ours" / "partners" / "plan" / "crosswalks"
    sheet.mkdir(parents=True)
    (sheet / "x12_1109_to_cdcrec.csv").write_text(SHEET + OURS)
    return folder


def settings(folder: Path, master: str = "") -> Path:
    """The settings file of a user, with a master or without."""
    path = folder / ("spark.toml" if master else "plain.toml")
    words = f'[mappings]\noverlay = "{folder}/ours"\n[store]\nurl = "{folder}/equity.db"\n'
    spark = {
        "spark.master": master,
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "600m",
        "spark.sql.files.maxPartitionBytes": "100000",
        "spark.pyspark.python": sys.executable,
        "spark.task.maxFailures": "8",
    }
    lines = "".join(f'"{name}" = "{value}"\n' for name, value in spark.items())
    path.write_text(words + (f"[spark]\n{lines}" if master else ""))
    return path


def run(config: Path, log: Path, *words: str, meanwhile: Callable[[Path], None] | None = None) -> int:
    """The command line in a process of its own; returns its exit code."""
    command = [sys.executable, "-m", "fhir_equity", "--log-level", "debug", "--config", str(config), *words]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        if meanwhile is not None:
            meanwhile(Path(words[2]))
        return process.wait(400)


def told(log: Path) -> list[str]:
    """What a command said to its user, without its log."""
    return [line for line in log.read_text().splitlines() if " info " not in line and " debug " not in line]


def audited(place: Path) -> object:
    document = json.loads(place.read_bytes())
    return {name: value for name, value in document.items() if name != "generated"}


def test_a_cluster_of_processes_gives_what_one_gives(standalone: Standalone, folder: Path) -> None:
    here, far = settings(folder), settings(folder, standalone.url)
    how = ("--partner", "plan", "--as-of", "2026-01-01", "--by", "relationship", "--program", "rdm-style")
    for name, config, engine in (("here", here, "local"), ("far", far, "spark")):
        said = ("--engine", engine, "--json", str(folder / f"{name}.json"))
        assert run(config, standalone.logs / f"{name}.log", "audit", str(folder / "in"), *how, *said) == 3
    assert audited(folder / "far.json") == audited(folder / "here.json")


@contextmanager
def killing(standalone: Standalone) -> Iterator[Callable[[Path], None]]:
    """Kills an executor at work as soon as there is one, and a whole worker while the result is being written."""
    killed: list[str] = []

    def meanwhile(dst: Path) -> None:
        until = time.monotonic() + 200
        for name in ("executor", "worker"):
            while not (found := standalone.executors()) or (name == "worker" and not _is_writing(dst)):
                assert time.monotonic() < until, f"no {name} to kill"
                time.sleep(0.02)
            os.kill(found[0] if name == "executor" else standalone.workers[0].pid, signal.SIGKILL)
            killed.append(name)

    yield meanwhile
    assert killed == ["executor", "worker"]


def _is_writing(dst: Path) -> bool:
    return next((dst.parent / f"{dst.name}.part").glob("part1/_temporary/*/_temporary/*"), None) is not None


def test_killed_executors_and_workers_change_nothing(standalone: Standalone, folder: Path) -> None:
    here, far = settings(folder), settings(folder, standalone.url)
    logs = {name: standalone.logs / f"convert-{name}.log" for name in ("here", "far")}
    words = ("convert", str(folder / "in"))
    assert run(here, logs["here"], *words, str(folder / "here.ndjson"), "--partner", "plan") == 3
    with killing(standalone) as meanwhile:
        dst = str(folder / "far.ndjson")
        said = ("--partner", "plan", "--engine", "spark", "--losses", str(folder / "losses"))
        assert run(far, logs["far"], *words, dst, *said, meanwhile=meanwhile) == 3
    assert lines(folder / "far.ndjson") == lines(folder / "here.ndjson")
    said_here = told(logs["here"])
    assert "Wrote 4,500 members." in said_here
    assert told(logs["far"])[-len(said_here) :] == said_here  # after what Spark says of those who were killed
    assert len(lines(folder / "far.ndjson")) == 4500
    assert not list(folder.glob("*.part"))


def test_no_value_of_a_record_stands_in_a_log(standalone: Standalone, folder: Path) -> None:
    key = (folder / "equity.key").read_text().strip()
    logs = [path for path in standalone.logs.rglob("*") if path.is_file() and path.suffix not in (".jar",)]
    assert {path.name for path in logs} >= {"master.log", "worker1.log", "far.log", "convert-far.log", "stderr"}
    assert any("Running task" in path.read_text(errors="replace") for path in logs), "executors did not log"
    for path in logs:
        content = path.read_bytes()
        for secret in (CANARY, "ALDER", "Alder", key):
            assert secret.encode() not in content, path.name
