"""A snapshot gives the same numbers again, whatever the store or the tables have become; and what changed since."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fhir_equity.errors import StoreError, UsageError
from fhir_equity.pipeline.audit import as_told, audit
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.snapshot import snapshot_create, snapshot_list
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.trend import trend
from fhir_equity.settings import MappingSettings, Settings, StoreSettings
from tests.benchmarks.generate_834 import file_of

BY = ("state,age", "source,month", "coverage")
PROGRAMS = ("rdm-style", "tmsis")
COUNTED = ("population", "topics", "views", "strata", "programs", "concordance", "findings", "losses")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    made: list[Workspace] = []

    def open_(as_of: str, overlay: Path | None = None) -> Workspace:
        store = StoreSettings(url=str(tmp_path / "equity.db"))
        made.append(Workspace(Settings(store=store, mappings=MappingSettings(overlay=overlay)), as_of))
        return made[-1]

    yield open_
    for workspace in made:
        workspace.__exit__(None, None, None)


def survey(path: Path, *rows: str) -> Path:
    header = "member_id,first_name,last_name,birth_date,survey_date,race_ethnicity,language_spoken,coverage,enrolled_to"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def counted(document: dict[str, Any]) -> Any:
    return json.loads(json.dumps({name: document[name] for name in COUNTED}))


def test_the_same_numbers_whatever_comes_later(opened: Callable[..., Workspace], tmp_path: Path) -> None:
    first = survey(
        tmp_path / "1.csv", "M1,Ada,Alder,1980-01-31,2026-01-15,Asian,es,HLT,", "M2,Bo,Birch,1990-01-31,,White,en,HLT,"
    )
    with opened("2026-01-31") as workspace:
        ingest(workspace, [file_of(60, tmp_path), first], partner="demo-plan")
        before = audit(workspace, by=BY, programs=PROGRAMS).document
        made = snapshot_create(workspace, "my2025", by=BY, programs=PROGRAMS)
        assert (made.name, made.as_of, made.people) == ("my2025", "2026-01-31", before["population"])
        again = audit(workspace, snapshot="my2025").document
        assert counted(again) == counted(before)
        assert again["snapshot"]["same"] is True
    second = survey(
        tmp_path / "2.csv",
        "M1,Ada,Alder,1981-01-31,2026-02-15,Samoan,fr,DEN,2026-01-15",
        "M9,Cy,Cedar,1990-01-31,,White,en,HLT,",
    )
    with opened("2026-06-30") as workspace:
        ingest(workspace, [second], partner="demo-plan")
        now = audit(workspace, by=BY, programs=PROGRAMS).document
        assert counted(now) != counted(before)
        again = audit(workspace, snapshot="my2025").document
        assert counted(again) == counted(before)
        assert again["run"] == before["run"]
        assert {k: v for k, v in again["snapshot"].items() if k in ("name", "same", "differs", "tables_changed")} == {
            "name": "my2025", "same": True, "differs": [], "tables_changed": [],
        }  # fmt: skip
        assert [(each.name, each.content) for each in snapshot_list(workspace)] == [("my2025", b"")]
        assert [e.action for e in workspace.store.trail.entries()].count("snapshot create") == 1


def test_other_tables_are_told(opened: Callable[..., Workspace], tmp_path: Path) -> None:
    with opened("2026-01-31") as workspace:
        ingest(workspace, [survey(tmp_path / "1.csv", "M1,Ada,Alder,1980-01-31,,Asian,es,HLT,")], partner="demo-plan")
        snapshot_create(workspace, "one", by=["age"])
    overlay = tmp_path / "overlay"
    (overlay / "policies").mkdir(parents=True)
    (overlay / "policies" / "strata.toml").write_text("[age]\nfrom = [0, 40]\n")
    with opened("2026-01-31", overlay) as workspace:
        found = audit(workspace, snapshot="one").document["snapshot"]
    assert found["tables_changed"] == ["overlay/policies/strata.toml"]
    assert (found["same"], found["differs"]) == (True, [])  # the strata were frozen with the people


def test_what_is_refused(opened: Callable[..., Workspace], tmp_path: Path) -> None:
    with opened("2026-01-31") as workspace:
        ingest(workspace, [survey(tmp_path / "1.csv", "M1,Ada,Alder,1980-01-31,,Asian,es,HLT,")], partner="demo-plan")
        snapshot_create(workspace, "one")
        with pytest.raises(UsageError, match="a snapshot is never changed"):
            snapshot_create(workspace, "one")
        with pytest.raises(UsageError, match="there is no snapshot of this name"):
            audit(workspace, snapshot="two")
        with pytest.raises(UsageError, match="a snapshot has its own"):
            audit(workspace, snapshot="one", by=["age"])
        with workspace.store.engine.begin() as connection:
            connection.execute(text("UPDATE snapshot SET content = document"))
        with pytest.raises(StoreError, match="is not what was frozen"):
            audit(workspace, snapshot="one")


def test_nobody_can_be_told_from_a_snapshot(opened: Callable[..., Workspace], tmp_path: Path) -> None:
    with opened("2026-01-31") as workspace:
        path = survey(tmp_path / "1.csv", "M1SECRET,Ada,Alder,1980-01-31,2026-01-15,Asian,es,HLT,")
        ingest(workspace, [path], partner="demo-plan")
        snapshot_create(workspace, "one", by=["age"])
        held = workspace.store.snapshots.named("one")
    for part in (held.settings, held.document, held.content):
        assert not [word for word in (b"M1SECRET", b"Alder", b"Ada", b"1980-01-31") if word in part]


def test_what_changed_since(opened: Callable[..., Workspace], tmp_path: Path) -> None:
    rows = [f"M{n},Ada,Alder{n},1980-01-31,2026-01-15,Purple{n},es,HLT," for n in range(3)]
    with opened("2026-01-31") as workspace:
        ingest(workspace, [survey(tmp_path / "1.csv", *rows)], partner="demo-plan")
        snapshot_create(workspace, "one")
        file = tmp_path / "before.json"
        file.write_text(json.dumps(audit(workspace).document))
    with opened("2026-06-30") as workspace:
        ingest(
            workspace,
            [survey(tmp_path / "1.csv", "M1,Ada,Alder1,1980-01-31,2026-06-15,Asian,,HLT,")],
            partner="demo-plan",
        )
        for name in ("one", str(file)):
            found = audit(workspace, since=name).document["trend"]
            assert [each["code"] for each in found["findings"]["resolved"]] == ["survey.race_ethnicity.not_mapped"]
            assert (found["findings"]["new"], found["findings"]["persisting"]) == ([], [])
            assert found["since"]["as_of"] == "2026-01-31"
        with pytest.raises(UsageError, match="no audit document"):
            audit(workspace, since=str(tmp_path / "1.csv"))


def test_findings_are_the_same_by_code_and_sentence() -> None:
    def document(*findings: tuple[str, str, int], rate: float | None = None) -> dict[str, Any]:
        return {
            "run": {"as_of": "2026-01-31"},
            "population": 10,
            "topics": {"race": {"states": {"answered": 5}}},
            "findings": [{"code": code, "message": message, "count": count} for code, message, count in findings],
            "programs": {"p": {"rows": [{"measure": "m", "line": "", "rate": rate, "met": None}]}},
        }

    before, now = document(("a", "x", 1), ("a", "y", 2), rate=0.5), document(("a", "y", 3), ("b", "", 4), rate=0.75)
    found = trend(before, now, "last")
    assert [each["code"] + each["message"] for each in found["findings"]["new"]] == ["b"]
    assert [each["code"] + each["message"] for each in found["findings"]["resolved"]] == ["ax"]
    assert [(each["count"], each["before"]) for each in found["findings"]["persisting"]] == [(3, 2)]
    assert found["known"] == [{"topic": "race", "before": 0.5, "now": 0.5}]
    (row,) = found["programs"]
    assert (row["program"], row["measure"], row["before"], row["now"]) == ("p", "m", 0.5, 0.75)


def test_what_a_later_version_says_besides_is_no_other_number() -> None:
    def told(*rows: dict[str, Any]) -> dict[str, Any]:
        return {"programs": {"p": {"rows": [*rows]}}}

    frozen = told({"measure": "m", "numerator": 1}, {"measure": "n", "numerator": 2})
    later = told({"measure": "m", "numerator": 1, "rule": "r"}, {"measure": "n", "numerator": 2, "rule": "r"})
    assert as_told(later, frozen) == frozen
    assert as_told(told({"measure": "m", "numerator": 1, "rule": "r"}), frozen) != frozen
    assert as_told(told({"measure": "m", "numerator": 3}, {"measure": "n", "numerator": 2}), frozen) != frozen
