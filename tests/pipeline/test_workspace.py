"""What a command shares: the tables are read once for everybody who has no sheet of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.errors import TableError, UsageError
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.lake import export
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings


def test_only_a_partner_with_a_sheet_has_tables_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "partners" / "acme" / "codes").mkdir(parents=True)
    workspace = Workspace(Settings(mappings={"overlay": tmp_path}))
    assert workspace.vocabulary("nobody") is workspace.vocabulary()
    for named in ("ca-dhcs", "acme"):  # built in, and in the user's own folder
        assert workspace.vocabulary(named) is not workspace.vocabulary()
        assert workspace.vocabulary(named) is workspace.vocabulary(named)
        assert workspace.vocabulary(named).tables.partner == named


def test_a_topic_that_no_table_has_is_an_error_each_time() -> None:
    workspace = Workspace()
    assert workspace.matter_of("race") == workspace.matter_of("ethnicity") == "race_ethnicity"
    for _ in range(2):
        with pytest.raises(TableError):
            workspace.matter_of("shoe_size")


def test_a_policy_of_an_overlay_needs_a_version_of_its_own(tmp_path: Path) -> None:
    policy = tmp_path / "policies" / "survivorship.toml"
    policy.parent.mkdir()
    policy.write_text("own_word = []\n")
    with pytest.raises(TableError, match="needs a version of its own"):
        _ = Workspace(Settings(mappings={"overlay": tmp_path})).policy
    policy.write_text('version = "ours"\nown_word = []\n')
    ours = Workspace(Settings(mappings={"overlay": tmp_path})).policy
    assert (ours.version, ours.own_word) == ("ours", frozenset())


@pytest.mark.parametrize("day", ["20260131", "2026-W05-6", "2026-1-31", "2026-02-30", "31/01/2026", "today"])
def test_a_day_is_written_in_one_way_because_days_are_compared_as_text(day: str) -> None:
    with pytest.raises(UsageError, match="ISO date such as 2026-01-31"):
        Workspace(as_of=day)


def test_where_there_is_no_store_none_is_made_by_asking(tmp_path: Path) -> None:
    place = tmp_path / "equity.db"
    with Workspace(Settings(store=StoreSettings(url=str(place)))) as workspace:
        with pytest.raises(UsageError, match=r"there is no store equity\.db here"):
            audit(workspace)
        with pytest.raises(UsageError, match=r"there is no store equity\.db here"):
            export(workspace, tmp_path / "lake")
    assert list(tmp_path.iterdir()) == []
