"""A value that no table has is settled by a decision: a row of the partner's maps it, and undoing takes the row out."""

from __future__ import annotations

import csv
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.codes import unmapped
from fhir_equity.pipeline.explain import explain
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.review import review_decide, review_list, review_undo
from fhir_equity.pipeline.review_sheet import review_export, review_import
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings
from tests.conftest import select_rows
from tests.faults.points import everything
from tests.pipeline.test_review import BLACK, WHITE, kinds, opened, say

BESIDE = ("decision", "decided_row", "settlement", "trail", "trail_head", "changed", "pattern")
SHEET = Path("partners/plan/crosswalks")


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    folder = tmp_path / "our-tables"
    folder.mkdir()
    return folder


@pytest.fixture
def open_(url: str, tmp_path: Path, overlay: Path) -> Callable[[], Workspace]:
    def make() -> Workspace:
        workspace = opened(url, tmp_path)
        workspace.settings = workspace.settings.model_copy(update={"mappings": MappingSettings(overlay=overlay)})
        return workspace

    return make


def sheet(overlay: Path) -> list[dict[str, str]]:
    (path,) = (overlay / SHEET).iterdir()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def said(url: str) -> list[tuple[Any, ...]]:
    return select_rows(url, "SELECT key, state, rule FROM resolution r JOIN member m ON m.id = member_id ORDER BY 1")


def all_but(url: str) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows for name, rows in everything(url).items() if name not in BESIDE}


def test_it_maps_the_value_from_now_on_and_is_taken_back(
    url: str, open_: Callable[[], Workspace], overlay: Path
) -> None:
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"), ("m2", "self", "Z9"), ("m3", "observed", "Z9"), ("m4", "self", WHITE))
        say(workspace, ("m3", "self", BLACK))
        before = all_but(url)
        pattern = next(g.pattern for g in workspace.store.cases.groups() if g.waiting == 2)
        done = review_decide(workspace, str(pattern), BLACK, "their form\nof 2020 says so")
        (decision,) = done.decisions
        assert (decision.members, decision.author, done.stale) == (2, "steward", 0)
        (row,) = sheet(overlay)
        assert (row["source_system"], row["source_code"], row["target_system"], row["target_code"]) == (
            "cdcrec", "Z9", "cdcrec", BLACK,
        )  # fmt: skip
        assert (row["relationship"], row["note"]) == ("equivalent", "review decision 1: their form of 2020 says so")
        assert kinds(workspace) == []  # m3, whose case was of another pattern, said it, too
        assert unmapped(workspace).found == []
        told = explain(workspace, "m1", show_values=True)["matters"][0]
        assert told["decisions"][0]["author"] == "steward"
        assert told["statements"][0]["answers"][0]["means"][0]["code"] == BLACK
    with open_() as workspace:  # the next file
        say(workspace, ("m5", "self", "Z9"))
        assert kinds(workspace) == []
        assert resolve(workspace, dry_run=True).changed == 0
    with open_() as workspace:
        undone = review_undo(workspace, 1)
        assert (undone.members, undone.undone_by) == (2, "steward")
        assert list((overlay / SHEET).iterdir()) == []
        assert [waiting for *_, waiting in kinds(workspace)] == [3, 1]
        assert resolve(workspace, dry_run=True).changed == 0
        with pytest.raises(UsageError, match="no decision 1 that holds"):
            review_undo(workspace, 1)
        told_of = [(e.action, e.about["decision"]) for e in workspace.store.trail.entries() if "review" in e.action]
        assert told_of == [("review decide", "1"), ("review undo", "1")]
        versions = [e.versions["tables"] for e in workspace.store.trail.entries()]
        assert versions[-1] == versions[0] != versions[-3]
    select_rows(url, "SELECT 1")
    assert before["resolution"] == [row for row in all_but(url)["resolution"] if row[0] != 5]
    assert before["case"] == [row for row in all_but(url)["case"] if row[0] != 5]


def test_a_state_and_a_code_of_another_system_are_meant_by_their_names(
    url: str, open_: Callable[[], Workspace], overlay: Path
) -> None:
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"))
        review_decide(workspace, "1", "declined", "r")
        assert said(url) == [("m1", "declined", "nothing_known")]
        review_undo(workspace, 1)
        review_decide(workspace, "1", f"cdcrec:{WHITE}", "r", relationship="wider")
        assert sheet(overlay)[0]["relationship"] == "wider"
        assert said(url) == [("m1", "answered", "only_answer")]
        listed = review_list(workspace, every=True, show_values=True)["decisions"]
        assert [each["rows"] for each in listed] == [["Z9 -> declined"], [f"Z9 -> {WHITE}"]]
        assert "rows" not in review_list(workspace, every=True)["decisions"][0]


