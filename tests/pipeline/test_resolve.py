"""resolve: what another policy would change, by pattern; and once kept, what is kept is what is decided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_equity.errors import TableError, UsageError
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.resolve import Pattern, resolve
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from fhir_equity.store import resolve as module
from tests.pipeline.test_ingest import file, member
from tests.pipeline.test_resolutions import computed, kept

SURVEY = "member_id,survey_date,race_ethnicity\nFX000001,2026-02-03,Samoan\nFX000002,2026-02-03,White\n"
OTHER = 'version = "other"\nmethods = ["unstated", "self", "proxy", "relayed", "observed"]\nown_word = []\n'


@pytest.fixture
def workspace(url: str, tmp_path: Path) -> Iterator[Workspace]:
    enrollment = file(tmp_path / "plan.834", [member(1, ":RET:2054-5"), member(2, "C")])
    (tmp_path / "survey.csv").write_text(SURVEY)
    (tmp_path / "other.toml").write_text(OTHER)
    settings = Settings(store=StoreSettings(url=url), privacy=PrivacySettings(key_file=tmp_path / "equity.key"))
    with Workspace(settings, "2026-03-01") as opened:
        ingest(opened, [enrollment, tmp_path / "survey.csv"], partner="demo-plan")
        yield opened


@pytest.mark.parametrize("page", [1, 2000])
def test_another_policy_is_tried_without_a_trace(
    workspace: Workspace, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(module, "PAGE", page)
    before = kept(url)
    done = resolve(workspace, policy=tmp_path / "other.toml", dry_run=True)
    assert done.policy == "other"
    assert done.patterns == {Pattern("race_ethnicity", "plan, self (method)", "plan, unstated (method)"): 2}
    assert done.changed == 2
    assert kept(url) == before
    assert [entry.action for entry in workspace.store.trail.entries() if entry.action == "resolve"] == []


def test_values_only_when_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    hidden = str(resolve(workspace, policy=tmp_path / "other.toml", dry_run=True))
    shown = str(resolve(workspace, policy=tmp_path / "other.toml", dry_run=True, show_values=True))
    for word in ("Samoan", "2054-5", "answered"):
        assert word not in hidden
        assert word in shown


def test_what_is_kept_is_what_is_decided(workspace: Workspace, url: str, tmp_path: Path) -> None:
    assert resolve(workspace).changed == 0
    resolve(workspace, policy=tmp_path / "other.toml")
    assert kept(url) == computed(workspace)
    assert {row[5] for row in kept(url)} == {"other"}
    assert [row[4] for row in kept(url) if row[1] == "race_ethnicity"] == ["method", "method"]
    assert resolve(workspace).changed == 0
    entries = [entry for entry in workspace.store.trail.entries() if entry.action == "resolve"]
    assert [entry.counts for entry in entries][1:2] == [{"members": 2, "changed": 2}]
    assert entries[1].versions["policy"] == "other"


def test_a_file_that_is_no_policy_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    for name, content, kind in (
        ("a.toml", "SECRET is", UsageError),
        ("b.toml", "methods = []", TableError),
        ("c.toml", "own_word = []", TableError),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(kind) as refused:
            resolve(workspace, policy=tmp_path / name)
        assert "SECRET" not in str(refused.value)
    with pytest.raises(UsageError, match="cannot be read"):
        resolve(workspace, policy=tmp_path / "nowhere.toml")
