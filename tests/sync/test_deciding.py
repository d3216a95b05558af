"""Cases of review that a plan makes: what is a case, what a decision changes, what asks anew and what ends it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_equity.pipeline.merge import merge
from fhir_equity.pipeline.review import review_decide, review_list, review_undo
from fhir_equity.pipeline.review_sheet import review_export, review_import
from fhir_equity.pipeline.sync import sync_recall
from fhir_equity.store import Case
from fhir_equity.sync.plan import Plan
from tests.sync.scene import HIE, Scene, Sent, ada, enrolled, omb, opened, race_of, theirs

RACE = "race_ethnicity"
REL = {"topics": [RACE, "language_spoken", "language_written", "sex"]}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        yield made


def cases(scene: Scene, *, every: bool = True) -> list[tuple[str, str, str]]:
    return [(case.kind, case.matter, case.state) for case in handed_in(scene, every=every)]


def handed_in(scene: Scene, *, every: bool = True) -> list[Case]:
    with scene.workspace() as workspace:
        return [case for case in workspace.store.cases.cases(every=every) if case.source == f"hie {HIE}"]


def decide(scene: Scene, choose: str, kind: str = "") -> int:
    """Decide the pattern of the first case that waits; the number of the decision."""
    with scene.workspace() as workspace:
        waiting = [c for c in workspace.store.cases.cases() if c.source and kind in ("", c.kind)]
        return review_decide(workspace, str(waiting[0].pattern), choose, "asked").decisions[0].id


def undo(scene: Scene, decision: int) -> None:
    with scene.workspace() as workspace:
        review_undo(workspace, decision)


def changed(made: Plan) -> list[tuple[str, dict[str, str]]]:
    return [(change.action, dict(change.matters)) for change in made.changes]


def disputed(scene: Scene) -> str:
    """Ada is White to us and Asian to them, by the same method; returns her id there."""
    scene.enroll(enrolled(spoken=None))
    return scene.put(theirs("Asian"))


def test_an_answer_that_is_no_better_is_a_case(scene: Scene) -> None:
    disputed(scene)
    assert [each.reason for each in scene.plan().conflicts] == ["same_standing"]
    assert cases(scene) == [("same_standing", RACE, "open")]
    with scene.workspace() as workspace:
        (pattern,) = [p for p in review_list(workspace, show_values=True)["patterns"] if p["kind"] == "same_standing"]
    ours, other = ((s["partner"], s["collector"], s["method"], s["said"]) for s in pattern["sides"])
    assert (ours[0], ours[2:]) == ("demo-plan", ("unstated", [["cdcrec", "2106-3"]]))
    assert other == (HIE, "hie", "unstated", [["cdcrec", "2028-9"]])
    assert scene.plan(dry=True, everybody=True).conflicts
    assert cases(scene) == [("same_standing", RACE, "open")]


def test_ours_is_chosen(scene: Scene) -> None:
    key = disputed(scene)
    scene.plan()
    decide(scene, "1")
    made = scene.plan()
    assert (changed(made), made.conflicts) == ([("update", {RACE: "replace"})], [])
    assert cases(scene) == [("same_standing", RACE, "decided")]
    assert scene.apply().statuses == {"verified": 1}
    assert race_of(scene.get(key)) == ["2106-3"]
    assert (scene.plan().changes, cases(scene)) == ([], [])


def test_theirs_is_chosen(scene: Scene) -> None:
    key = disputed(scene)
    scene.plan()
    decide(scene, HIE)
    for everybody in (False, True, True):
        made = scene.plan(everybody=everybody)
        assert (made.changes, made.conflicts, made.theirs_kept) == ([], [], {RACE: 1})
        assert cases(scene) == [("same_standing", RACE, "decided")]
    assert race_of(scene.get(key)) == ["2028-9"]
    with scene.workspace() as workspace:
        assert workspace.store.hie(HIE).standing.open() == 0


def test_a_decision_that_is_taken_back_asks_again(scene: Scene) -> None:
    disputed(scene)
    scene.plan()
    undo(scene, decide(scene, HIE))
    assert [each.reason for each in scene.plan().conflicts] == ["same_standing"]
    assert cases(scene, every=False) == [("same_standing", RACE, "open")]


def test_taken_back_between_plan_and_apply_nothing_is_written(scene: Scene) -> None:
    key = disputed(scene)
    scene.plan()
    decision = decide(scene, "1")
    assert scene.plan().changes
    undo(scene, decision)
    assert scene.apply().statuses == {}
    assert race_of(scene.get(key)) == ["2028-9"]
    assert scene.writes() == []


def test_taken_back_while_apply_runs_nothing_is_written(scene: Scene) -> None:
    disputed(scene)
    scene.plan()
    decision = decide(scene, "1")
    scene.plan()
    done: list[Sent] = []

    def late(request: Sent) -> None:
        if request.method == "GET" and request.path.startswith("/Patient/") and not done:
            done.append(request)
            undo(scene, decision)

    scene.wire.before = late
    assert scene.apply().statuses == {"stale": 1}
    assert done
    assert scene.writes() == []
    with scene.workspace() as workspace:
        assert workspace.store.disclosures.of(next(iter(workspace.store.people)).pseudonym) == []


def test_something_new_that_contradicts_reopens(scene: Scene) -> None:
    key = disputed(scene)
    scene.plan()
    decide(scene, HIE)
    scene.plan()
    scene.put(theirs("Black or African American", id=key))
    assert [each.reason for each in scene.plan().conflicts] == ["same_standing"]
    assert cases(scene) == [("same_standing", RACE, "reopened")]


def test_ours_is_not_sent_again_and_again_against_theirs(scene: Scene) -> None:
    scene.attest(method="self")
    key = disputed(scene)
    assert scene.plan().theirs_kept == {RACE: 1}
    assert cases(scene) == [("theirs_better", RACE, "open")]
    for _ in range(3):
        decide(scene, "1")
        assert changed(scene.plan()) == [("update", {RACE: "replace"})]
        assert scene.apply().statuses == {"verified": 1}
        scene.put(theirs("Asian", id=key))
        made = scene.plan()
        assert (made.changes, made.theirs_kept) == ([], {RACE: 1})
        assert cases(scene) == [("theirs_better", RACE, "reopened")]


def test_what_is_better_there_and_comes_in_is_no_case_any_more(scene: Scene) -> None:
    scene.attest(method="self")
    disputed(scene)
    scene.plan()
    assert scene.pull().new_answers == 1
    assert (scene.plan().agreed, cases(scene)) == (1, [])


def test_a_decision_about_our_own_answers_is_one_about_theirs(scene: Scene) -> None:
    key = disputed(scene)
    scene.pull()
    scene.plan()
    with scene.workspace() as workspace:
        (ours,) = [c for c in workspace.store.cases.cases() if not c.source]
        review_decide(workspace, str(ours.pattern), "demo-plan", "asked")
    assert changed(scene.plan()) == [("update", {RACE: "replace"})]
    assert cases(scene) == []
    scene.apply()
    scene.put(theirs("Asian", id=key))
    assert scene.plan().changes == []


def test_ours_over_a_refusal_and_over_a_part_that_ours_does_not_have(scene: Scene) -> None:
    scene.survey(ada(language_spoken=""), ada(member_id="M2", language_spoken="", race_ethnicity="Hispanic or Latino"))
    keys = [scene.put(theirs(extension=[omb("race", "Declined")])), scene.put(theirs("Asian", number="M2"))]
    scene.plan()
    assert {kind for kind, _, _ in cases(scene)} == {"declined_there", "would_remove_part"}
    decide(scene, "1", "would_remove_part")
    decide(scene, "1", "declined_there")
    assert scene.plan().conflicts == []
    assert scene.apply().statuses == {"verified": 2}
    assert [race_of(scene.get(key)) for key in keys] == [["2106-3"], []]
    assert (scene.plan().changes, cases(scene)) == ([], [])


@pytest.mark.parametrize("choose", ["patient", "none"])
def test_somebody_whose_name_differs(scene: Scene, choose: str) -> None:
    scene.survey(ada())
    key = scene.put(theirs(name=[{"family": "Birchwood", "given": ["Ada"]}]))
    assert [each.reason for each in scene.plan().conflicts] == ["name_or_birth_date_differ"]
    assert cases(scene) == [("name_or_birth_date_differ", "link", "open")]
    with scene.workspace() as workspace:
        (pattern,) = review_list(workspace, show_values=True)["patterns"]
    assert [s["said"] for s in pattern["sides"]] == [[["Patient", key], ["differs", "family"]], []]
    decision = decide(scene, choose)
    made = scene.plan()
    assert made.conflicts == []
    if choose == "none":
        assert (made.changes, made.unmatched) == ([], 1)
        assert scene.plan(everybody=True).conflicts == []
    else:
        assert changed(made) == [("update", {RACE: "add", "language_spoken": "add"})]
        assert scene.apply().statuses == {"verified": 1}
        assert race_of(scene.get(key)) == ["2106-3"]
        scene.put(scene.get(key) | {"extension": [omb("race", "Asian")]})
        scene.pull()
    undo(scene, decision)
    assert [each.reason for each in scene.plan().conflicts] == ["name_or_birth_date_differ"]
    with scene.workspace() as workspace:
        assert workspace.store.hie(HIE).links() == {}


def test_a_name_that_changes_once_more_asks_again(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs(name=[{"family": "Birchwood", "given": ["Ada"]}]))
    scene.plan()
    decide(scene, "patient")
    scene.plan()
    scene.put(theirs(id=key, name=[{"family": "Cedarwood", "given": ["Ada"]}]))
    assert scene.apply().statuses in ({"stale": 1}, {"moved": 1})
    assert [each.reason for each in scene.plan().conflicts] == ["name_or_birth_date_differ"]
    assert cases(scene) == [("name_or_birth_date_differ", "link", "reopened")]


def test_somebody_who_was_linked_and_is_somebody_else_is_recalled(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs())
    scene.plan()
    scene.apply()
    scene.put(scene.get(key) | {"name": [{"family": "Birchwood", "given": ["Amir"]}]})
    scene.plan()
    decide(scene, "none")
    with scene.workspace() as workspace:
        done = sync_recall(workspace, HIE)
    assert done.found == {(RACE, "wrong_match"): 1, ("language_spoken", "wrong_match"): 1}
    assert done.applied.left == 0
    assert race_of(scene.get(key)) == []


def test_one_of_several(scene: Scene) -> None:
    scene.survey(ada())
    first, second = scene.put(theirs("Asian")), scene.put(theirs("Asian"))
    scene.plan()
    assert cases(scene) == [("several_matches", "link", "open")]
    decision = decide(scene, second)
    made = scene.plan()
    assert [change.resource_id for change in made.changes] == [second]
    scene.apply()
    assert [race_of(scene.get(key)) for key in (first, second)] == [["2028-9"], ["2106-3"]]
    assert (scene.plan(everybody=True).conflicts, cases(scene)) == ([], [])
    undo(scene, decision)
    assert [each.reason for each in scene.plan().conflicts] == ["several_matches"]


def test_a_further_one_of_several_asks_again(scene: Scene) -> None:
    scene.survey(ada())
    for _ in range(2):
        scene.put(theirs("Asian"))
    scene.plan()
    decide(scene, "none")
    made = scene.plan()
    assert (made.conflicts, made.unmatched) == ([], 1)
    scene.put(theirs("Asian"))
    assert [each.reason for each in scene.plan().conflicts] == ["several_matches"]
    assert cases(scene) == [("several_matches", "link", "reopened")]


@pytest.mark.parametrize(("choose", "actions"), [("new", ["create"]), ("none", [])])
def test_somebody_who_is_not_known_there(scene: Scene, choose: str, actions: list[str]) -> None:
    scene.set(unmatched="review")
    scene.survey(ada())
    scene.plan()
    assert cases(scene) == [("no_match", "link", "open")]
    decide(scene, choose)
    made = scene.plan()
    assert [change.action for change in made.changes] == actions
    assert made.conflicts == []
    scene.apply()
    assert len(scene.everybody()) == len(actions)


def test_cases_of_one_pattern_go_together_and_through_a_sheet(scene: Scene, tmp_path: Path) -> None:
    scene.enroll(*(enrolled(spoken=None, number=n, subscriber=n) for n in ("M1", "M2", "M3")))
    for number in ("M1", "M2", "M3"):
        scene.put(theirs("Asian", number=number))
    scene.plan()
    file = tmp_path / "cases.csv"
    with scene.workspace() as workspace:
        (group,) = [g for g in workspace.store.cases.groups() if g.kind == "same_standing"]
        assert group.waiting == 3
        review_export(workspace, file)
        rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline="")))
        for row in rows:
            if row["kind"] == "same_standing":
                row |= {"choose": "1", "reason": "asked"}
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        assert [d.members for d in review_import(workspace, file).decisions] == [3]
    assert len(scene.plan().changes) == 3


def test_a_plan_of_a_part_leaves_the_cases_as_they_are(scene: Scene) -> None:
    disputed(scene)
    scene.plan()
    key = scene.everybody()[0]["id"]
    scene.put(theirs("White", id=key))
    scene.plan(limit=1)
    assert cases(scene) == [("same_standing", RACE, "open")]
    scene.plan()
    assert cases(scene) == []


def test_observations_that_were_changed_or_withdrawn_there(scene: Scene) -> None:
    scene.rules({"topics": [*REL["topics"], "sexual_orientation"]})
    scene.survey(ada(sexual_orientation="Bisexual"))
    scene.plan()
    scene.apply()
    (observation,) = scene.observations()
    for turn in range(2):
        scene.replace(observation | {"status": "entered-in-error", "valueCodeableConcept": None})
        assert [each.reason for each in scene.plan().conflicts] == ["withdrawn_there"]
        assert cases(scene) == [("withdrawn_there", "sexual_orientation", "reopened" if turn else "open")]
        decide(scene, "1")
        assert scene.plan().conflicts == []
        assert scene.apply().left == 0
        (observation,) = scene.observations()
        assert observation["status"] == "final"
        assert (scene.plan().changes, cases(scene)) == ([], [])


def test_a_member_who_is_merged_takes_no_case_along(scene: Scene) -> None:
    scene.enroll(enrolled(spoken=None), enrolled(spoken=None, number="M2", subscriber="M2"))
    for number in ("M1", "M2"):
        scene.put(theirs("Asian", number=number))
    scene.plan()
    assert len(handed_in(scene)) == 2
    with scene.workspace() as workspace:
        merge(workspace, "M1", "M2", reason="the same")
    assert len(handed_in(scene)) == 1
