"""What was decided, kept back and held comes back from an exported folder, and protects as it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fhir_equity.model import Answer, Coding, Member, Origin, Received
from fhir_equity.pipeline.hold import hold_add, hold_list, hold_release
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.lake import export
from fhir_equity.pipeline.merge import merge, unmerge
from fhir_equity.pipeline.opt_out import opt_out
from fhir_equity.pipeline.purge import purge
from fhir_equity.pipeline.record import record_of
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.review import review_decide, review_undo
from fhir_equity.pipeline.split import split
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import StoreSettings
from fhir_equity.store import Group, Which
from fhir_equity.store.connection import reading
from fhir_equity.store.holds import held
from tests.conftest import select_rows
from tests.pipeline.test_lake import column, held_in
from tests.pipeline.test_merge_across import ASIAN, BLACK, WHITE
from tests.pipeline.test_merge_across import say as say_of
from tests.pipeline.test_merge_across import workspace as workspace
from tests.pipeline.test_review import opened, say, state, two_sources
from tests.pipeline.test_split import say as say_twins

Bring = Callable[..., Workspace]


@pytest.fixture
def bring(new_url: Callable[[], str], tmp_path: Path) -> Iterator[Bring]:
    """Another store, with what a first one exports; twice makes no difference."""
    with ExitStack() as opened_here:

        def bring(workspace: Workspace, *, sensitive: bool = True) -> Workspace:
            url = new_url()
            folder = tmp_path / f"lake-{len(list(tmp_path.glob('lake-*')))}"
            export(workspace, folder, include_sensitive=sensitive)
            settings = workspace.settings.model_copy(update={"store": StoreSettings(url=url)})
            other = opened_here.enter_context(Workspace(settings, workspace.as_of))
            for _ in range(2):
                ingest(other, [folder])
                assert not sensitive or held_in(other.store)[::2] == held_in(workspace.store)[::2]
            assert resolve(other, dry_run=True).changed == 0
            assert other.store.trail.verify().problems == []
            return other

        yield bring


def is_of_three(group: Group) -> bool:
    return group.waiting == 3


def is_tie(group: Group) -> bool:
    return group.kind == "tie"


def url_of(workspace: Workspace) -> str:
    return workspace.settings.store.url


def decisions(workspace: Workspace) -> list[tuple[object, ...]]:
    names = ("side", "author", "reason", "at", "members", "undone_at", "undone_by")
    return [tuple(getattr(each, name) for name in names) for each in workspace.store.decisions.all()]


def test_what_was_decided_is_decided_and_can_be_taken_back(bring: Bring, url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as workspace:
        two_sources(workspace, "m1", "m2", "m3")
        say(workspace, ("tie", "unstated", WHITE), ("late", "unstated", ASIAN))
        say(workspace, ("tie", "unstated", BLACK), ("late", "self", BLACK))
        groups = workspace.store.cases.groups()
        (three,), (tie,) = ([g.pattern for g in groups if holds(g)] for holds in (is_of_three, is_tie))
        one, *_, last = [each.pseudonym for each in workspace.store.cases.cases(three)]
        review_decide(workspace, f"{three}/{one}", "unstated", "she wrote to us")
        review_decide(workspace, f"{three}/{last}", "self", "a mistake")
        review_undo(workspace, 2)
        review_decide(workspace, str(tie), WHITE, "the plan asked again")
        other = bring(workspace)
        assert state(url_of(other)) == state(url)
        assert [row[3] for row in state(url)[0]].count("decided") == 2
        assert decisions(other) == decisions(workspace)
        for each in (other, workspace):  # what says otherwise asks anew, what does not is settled
            say(each, ("tie", "self", ASIAN), ("m1", "unstated", WHITE))
        assert state(url_of(other)) == state(url)
        assert "reopened" in {row[5] for row in state(url)[1]}
        for each in (other, workspace):
            for number in (1, 3):
                review_undo(each, number)
        assert state(url_of(other)) == state(url)
        ingest(other, sorted(tmp_path.glob("lake-*")))  # and it stays taken back
        assert state(url_of(other)) == state(url)


def test_the_later_of_two_decisions_holds_wherever_it_was_made(
    url: str, new_url: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(url, tmp_path) as one, opened(new_url(), tmp_path) as other:
        for each in (one, other):
            two_sources(each, "m", "n")
        for each, key, day, side in (
            (one, "m", "2026-02-01", "self"),
            (other, "m", "2026-02-02", "unstated"),
            (other, "n", "2026-02-03", "self"),
            (one, "n", "2026-02-04", "unstated"),
        ):
            monkeypatch.setattr("fhir_equity.store.decisions.now", lambda day=day: f"{day}T00:00:00+00:00")
            review_decide(each, f"1/{keyed(each, key)}", side, "r")
        export(one, tmp_path / "lake")
        ingest(other, [tmp_path / "lake"])
        assert [WHITE.encode() in row[6] for row in state(url_of(other))[0]] == [True, True]
        assert resolve(other, dry_run=True).changed == 0


def test_what_was_decided_of_two_who_are_one_is_about_the_two_together(workspace: Workspace, bring: Bring) -> None:
    say_of(workspace, "north", "2026-01-02", ("n5", WHITE), method="self")
    say_of(workspace, "south", "2026-01-02", ("s5", BLACK), method="self")
    merge(workspace, "n5", "s5", reason="r")
    (pattern,) = {case.pattern for case in workspace.store.cases.cases() if case.partner == "north"}
    review_decide(workspace, str(pattern), BLACK, "she wrote to us")
    other = bring(workspace)
    assert "decided" in {row[3] for row in state(url_of(other))[0]}
    for undone in ([], [unmerge(each, 1) for each in (other, workspace)]):
        assert len(undone) in (0, 2)
        assert state(url_of(other)) == state(url_of(workspace))


@pytest.mark.parametrize("sensitive", [True, False])
def test_what_members_keep_back_they_keep_back(
    sensitive: bool, workspace: Workspace, bring: Bring, tmp_path: Path
) -> None:
    opt_out(workspace, "n1", "gender_identity", "", "", "")
    opt_out(workspace, "s1", "race", "demo-hie", "2026-02-02", "2026-12-31")
    merge(workspace, "n1", "s1", reason="r")
    other = bring(workspace, sensitive=sensitive)

    def kept(each: Workspace) -> object:
        return each.store.opt_outs.keys_in_force("demo-hie", "2026-03-01")

    assert kept(other) == kept(workspace) != {}
    opt_out(other, "n1", "gender_identity", "", "2027-01-01", "")  # said there since
    again = kept(other)
    ingest(other, sorted(tmp_path.glob("lake-*")))
    assert kept(other) == again != kept(workspace)


def test_who_is_held_is_held(workspace: Workspace, bring: Bring, tmp_path: Path) -> None:
    run = say_of(workspace, "south", "2015-01-01", ("a", WHITE), ("b", BLACK))
    for day, given in (("2015-01-05", "Ada"), ("2015-02-05", "Ben")):
        say_twins(workspace, day, (given, "race", ASIAN))
    split(workspace, "k", Which(file="2015-02-05.csv"), reason="r", given="Ben")
    say_of(workspace, "north", "2015-01-01", ("old", WHITE), ("free", WHITE))
    hold_add(workspace, run=run, reason="a suit")
    hold_add(workspace, member=keyed(workspace, "k"), reason="another suit")
    hold_add(workspace, member="free", reason="a mistake")
    hold_release(workspace, 3)
    other = bring(workspace)
    assert {each.reason: each.at for each in hold_list(other)} == {e.reason: e.at for e in hold_list(workspace)[:2]}
    assert names(other) == names(workspace)
    assert len(names(other)) == 4
    gone = [purge(each, "2020-01-01", tmp_path / f"{n}.cert").gone.counts for n, each in enumerate((other, workspace))]
    assert gone[0]["members"] == gone[1]["members"] == 2
    for hold in hold_list(other):
        hold_release(other, hold.id)
    ingest(other, sorted(tmp_path.glob("lake-*")))  # released there it stays
    assert names(other) == set()


def keyed(workspace: Workspace, key: str) -> str:
    return str(select_rows(url_of(workspace), "SELECT pseudonym FROM member WHERE key = ? ORDER BY twin", key)[0][0])


def names(workspace: Workspace) -> set[str]:
    with reading(workspace.store.engine) as connection:
        return set(held(connection).pseudonyms)


def test_a_decision_about_something_sensitive_stays(bring: Bring, url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as workspace:
        two_sources(workspace, "m")
        run = workspace.run("plan")
        for code in ("446141000124107", "446151000124109"):
            received = Received("gender_identity", "test.gender", (Coding("snomed", code),), "", code)
            answer = Answer(received, Origin("plan", "a.csv", "plan", "self"), "row", 1, 0, "")
            run.add(run.artefact("a.csv", "survey"), [record_of(workspace, Member("plan", "m", answers=(answer,)))])
        run.finish()
        for group in workspace.store.cases.groups():
            review_decide(workspace, str(group.pattern), "1", "she wrote to us")
        assert len(decisions(bring(workspace))) == 2
        (tie,) = (group for group in bring(workspace, sensitive=False).store.cases.groups(every=True))
        assert (tie.matter, tie.decided) == ("race_ethnicity", 1)
        assert [column(each, "matter") for each in sorted(tmp_path.glob("lake-1/decisions/*/*"))] == [
            ["race_ethnicity"]
        ]
