"""Controls that fail when they should, and cases by how long they have waited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.pipeline.accounts import accounts, counted
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings, StoreSettings
from fhir_equity.store import Disclosure
from fhir_equity.store.connection import writing
from tests.quality.publish.audits import document, topic

RULE = """version = "1"
[[rule]]
id = "ours"
recipient = "state"
purpose = "operations"
topics = {topics}
from = 2026-01-01
to = {to}
agreement = "an agreement"
"""


def settings(folder: Path, topics: str = '["race_ethnicity", "recorded_sex"]', to: str = "2099-12-31") -> Settings:
    policies = folder / "overlay" / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    (policies / "release.toml").write_text(RULE.format(topics=topics, to=to))
    mappings = MappingSettings(overlay=folder / "overlay")
    return Settings(store=StoreSettings(url=str(folder / "equity.db")), mappings=mappings)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Workspace]:
    """Two people, one of whom the two sources describe differently, and something told about one."""
    first = tmp_path / "1.csv"
    first.write_text("member_id,first_name,last_name,race_ethnicity\nM1,Ada,Alder,Asian\nM2,Bo,Birch,White\n")
    second = tmp_path / "2.csv"
    second.write_text("member_id,first_name,last_name,race_ethnicity\nM1,Ada,Alder,White\n")
    with Workspace(settings(tmp_path), "2026-06-15") as workspace:
        ingest(workspace, [first, second], partner="demo-plan")
        told = Disclosure("p", "demo-plan", "state", "t", "operations", "", ("race_ethnicity", "sex"), "ours", "1")
        workspace.store.disclosures.intend([told])
        yield workspace


def controls(workspace: Workspace) -> dict[str, dict[str, Any]]:
    return {each["control"]: each for each in accounts(workspace, "demo-plan")["controls"]}


def test_all_is_well(filled: Workspace) -> None:
    assert {name: (each["checked"] > 0, each["passed"]) for name, each in controls(filled).items()} == {
        "trail": (True, True),
        "runs": (True, True),
        "release": (True, True),
    }


def test_a_trail_that_was_edited(filled: Workspace) -> None:
    with writing(filled.store.engine) as connection:
        for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql("UPDATE trail SET who = 'nobody' WHERE id = 1")
    found = controls(filled)["trail"]
    assert (found["passed"], found["found"]) == (False, 1)


def test_an_ingest_that_never_ended(filled: Workspace) -> None:
    with writing(filled.store.engine) as connection:
        connection.exec_driver_sql("UPDATE run SET finished = ''")
    assert controls(filled)["runs"] == {"control": "runs", "checked": 2, "found": 2, "passed": False}


@pytest.mark.parametrize(
    "changed", [{"topics": '["recorded_sex"]'}, {"topics": '["race_ethnicity"]'}, {"to": "2026-02-01"}]
)
def test_a_policy_that_would_not_let_it_out(filled: Workspace, tmp_path: Path, changed: dict[str, str]) -> None:
    filled.store.close()
    with Workspace(settings(tmp_path, **changed), "2026-06-15") as workspace:
        assert controls(workspace)["release"] == {"control": "release", "checked": 1, "found": 1, "passed": False}


def test_totals_that_do_not_add_up() -> None:
    given = document(50, {"race_ethnicity": topic({"answered": 40, "unknown": 10})})
    assert counted(given) == {"control": "totals", "checked": 1, "found": 0, "passed": True}
    given["topics"]["race_ethnicity"]["states"]["unknown"] = 11
    assert counted(given) == {"control": "totals", "checked": 1, "found": 1, "passed": False}


@pytest.mark.parametrize(
    ("as_of", "days"),
    [("2026-06-15", "0-30"), ("2026-07-16", "31-90"), ("2026-09-14", "91-365"), ("2030-01-01", "366+")],
)
def test_cases_by_how_long_they_have_waited(filled: Workspace, as_of: str, days: str) -> None:
    with writing(filled.store.engine) as connection:
        connection.exec_driver_sql("UPDATE \"case\" SET since = '2026-06-15'")
    filled.as_of = as_of
    (case,) = accounts(filled, "demo-plan")["cases"]
    about = {"topic": "race_ethnicity", "waiting": 1, "decided": 0, "oldest": "2026-06-15", "days": {days: 1}}
    assert {name: case[name] for name in about} == about
    assert filled.store.accounts.cases(["nobody"]) == []
