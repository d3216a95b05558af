"""Two keys of two partners are one person: each answer is read by its own partner's tables, and undone it never was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.model import Answer, Coding, Member, Name, Origin, Received
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.explain import explain
from fhir_equity.pipeline.hold import hold_add
from fhir_equity.pipeline.lake import export
from fhir_equity.pipeline.members import members
from fhir_equity.pipeline.merge import merge, merges, unmerge
from fhir_equity.pipeline.record import record_of
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.trail import disclosures
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, PrivacySettings, Settings, StoreSettings, TrailSettings
from fhir_equity.store import Disclosure, Kept
from fhir_equity.store.connection import reading
from fhir_equity.store.holds import held
from tests.conftest import select_rows
from tests.faults.points import everything

WHITE, BLACK, ASIAN = "2106-3", "2054-5", "2028-9"
ROW = "applies_to,source_system,source_code,target_system,target_code,relationship,note\n"
BESIDE = ("merge", "changed", "trail", "trail_head", "pattern")


@pytest.fixture
def workspace(new_url: Callable[[], str], tmp_path: Path) -> Iterator[Workspace]:
    """``north`` and ``south`` both say X4, and each means something else."""
    overlay = tmp_path / "tables"
    for partner, code in (("north", WHITE), ("south", BLACK)):
        sheet = overlay / "partners" / partner / "crosswalks"
        sheet.mkdir(parents=True)
        rows = [ROW, f"race_ethnicity,cdcrec,X4,cdcrec,{code},equivalent,\n"]
        rows += [f"race_ethnicity,cdcrec,X5,cdcrec,{ASIAN},equivalent,\n"] if partner == "south" else []
        (sheet / "ours.csv").write_text("".join(rows), encoding="utf-8")
    settings = Settings(
        store=StoreSettings(url=new_url()),
        privacy=PrivacySettings(key_file=tmp_path / "equity.key"),
        trail=TrailSettings(who="steward"),
        mappings=MappingSettings(overlay=overlay),
    )
    with Workspace(settings, "2026-03-01") as opened:
        say(opened, "north", "2026-01-01", ("n1", "X4"), ("n2", ASIAN))
        say(opened, "south", "2026-02-01", ("s1", "X4"))
        yield opened


def say(workspace: Workspace, partner: str, as_of: str, *said: tuple[str, str], method: str = "unstated") -> int:
    run = workspace.run(partner, as_of)
    artefact = run.artefact(f"{as_of}.csv", "survey")
    records = []
    for key, code in said:
        received = Received("race", "test.race", (Coding("cdcrec", code),), "", code)
        answer = Answer(received, Origin(partner, "a.csv", "plan", method), "row", 1, 0, "")
        records.append(record_of(workspace, Member(partner, key, name=Name("Alder", ("Ada",)), answers=(answer,))))
    run.add(artefact, records)
    run.close(artefact, sha256="", size=0, members=len(records), rejected=0)
    run.finish()
    return run.id


def all_but(workspace: Workspace, *names: str) -> dict[str, list[tuple[Any, ...]]]:
    every = everything(workspace.settings.store.url)
    return {name: rows for name, rows in every.items() if name not in (*BESIDE, *names)}


def won(workspace: Workspace, name: str) -> tuple[str, list[str]]:
    """Who won, of what all the statements mean."""
    told = explain(workspace, name, show_values=True)["matters"][0]
    said = sorted(told["statements"], key=lambda each: each["place"])
    return told["rule"], [each["answers"][0]["means"][0]["code"] for each in said]


def kept(workspace: Workspace) -> list[tuple[Any, ...]]:
    query = "SELECT m.key, r.rule FROM resolution r JOIN member m ON m.id = r.member_id ORDER BY 1"
    return select_rows(workspace.settings.store.url, query)


def test_each_answer_is_read_by_its_partner_and_undone_every_row_is_as_before(
    workspace: Workspace, tmp_path: Path
) -> None:
    before = all_but(workspace)
    joined = merge(workspace, "n1", "s1", reason="moved from the one to the other").joined
    assert (joined.answers, joined.links) == (1, 0)
    assert won(workspace, "n1") == won(workspace, "s1") == ("newest", [BLACK, WHITE])
    assert kept(workspace) == [("n1", "newest"), ("n2", "only_answer")]
    assert resolve(workspace, dry_run=True).changed == 0
    document = audit(workspace, []).document
    assert document["population"] == 2
    assert [g.kind for g in workspace.store.cases.groups()] == ["source_against_source"]
    done = export(workspace, tmp_path / "lake")
    assert (done.merged, done.rows["members"], done.rows["merges"]) == (1, 3, 1)
    unmerge(workspace, 1)
    assert all_but(workspace) == before
    assert [m.partner for m in merges(workspace)] == ["south"]


def test_what_a_source_is_found_to_say_is_what_it_says_by_its_own_tables(workspace: Workspace) -> None:
    say(workspace, "south", "2026-02-01", ("s1", "X5"), method="observed")
    before = audit(workspace, [])
    cell = "source/race_ethnicity/plan/observed/answered"
    alone = members(workspace, [cell]).people
    merge(workspace, "n1", "s1", reason="r")
    after = audit(workspace, [])
    assert after.document["scorecard"] == before.document["scorecard"]
    assert [each["source"] for each in after.document["scorecard"]] == [
        *("north/plan/unstated", "south/plan/observed", "south/plan/unstated")
    ]
    observed = [each for each in after.document["topics"]["race_ethnicity"]["sources"] if "observed" in each["source"]]
    assert observed == [{"source": "plan/observed", "population": 1, "states": {"answered": 1}}]
    assert members(workspace, [cell]).people == alone == 1


def test_whoever_stays_it_is_the_same_answer_and_later_files_of_either_go_on(workspace: Workspace) -> None:
    merge(workspace, "s1", "n1", reason="r")
    assert won(workspace, "n1") == ("newest", [BLACK, WHITE])
    late = say(workspace, "north", "2026-02-02", ("n1", "X4"), ("n3", ASIAN), method="self")
    assert won(workspace, "s1")[1] == [WHITE, WHITE, BLACK]
    assert resolve(workspace, dry_run=True).changed == 0
    retract(workspace, late, reason="r")
    assert won(workspace, "s1") == ("newest", [BLACK, WHITE])
    assert resolve(workspace, dry_run=True).changed == 0
    retract(workspace, late, undo=True)
    assert resolve(workspace, dry_run=True).changed == 0
    unmerge(workspace, 1)
    assert resolve(workspace, dry_run=True).changed == 0
    assert won(workspace, "s1") == ("only_answer", [BLACK])


def test_what_is_kept_back_disclosed_linked_and_held_follows(workspace: Workspace) -> None:
    store = workspace.store
    north, south = (store.history.find(name)[0] for name in ("n1", "s1"))
    store.opt_outs.record([Kept(south.id, "2026-01-01", "hie", "race_ethnicity")])
    store.hie("hie").journal.begin_plan([], "r", {south.id: ("p2", 'W/"1"')})
    store.disclosures.intend([Disclosure(south.pseudonym, "south", "hie", "t", "p", "b", ("race",), "r1", "v1")])
    newest = store.hie("hie").standing.newest()
    before = all_but(workspace)
    assert merge(workspace, "n1", "s1", reason="r").joined.links == 1
    assert store.opt_outs.in_force([north.id], "hie", "2026-03-01") == {north.id: {"race_ethnicity"}}
    assert store.opt_outs.keys_in_force("hie", "2026-03-01").keys() == {("north", "n1"), ("south", "s1")}
    assert north.id in set(store.hie("hie").standing.changed_since(newest))
    assert store.hie("hie").links() == {north.id: ("p2", 'W/"1"')}
    known = store.people.known("south", "s1")
    assert known is not None
    assert (known.id, known.member.partner, known.member.key) == (north.id, "south", "s1")
    assert [each["recipient"] for each in disclosures(workspace, "n1")["disclosures"]] == ["hie"]
    hold_add(workspace, member="n1", reason="r")
    with reading(store.engine) as connection:
        assert held(connection).members == {north.id, south.id}
    unmerge(workspace, 1)
    assert all_but(workspace, "hold") == {name: rows for name, rows in before.items() if name != "hold"}
