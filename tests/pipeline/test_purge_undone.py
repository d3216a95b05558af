"""purge: what may be taken back is as if nothing had gone, and nothing is left of those who went."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.model import Finding, Frame, Locator, Loss, Member, Name, Rejected, Relationship, Severity
from fhir_equity.pipeline.explain import explain
from fhir_equity.pipeline.hold import hold_add, hold_release
from fhir_equity.pipeline.merge import merge, unmerge
from fhir_equity.pipeline.record import record_of
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.review import review_decide, review_list, review_undo
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Selection
from tests.conftest import select_rows
from tests.pipeline.test_purge import ASIAN, BLACK, WHITE, answers, kept, load, take
from tests.pipeline.test_purge import opened as opened  # for `workspace`


def keys(workspace: Workspace) -> list[str]:
    return [person.member.key for person in workspace.store.people]


def test_a_hold_is_on_everybody_whom_somebody_said_they_are(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", *((key, "self", "race", WHITE) for key in "abcd"))
    merge(workspace, "b", "c", reason="r")
    unmerge(workspace, 1)
    merge(workspace, "a", "b", reason="r")
    held = hold_add(workspace, member="b", reason="a lawsuit")
    unmerge(workspace, 2)
    assert take(workspace, tmp_path).gone.held == 3
    assert keys(workspace) == ["a", "b", "c"]
    hold_release(workspace, held.id)
    take(workspace, tmp_path)
    assert keys(workspace) == []


def test_a_merge_is_undone_as_if_nothing_had_gone(workspace: Workspace, url: str, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", ("a", "observed", "race", WHITE))
    load(workspace, "2025-01-01", ("a", "self", "language_spoken", "en"), ("b", "observed", "race", ASIAN))
    before = kept(url)
    merge(workspace, "b", "a", reason="r")
    assert take(workspace, tmp_path).gone.counts["answers"] == 0
    unmerge(workspace, 1)
    assert kept(url) == before
    assert resolve(workspace, dry_run=True).changed == 0


def test_a_decision_is_undone_as_if_nothing_had_gone(workspace: Workspace, url: str, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE))
    load(workspace, "2025-01-01", ("a", "self", "race", BLACK))
    before = kept(url)
    review_decide(workspace, "1", BLACK, "asked")
    assert take(workspace, tmp_path).gone.counts["answers"] == 0
    review_undo(workspace, 1)
    assert kept(url) == before
    assert resolve(workspace, dry_run=True).changed == 0


def test_what_was_decided_while_merged_is_about_the_two_together(workspace: Workspace, url: str) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE), ("b", "self", "race", ASIAN))
    load(workspace, "2025-01-01", ("a", "self", "race", BLACK))
    (case,) = workspace.store.cases.cases()
    review_decide(workspace, str(case.pattern), WHITE, "asked")
    apart = kept(url)
    merge(workspace, "a", "b", reason="r")
    (again,) = workspace.store.cases.cases()
    review_decide(workspace, str(again.pattern), ASIAN, "asked again")
    assert [row[2] for row in kept(url)] == [2]
    together = kept(url)
    unmerge(workspace, 1)
    assert kept(url) == apart
    assert resolve(workspace, dry_run=True).changed == 0
    merge(workspace, "a", "b", reason="r")
    assert kept(url) == together


def test_the_decisions_about_a_merged_person_are_told_whichever_key_they_were_about(workspace: Workspace) -> None:
    load(workspace, "2015-01-01", ("a", "self", "language_spoken", "en"), ("b", "self", "race", WHITE))
    load(workspace, "2025-01-01", ("b", "self", "race", BLACK))
    review_decide(workspace, "1", WHITE, "asked")
    merge(workspace, "a", "b", reason="r")
    (matter,) = explain(workspace, "a", topic="race")["matters"]
    assert [each["id"] for each in matter["decisions"]] == [1]


def test_one_more_under_the_key_of_somebody_who_went(workspace: Workspace, url: str, tmp_path: Path) -> None:
    def met(as_of: str, *people: tuple[str, str]) -> None:
        run = workspace.run("plan", as_of)
        members = [Member("plan", "k", name=Name(name, (name,)), birth_date=born) for name, born in people]
        run.add(run.artefact(f"{as_of}.csv", "survey"), [record_of(workspace, each) for each in members])
        run.finish()

    ada, ben, cy = ("Ada", "1980-01-01"), ("Ben", "1990-02-02"), ("Cy", "2000-03-03")
    met("2015-01-01", ada, ben)
    met("2025-01-01", ben)
    assert take(workspace, tmp_path).gone.counts["members"] == 1
    met("2025-02-01", cy)
    assert select_rows(url, "SELECT family, twin FROM member ORDER BY twin") == [("Ben", 1), ("Cy", 2)]


def test_a_decision_stays_without_what_it_chose_from(workspace: Workspace, url: str, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE), ("b", "self", "race", ASIAN))
    load(workspace, "2016-01-01", ("a", "self", "race", BLACK), ("b", "self", "race", BLACK))
    for case in workspace.store.cases.cases():
        review_decide(workspace, str(case.pattern), BLACK, "asked")
    review_undo(workspace, 2)
    load(workspace, "2025-01-01", ("b", "self", "language_spoken", "en"))
    take(workspace, tmp_path)
    assert keys(workspace) == ["b"]
    first, second = (bytes(sides) for (sides,) in select_rows(url, "SELECT sides FROM pattern ORDER BY id"))
    assert first == b"[]"
    assert ASIAN.encode() in second
    assert [each.id for each in workspace.store.decisions.all()] == [1, 2]
    take(workspace, tmp_path)
    load(workspace, "2026-01-01", ("c", "self", "race", WHITE))
    load(workspace, "2026-02-01", ("c", "self", "race", BLACK))
    assert [case.pattern for case in workspace.store.cases.cases() if case.member == 3] == [3]


@pytest.mark.parametrize("killed", [False, True])
def test_a_row_whose_value_was_purged_is_taken_out_by_its_note(
    workspace: Workspace, url: str, tmp_path: Path, *, killed: bool
) -> None:
    sheet = tmp_path / "overlay" / "partners" / "plan" / "crosswalks"
    load(workspace, "2015-01-01", ("a", "self", "race", "Z8"), ("b", "self", "race", "Z9"))
    for case in workspace.store.cases.cases():
        review_decide(workspace, str(case.pattern), BLACK, "the form")
    take(workspace, tmp_path)
    assert keys(workspace) == []
    load(workspace, "2026-01-01", ("c", "self", "race", "Z9"))
    assert [row[3] for row in kept(url)] == ["answered"]
    listed = review_list(workspace, every=True, show_values=True)["decisions"]
    assert [each["rows"] for each in listed] == [["purged"], ["purged"]]
    (path,) = sheet.iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    if killed:  # after the row was taken out, and before anybody was resolved again
        path.write_bytes(b"".join(lines[:2]))
        workspace.tables_changed()
    assert review_undo(workspace, 2).undone_by == "officer"
    assert path.read_bytes() == b"".join(lines[:2])
    assert [row[3] for row in kept(url)] == ["invalid"]
    assert [group.kind for group in workspace.store.cases.groups()] == ["unmapped"]
    assert resolve(workspace, dry_run=True).changed == 0
    path.write_bytes(lines[0] + lines[1].replace(b"equivalent", b"wider"))
    with pytest.raises(UsageError, match="has changed the row of decision 1"):
        review_undo(workspace, 1)


def read(workspace: Workspace, as_of: str, inputs: str) -> int:
    """One run that loses something."""
    run = workspace.run("plan", as_of, inputs)
    artefact = run.artefact("a.csv", "survey")
    run.add(artefact, [], [], [], [Loss("rule", Relationship.NARROWER, "race", Locator("a.csv", "row", 1))])
    run.close(artefact, sha256="f", size=1, members=0, rejected=0)
    run.finish()
    return run.id


def losses(url: str) -> list[tuple[int]]:
    return select_rows(url, "SELECT artefact_id FROM loss ORDER BY id")


def test_bytes_that_a_held_or_a_younger_run_met_again_stay(workspace: Workspace, url: str, tmp_path: Path) -> None:
    for as_of, raw in (("2015-01-01", b"ONE"), ("2015-02-01", b"TWO"), ("2015-03-01", b"THREE")):
        load(workspace, as_of, rejected=raw)
    held = hold_add(workspace, run=load(workspace, "2015-04-01", rejected=b"ONE"), reason="a lawsuit")
    load(workspace, "2025-01-01", rejected=b"TWO")
    assert dict(take(workspace, tmp_path).gone.counts)["quarantined"] == 1
    assert [bytes(raw) for (raw,) in select_rows(url, "SELECT raw FROM quarantine ORDER BY id")] == [b"ONE", b"TWO"]
    hold_release(workspace, held.id)
    assert dict(take(workspace, tmp_path).gone.counts)["quarantined"] == 1
    assert select_rows(url, "SELECT quarantine_id, artefact_id FROM quarantined_in") == [(2, 5)]


def test_a_record_that_stays_keeps_its_frame(workspace: Workspace, url: str, tmp_path: Path) -> None:
    finding = Finding("survey.row", Severity.ERROR, Locator("", "row", 1))
    for as_of, raw in (("2015-01-01", b"ONE"), ("2015-02-01", b"TWO"), ("2025-01-01", b"ONE")):
        run = workspace.run("plan", as_of)
        frame = Frame(f"frame {as_of}".encode(), Locator("", "segment", 1))
        run.add(run.artefact(as_of, "edi834"), [], [Rejected(raw, finding)], frames=[frame])
        run.finish()
    assert take(workspace, tmp_path).gone.counts["frames"] == 1
    (record,) = workspace.store.quarantine.held(Selection())
    assert workspace.store.quarantine.content(record) == (b"ONE", b"frame 2015-01-01")


def test_losses_that_went_are_not_lent(workspace: Workspace, url: str, tmp_path: Path) -> None:
    for as_of, inputs in (("2015-01-01", "x"), ("2015-02-01", "x"), ("2025-01-01", "y")):
        read(workspace, as_of, inputs)
    assert losses(url) == [(1,), (3,)]
    assert take(workspace, tmp_path).gone.counts["losses"] == 1
    assert losses(url) == [(3,)]
    read(workspace, "2025-02-01", "x")
    read(workspace, "2025-03-01", "x")
    assert [number for (number,) in losses(url)] == [3, 4]
    assert select_rows(url, "SELECT losses_of FROM artefact ORDER BY id") == [(None,), (1,), (None,), (None,), (4,)]


def test_losses_that_a_younger_run_borrowed_stay(workspace: Workspace, url: str, tmp_path: Path) -> None:
    for as_of, inputs in (("2015-01-01", "x"), ("2024-01-01", "x"), ("2025-01-01", "y")):
        read(workspace, as_of, inputs)
    assert take(workspace, tmp_path).gone.counts["losses"] == 0
    assert losses(url) == [(1,), (3,)]


def test_a_run_that_is_retracted_keeps_its_losses(workspace: Workspace, url: str, tmp_path: Path) -> None:
    read(workspace, "2015-01-01", "x")
    run = read(workspace, "2015-02-01", "y")
    retract(workspace, run, reason="r")
    assert take(workspace, tmp_path).gone.counts["losses"] == 0
    retract(workspace, run, undo=True)
    assert take(workspace, tmp_path).gone.counts["losses"] == 1
    assert losses(url) == [(2,)]
    assert len(answers(url)) == 0
