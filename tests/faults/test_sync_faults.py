"""A sync apply that is killed, and one beside which somebody else writes: nothing twice, nothing lost."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

from tests.conftest import ROOT
from tests.sync.scene import ada, opened, race_of, theirs


def test_killed_25_times_on_each_database(server: str) -> None:
    command = [sys.executable, "-m", "tests.faults.sync_kills", "25", server]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert told.returncode == 0, told.stderr
    kills = re.findall(r"^(\w+): (\d+) kills survived in 25 rounds, 15 resources there once each$", told.stdout, re.M)
    assert [name for name, _ in kills] == ["sqlite", "postgresql"]
    assert all(int(number) >= 25 for _, number in kills)


def test_a_concurrent_writer_loses_nothing(tmp_path: Path) -> None:
    """Somebody changes the same Patients under If-Match all the while; every word of theirs is there afterwards."""
    with opened(tmp_path) as scene:
        scene.survey(*(ada(member_id=f"M{n}") for n in range(6)))
        keys = [scene.put(theirs("Asian", number=f"M{n}")) for n in range(6)]
        scene.plan()
        written: dict[str, int] = dict.fromkeys(keys, 0)
        over = threading.Event()

        def write() -> None:
            while not over.is_set():
                for key in keys:
                    written[key] += scene.change(key, telecom=[{"system": "phone", "value": str(written[key] + 1)}])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            done = scene.apply()
        finally:
            over.set()
            writer.join()
        assert set(done.statuses) <= {"verified", "moved", "quarantined"}
        for key in keys:
            there = scene.get(key)
            assert there.get("telecom", [{"value": "0"}])[0]["value"] == str(written[key])
        assert sum(written.values()) > 0
        scene.plan()
        assert set(scene.apply().statuses) <= {"verified"}
        assert {tuple(race_of(scene.get(key))) for key in keys} == {("2106-3",)}
