"""Loading an exported folder is killed at any moment and done again: everybody is there once, merged as they were."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from fhir_equity.pipeline.hold import hold_add
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.lake import export
from fhir_equity.pipeline.merge import merge, unmerge
from fhir_equity.pipeline.opt_out import opt_out
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.review import review_decide
from fhir_equity.pipeline.split import split
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import StoreSettings
from fhir_equity.store import Which
from tests.faults.points import killed_in, moments
from tests.pipeline.test_lake import held_in
from tests.pipeline.test_merge_across import ASIAN, BLACK, say
from tests.pipeline.test_merge_across import workspace as workspace
from tests.pipeline.test_split import say as say_twins

KILLS = 8


def test_killed_and_loaded_again_it_is_an_equal_store(
    workspace: Workspace, new_url: Callable[[], str], tmp_path: Path
) -> None:
    for day, given in (("2026-01-05", "Ada"), ("2026-02-05", "Ben")):
        say_twins(workspace, day, (given, "race", ASIAN))
    split(workspace, "k", Which(file="2026-02-05.csv"), reason="r", given="Ben")
    late = say(workspace, "south", "2026-02-06", ("s2", ASIAN))
    for number, (into, member) in enumerate((("n1", "s1"), ("n2", "s1"), ("n1", "s2")), start=1):
        merge(workspace, into, member, reason="r")
        if number == 1:
            unmerge(workspace, number)
    retract(workspace, late, reason="r")
    say(workspace, "south", "2026-02-07", ("s3", ASIAN), ("s3", BLACK))
    review_decide(workspace, str(workspace.store.cases.groups()[0].pattern), ASIAN, "she wrote to us")
    opt_out(workspace, "n1", "race", "", "", "")
    hold_add(workspace, member="s3", reason="a suit")
    export(workspace, tmp_path / "lake")
    wanted = [*held_in(workspace.store)[::2], *on_record(workspace)]
    urls = iter(new_url, None)

    def load(url: str) -> None:
        with Workspace(workspace.settings.model_copy(update={"store": StoreSettings(url=url)}), "2026-03-02") as other:
            ingest(other, [tmp_path / "lake"])

    with moments(0, lambda _: None) as counted:
        load(next(urls))
    for point in random.Random("lake").sample(range(1, counted[0] + 1), KILLS):
        assert_equal_after(load, next(urls), point, workspace, wanted)


def on_record(workspace: Workspace) -> list[object]:
    decided = [(each.side, each.at, each.members) for each in workspace.store.decisions.all()]
    held = [(each.pseudonym, each.at) for each in workspace.store.holds.all()]
    return [decided, held, workspace.store.opt_outs.keys_in_force("", "2026-03-02")]


def assert_equal_after(
    load: Callable[[str], None], url: str, point: int, workspace: Workspace, wanted: list[object]
) -> None:
    assert killed_in(lambda: load(url), point)
    load(url)
    with Workspace(workspace.settings.model_copy(update={"store": StoreSettings(url=url)}), "2026-03-02") as other:
        assert [*held_in(other.store)[::2], *on_record(other)] == wanted
        assert other.store.trail.verify().problems == []
