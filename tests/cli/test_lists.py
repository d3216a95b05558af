"""What was merged, split, held and read is listed for machines, too."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run

SURVEY = "member_id,first_name,last_name,survey_date,race_ethnicity\n"
SURVEY += "m1,Ada,Alder,2026-01-02,White\nm2,Ada,Alder,2026-01-03,Asian\n"
SURVEY += "m2,Ada,Alder,2026-01-04,White\nm3,Ada,Alder,2026-01-05,Asian\n"
LISTS = {
    ("retract",): ("runs", {"id", "partner", "as_of", "started", "finished", "inputs", "members", "retracted_at"}),
    ("merge",): ("merges", {"id", "partner", "member", "into", "author", "at", "undone_at", "undone_by"}),
    ("split",): ("splits", {"id", "partner", "member", "apart", "author", "at", "undone_at", "undone_by"}),
    ("hold", "list"): ("holds", {"id", "pseudonym", "run", "author", "at", "released_at", "released_by"}),
}


def test_each_list_is_a_document_of_its_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "survey.csv").write_text(SURVEY, encoding="utf-8")
    for call in (
        ["ingest", "survey.csv"],
        ["split", "m2", "--collected", "2026-01-04", "--reason", "two people"],
        ["merge", "m1", "m3", "--reason", "one person"],
        ["hold", "add", "--run", "1", "--reason", "a complaint"],
    ):
        assert run(*call).returncode == 0, call
    for asked, (what, names) in LISTS.items():
        document = json.loads(run(*asked, "--json", "-").stdout)
        assert document["schema"] == f"fhir-equity/{what}/1"
        assert [set(each) for each in document[what]] == [names]
