"""Review: what is a case, deciding and taking back, new data, sheets; and the state is the same on every way to it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from openpyxl import load_workbook

from fhir_equity.errors import UsageError
from fhir_equity.model import Answer, Coding, Member, Origin, Received, Side
from fhir_equity.pipeline.explain import explain
from fhir_equity.pipeline.record import record_of
from fhir_equity.pipeline.review import review_decide, review_list, review_undo
from fhir_equity.pipeline.review_sheet import HEADER, review_export, review_import
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings, TrailSettings
from fhir_equity.store import Opening
from fhir_equity.store.connection import writing
from fhir_equity.store.handed_in import hand_in
from tests.conftest import select_rows

WHITE, BLACK, ASIAN = "2106-3", "2054-5", "2028-9"
Say = Callable[..., None]


def opened(url: str, folder: Path, as_of: str = "2026-01-01") -> Workspace:
    key = PrivacySettings(key_file=folder / "equity.key")
    return Workspace(Settings(store=StoreSettings(url=url), privacy=key, trail=TrailSettings(who="steward")), as_of)


def say(workspace: Workspace, *said: tuple[str, str, str], topic: str = "race") -> None:
    """Members (key, method, code) answer, in one run."""
    run = workspace.run("plan")
    artefact = run.artefact("a.csv", "survey")
    records = []
    for key, method, code in said:
        received = Received(topic, f"test.{topic}", (Coding("cdcrec" if topic == "race" else topic, code),), "", code)
        origin = Origin("plan", "a.csv", "plan", method)
        records.append(record_of(workspace, Member("plan", key, answers=(Answer(received, origin, "row", 1, 0, ""),))))
    run.add(artefact, records)
    run.close(artefact, sha256="", size=0, members=len(records), rejected=0)
    run.finish()


def state(url: str) -> list[list[tuple[Any, ...]]]:
    """Resolutions and cases by content, whatever their numbers."""
    won = "SELECT key, r.matter, state, rule, provisional, refused, v.value FROM resolution r JOIN member m"
    won += " ON m.id = r.member_id JOIN answer a ON a.id = winner JOIN received v ON v.id = a.received_id ORDER BY 1, 2"
    cases = 'SELECT key, kind, p.matter, sides, source, state, since FROM "case" c JOIN pattern p'
    cases += " ON p.id = c.pattern_id JOIN member m ON m.id = c.member_id ORDER BY 1, 2, 3, 4"
    found = [select_rows(url, query) for query in (won, cases)]
    return [[tuple(bytes(x) if isinstance(x, memoryview) else x for x in row) for row in rows] for rows in found]


def kinds(workspace: Workspace) -> list[tuple[str, str, int]]:
    return [(g.kind, g.matter, g.waiting) for g in workspace.store.cases.groups()]


def won(url: str) -> list[tuple[str, str, bool]]:
    return [(row[0], row[3], bool(row[4])) for row in state(url)[0]]


def two_sources(workspace: Workspace, *keys: str) -> None:
    say(workspace, *((key, "unstated", WHITE) for key in keys))
    say(workspace, *((key, "self", BLACK) for key in keys))


def test_each_kind_of_case(workspace: Workspace) -> None:
    say(workspace, ("tie", "unstated", WHITE), ("selves", "self", WHITE), ("sources", "unstated", WHITE))
    say(workspace, ("tie", "unstated", BLACK), ("same", "self", WHITE), ("value", "self", "Z9"))
    later = opened(workspace.settings.store.url, Path(), "2026-02-01")
    later.settings = workspace.settings
    say(later, ("selves", "self", BLACK), ("sources", "self", BLACK), ("same", "unstated", WHITE))
    later.store.close()
    assert sorted(kinds(workspace)) == [
        ("self_against_self", "race_ethnicity", 1),
        ("source_against_source", "race_ethnicity", 1),
        ("tie", "race_ethnicity", 1),
        ("unmapped", "race_ethnicity", 1),
    ]


def test_no_case_is_made_of_a_difference_between_sexes(workspace: Workspace) -> None:
    say(workspace, ("m", "unstated", "male"), topic="sex")
    say(workspace, ("m", "self", "female"), topic="sex")
    say(workspace, ("m", "self", "F"), topic="birth_sex")
    say(workspace, ("m", "self", "446141000124107"), topic="gender_identity")
    assert [kind for kind, *_ in kinds(workspace) if kind != "unmapped"] == []


def test_a_pattern_is_decided_as_one_and_taken_back(url: str, workspace: Workspace) -> None:
    two_sources(workspace, "m1", "m2", "m3")
    before = state(url)
    (group,) = workspace.store.cases.groups()
    assert (group.kind, group.waiting, group.decided) == ("source_against_source", 3, 0)
    assert [side.method for side in group.sides] == ["self", "unstated"]
    done = review_decide(workspace, str(group.pattern), WHITE, " the plan asked again ")
    (decision,) = done.decisions
    assert (decision.id, decision.side, decision.members, done.stale) == (1, 1, 3, 0)
    assert won(url) == [(key, "decided", False) for key in ("m1", "m2", "m3")]
    assert [row[5] for row in state(url)[1]] == ["decided"] * 3
    assert kinds(workspace) == []
    assert WHITE.encode() in state(url)[0][0][6]
    with pytest.raises(UsageError, match="no case of pattern 1 waits"):
        review_decide(workspace, "1", "1", "again")
    (kept,) = workspace.store.decisions.all()
    assert (kept.author, kept.reason, kept.undone_at) == ("steward", "the plan asked again", "")
    undone = review_undo(workspace, 1)
    assert (undone.members, undone.undone_by, bool(undone.undone_at)) == (3, "steward", True)
    assert state(url) == before
    with pytest.raises(UsageError, match="no decision 1 that holds"):
        review_undo(workspace, 1)
    told = [(e.action, e.about, e.counts, e.topics) for e in workspace.store.trail.entries() if "review" in e.action]
    what = ({"decision": "1", "pattern": "1"}, {"members": 3}, {"race_ethnicity": 3})
    assert told == [("review decide", *what), ("review undo", *what)]


def test_one_case_is_decided_alone(url: str, workspace: Workspace) -> None:
    two_sources(workspace, "m1", "m2")
    case = workspace.store.cases.cases()[0]
    review_decide(workspace, f"1/{case.pseudonym}", "unstated", "she wrote to us")
    assert [rule for _, rule, _ in won(url)] == ["decided", "method"]
    assert [(g.waiting, g.decided) for g in workspace.store.cases.groups()] == [(1, 1)]
    listed = review_list(workspace, every=True)
    assert [case["state"] for case in listed["cases"]] == ["decided", "open"]
    assert "reason" not in listed["decisions"][0]
    assert "said" not in listed["patterns"][0]["sides"][0]
    shown = review_list(workspace, every=True, show_values=True)
    assert shown["patterns"][0]["sides"][1]["said"] == [["cdcrec", WHITE]]
    assert shown["decisions"][0]["reason"] == "she wrote to us"


def test_new_data_that_says_otherwise_asks_again_and_the_same_does_not(url: str, workspace: Workspace) -> None:
    two_sources(workspace, "m1", "m2")
    review_decide(workspace, "1", WHITE, "r")
    say(workspace, ("m1", "observed", WHITE), ("m2", "observed", ASIAN))
    assert won(url) == [("m1", "decided", False), ("m2", "decided_before", True)]
    assert [case.state for case in workspace.store.cases.cases()] == ["reopened"]
    (waiting,) = workspace.store.cases.groups()
    review_decide(workspace, str(waiting.pattern), ASIAN, "r")
    assert won(url) == [("m1", "decided", False), ("m2", "decided", False)]
    review_undo(workspace, 2)
    assert won(url) == [("m1", "decided", False), ("m2", "decided_before", True)]


def test_everybody_who_reads_people_sees_the_decision(workspace: Workspace) -> None:
    two_sources(workspace, "m1", "m2")
    review_decide(workspace, "1", "unstated", "because")
    for person in workspace.store.people:
        found = workspace.resolutions("plan", [event for _, event in person.events])["race_ethnicity"]
        assert found.rule == "decided"
    told = explain(workspace, "m1")["matters"][0]
    assert (told["rule"], told["why"]) == ("decided", "Somebody looked at it and decided.")
    assert [(d["id"], d["author"]) for d in told["decisions"]] == [(1, "steward")]
    assert "reason" not in told["decisions"][0]
    assert explain(workspace, "m1", show_values=True)["matters"][0]["decisions"][0]["reason"] == "because"


@pytest.mark.parametrize(
    ("which", "choose", "reason", "problem"),
    [
        ("1", "1", " ", "needs a reason"),
        ("x", "1", "r", "a pattern is a number"),
        ("9", "1", "r", "no case of a pattern 9"),
        ("1", "3", "r", "names no side; take one of 1 to 2"),
        ("1", "plan", "r", "names several sides"),
        ("1/nobody", "1", "r", "no case of pattern 1 waits for this member"),
    ],
)
def test_what_cannot_be_decided(workspace: Workspace, which: str, choose: str, reason: str, problem: str) -> None:
    two_sources(workspace, "m1")
    with pytest.raises(UsageError, match=problem):
        review_decide(workspace, which, choose, reason)
    assert workspace.store.decisions.all() == []


def hand(workspace: Workspace, source: str, members: list[int], *openings: Opening) -> None:
    with writing(workspace.store.engine) as connection:
        hand_in(connection, source, members, openings)


def test_what_is_handed_in_is_there_once_and_can_be_decided(workspace: Workspace) -> None:
    two_sources(workspace, "m1", "m2")
    cases = workspace.store.cases
    one, two = (case.pseudonym for case in cases.cases())
    ids = {case.pseudonym: case.member for case in cases.cases()}
    sides = (Side("plan", "plan", "self", ()), Side("north", "hie", "unstated", ()))
    both = [Opening(ids[who], "same_standing", "language_spoken", sides, "2026-01-02") for who in (one, two)]
    for later in ("2026-01-02", "2026-02-02"):
        hand(workspace, "hie north", [*ids.values()], *(structs.replace(each, since=later) for each in both))
        assert {c.since for c in cases.cases() if c.source} == {"2026-01-02"}
    number = max(group.pattern for group in cases.groups())
    review_decide(workspace, f"{number}/{one}", "north", "they asked")
    (choice,) = workspace.store.hie("north").choices([ids[one]])[ids[one]]
    assert (choice.kind, choice.sides[choice.side]) == ("same_standing", sides[1])
    hand(workspace, "hie north", [*ids.values()], *both)
    assert [c.state for c in cases.cases(number, every=True)] == ["decided", "open"]
    hand(workspace, "hie north", [ids[two]])
    assert [c.state for c in cases.cases(number, every=True)] == ["decided"]
    hand(workspace, "hie north", [ids[one]], structs.replace(both[0], known="something new"))
    assert [c.state for c in cases.cases(number, every=True)] == ["reopened"]
    review_undo(workspace, 1)
    assert workspace.store.hie("north").choices([ids[one]]) == {}
    assert [c.state for c in cases.cases(number, every=True)] == ["open"]
    hand(workspace, "hie north", [*ids.values()])
    assert len(cases.cases()) == 2


def sheet(file: Path) -> list[list[str]]:
    if file.suffix == ".csv":
        return list(csv.reader(io.StringIO(file.read_text("utf-8-sig"), newline="")))
    (cells,) = load_workbook(file).worksheets
    return [["" if c is None else str(c) for c in row] for row in cells.iter_rows(values_only=True)]


def rewrite(file: Path, rows: list[list[str]]) -> None:
    if file.suffix == ".csv":
        with file.open("w", newline="") as out:
            csv.writer(out).writerows(rows)
        return
    book = load_workbook(file)
    for n, row in enumerate(rows, 1):
        for m, cell in enumerate(row, 1):
            book.worksheets[0].cell(n, m).value = cell or None
    book.save(file)


@pytest.mark.parametrize("name", ["r.csv", "r.xlsx"])
def test_a_sheet_goes_out_and_comes_back(url: str, workspace: Workspace, tmp_path: Path, name: str) -> None:
    two_sources(workspace, "m1", "m2")
    say(workspace, ("m3", "unstated", WHITE))
    say(workspace, ("m3", "self", ASIAN))
    file = tmp_path / name
    assert review_export(workspace, file) == 2
    assert file.stat().st_mode & 0o777 == 0o600
    rows = sheet(file)
    assert tuple(rows[0]) == HEADER
    assert rows[1][:5] == [
        "1",
        "source_against_source",
        "race_ethnicity",
        "2",
        "1: plan, plan, self; 2: plan, plan, unstated",
    ]
    assert review_import(workspace, file).decisions == []
    review_export(workspace, file, show_values=True)
    rows = sheet(file)
    assert rows[1][4] == f"1: plan, plan, self says cdcrec {BLACK}; 2: plan, plan, unstated says cdcrec {WHITE}"
    rows[1][5:7] = ["2", "=1+1"]
    rewrite(file, rows)
    done = review_import(workspace, file)
    assert [(d.pattern, d.side, d.members, d.reason) for d in done.decisions] == [(1, 1, 2, "=1+1")]
    assert [rule for _, rule, _ in won(url)] == ["decided", "decided", "method"]
    again = review_import(workspace, file)
    assert again.problems == [(2, "the cases of this row have changed since it was exported; export again")]


def test_single_cases_go_out_and_come_back(url: str, workspace: Workspace, tmp_path: Path) -> None:
    two_sources(workspace, "m1", "m2")
    file = tmp_path / "cases.csv"
    assert review_export(workspace, file, cases=True) == 2
    rows = sheet(file)
    named = [workspace.store.history.find(key)[0].pseudonym for key in ("m1", "m2")]
    assert [row[:4] for row in rows[1:]] == [
        [f"1/{pseudonym}", "source_against_source", "race_ethnicity", "1"] for pseudonym in named
    ]
    rows[1][5:7], rows[2][5:7] = ["1", "asked"], ["2", "asked, too"]
    rewrite(file, rows)
    done = review_import(workspace, file)
    assert [(d.pattern, d.side, d.members, d.reason) for d in done.decisions] == [
        (1, 0, 1, "asked"),
        (1, 1, 1, "asked, too"),
    ]
    assert workspace.store.cases.cases() == []
    rewrite(file, [rows[0], rows[1], rows[1]])
    assert [problem for _, problem in review_import(workspace, file).problems] == [
        f"pattern 1/{named[0]} is decided twice"
    ]
    rewrite(file, rows[:2])
    with pytest.raises(UsageError, match="waits for this member"):
        review_import(workspace, file)


def test_nothing_of_a_sheet_is_taken_where_one_row_does_not_fit(workspace: Workspace, tmp_path: Path) -> None:
    two_sources(workspace, "m1")
    say(workspace, ("m3", "unstated", WHITE))
    say(workspace, ("m3", "self", ASIAN))
    file = tmp_path / "r.csv"
    review_export(workspace, file)
    rows = sheet(file)
    rows[1][5:7] = ["1", "fine"]
    for changed, problem in (
        ({2: "language"}, "somebody changed what this row told"),
        ({5: "9"}, "names no side"),
        ({6: ""}, "needs a reason"),
    ):
        wrong = [list(rows[2])]
        wrong[0][5:7] = ["1", "fine"]
        for column, cell in changed.items():
            wrong[0][column] = cell
        rewrite(file, [*rows[:2], *wrong])
        ((number, told),) = review_import(workspace, file).problems
        assert number == 3
        assert problem in told
    rewrite(file, [*rows[:2], rows[1]])
    assert review_import(workspace, file).problems == [(0, "pattern 1 is decided twice")]
    assert workspace.store.decisions.all() == []
    rewrite(file, [row[:-1] for row in rows])
    with pytest.raises(UsageError, match="misses the columns check"):
        review_import(workspace, file)
    with pytest.raises(UsageError, match=r"\.csv or \.xlsx"):
        review_export(workspace, tmp_path / "r.txt")


def test_a_cell_is_no_formula(workspace: Workspace, tmp_path: Path) -> None:
    cases = workspace.store.cases
    two_sources(workspace, "m1")
    who = cases.cases()[0].member
    side = Side("plan", "plan", "self", ())
    hand(workspace, "hie x", [who], Opening(who, "=HYPERLINK(1)", "race", (side,), ""))
    file = tmp_path / "r.csv"
    review_export(workspace, file)
    rows = sheet(file)
    assert [row[1] for row in rows[1:]] == ["source_against_source", "'=HYPERLINK(1)"]
    rows[2][5:7] = ["1", "-1"]
    rewrite(file, rows)
    assert [d.reason for d in review_import(workspace, file).decisions] == ["-1"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from("ab"), st.sampled_from(("self", "unstated")),
                  st.sampled_from((WHITE, BLACK, ASIAN, "Z9"))),
        st.tuples(st.just("decide"), st.integers(0, 3), st.integers(1, 2)),
        st.tuples(st.just("undo"), st.integers(1, 4)),
    ),
    min_size=1,
    max_size=9,
)  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_way_to_a_state_ends_in_what_is_computed_afresh(
    steps: list[tuple[Any, ...]], new_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_url()
    with opened(url, tmp_path) as workspace:
        for step, *how in steps:
            groups = [group for group in workspace.store.cases.groups() if group.kind != "unmapped"]
            if step == "say":
                say(workspace, (how[0], how[1], how[2]))
            elif step == "decide" and groups:
                group = groups[how[0] % len(groups)]
                review_decide(workspace, str(group.pattern), str(min(how[1], len(group.sides))), "r")
            elif step == "undo" and any(d.id == how[0] and not d.undone_at for d in workspace.store.decisions.all()):
                review_undo(workspace, how[0])
        kept = [(row[:4], row[5]) for row in state(url)[1]]
        afresh = []
        for person in workspace.store.people:
            events = [event for _, event in person.events]
            resolved = workspace.resolutions("plan", events)
            for matter, found in resolved.items():
                row = next(r for r in state(url)[0] if (r[0], r[1]) == (person.member.key, matter))
                assert row[2:6] == (found.state.value, found.rule, found.provisional, found.refused)
                assert found.winner is not None
                assert found.winner.received[0].raw.encode() in row[6]
            found_now = workspace.contentions("plan", events, resolved)
            afresh += [(person.member.key, each.kind, each.matter, each.state) for each in found_now]
        assert {(*row[:3], state) for row, state in kept} == set(afresh)
