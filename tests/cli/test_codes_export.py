"""codes export from the shell: one file for each definition, and a word about how many."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_definitions_go_into_a_folder_that_is_made(run: Run, tmp_path: Path) -> None:
    done = run("codes", "export", "--fhir", "new/terminology")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == b"Wrote 24 CodeSystems, 42 ConceptMaps, 41 ValueSets into new/terminology.\n"
    assert len(list((tmp_path / "new/terminology").iterdir())) == 107


def test_as_a_partner_s_folder_leaves_the_tables(run: Run, tmp_path: Path) -> None:
    assert run("--quiet", "codes", "export", "--fhir", "t", "--partner", "cms-ffe").stderr == b""
    sent = json.loads((tmp_path / "t" / "ConceptMap-cdcrec-as-sent-race-ethnicity.json").read_bytes())
    assert sent["group"][0]["element"][0]["code"] == "2028-9"
    assert sent["version"] == "CMS FFE X12 834 Companion Guide v7.2, August 2024; as of cms-ffe"
    assert sent["copyright"] == "US government work, public domain"


def test_what_it_cannot_do_without(run: Run, tmp_path: Path) -> None:
    assert run("codes", "export").returncode == 2
    done = run("codes", "export", "--fhir", "t", "--partner", "nobody")
    assert (done.returncode, done.stderr) == (2, b"error: no folder of tables has this partner\n")
    (tmp_path / "file").write_text("")
    done = run("codes", "export", "--fhir", "file")
    assert (done.returncode, done.stderr) == (2, b"error: file cannot be opened (File exists)\n")