def test_what_stood_in_the_sheet_stays_as_it_was(open_: Callable[[], Workspace], overlay: Path) -> None:
    (overlay / SHEET).mkdir(parents=True)
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"))
        review_decide(workspace, "1", BLACK, "r")
        (path,) = (overlay / SHEET).iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        review_undo(workspace, 1)
    ours = b"note,applies_to,source_system,source_code,target_system,target_code,relationship,retired\r\n"
    ours += b'"our, own",race_ethnicity,cdcrec,Y7,cdcrec,2106-3,equivalent,'
    path.write_bytes(ours)
    path.chmod(0o640)
    with open_() as workspace:
        review_decide(workspace, "1", BLACK, "r")
        assert path.read_bytes().startswith(ours)
        assert [row["source_code"] for row in sheet(overlay)] == ["Y7", "Z9"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        review_undo(workspace, 2)
        assert path.read_bytes().strip() == ours


def test_a_row_that_somebody_changed_is_theirs(open_: Callable[[], Workspace], overlay: Path, url: str) -> None:
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"))
        review_decide(workspace, "1", BLACK, "r")
        (path,) = (overlay / SHEET).iterdir()
        whole, changed = path.read_text(), path.read_text().replace("equivalent", "wider")
        path.write_text(changed)
        before = everything(url)
        with pytest.raises(UsageError, match="has changed the row of decision 1"):
            review_undo(workspace, 1)
        assert (everything(url), path.read_text()) == (before, changed)
        path.write_text(whole)
        path.unlink()  # who took the file away has taken the row out
        assert review_undo(workspace, 1).undone_by == "steward"


@pytest.mark.parametrize(
    ("which", "choose", "relationship", "problem"),
    [
        ("1", "nonsense", "", "no code of cdcrec"),
        ("1", "state:answered", "", "no code of state"),
        ("1", BLACK, "narrower", "a row says"),
        ("1/0123", BLACK, "", "decide the whole pattern"),
        ("2", WHITE, "wider", "only a row that maps"),
    ],
)
def test_what_is_no_row_changes_nothing(
    open_: Callable[[], Workspace], overlay: Path, url: str, which: str, choose: str, relationship: str, problem: str
) -> None:
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"))
        say(workspace, ("m2", "self", WHITE))
        say(workspace, ("m2", "observed", BLACK))
        before = everything(url)
        with pytest.raises(UsageError, match=problem):
            review_decide(workspace, which, choose, "r", relationship=relationship)
        assert everything(url) == before
    assert list(overlay.iterdir()) == []


def test_it_needs_a_folder_for_rows(workspace: Workspace) -> None:
    say(workspace, ("m1", "self", "Z9"))
    with pytest.raises(UsageError, match="overlay below"):
        review_decide(workspace, "1", BLACK, "r")


def test_where_writing_fails_the_sheet_is_as_before(
    open_: Callable[[], Workspace], overlay: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"))
        before = everything(url)
        monkeypatch.setattr("fhir_equity.store.decisions._settled_by_rows", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            review_decide(workspace, "1", BLACK, "r")
        assert everything(url) == before
        assert [path for path in overlay.rglob("*") if path.is_file()] == []
        monkeypatch.undo()
        review_decide(workspace, "1", BLACK, "r")
        assert said(url) == [("m1", "answered", "only_answer")]


def test_an_undoing_that_was_killed_is_done_for_everybody_when_it_is_done_again(
    open_: Callable[[], Workspace], overlay: Path
) -> None:
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"))
        review_decide(workspace, "1", BLACK, "r")
        say(workspace, ("m2", "self", "Z9"), ("m3", "self", WHITE))  # of whom the decision says nothing
        next((overlay / SHEET).iterdir()).unlink()  # it came as far as this
        workspace.tables_changed()
        review_undo(workspace, 1)
        assert resolve(workspace, dry_run=True).changed == 0
        assert [waiting for *_, waiting in kinds(workspace)] == [2]


def test_where_a_decision_fails_what_somebody_else_has_written_since_stays(
    open_: Callable[[], Workspace], overlay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"))
        review_decide(workspace, "1", BLACK, "r")
        (path,) = (overlay / SHEET).iterdir()
        ours = path.read_bytes()
        review_undo(workspace, 1)
        theirs = ours.replace(b"Z9", b"Y7").replace(b"decision 1", b"decision 9")

        def another(*_: object) -> None:
            path.write_bytes(path.read_bytes() + theirs.splitlines(keepends=True)[1])
            raise ZeroDivisionError

        monkeypatch.setattr("fhir_equity.store.decisions._settled_by_rows", another)
        with pytest.raises(ZeroDivisionError):
            review_decide(workspace, "1", BLACK, "r")
        assert path.read_bytes() == theirs


def test_what_a_decision_left_that_was_killed_is_replaced(open_: Callable[[], Workspace], overlay: Path) -> None:
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"))
        review_decide(workspace, "1", BLACK, "r")
        (path,) = (overlay / SHEET).iterdir()
        ours, left = path.read_bytes(), path.read_bytes().replace(b": r", b": another reason")
        review_undo(workspace, 1)
        path.write_bytes(left.replace(b"decision 1", b"decision 2"))
        workspace.tables_changed()
        review_decide(workspace, "1", BLACK, "r")
        assert path.read_bytes() == ours.replace(b"decision 1", b"decision 2")
        review_undo(workspace, 2)
        assert not path.exists()


def test_a_sheet_for_people_without_the_tool_settles_values_too(
    open_: Callable[[], Workspace], overlay: Path, tmp_path: Path
) -> None:
    with open_() as workspace:
        say(workspace, ("m1", "self", "Z9"))
        say(workspace, ("m2", "self", WHITE))
        say(workspace, ("m2", "observed", BLACK))
        path = tmp_path / "cases.csv"
        review_export(workspace, path)
        text = path.read_text(encoding="utf-8-sig").splitlines()
        rows = list(csv.DictReader(text))
        for row in rows:
            row |= {"choose": BLACK, "reason": "the form"}
        with path.open("w", encoding="utf-8-sig", newline="") as out:
            writer = csv.DictWriter(out, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        done = review_import(workspace, path)
        assert (len(done.decisions), done.problems) == (2, [])
        assert kinds(workspace) == []
        assert len(sheet(overlay)) == 1
