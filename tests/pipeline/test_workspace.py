"""What a command shares: the tables are read once for everybody who has no sheet of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.errors import TableError
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings


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
